"""Conv1D-BiLSTM: three pooled convolutions, a two-layer bidirectional LSTM, a head for every frame.

A window without padding gives the plain network. What stands in padded frames never changes a
valid frame's output: padding counts as 0 in each convolution, BatchNorm takes its statistics over
valid frames, a pooled step is valid if any of its frames is, the backward LSTM starts at the last
valid step and the upsampling clamps at it.

Time comes first from the inputs to the logits: a shift, a pooled pair and an LSTM's step are then
whole blocks of memory.
"""

from typing import Self

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.sharding import Mesh
from jax.typing import DTypeLike

from jaxbeh.models.dropout import Dropout, dropout_keys
from jaxbeh.models.inputs import Inputs
from jaxbeh.models.recurrence import BidirectionalLSTM
from jaxbeh.models.shifted_conv import ShiftedConv
from jaxbeh.settings.models import ConvBiLSTMSettings


class ConvBiLSTM(nn.Module):
    """See the module's docstring; `[b, t, f]` flat inputs → `[b, t, c]` logits."""

    channels: tuple[int, ...]
    hidden: int
    lstm_layers: int
    dropout: float
    classes: int
    dtype: DTypeLike = jnp.float32
    mesh: Mesh | None = None

    @classmethod
    def from_settings(
        cls, settings: ConvBiLSTMSettings, classes: int, dtype: DTypeLike, mesh: Mesh | None
    ) -> Self:
        """The module that settings describe."""
        return cls(
            channels=settings.channels,
            hidden=settings.hidden,
            lstm_layers=settings.lstm_layers,
            dropout=settings.dropout,
            classes=classes,
            dtype=dtype,
            mesh=mesh,
        )

    @nn.compact
    def __call__(self, inputs: Inputs, train: bool) -> Array:
        """Float32 logits `[b, t, c]`; those of padded frames mean nothing."""
        drop = Dropout(self.dropout, batch_axis=1, deterministic=not train)
        calls = len(self.channels) + self.lstm_layers
        keys = iter(dropout_keys(self, self.dropout if train else 0.0, calls))
        x, mask = jnp.swapaxes(inputs.flat, 0, 1).astype(self.dtype), inputs.mask.T
        for channels in self.channels:
            x = ShiftedConv(channels, dtype=self.dtype)(x, mask)
            norm = nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5)
            x = norm(x.astype(jnp.float32), mask=mask[..., None]).astype(self.dtype)
            # One dropout mask for the two frames of a pooled step, which is dropout behind the
            # pooling. Masks of their own would raise the mean of the maximum in training only, and
            # the running statistics of the next BatchNorm would be those of other inputs.
            x, mask = _max_pool(x, mask)
            x = drop(x, next(keys))
        x = nn.Dense(self.hidden, dtype=self.dtype)(x)
        for layer in range(self.lstm_layers):
            x = drop(x, next(keys)) if layer else x
            x = BidirectionalLSTM(self.hidden, self.dtype, self.mesh)(x, mask)
        # The head's first product comes before the upsampling, not after it: both are linear and
        # the interpolation weights sum to one, so it is the same at an eighth of the cost.
        x = nn.Dense(self.hidden, dtype=self.dtype)(x)
        x = _upsample(x, mask, inputs.mask.shape[1])
        logits = nn.Dense(self.classes, dtype=self.dtype)(drop(nn.relu(x), next(keys)))
        return jnp.swapaxes(logits, 0, 1).astype(jnp.float32)


def _max_pool(x: Array, mask: Array) -> tuple[Array, Array]:
    """Maximum of two frames, of padding and 0: ReLU and pooling; an odd last frame is left out.

    Args:
        x: `[t, b, i]`.
        mask: bool `[t, b]`.
    """
    time, batch, channels = x.shape
    half = time // 2
    x = jnp.where(mask[..., None], x, 0.0)[: 2 * half].reshape(half, 2, batch, channels)
    return _positive_larger(x), jnp.any(mask[: 2 * half].reshape(half, 2, batch), axis=1)


@jax.custom_vjp
def _positive_larger(pairs: Array) -> Array:
    """The larger of each two, or 0, `[s, 2, …]` → `[s, …]`.

    Where the gradient goes is decided here. JAX's own goes to the values that equal the maximum,
    and the compiler may compute both once more with another rounding, so that none does and the
    gradient is lost, or becomes NaN. What goes back is computed once for both.
    """
    return _choose(pairs)[0]


def _choose(pairs: Array) -> tuple[Array, tuple[Array, Array]]:
    larger = nn.relu(jnp.maximum(pairs[:, 0], pairs[:, 1]))
    first, positive = pairs[:, 0] >= pairs[:, 1], larger > 0
    return larger, lax.optimization_barrier((first, positive))


def _to_the_chosen(chosen: tuple[Array, Array], gradient: Array) -> tuple[Array]:
    first, positive = chosen
    gradient = lax.optimization_barrier(jnp.where(positive, gradient, 0.0))
    place = jnp.arange(2, dtype=jnp.int32).reshape(2, *(1,) * (gradient.ndim - 1))
    taken = first[:, None] == (place == 0)
    return (jnp.where(taken, gradient[:, None], 0.0),)


_positive_larger.defvjp(_choose, _to_the_chosen)


def _upsample(x: Array, mask: Array, length: int) -> Array:
    """Linear interpolation with half-pixel centres, clamped at the first and last valid step.

    No valid frame lies behind the step after the last valid one, which repeats that; later steps
    mean nothing.

    Args:
        x: `[s, b, h]`.
        mask: bool `[s, b]`.
        length: frames, of s steps.
    """
    before = jnp.concatenate([x[:1], x[:-1]])
    x = jnp.where(mask[..., None], x, before)
    weights = jnp.asarray(_interpolation(x.shape[0], length), x.dtype)
    return jnp.einsum("ls,sbh->lbh", weights, x)


def _interpolation(steps: int, length: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """Float32 `[length, steps]`: the weight of each step in each frame."""
    position = np.clip((np.arange(length) + 0.5) * steps / length - 0.5, 0, steps - 1)
    below = np.floor(position).astype(int)
    above = np.minimum(below + 1, steps - 1)
    weights = np.zeros((length, steps))
    np.add.at(weights, (np.arange(length), below), 1 - (position - below))
    np.add.at(weights, (np.arange(length), above), position - below)
    return weights.astype(np.float32)
