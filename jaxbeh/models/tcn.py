"""TCN: residual blocks of convolutions dilated by 1, 2, 4, 8, … (Bai, Kolter and Koltun, 2018).

Not causal: the convolutions look both ways, since the whole window is known. An output depends on
the 2·(2ⁿ − 1) frames to either side of its own, where n is the number of blocks: 30 with four.

Instead of the published weight normalisation, LayerNorm over the channels of each frame. Unlike
BatchNorm's, its statistics cannot be touched by padding or by the rest of the batch, and they are
the same in training and prediction, whatever dropout does before them.
"""

from typing import Self

import flax.linen as nn
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from jaxbeh.models.dropout import Dropout
from jaxbeh.models.inputs import Inputs
from jaxbeh.models.shifted_conv import ShiftedConv
from jaxbeh.settings.models import TCNSettings


class _Block(nn.Module):
    """Twice convolution → LayerNorm → ReLU → dropout, beside a way that skips them."""

    channels: int
    dilation: int
    dropout: float
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Array, mask: Array, train: bool) -> Array:
        """`[t, b, i]` → `[t, b, channels]`."""
        # A channel is dropped for the whole window, as published: neighbouring frames are so alike
        # that a convolution would fill in a value that is missing in one of them.
        drop = Dropout(self.dropout, broadcast_dims=(0,), batch_axis=1, deterministic=not train)
        wide = nn.Dense(self.channels, dtype=self.dtype)
        skipped = x if x.shape[-1] == self.channels else wide(x)
        for _ in range(2):
            x = ShiftedConv(self.channels, self.dilation, dtype=self.dtype)(x, mask)
            x = nn.LayerNorm()(x.astype(jnp.float32)).astype(self.dtype)
            x = drop(nn.relu(x))
        return nn.relu(x + skipped)


class TCN(nn.Module):
    """See the module's docstring; `[b, t, f]` flat inputs → `[b, t, c]` logits."""

    channels: tuple[int, ...]
    dropout: float
    classes: int
    dtype: DTypeLike = jnp.float32

    @classmethod
    def from_settings(cls, settings: TCNSettings, classes: int, dtype: DTypeLike) -> Self:
        """The module that settings describe."""
        return cls(
            channels=settings.channels,
            dropout=settings.dropout,
            classes=classes,
            dtype=dtype,
        )

    @nn.compact
    def __call__(self, inputs: Inputs, train: bool) -> Array:
        """Float32 logits `[b, t, c]`; those of padded frames mean nothing."""
        x, mask = jnp.swapaxes(inputs.flat, 0, 1).astype(self.dtype), inputs.mask.T
        for block, channels in enumerate(self.channels):
            name = f"block_{block}"
            x = _Block(channels, 2**block, self.dropout, self.dtype, name=name)(x, mask, train)
        logits = nn.Dense(self.classes, dtype=self.dtype)(x)
        return jnp.swapaxes(logits, 0, 1).astype(jnp.float32)
