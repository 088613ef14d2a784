"""A bidirectional LSTM layer as one linen scan, input products hoisted out of the recurrence."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jax.nn.initializers import Initializer, lecun_normal, orthogonal

_Carry = tuple[Array, Array]


def _per_direction(init: Initializer) -> Callable[..., Array]:
    """Draw `[2, …]` parameters each direction on its own, so that fan-in is counted right."""

    def draw(key: Array, shape: tuple[int, ...], dtype: jnp.dtype = jnp.float32) -> Array:
        return jnp.stack([init(one, shape[1:], dtype) for one in jax.random.split(key, 2)])

    return draw


def _forget_nothing_yet(key: Array, shape: tuple[int, ...], dtype: jnp.dtype) -> Array:
    """Biases 0, but 1 for the forget gate (Jozefowicz et al., 2015)."""
    del key
    hidden = shape[-1] // 4
    return jnp.zeros(shape, dtype).at[..., hidden : 2 * hidden].set(1.0)


class _Step(nn.Module):
    """One time step of both directions at once; gates in the order input, forget, cell, output."""

    hidden: int

    @nn.compact
    def __call__(self, carry: _Carry, step: tuple[Array, Array]) -> tuple[_Carry, Array]:
        output, cell = carry
        projected, valid = step
        weights = self.param(
            "recurrent", _per_direction(orthogonal()), (2, self.hidden, 4 * self.hidden)
        )
        gates = projected + jnp.einsum("dbh,dhg->dbg", output, weights)
        enter, forget, update, leave = jnp.split(gates, 4, axis=-1)
        cell = nn.sigmoid(forget) * cell + nn.sigmoid(enter) * jnp.tanh(update)
        output = nn.sigmoid(leave) * jnp.tanh(cell)
        # Padding stands behind a window: the backward direction meets it first and must leave it
        # with an untouched carry; what the forward direction makes of it is never read.
        output, cell = output * valid, cell * valid
        return (output, cell), output


class BidirectionalLSTM(nn.Module):
    """`[t, b, i]` → `[t, b, 2·hidden]`; the backward direction starts at the last valid step.

    Attributes:
        hidden: units each way.
    """

    hidden: int

    @nn.compact
    def __call__(self, x: Array, mask: Array) -> Array:
        """Run both directions.

        Args:
            x: float32 `[t, b, i]`.
            mask: bool `[t, b]`, true up to each sequence's last valid step.
        """
        kernel = self.param(
            "kernel", _per_direction(lecun_normal()), (2, x.shape[-1], 4 * self.hidden)
        )
        bias = self.param("bias", _forget_nothing_yet, (2, 4 * self.hidden), jnp.float32)
        both = jnp.stack([x, x[::-1]], axis=1)
        projected = jnp.einsum("tdbi,dig->tdbg", both, kernel) + bias[:, None, :]
        valid = jnp.stack([mask, mask[::-1]], axis=1)[..., None].astype(x.dtype)
        scan = nn.scan(
            _Step, variable_broadcast="params", split_rngs={"params": False}, in_axes=0, out_axes=0
        )
        zeros = jnp.zeros((2, x.shape[1], self.hidden), x.dtype)
        _, outputs = scan(self.hidden, name="step")((zeros, zeros), (projected, valid))
        return jnp.concatenate([outputs[:, 0], outputs[::-1, 1]], axis=-1)
