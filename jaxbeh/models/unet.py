"""U-shape: down by convolutions and poolings, attention at the coarsest scale, and back up.

After Ronneberger, Fischer and Brox (2015), over time: each level is a convolution over five frames
and halves the number of steps; attention sees the whole window in a sixteenth of its frames; on the
way up each step is repeated, what was there on the way down is added, and a convolution follows. So
every frame has its own output, and a wide view costs little.

Levels are residual: LayerNorm over the channels of each step, GELU, dropout. A window whose length
no power of two divides is filled up inside. What is behind a window's frames is 0 before each
convolution, counts in no mean and is not attended to.
"""

from typing import Self

import flax.linen as nn
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from jaxbeh.models.dropout import Dropout
from jaxbeh.models.inputs import Inputs
from jaxbeh.models.shifted_conv import ShiftedConv
from jaxbeh.models.transformer import EncoderLayer
from jaxbeh.settings.models import UNetSettings

_TAPS = 5


class UNet(nn.Module):
    """See the module's docstring; `[b, t, f]` flat inputs → `[b, t, c]` logits.

    Attributes:
        width: channels of all levels.
        levels: poolings, each by two.
        attention_layers: at the coarsest scale.
        heads: of each; 2 · heads divides the width.
        dropout: of a level's channels, each for a whole window, and in the attention layers.
        classes: c.
        dtype: of products and activations; parameters are float32.
    """

    width: int
    levels: int
    attention_layers: int
    heads: int
    dropout: float
    classes: int
    dtype: DTypeLike = jnp.float32

    @classmethod
    def from_settings(cls, settings: UNetSettings, classes: int, dtype: DTypeLike) -> Self:
        """The module that settings describe."""
        return cls(
            width=settings.width,
            levels=settings.levels,
            attention_layers=settings.attention_layers,
            heads=settings.heads,
            dropout=settings.dropout,
            classes=classes,
            dtype=dtype,
        )

    @nn.compact
    def __call__(self, inputs: Inputs, train: bool) -> Array:
        """Float32 logits `[b, t, c]`; those of padded frames mean nothing."""
        time = inputs.mask.shape[1]
        behind = (0, -time % 2**self.levels)
        flat = jnp.pad(inputs.flat, ((0, 0), behind, (0, 0)))
        mask = jnp.pad(inputs.mask, ((0, 0), behind)).T
        x = nn.Dense(self.width, dtype=self.dtype)(jnp.swapaxes(flat, 0, 1).astype(self.dtype))

        left = []
        for level in range(self.levels):
            x = self._level(f"down_{level}", x, mask, train)
            left.append((x, mask))
            x, mask = halved(x, mask)
        x = self._attended(x, mask, train)
        for level in reversed(range(self.levels)):
            beside, mask = left[level]
            x = self._level(f"up_{level}", jnp.repeat(x, 2, axis=0) + beside, mask, train)

        x = nn.LayerNorm()(x[:time].astype(jnp.float32)).astype(self.dtype)
        logits = nn.Dense(self.classes, dtype=self.dtype)(x)
        return jnp.swapaxes(logits, 0, 1).astype(jnp.float32)

    def _level(self, name: str, x: Array, mask: Array, train: bool) -> Array:
        """`[t, b, width]` → the same."""
        drop = Dropout(self.dropout, broadcast_dims=(0,), batch_axis=1, deterministic=not train)
        conv = ShiftedConv(self.width, taps=_TAPS, dtype=self.dtype, name=f"{name}_conv")
        norm = nn.LayerNorm(name=f"{name}_norm")
        seen = conv(x, mask)
        added: Array = drop(nn.gelu(norm(seen.astype(jnp.float32)).astype(self.dtype)))
        return x + added

    def _attended(self, x: Array, mask: Array, train: bool) -> Array:
        """`[s, b, width]` → the same, s steps of the coarsest scale."""
        x, seen = jnp.swapaxes(x, 0, 1), mask.T[:, None, None, :]
        for number in range(self.attention_layers):
            layer = EncoderLayer(self.heads, self.dropout, self.dtype, name=f"attention_{number}")
            x = layer(x, seen, train)
        return jnp.swapaxes(x, 0, 1)


def halved(x: Array, mask: Array) -> tuple[Array, Array]:
    """Means of each two steps over those that are in the window.

    Args:
        x: `[t, b, i]`, t even.
        mask: bool `[t, b]`.

    Returns:
        `[t / 2, b, i]`, 0 where neither is, and bool `[t / 2, b]`, whether either is.
    """
    pairs, known = (of.reshape(-1, 2, *of.shape[1:]) for of in (x, mask))
    count = jnp.maximum(jnp.sum(known, axis=1, dtype=x.dtype), 1)
    total = jnp.sum(jnp.where(known[..., None], pairs, 0.0), axis=1)
    return total / count[..., None], jnp.any(known, axis=1)
