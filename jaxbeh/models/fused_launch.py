"""Two ways to run a layer's pass on a GPU: a kernel for each step, or one for all steps.

In one kernel, the programs with the same rows and direction wait for each other after every step:
each adds one to their counter when it has written, and goes on when all have. A program must never
wait for one that cannot start. So no call has more programs than the GPU has multiprocessors, and
each fits on one: all of a call run at a time, as soon as what ran before has ended; more rows are
taken in calls one after another, and a batch of layers step by step. Nor can two such calls of one
process that were started at a time keep each other waiting: a GPU places all programs of a kernel
before those of the next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from jaxbeh.models.fused_step import Pass, Place, Tile

_LINE = 32
"""Numbers in a line of the cache; counters in one line would wait for each other."""


@dataclass(frozen=True)
class Shape:
    """How a kernel is shared out.

    Attributes:
        tile: of a program.
        chunk: what its product runs over at a time.
        warps: of a program.
        stages: how many chunks are loaded ahead, where there are several.
    """

    tile: Tile
    chunk: int
    warps: int
    stages: int


def step_by_step(run: Pass, shape: Shape, interpret: bool, *inputs: Array) -> tuple[Array, ...]:
    """A kernel for each step; all write to the same tensors, each its own part."""
    rows = inputs[0].shape[1]
    given, hidden = _padded(run, shape, inputs)
    made = [jax.ShapeDtypeStruct(*one) for one in run.made(*given)]
    held: Sequence[Array] = ()
    for number in range(given[0].shape[0]):
        call = pl.pallas_call(
            partial(_step_kernel, run, shape, (len(given), len(made)), number == 0, interpret),
            out_shape=made,
            grid=(given[0].shape[1] // shape.tile.rows, hidden // shape.tile.units, 2),
            input_output_aliases={1 + len(given) + at: at for at in range(len(held))},
            compiler_params=triton.CompilerParams(num_warps=shape.warps, num_stages=shape.stages),
            interpret=interpret,
        )
        held = call(jnp.full((1,), number, jnp.int32), *given, *held)
    return tuple(tensor[:, :rows] for tensor in (held if run.keeps else held[:-1]))


def all_at_once(
    run: Pass, shape: Shape, programs: int, interpret: bool, *inputs: Array
) -> tuple[Array, ...]:
    """One kernel for all steps, for as many rows at a time as `programs` take.

    An interpreter runs one program after another: units must then not be shared out.
    """
    rows = inputs[0].shape[1]
    given, hidden = _padded(run, shape, inputs)
    tiles, sharing = given[0].shape[1] // shape.tile.rows, hidden // shape.tile.units
    at_a_time = programs // (2 * sharing)
    made = [jax.ShapeDtypeStruct(*one) for one in run.made(*given)]
    made = made if run.keeps else made[:-1]
    counters = jnp.zeros((tiles, 2, _LINE), jnp.int32)
    made = [jax.ShapeDtypeStruct(counters.shape, counters.dtype), *made]
    held: Sequence[Array] = (counters,)
    for first in range(0, tiles, at_a_time):
        call = pl.pallas_call(
            partial(_whole_kernel, run, shape, (len(given), len(made)), sharing, interpret),
            out_shape=made,
            grid=(min(at_a_time, tiles - first), sharing, 2),
            input_output_aliases={1 + len(given) + at: at for at in range(len(held))},
            compiler_params=triton.CompilerParams(num_warps=shape.warps, num_stages=1),
            interpret=interpret,
        )
        held = call(jnp.full((1,), first, jnp.int32), *given, *held)
    return tuple(tensor[:, :rows] for tensor in held[1:])


def _padded(run: Pass, shape: Shape, inputs: Sequence[Array]) -> tuple[list[Array], int]:
    """Inputs with rows that tiles divide, and the layer's units."""
    more = (0, -inputs[0].shape[1] % shape.tile.rows)
    padded = [
        jnp.pad(given, [(0, 0), more, *[(0, 0)] * (given.ndim - 2)]) if at < run.by_row else given
        for at, given in enumerate(inputs)
    ]
    return padded, inputs[-1].shape[1] // run.depth


