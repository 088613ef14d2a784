"""A bidirectional LSTM layer, input products hoisted out of the recurrence.

The recurrence is one linen scan; in bfloat16 on a GPU, kernels (`fused_recurrence`).
"""

from collections.abc import Callable
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_batching import sequential_vmap
from jax.nn.initializers import Initializer, lecun_normal, orthogonal
from jax.sharding import Mesh
from jax.typing import DTypeLike

from jaxbeh.models.fused_recurrence import fits, recurrence

_Carry = tuple[Array, Array]


def _per_direction(init: Initializer) -> Callable[..., Array]:
    """Draw `[2, …]` parameters each direction on its own, so that fan-in is counted right.

    Members that are drawn at once are drawn one after another: jaxlib 0.10.2 never comes to an end
    where the factorisations of two batches of matrices wait for the same two threads of a CPU.
    """

    def draw(key: Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> Array:
        one = sequential_vmap(partial(init, shape=shape[1:], dtype=dtype))
        return jnp.stack([one(half) for half in jax.random.split(key, 2)])

    return draw


def _side_by_side(key: Array, shape: tuple[int, int], dtype: jnp.dtype = jnp.float32) -> Array:
    """Draw the input products' `[i, 2·4h]`, each direction on its own."""
    one = (shape[0], shape[1] // 2)
    return jnp.concatenate(
        [lecun_normal()(half, one, dtype) for half in jax.random.split(key, 2)], axis=1
    )


def _forget_nothing_yet(key: Array, shape: tuple[int], dtype: jnp.dtype = jnp.float32) -> Array:
    """Biases 0, but 1 for the forget gates (Jozefowicz et al., 2015)."""
    del key
    return jnp.zeros((2, 4, shape[0] // 8), dtype).at[:, 1].set(1.0).reshape(-1)


class _Step(nn.Module):
    """One time step of both directions at once; gates in the order input, forget, cell, output."""

    @nn.compact
    def __call__(
        self, carry: _Carry, step: tuple[Array, Array], weights: Array
    ) -> tuple[_Carry, Array]:
        output, cell = carry
        projected, valid = step
        gates = projected + jnp.einsum("dbh,dhg->dbg", output, weights)
        enter, forget, update, leave = jnp.split(gates.astype(jnp.float32), 4, axis=-1)
        cell = nn.sigmoid(forget) * cell + nn.sigmoid(enter) * jnp.tanh(update)
        output = nn.sigmoid(leave) * jnp.tanh(cell)
        # Padding stands behind a window: the backward direction meets it first and must leave it
        # with an untouched carry; what the forward direction makes of it is never read.
        alive = valid[..., None]
        output, cell = (output * alive).astype(projected.dtype), cell * alive
        return (output, cell), output


class BidirectionalLSTM(nn.Module):
    """`[t, b, i]` → `[t, b, 2·hidden]`; the backward direction starts at the last valid step.

    Attributes:
        hidden: units each way.
        dtype: of products and output; parameters and the cell's state are float32.
        mesh: devices that share the batch, as kernels must be told; `None` for one device.
    """

    hidden: int
    dtype: DTypeLike = jnp.float32
    mesh: Mesh | None = None

    @nn.compact
    def __call__(self, x: Array, mask: Array) -> Array:
        """Run both directions.

        Args:
            x: `[t, b, i]`.
            mask: bool `[t, b]`, true up to each sequence's last valid step.
        """
        gates = 4 * self.hidden
        kernel = self.param("kernel", _side_by_side, (x.shape[-1], 2 * gates))
        bias = self.param("bias", _forget_nothing_yet, (2 * gates,))
        weights = self.param("recurrent", _per_direction(orthogonal()), (2, self.hidden, gates))
        weights = weights.astype(self.dtype)
        x, kernel, valid = x.astype(self.dtype), kernel.astype(self.dtype), mask.astype(jnp.float32)
        if self.dtype == jnp.bfloat16 and jax.default_backend() == "gpu" and fits(self.hidden):
            return recurrence(x, kernel, bias, weights, valid, self.mesh)
        projected = x @ kernel + bias.astype(self.dtype)
        scan = nn.scan(_Step, in_axes=(0, nn.broadcast), out_axes=0)
        nothing = (2, x.shape[1], self.hidden)
        carry = (jnp.zeros(nothing, self.dtype), jnp.zeros(nothing, jnp.float32))
        steps = (_facing(projected[..., :gates], projected[..., gates:]), _facing(valid, valid))
        _, outputs = scan(name="step")(carry, steps, weights)
        return jnp.concatenate([outputs[:, 0], outputs[::-1, 1]], axis=-1)


def _facing(forward: Array, backward: Array) -> Array:
    """`[t, …]` of each direction → `[t, 2, …]`, the second in its own order of time."""
    return jnp.stack([forward, backward[::-1]], axis=1)
