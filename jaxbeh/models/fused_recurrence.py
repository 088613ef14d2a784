"""A layer of a bidirectional LSTM on a GPU, its recurrence in kernels: product and cell together.

Compiled from plain operations, a step is four or five small kernels that wait for each other, and
its tensors are copied between them. Here both directions are one kernel forward and one backward,
shared out over rows and units, each of which writes its part of the layer's tensors in place: one
for all steps on GPUs where that was tried, else one for each step. (Holding some rows through all
steps in a program of its own was twice as slow: each program then streams all weights at every
step.)

Axes: t steps, b rows, then both directions side by side: d · 4h gates or d · h units.
"""

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh, PartitionSpec

from jaxbeh.models.fused_launch import Shape, all_at_once, step_by_step
from jaxbeh.models.fused_step import BACKWARD, FORWARD, Pass, Tile
from jaxbeh.models.fused_sums import ordered_sums

FEWEST_UNITS = 64
"""Layers with fewer are not worth a kernel, and no tile would share them out."""

_MOST_UNITS = 256
"""Of layers whose steps run in one kernel: a program's weights must fit its shared memory."""

MPS_FOLDER = Path("/tmp/nvidia-mps")
"""Where the multi-process service lies if no variable says otherwise."""

_Way = Callable[..., tuple[Array, ...]]

BY_STEP = {
    FORWARD: Shape(Tile(rows=64, units=32, together=16), chunk=128, warps=8, stages=2),
    BACKWARD: Shape(Tile(rows=64, units=32, together=16), chunk=128, warps=8, stages=4),
}
AT_ONCE = {
    FORWARD: Shape(Tile(rows=64, units=32, together=16), chunk=256, warps=8, stages=1),
    BACKWARD: Shape(Tile(rows=32, units=64, together=16), chunk=512, warps=4, stages=1),
}


def fits(hidden: int) -> bool:
    """Whether the kernels take such a layer: Triton's tiles are powers of two."""
    return hidden >= FEWEST_UNITS and hidden & (hidden - 1) == 0


@partial(jax.custom_vjp, nondiff_argnums=(5, 6))
def recurrence(
    x: Array,
    kernel: Array,
    bias: Array,
    weights: Array,
    valid: Array,
    mesh: Mesh | None = None,
    interpret: bool = False,
) -> Array:
    """Run both directions over all steps.

    Args:
        x: `[t, b, i]`.
        kernel: `[i, 2·4h]`, which the inputs are multiplied by, in their dtype.
        bias: float32 `[2·4h]`, added to the products.
        weights: bfloat16 `[2, h, 4h]`.
        valid: float32 `[t, b]`, 1 or 0; where 0, output and cell become 0.
        mesh: devices that share the rows; `None` for one device.
        interpret: run without a GPU, slowly: for tests.

    Returns:
        Outputs bfloat16 `[t, b, 2h]`.
    """
    return _forward(x, kernel, bias, weights, valid, mesh, interpret)[0]


def _forward(
    x: Array,
    kernel: Array,
    bias: Array,
    weights: Array,
    valid: Array,
    mesh: Mesh | None,
    interpret: bool,
) -> tuple[Array, tuple[Array, ...]]:
    gates = (x @ kernel).astype(weights.dtype)
    made = _on_each_device(FORWARD, mesh, interpret, gates, valid, bias, weights)
    outputs, before, opened, cells = made
    return outputs, (x, kernel, weights, valid, before, cells, opened)


def _backward(
    mesh: Mesh | None, interpret: bool, saved: tuple[Array, ...], outer: Array
) -> tuple[Array, ...]:
    x, kernel, weights, valid, before, cells, opened = saved
    turned = jnp.swapaxes(weights, 1, 2)
    (inner,) = _on_each_device(BACKWARD, mesh, interpret, outer, valid, opened, cells, turned)
    to_x = inner.astype(x.dtype) @ kernel.T
    inner, to_bias = _summed(mesh, interpret, inner, to_x)
    to_kernel = jnp.einsum("tbi,tbg->ig", x, inner.astype(x.dtype))
    by_direction = [one.reshape(*one.shape[:2], 2, -1) for one in (before, inner)]
    to_weights = jnp.einsum("tbdh,tbdg->dhg", *by_direction)
    return to_x, to_kernel, to_bias, to_weights, jnp.zeros_like(valid)


recurrence.defvjp(_forward, _backward)


def _summed(mesh: Mesh | None, interpret: bool, inner: Array, to_x: Array) -> tuple[Array, ...]:
    """The gates' gradients, for what is to come after the layer's inputs', and their sums.

    The order is kept on one device, of one layer at a time.
    """

    def plainly(inner: Array, _: Array) -> tuple[Array, ...]:
        return inner, jnp.sum(inner, axis=(0, 1), dtype=jnp.float32)

    if mesh is not None:
        return plainly(inner, to_x)
    in_order = partial(ordered_sums, interpret=interpret)
    return _unless_batched(in_order, plainly)(inner, to_x)


def _on_each_device(
    run: Pass, mesh: Mesh | None, interpret: bool, *given: Array
) -> tuple[Array, ...]:
    """Let each device run the kernels on its own rows; the compiler cannot cut them itself."""
    hidden = given[-1].shape[1] // run.depth
    programs = programs_at_a_time(interpret)
    function: _Way = partial(step_by_step, run, BY_STEP[run], interpret)
    if hidden <= _MOST_UNITS and 2 * hidden // AT_ONCE[run].tile.units <= programs:
        at_once = partial(all_at_once, run, AT_ONCE[run], programs, interpret)
        function = _unless_batched(at_once, function)
    if mesh is None or given[0].shape[1] % mesh.size:  # such as the one row of an init
        return function(*given)
    by_row, whole = PartitionSpec(None, mesh.axis_names[0]), PartitionSpec()
    specs = tuple(by_row if at < run.by_row else whole for at in range(len(given)))
    shared = jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=by_row, check_vma=False)
    made: tuple[Array, ...] = shared(*given)
    return made


def _unless_batched(single: _Way, several: _Way) -> _Way:
    """The first, but the second under `vmap`, which would multiply the programs of a call."""

    def batched(
        size: int, which: Sequence[bool], *given: Array
    ) -> tuple[tuple[Array, ...], tuple[bool, ...]]:
        del size
        made = jax.vmap(several, in_axes=tuple(0 if one else None for one in which))(*given)
        return made, (True,) * len(made)

    chosen: Any = jax.custom_batching.custom_vmap(single)
    chosen.def_vmap(batched)
    return cast("_Way", chosen)


def programs_at_a_time(interpret: bool) -> int:
    """How many programs with much shared memory each device surely holds at a time; 0: not known.

    All devices of a run are alike. Under CUDA's multi-process service, programs of other processes
    may hold multiprocessors, and those of another run wait there themselves.
    """
    shared = any(name.startswith("CUDA_MPS_") for name in os.environ) or MPS_FOLDER.exists()
    if interpret or shared:
        return 0
    device = jax.local_devices()[0]
    # H100, H200 and their kin; tried on an H200.
    tried = getattr(device, "compute_capability", None) == "9.0"
    return int(getattr(device, "core_count", 0)) if tried else 0
