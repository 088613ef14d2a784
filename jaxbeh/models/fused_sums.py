"""The sums for a layer's biases, by a small kernel that keeps an order.

A graph of kernels runs whatever is ready. Behind a layer's backward recurrence that is, at the same
time, the product that the layer before waits for and those for this layer's weights, each of which
fills the GPU. Once the first is done, though, the next recurrence leaves some of the GPU to the
others (a quarter, with 384 rows and 256 units on an H100), if only it finds its own part free. So
the sums wait for the first product and take few multiprocessors; the other products wait for the
sums, and start when the recurrence has.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

_ROWS = 256
_COLUMNS = 64
_BLOCKS = 2
"""Loaded at a time."""


def ordered_sums(gates: Array, first: Array, interpret: bool = False) -> tuple[Array, Array]:
    """Sum over steps and rows, once `first` is there.

    Args:
        gates: `[t, b, g]`, g a multiple of 64.
        first: what must be there before.
        interpret: run without a GPU, slowly: for tests.

    Returns:
        The gates, for what is to come after, and float32 `[g]`.
    """
    shape = gates.shape
    flat = gates.reshape(-1, shape[-1])
    call = pl.pallas_call(
        _kernel,
        out_shape=(
            jax.ShapeDtypeStruct(flat.shape, flat.dtype),
            jax.ShapeDtypeStruct(flat.shape[1:], jnp.float32),
        ),
        grid=(flat.shape[1] // _COLUMNS,),
        input_output_aliases={0: 0},
        compiler_params=triton.CompilerParams(num_warps=8, num_stages=1),
        interpret=interpret,
    )
    after, sums = call(flat, first)
    return after.reshape(shape), sums


def _kernel(gates: Any, first: Any, after: Any, sums: Any) -> None:
    """The first is there when this starts, and what comes after is what was given, in place."""
    del first, after
    columns = pl.ds(pl.program_id(0) * _COLUMNS, _COLUMNS)
    count = gates.shape[0]

    def block(number: Any) -> Array:
        start = number * _ROWS
        inside = (start + jnp.arange(_ROWS, dtype=jnp.int32) < count)[:, None]
        mask = None if count % (_ROWS * _BLOCKS) == 0 else inside
        at = gates.at[pl.ds(start, _ROWS), columns]
        found: Array = triton.load(at, mask=mask, other=None if mask is None else 0.0)
        return found.astype(jnp.float32)

    def turn(number: Array, total: Array) -> Array:
        found = [block(number * _BLOCKS + at) for at in range(_BLOCKS)]
        return total + sum(found[1:], found[0])

    nothing = jnp.zeros((_ROWS, _COLUMNS), jnp.float32)
    total = lax.fori_loop(0, pl.cdiv(count, _ROWS * _BLOCKS), turn, nothing)
    sums[columns] = jnp.sum(total, axis=0)
