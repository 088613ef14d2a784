"""One step of a bidirectional LSTM layer in a GPU program: what it reads, computes and writes.

A program has some rows and some units of one direction; of the other units it needs, at every step,
what was written for them at the step before. `fused_launch` has two ways to see to that.

Gates in the order input, forget, cell, output. Axes: t steps, b rows, then both directions side by
side: d · 4h gates or d · h units.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
from jax import Array, lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton
from jax.typing import DTypeLike

Product = Callable[[], Array] | None
_Made = list[tuple[tuple[int, ...], DTypeLike]]


@dataclass(frozen=True)
class Tile:
    """What a program has.

    Attributes:
        rows: of the batch.
        units: of one direction.
        together: units whose gates stand side by side in the forward product. Four warps share its
            columns with the next four: where they have all gates of a unit, none changes hands.
    """

    rows: int
    units: int
    together: int


class Place:
    """Where a program's rows and units lie, and its steps in time."""

    def __init__(self, tile: Tile, hidden: int, steps: int, first_tile: Any = 0) -> None:
        self.tile = tile
        self.hidden = hidden
        self.steps = steps
        self.direction = pl.program_id(2)
        self.row_tile = first_tile + pl.program_id(0)
        start = self.row_tile * tile.rows
        self.rows = pl.ds(start, tile.rows)
        self.every_row = start + jnp.arange(tile.rows, dtype=jnp.int32)
        unit = pl.program_id(1) * tile.units
        self.own_units = pl.ds(unit, tile.units)
        self.units = pl.ds(self.direction * hidden + unit, tile.units)
        first = 4 * self.direction * hidden
        self.gates = [pl.ds(first + gate * hidden + unit, tile.units) for gate in range(4)]
        column = jnp.arange(4 * tile.units, dtype=jnp.int32)
        group, one = lax.div(column, 4 * tile.together), lax.rem(column, tile.together)
        gate = lax.rem(lax.div(column, tile.together), 4)
        self.own_columns = gate * hidden + group * tile.together + one + unit
        self.columns = first + self.own_columns

    def split(self, gates: Array) -> list[Array]:
        """Each gate of a tensor that has all in the order of `columns`."""
        tile = self.tile
        gates = gates.reshape(tile.rows, tile.units // tile.together, 4 * tile.together)
        parts = jnp.split(gates, 4, axis=-1)
        return [part.reshape(tile.rows, tile.units) for part in parts]

    def forward(self, number: Any) -> tuple[Array, Array, Array]:
        """Time of a step, of the step before it, and of the one after it."""
        t = jnp.where(self.direction == 0, number, self.steps - 1 - number)
        way = 1 - 2 * self.direction
        return t, t - way, t + way

    def backward(self, number: Any) -> tuple[Array, Array, Array]:
        """The same where gradients run: time of the `number`th from the end."""
        return self.forward(self.steps - 1 - number)


@dataclass(frozen=True)
class Pass:
    """A layer's pass, forward or backward.

    Attributes:
        made: the tensors that it makes of its inputs; the last one keeps each step's carry.
        by_row: how many of its inputs, the first ones, have rows. The last input is the weights.
        depth: what its product runs over, in layers' units.
        keeps: whether what keeps the carries is wanted in the end.
        time: when a step is, of its number.
        step: run a step. Called with the place, the number, references to inputs and to what is
            made, the carry, `product`, which returns the product (`None` at the first step) and
            may wait, `shown`, called when all that other programs need has been written, and
            whether to be exact. Returns the carry. What it loads itself, it loads before.
        others: load a part of what the product is of: of columns from a start, so many. Where a
            condition is given, which always holds, what was cached before it held is not used.
        block: load the same part of the weights.
    """

    made: Callable[..., _Made]
    by_row: int
    depth: int
    keeps: bool
    time: Callable[[Place, Any], Array]
    step: Callable[..., Array]
    others: Callable[[Place, Any, Sequence[Any], Any, int, Array | None], Array]
    block: Callable[[Place, Any, Any, int], Array]


def _forward_made(gates: Array, *_: Array) -> _Made:
    """Outputs, outputs of the step before each, opened gates, cells."""
    units = (*gates.shape[:2], gates.shape[2] // 4)
    made: _Made = [(units, gates.dtype), (units, gates.dtype)]
    return [*made, (gates.shape, gates.dtype), (units, jnp.float32)]


def _forward_step(
    place: Place,
    number: Any,
    inputs: Sequence[Any],
    made: Sequence[Any],
    cell: Array,
    product: Product,
    shown: Callable[[], None],
    exact: bool,
) -> Array:
    gates, valid, bias = inputs[:3]
    outputs, before, opened, cells = made
    t, _, following = place.forward(number)
    entered = gates[t, place.every_row[:, None], place.columns[None, :]]
    biases = bias[place.columns][None, :]
    alive = valid[t, place.rows][:, None]
    if product is None:
        before[t, place.rows, place.units] = jnp.zeros_like(cell, before.dtype)
        sums = entered.astype(jnp.float32) + biases
    else:
        sums = product() + (entered.astype(jnp.float32) + biases)
    enter, forget, update, leave = place.split(sums)
    enter, forget, leave = (_sigmoid(gate, exact) for gate in (enter, forget, leave))
    update = _tanh(update, exact)
    cell = (forget * cell + enter * update) * alive
    output = (leave * _tanh(cell, exact) * alive).astype(outputs.dtype)

    @pl.when((following >= 0) & (following < place.steps))
    def hand_on() -> None:
        before[following, place.rows, place.units] = output

    shown()
    outputs[t, place.rows, place.units] = output
    cells[t, place.rows, place.units] = cell
    for gate, value in zip(place.gates, (enter, forget, update, leave), strict=True):
        opened[t, place.rows, gate] = value.astype(opened.dtype)
    return cell


def _outputs(
    place: Place, number: Any, made: Sequence[Any], start: Any, size: int, ready: Array | None
) -> Array:
    t, _, _ = place.forward(number)
    columns = pl.ds(place.direction * place.hidden + start, size)
    return _load(made[1].at[t, place.rows, columns], ready)


def _forward_block(place: Place, weights: Any, start: Any, size: int) -> Array:
    rows = start + jnp.arange(size, dtype=jnp.int32)
    found: Array = weights[place.direction, rows[:, None], place.own_columns[None, :]]
    return found


FORWARD = Pass(
    made=_forward_made,
    by_row=2,
    depth=1,
    keeps=True,
    time=lambda place, number: place.forward(number)[0],
    step=_forward_step,
    others=_outputs,
    block=_forward_block,
)
"""Of input products, validity, bias and weights `[2, h, 4h]`."""


def _backward_made(_: Array, __: Array, opened: Array, cells: Array, *___: Array) -> _Made:
    """Gradients of the gates before they were opened, and of the cells."""
    return [(opened.shape, opened.dtype), (cells.shape, cells.dtype)]


def _backward_step(
    place: Place,
    number: Any,
    inputs: Sequence[Any],
    made: Sequence[Any],
    to_cell: Array,
    product: Product,
    shown: Callable[[], None],
    exact: bool,
) -> Array:
    outer, valid, opened, cells = inputs[:4]
    inner, *to_cells = made
    t, earlier, _ = place.backward(number)
    entered = outer[t, place.rows, place.units]
    alive = valid[t, place.rows][:, None]
    gates = [opened[t, place.rows, gate] for gate in place.gates]
    exists = (earlier >= 0) & (earlier < place.steps)
    cell_before = cells[jnp.clip(earlier, 0, place.steps - 1), place.rows, place.units]
    cell = cells[t, place.rows, place.units]
    to_output = jnp.zeros_like(to_cell) if product is None else product()
    to_output = to_output + entered.astype(jnp.float32)
    enter, forget, update, leave = (gate.astype(jnp.float32) for gate in gates)
    cell_before = jnp.where(exists, cell_before, 0.0)
    squashed = _tanh(cell, exact)
    to_output = to_output * alive
    to_cell = to_cell * alive + to_output * leave * (1.0 - squashed * squashed)
    found = (
        to_cell * update * enter * (1.0 - enter),
        to_cell * cell_before * forget * (1.0 - forget),
        to_cell * enter * (1.0 - update * update),
        to_output * squashed * leave * (1.0 - leave),
    )
    for gate, value in zip(place.gates, found, strict=True):
        inner[t, place.rows, gate] = value.astype(inner.dtype)
    shown()
    to_cell = to_cell * forget
    for kept in to_cells:
        kept[t, place.rows, place.units] = to_cell
    return to_cell


def _inner(
    place: Place, number: Any, made: Sequence[Any], start: Any, size: int, ready: Array | None
) -> Array:
    _, _, following = place.backward(number)
    columns = pl.ds(4 * place.direction * place.hidden + start, size)
    return _load(made[0].at[following, place.rows, columns], ready)


def _backward_block(place: Place, weights: Any, start: Any, size: int) -> Array:
    found: Array = weights[place.direction, pl.ds(start, size), place.own_units]
    return found


BACKWARD = Pass(
    made=_backward_made,
    by_row=4,
    depth=4,
    keeps=False,
    time=lambda place, number: place.backward(number)[0],
    step=_backward_step,
    others=_inner,
    block=_backward_block,
)
"""Of the outputs' gradient, validity, opened gates, cells and weights `[2, 4h, h]`."""


def _load(reference: Any, ready: Array | None) -> Array:
    """Load; where there is a condition, past the multiprocessor's own cache.

    The condition is the load's mask to tie it to what was waited for, or the waiting would be left
    out as of no use.
    """
    if ready is None:
        return triton.load(reference)
    return triton.load(reference, mask=ready, other=0.0, volatile=True)


def _tanh(x: Array, exact: bool) -> Array:
    """The GPU's own, right to 11 bits as bfloat16 is to 8; the exact one takes 20 operations."""
    return jnp.tanh(x) if exact else triton.approx_tanh(x)


def _sigmoid(x: Array, exact: bool) -> Array:
    return 0.5 + 0.5 * _tanh(0.5 * x, exact)
