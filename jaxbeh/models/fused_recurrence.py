"""The recurrence of a bidirectional LSTM in GPU kernels, one a step: product and cell together.

Compiled from plain operations, a step is four or five small kernels that wait for each other, and
its tensors are copied between them. Here a step of both directions is one kernel forward and one
backward, shared out over rows and units, each of which writes its part of the layer's tensors in
place. (Holding some rows through all steps in one kernel was twice as slow: each program then
streams all weights at every step. Sharing the units out within one kernel would need programs that
wait for each other, which hang where a GPU cannot hold all of them at a time.)

Gates in the order input, forget, cell, output. Axes: t steps, b rows, then both directions side by
side: d · 4h gates or d · h units.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton
from jax.sharding import Mesh, PartitionSpec
from jax.typing import DTypeLike

FEWEST_UNITS = 64
"""Layers with fewer are not worth a kernel, and tiles of 32 would not share them out."""


@dataclass(frozen=True)
class _Tiles:
    """How a kernel is shared out.

    Attributes:
        rows: rows of a program.
        units: units of a program.
        chunk: what its product runs over at a time.
        warps: of a program.
        stages: of loading ahead.
        by_row: how many of its operands, the first ones, have rows.
    """

    rows: int
    units: int
    chunk: int
    warps: int
    stages: int
    by_row: int


_FORWARD = _Tiles(rows=64, units=32, chunk=256, warps=8, stages=1, by_row=2)
_BACKWARD = _Tiles(rows=64, units=32, chunk=128, warps=8, stages=4, by_row=4)


def fits(hidden: int) -> bool:
    """Whether the kernels take such a layer: Triton's tiles are powers of two."""
    return hidden >= FEWEST_UNITS and hidden & (hidden - 1) == 0


@partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def recurrence(
    gates: Array,
    bias: Array,
    weights: Array,
    valid: Array,
    mesh: Mesh | None = None,
    interpret: bool = False,
) -> Array:
    """Run both directions over all steps.

    Args:
        gates: bfloat16 `[t, b, 2·4h]`, input products.
        bias: float32 `[2·4h]`, added to them.
        weights: bfloat16 `[2, h, 4h]`.
        valid: float32 `[t, b]`, 1 or 0; where 0, output and cell become 0.
        mesh: devices that share the rows; `None` for one device.
        interpret: run without a GPU, slowly: for tests.

    Returns:
        Outputs bfloat16 `[t, b, 2h]`.
    """
    return _forward(gates, bias, weights, valid, mesh, interpret)[0]


def _forward(
    gates: Array,
    bias: Array,
    weights: Array,
    valid: Array,
    mesh: Mesh | None,
    interpret: bool,
) -> tuple[Array, tuple[Array, ...]]:
    run = partial(_all_steps_forward, interpret)
    made = _on_each_device(run, _FORWARD, mesh, gates, valid, bias, weights)
    outputs, before, cells, opened = made
    return outputs, (weights, valid, before, cells, opened)


def _backward(
    mesh: Mesh | None, interpret: bool, saved: tuple[Array, ...], outer: Array
) -> tuple[Array, Array, Array, Array]:
    weights, valid, before, cells, opened = saved
    hidden = weights.shape[1]
    turned = jnp.swapaxes(weights, 1, 2)
    run = partial(_all_steps_backward, interpret)
    inner, _ = _on_each_device(run, _BACKWARD, mesh, outer, valid, cells, opened, turned)
    # One product for both directions and, for nothing, of each with the other: cutting the
    # directions apart first would copy both tensors.
    both = lax.dot_general(before, inner, (((0, 1), (0, 1)), ((), ())))
    to_weights = [both[:hidden, : 4 * hidden], both[hidden:, 4 * hidden :]]
    to_bias = jnp.sum(inner, axis=(0, 1), dtype=jnp.float32)
    return inner, to_bias, jnp.stack(to_weights), jnp.zeros_like(valid)


recurrence.defvjp(_forward, _backward)


