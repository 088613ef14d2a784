"""Transformer: a pre-norm encoder over a window's frames, with rotary positions.

Frames attend to valid frames only. Dropout is where it was published (Vaswani et al., 2017): on the
embedded frames and on what each sub-layer adds to them; none on attention weights.
"""

from typing import Self

import flax.linen as nn
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from jaxbeh.models.attention import rotary_attention
from jaxbeh.models.dropout import Dropout
from jaxbeh.models.inputs import Inputs
from jaxbeh.settings.models import TransformerSettings

_WIDENING = 4  # of a layer's feed-forward part, as published


class EncoderLayer(nn.Module):
    """Self-attention, then a feed-forward part, each added to what came in.

    Attributes:
        heads: of attention; 2 · heads divides the width.
        dropout: see the module's docstring.
        dtype: of products and activations; parameters are float32.
    """

    heads: int
    dropout: float
    dtype: DTypeLike

    @nn.compact
    def __call__(self, x: Array, seen: Array, train: bool) -> Array:
        """`[b, t, i]` → `[b, t, i]`; `seen` `[b, 1, 1, t]`, the frames attended to."""
        drop = Dropout(self.dropout, deterministic=not train)
        attention = nn.MultiHeadDotProductAttention(
            self.heads, dtype=self.dtype, attention_fn=rotary_attention
        )

        def normalised() -> Array:
            norm: Array = nn.LayerNorm()(x.astype(jnp.float32))
            return norm.astype(self.dtype)

        x = x + drop(attention(normalised(), mask=seen))
        wide = nn.gelu(nn.Dense(_WIDENING * x.shape[-1], dtype=self.dtype)(normalised()))
        added: Array = drop(nn.Dense(x.shape[-1], dtype=self.dtype)(wide))
        return x + added


class TransformerEncoder(nn.Module):
    """Dense, then layers of self-attention and a feed-forward part; `[b, t, i]` → `[b, t, width]`.

    Attributes:
        width: numbers a frame.
        layers: how many.
        heads: of attention, in each layer; 2 · heads divides the width.
        dropout: see the module's docstring.
        dtype: of products and output; parameters are float32.
    """

    width: int
    layers: int
    heads: int
    dropout: float
    dtype: DTypeLike = jnp.float32

    @classmethod
    def from_settings(cls, settings: TransformerSettings, dtype: DTypeLike) -> Self:
        """The module that settings describe."""
        return cls(
            width=settings.width,
            layers=settings.layers,
            heads=settings.heads,
            dropout=settings.dropout,
            dtype=dtype,
        )

    @nn.compact
    def __call__(self, x: Array, mask: Array, train: bool) -> Array:
        """Encode the frames.

        Args:
            x: `[b, t, i]`.
            mask: bool `[b, t]`, true for a window's frames.
            train: whether to drop.
        """
        # A window without a valid frame attends to all of its padding alike, which is finite.
        seen = mask[:, None, None, :]
        x = nn.Dense(self.width, dtype=self.dtype)(jnp.where(mask[..., None], x, 0.0))
        x = Dropout(self.dropout, deterministic=not train)(x)
        for layer in range(self.layers):
            x = EncoderLayer(self.heads, self.dropout, self.dtype, name=f"layer_{layer}")(
                x, seen, train
            )
        encoded: Array = nn.LayerNorm()(x.astype(jnp.float32)).astype(self.dtype)
        return encoded


class Transformer(nn.Module):
    """An encoder and a head; `[b, t, f]` flat inputs → `[b, t, c]` logits."""

    encoder: TransformerEncoder
    classes: int

    @classmethod
    def from_settings(cls, settings: TransformerSettings, classes: int, dtype: DTypeLike) -> Self:
        """The module that settings describe."""
        return cls(encoder=TransformerEncoder.from_settings(settings, dtype), classes=classes)

    @nn.compact
    def __call__(self, inputs: Inputs, train: bool) -> Array:
        """Float32 logits `[b, t, c]`; those of padded frames mean nothing."""
        x = self.encoder(inputs.flat.astype(self.encoder.dtype), inputs.mask, train)
        return nn.Dense(self.classes, dtype=self.encoder.dtype)(x).astype(jnp.float32)
