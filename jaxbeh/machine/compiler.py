"""What XLA reads from the environment when JAX starts, and can be told in no other way."""

import os
from importlib import metadata

_OPTION = "--xla_gpu_experimental_cost_model_gemm_tiling_options"
_KNOWN_TO = ("0.10.", "0.11.", "0.12.")
"""The jaxlibs that have the option; XLA ends a process over one that it does not know."""


def compare_few_kernels() -> None:
    """Of Triton's kernels for a product, have XLA time the two that it estimates to be fastest.

    By itself it compiles a dozen for each product of a program, on all cores for seconds, to choose
    one that is about as fast (`benchmarks/RESULTS.md`, Compilation). It times those of NVIDIA's
    libraries beside them as before.

    It changes nothing on a CPU, after JAX's first computation, or where `XLA_FLAGS` has the option
    or is a file of flags.
    """
    flags = os.environ.get("XLA_FLAGS", "").strip()
    a_file = flags and not flags.startswith("--")
    if a_file or _OPTION in flags or not metadata.version("jaxlib").startswith(_KNOWN_TO):
        return
    os.environ["XLA_FLAGS"] = f"{flags} {_OPTION}=top=2,top_from_default=1".strip()