def _all_steps_forward(
    interpret: bool, gates: Array, valid: Array, bias: Array, weights: Array
) -> tuple[Array, ...]:
    """Outputs, outputs of the step before each, cells, opened gates, each `[t, b, …]`."""
    units = (*gates.shape[:2], gates.shape[2] // 4)
    made = [(units, gates.dtype), (units, gates.dtype), (units, jnp.float32)]
    made.append((gates.shape, gates.dtype))
    return _steps(_forward_kernel, _FORWARD, made, interpret, gates, valid, bias, weights)


def _all_steps_backward(
    interpret: bool, outer: Array, valid: Array, cells: Array, opened: Array, weights: Array
) -> tuple[Array, ...]:
    """Gradients of the gates before they were opened, and of the cells, each `[t, b, …]`."""
    made = [(opened.shape, opened.dtype), (cells.shape, cells.dtype)]
    given = (outer, valid, cells, opened, weights)
    return _steps(_backward_kernel, _BACKWARD, made, interpret, *given)


def _on_each_device(
    function: Callable[..., tuple[Array, ...]], tiles: _Tiles, mesh: Mesh | None, *given: Array
) -> tuple[Array, ...]:
    """Let each device run the kernels on its own rows; the compiler cannot cut them itself."""
    if mesh is None or given[0].shape[1] % mesh.size:  # such as the one row of an init
        return function(*given)
    by_row, whole = PartitionSpec(None, mesh.axis_names[0]), PartitionSpec()
    specs = tuple(by_row if at < tiles.by_row else whole for at in range(len(given)))
    shared = jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=by_row, check_vma=False)
    made: tuple[Array, ...] = shared(*given)
    return made


