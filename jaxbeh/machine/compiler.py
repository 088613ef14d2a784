"""What XLA reads from the environment when JAX starts, and can be told in no other way."""

import os

_OPTION = "--xla_gpu_experimental_cost_model_gemm_tiling_options"


def compare_few_kernels() -> None:
    """Have XLA time the two kernels for a product that it estimates to be the fastest.

    That is of Triton's, beside those of NVIDIA's libraries. By itself it compiles some twenty for
    each product of a program, on all cores for seconds, to choose one of about the same speed
    (`benchmarks/RESULTS.md`, Compilation).

    Does nothing on a CPU, after JAX's first computation, or where `XLA_FLAGS` says how many.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if _OPTION not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_OPTION}=top=2,top_from_default=1".strip()