def _step_kernel(
    run: Pass,
    shape: Shape,
    counts: tuple[int, int],
    first: bool,
    interpret: bool,
    at: Any,
    *references: Any,
) -> None:
    inputs, made = references[: counts[0]], references[-counts[1] :]
    weights = inputs[-1]
    depth = weights.shape[1]
    place = Place(shape.tile, depth // run.depth, inputs[0].shape[0])
    number = at[0]
    chunk = min(shape.chunk, depth)

    def part(at: Array, sums: Array) -> Array:
        own = run.others(place, number, made, at * chunk, chunk, None)
        return sums + _dot(own, run.block(place, weights, at * chunk, chunk))

    def product() -> Array:
        nothing = jnp.zeros((shape.tile.rows, 4 // run.depth * shape.tile.units), jnp.float32)
        total: Array = lax.fori_loop(0, depth // chunk, part, nothing)
        return total

    if first:
        carry = jnp.zeros((shape.tile.rows, shape.tile.units), jnp.float32)
    else:
        carry = made[-1][run.time(place, number - 1), place.rows, place.units]
    todo = None if first else product
    run.step(place, number, inputs, made, carry, todo, lambda: None, interpret)


def _whole_kernel(
    run: Pass,
    shape: Shape,
    counts: tuple[int, int],
    sharing: int,
    interpret: bool,
    at: Any,
    *references: Any,
) -> None:
    inputs = references[: counts[0]]
    counters, *made = references[-counts[1] :]
    weights = inputs[-1]
    steps, depth = inputs[0].shape[0], weights.shape[1]
    place = Place(shape.tile, depth // run.depth, steps, at[0])
    meeting = _Meeting(counters, place, sharing, interpret)
    chunk = min(shape.chunk, depth)
    starts = range(0, depth, chunk)
    blocks = [run.block(place, weights, start, chunk) for start in starts]

    def step(number: Array, carry: Array) -> Array:
        def product() -> Array:
            ready = meeting.wait(number)
            loaded: list[Array] = []
            total: Array = jnp.float32(0.0)
            for at, block in enumerate(blocks):
                for start in starts[len(loaded) : at + 1 + shape.stages]:
                    loaded.append(run.others(place, number, made, start, chunk, ready))
                total = total + _dot(loaded[at], block)
            return total

        return run.step(place, number, inputs, made, carry, product, meeting.arrive, interpret)

    nothing = jnp.zeros((shape.tile.rows, shape.tile.units), jnp.float32)
    zero = jnp.int32(0)
    carry = run.step(place, zero, inputs, made, nothing, None, meeting.arrive, interpret)
    lax.fori_loop(1, steps, step, carry)


class _Meeting:
    """Where the programs with the same rows and direction meet after every step.

    Adding to the counter releases what a program's warps wrote before; the looking goes past the
    multiprocessor's own cache, as must the loads after it. That those come later is by their
    needing what was seen, and by the barrier; PTX's memory model would ask for an acquire besides,
    which Pallas has only as another atomic. An interpreted program meets itself.
    """

    def __init__(self, counters: Any, place: Place, sharing: int, interpret: bool) -> None:
        self._counter = counters.at[place.row_tile, place.direction, 0]
        self._sharing = sharing
        self._interpret = interpret

    def arrive(self) -> None:
        """Say that this program has written what others need."""
        if self._interpret:
            self._counter[...] = self._counter[...] + 1
            return
        triton.debug_barrier()  # of a program's warps
        triton.atomic_add(self._counter, (), 1)

    def wait(self, step: Array) -> Array:
        """Wait for all programs' arrival from the step before; whether they have, which is true."""
        wanted = self._sharing * step
        seen = lax.while_loop(
            lambda seen: seen < wanted,
            lambda _: triton.load(self._counter, volatile=True),
            jnp.int32(0),
        )
        if not self._interpret:
            triton.debug_barrier()
        arrived: Array = seen >= wanted
        return arrived


def _dot(left: Array, right: Array) -> Array:
    product: Array = jnp.dot(left, right, preferred_element_type=jnp.float32)
    return product