def _steps(
    kernel: Callable[..., None],
    tiles: _Tiles,
    made: Sequence[tuple[tuple[int, ...], DTypeLike]],
    interpret: bool,
    *inputs: Array,
) -> tuple[Array, ...]:
    """Call a kernel once a step; all calls write to the same tensors, each its own part."""
    steps, rows = made[0][0][:2]
    hidden = max(shape[2] for shape, _ in made) // 8
    padding = -rows % tiles.rows
    inputs = tuple(
        jnp.pad(given, [(0, 0), (0, padding), *[(0, 0)] * (given.ndim - 2)])
        if at < tiles.by_row
        else given
        for at, given in enumerate(inputs)
    )
    held: Sequence[Array] = ()
    for number in range(steps):
        call = pl.pallas_call(
            partial(kernel, tiles, hidden, number == 0, interpret),
            out_shape=[
                jax.ShapeDtypeStruct((steps, rows + padding, *shape[2:]), dtype)
                for shape, dtype in made
            ],
            grid=((rows + padding) // tiles.rows, hidden // tiles.units, 2),
            input_output_aliases={1 + len(inputs) + at: at for at in range(len(held))},
            compiler_params=triton.CompilerParams(num_warps=tiles.warps, num_stages=tiles.stages),
            interpret=interpret,
        )
        held = call(jnp.full((1,), number, jnp.int32), *inputs, *held)
    return tuple(tensor[:, :rows] for tensor in held)


def _forward_kernel(
    tiles: _Tiles,
    hidden: int,
    first: bool,
    interpret: bool,
    number: Any,
    gates: Any,
    valid: Any,
    bias: Any,
    weights: Any,
    *held: Any,
) -> None:
    outputs, before, cells, opened = held[-4:]
    place = _Place(tiles, hidden, gates.shape[0])
    t, earlier, following = place.forward(number[0])
    sums = [
        gates[t, place.rows, gate].astype(jnp.float32) + bias[gate][None, :] for gate in place.gates
    ]
    if first:
        before[t, place.rows, place.units] = jnp.zeros((tiles.rows, tiles.units), before.dtype)
        cell = jnp.zeros((tiles.rows, tiles.units), jnp.float32)
    else:
        cell = cells[earlier, place.rows, place.units]
        reach = min(tiles.chunk, hidden)

        def product(part: Array, sums: tuple[Array, ...]) -> tuple[Array, ...]:
            chunk = part * reach
            own = before[t, place.rows, pl.ds(place.direction * hidden + chunk, reach)]
            found = []
            for gate, total in enumerate(sums):
                column = pl.ds(gate * hidden + place.unit, tiles.units)
                block = weights[place.direction, pl.ds(chunk, reach), column]
                found.append(total + _dot(own, block))
            return tuple(found)

        sums = lax.fori_loop(0, hidden // reach, product, tuple(sums))
    enter, forget, leave = (_sigmoid(sums[gate], interpret) for gate in (0, 1, 3))
    update = _tanh(sums[2], interpret)
    alive = valid[t, place.rows][:, None]
    cell = (forget * cell + enter * update) * alive
    output = (leave * _tanh(cell, interpret) * alive).astype(outputs.dtype)
    outputs[t, place.rows, place.units] = output
    cells[t, place.rows, place.units] = cell
    for gate, value in zip(place.gates, (enter, forget, update, leave), strict=True):
        opened[t, place.rows, gate] = value.astype(opened.dtype)

    @pl.when((following >= 0) & (following < gates.shape[0]))
    def _() -> None:
        before[following, place.rows, place.units] = output


def _backward_kernel(
    tiles: _Tiles,
    hidden: int,
    first: bool,
    interpret: bool,
    number: Any,
    outer: Any,
    valid: Any,
    cells: Any,
    opened: Any,
    weights: Any,
    *held: Any,
) -> None:
    inner, to_cells = held[-2:]
    steps = outer.shape[0]
    place = _Place(tiles, hidden, steps)
    t, earlier, following = place.forward(steps - 1 - number[0])
    to_output = outer[t, place.rows, place.units].astype(jnp.float32)
    to_cell = jnp.zeros((tiles.rows, tiles.units), jnp.float32)
    alive = valid[t, place.rows][:, None]
    enter, forget, update, leave = (
        opened[t, place.rows, gate].astype(jnp.float32) for gate in place.gates
    )
    exists = (earlier >= 0) & (earlier < steps)
    cell_before = cells[jnp.clip(earlier, 0, steps - 1), place.rows, place.units]
    cell_before = jnp.where(exists, cell_before, 0.0)
    squashed = _tanh(cells[t, place.rows, place.units], interpret)
    if not first:
        to_cell = to_cells[following, place.rows, place.units]

        def product(part: Array, total: Array) -> Array:
            chunk = part * tiles.chunk
            own = inner[
                following, place.rows, pl.ds(4 * place.direction * hidden + chunk, tiles.chunk)
            ]
            column = pl.ds(place.unit, tiles.units)
            return total + _dot(own, weights[place.direction, pl.ds(chunk, tiles.chunk), column])

        to_output = lax.fori_loop(0, 4 * hidden // tiles.chunk, product, to_output)
    to_output = to_output * alive
    to_cell = to_cell * alive + to_output * leave * (1.0 - squashed * squashed)
    to_cells[t, place.rows, place.units] = to_cell * forget
    found = (
        to_cell * update * enter * (1.0 - enter),
        to_cell * cell_before * forget * (1.0 - forget),
        to_cell * enter * (1.0 - update * update),
        to_output * squashed * leave * (1.0 - leave),
    )
    for gate, value in zip(place.gates, found, strict=True):
        inner[t, place.rows, gate] = value.astype(inner.dtype)


class _Place:
    """Which rows, units and direction a program has, and where its steps lie in time."""

    def __init__(self, tiles: _Tiles, hidden: int, steps: int) -> None:
        self.direction = pl.program_id(2)
        self.unit = pl.program_id(1) * tiles.units
        self.rows = pl.ds(pl.program_id(0) * tiles.rows, tiles.rows)
        self.units = pl.ds(self.direction * hidden + self.unit, tiles.units)
        self.gates = [
            pl.ds((4 * self.direction + gate) * hidden + self.unit, tiles.units)
            for gate in range(4)
        ]
        self._steps = steps

    def forward(self, number: Array) -> tuple[Array, Array, Array]:
        """Time of a step, of the step before it, and of the one after it."""
        t = jnp.where(self.direction == 0, number, self._steps - 1 - number)
        way = 1 - 2 * self.direction
        return t, t - way, t + way


def _dot(left: Array, right: Array) -> Array:
    return jnp.dot(left, right, preferred_element_type=jnp.float32)


def _tanh(x: Array, interpret: bool) -> Array:
    """The GPU's own, right to 11 bits as bfloat16 is to 8; the exact one takes 20 operations."""
    return jnp.tanh(x) if interpret else triton.approx_tanh(x)


def _sigmoid(x: Array, interpret: bool) -> Array:
    return 0.5 + 0.5 * _tanh(0.5 * x, interpret)
