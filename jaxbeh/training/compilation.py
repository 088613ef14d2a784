"""The compilation of a run's programs: at the same time, before there is anything on a device.

A GPU runs a program as graphs of kernels, where each waits only for those whose results it uses. A
loop is part of a graph if it holds no other one: turns of a loop within a loop are slower there
than launched by the host (a step of v6 in float32 took 3.6 ms, not 2.7).
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn
from jax.stages import Compiled

from jaxbeh.features.normaliser import Normaliser
from jaxbeh.training.devices import Devices
from jaxbeh.training.programs import Programs
from jaxbeh.training.state import EpochSums, TrainState

SIDE_BY_SIDE: dict[str, str | bool] = {"xla_gpu_command_buffer_scheduling_mode": "CONCURRENT"}
"""XLA's name for kernels that wait only for those whose results they use."""
COMPILED_ONCE: dict[str, str | bool] = {"xla_gpu_experimental_enable_fusion_autotuner": False}
"""Kernels but products': else XLA compiles each in several ways, to keep the quickest."""
LOOPS_IN_GRAPHS: dict[str, str | bool] = {
    "xla_gpu_enable_command_buffer": "FUSION,CUBLAS,CUBLASLT,CUSTOM_CALL,CUDNN,WHILE"
}
"""What a graph may hold: loops, which XLA leaves out, and what else there is in these programs."""
ALL = ("train", "validate", "init", "shuffle")
"""A run's programs, the longest to compile first."""
JUDGED = ("train",)
"""Those that say whether a layout of the frames fits."""
_DRAWN_OUTSIDE_LOOPS = ("init", "shuffle")
_BY_KERNEL = "jax_threefry_gpu_kernel_lowering"


@dataclass(frozen=True)
class Arguments:
    """Shapes and placements of what each of a run's programs is called with; see `Programs`."""

    init: tuple[Any, ...]
    shuffle: tuple[Any, ...]
    train: tuple[Any, ...]
    validate: tuple[Any, ...]

    @classmethod
    def of(
        cls,
        programs: Programs,
        devices: Devices,
        root: jax.Array,
        trained: Any,
        order: tuple[int, ...],
        judged: Any,
        normaliser: Normaliser | None,
        ordered: tuple[Any, ...] = (),
    ) -> "Arguments":
        """The arguments of programs as they were built.

        Args:
            programs: as built.
            devices: where.
            root: the run's key.
            trained: frames to train on, or their shapes and placements.
            order: the shape of an epoch's order of windows.
            judged: frames to validate on, likewise.
            normaliser: or its shapes.
            ordered: what an order is made of beside key and step, likewise.
        """
        shapes = devices.shapes
        key, step, scale = shapes((root, np.int32(0), np.float32(1)))
        state, sums = shapes((jax.eval_shape(programs.init, root), EpochSums.zero()))
        windows = shapes(jax.ShapeDtypeStruct(order, np.int32))
        statistics = shapes(normaliser)
        return cls(
            init=(key,),
            shuffle=(key, step, *ordered),
            train=(state, sums, trained, windows, statistics, key, scale),
            validate=(state, judged, statistics),
        )

    @property
    def state(self) -> TrainState:
        """Of what is trained."""
        state: TrainState = self.train[0]
        return state


def compile_ahead(
    programs: Programs,
    arguments: Arguments,
    devices: Devices,
    names: tuple[str, ...] = ALL,
    in_every_way: bool = False,
) -> Programs:
    """Compile programs at the same time, but for those that are compiled.

    In turn where other processes compile them too, and wait for each other's choice of kernels.

    Args:
        programs: as built, or some of them compiled.
        arguments: what they will be called with.
        devices: where.
        names: which of them.
        in_every_way: also compile kernels but products' in several ways, and keep the quickest;
            of v6's kernels none was quicker for it.
    """
    extra = {} if in_every_way else COMPILED_ONCE
    with ThreadPoolExecutor(None if devices.hosts.count == 1 else 1) as pool:
        compiling = {}
        for name in names:
            program = getattr(programs, name)
            if isinstance(program, Compiled):
                continue
            # Traced one after another, by this thread.
            traced = program.trace(*getattr(arguments, name))
            chosen = options(devices, traced.jaxpr.jaxpr, extra)
            with _draws_by_kernels(name in _DRAWN_OUTSIDE_LOOPS):
                lowered = traced.lower()
            compiling[name] = pool.submit(lowered.compile, chosen)
    compiled: dict[str, Any] = {name: future.result() for name, future in compiling.items()}
    return replace(programs, **compiled)


@contextmanager
def _draws_by_kernels(applies: bool) -> Iterator[None]:
    """Lower JAX's generator to calls of a finished kernel on a GPU; the numbers are the same.

    Otherwise each draw is a hundred operations: the first weights took longer to compile than a
    step of training. Inside a loop, which runs as one graph of kernels, such calls cost more than
    the operations. The setting is the process's: for one thread at a time.
    """
    before = jax.config.values[_BY_KERNEL]
    jax.config.update(_BY_KERNEL, before or applies)
    try:
        yield
    finally:
        jax.config.update(_BY_KERNEL, before)


def taken_beside(train: Any, frames: int) -> int:
    """Bytes of a device that a call takes beside the frames, by XLA's count.

    Args:
        train: the compiled program.
        frames: bytes of a device that the store among its arguments takes.

    Returns:
        The bytes; 0 where a backend does not say.
    """
    found = train.memory_analysis()
    if found is None:
        return 0
    taken = (
        found.argument_size_in_bytes
        + found.output_size_in_bytes
        + found.temp_size_in_bytes
        - found.alias_size_in_bytes
    )
    return max(0, int(taken) - frames)


def options(
    devices: Devices, jaxpr: Jaxpr, extra: dict[str, str | bool]
) -> dict[str, str | bool] | None:
    """The compiler's options for a program.

    Args:
        devices: where it runs.
        jaxpr: the program.
        extra: options beside those that follow from the program, for a GPU.
    """
    if devices.mesh.devices.flat[0].platform != "gpu":
        return None
    chosen = SIDE_BY_SIDE | extra
    return chosen if nests_loops(jaxpr) else chosen | LOOPS_IN_GRAPHS


def nests_loops(jaxpr: Jaxpr, inside: bool = False) -> bool:
    """Whether a program has a loop within a loop; those of a kernel are its own.

    Args:
        jaxpr: the program, or a part of it.
        inside: whether the part is within a loop.
    """
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name == "pallas_call":
            continue
        loops = name in ("scan", "while")
        if loops and inside:
            return True
        if any(nests_loops(inner, inside or loops) for inner in _inner(equation)):
            return True
    return False


def _inner(equation: JaxprEqn) -> Iterator[Jaxpr]:
    """The programs that are an operation's parameters."""
    for value in jax.tree.leaves(list(equation.params.values())):
        if isinstance(value, ClosedJaxpr):
            yield value.jaxpr
        elif isinstance(value, Jaxpr):
            yield value
