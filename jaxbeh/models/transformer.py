"""Transformer: a pre-norm encoder over a window's frames, with rotary positions.

Frames attend to valid frames only. Dropout is where it was published (Vaswani et al., 2017): on the
embedded frames and on what each sub-layer adds to them; none on attention weights.
"""

from typing import Self

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from jaxbeh.models.attention import rotary_attention
from jaxbeh.models.inputs import Inputs
from jaxbeh.settings import TransformerSettings

_WIDENING = 4  # of a layer's feed-forward part, as published


class _Layer(nn.Module):
    """Self-attention, then a feed-forward part, each added to what came in."""

    heads: int
    dropout: float

    @nn.compact
    def __call__(self, x: Array, seen: Array, train: bool) -> Array:
        """`[b, t, i]` → `[b, t, i]`; `seen` `[b, 1, 1, t]`, the frames attended to."""
        drop = nn.Dropout(self.dropout, deterministic=not train)
        attention = nn.MultiHeadDotProductAttention(self.heads, attention_fn=rotary_attention)
        x = x + drop(attention(nn.LayerNorm()(x), mask=seen))
        wide = nn.gelu(nn.Dense(_WIDENING * x.shape[-1])(nn.LayerNorm()(x)))
        added: Array = drop(nn.Dense(x.shape[-1])(wide))
        return x + added


class TransformerEncoder(nn.Module):
    """Dense, then layers of self-attention and a feed-forward part; `[b, t, i]` → `[b, t, width]`.

    Attributes:
        width: numbers a frame.
        layers: how many.
        heads: of attention, in each layer; 2 · heads divides the width.
        dropout: see the module's docstring.
    """

    width: int
    layers: int
    heads: int
    dropout: float

    @classmethod
    def from_settings(cls, settings: TransformerSettings) -> Self:
        """The module that settings describe."""
        return cls(
            width=settings.width,
            layers=settings.layers,
            heads=settings.heads,
            dropout=settings.dropout,
        )

    @nn.compact
    def __call__(self, x: Array, mask: Array, train: bool) -> Array:
        """Encode the frames.

        Args:
            x: float32 `[b, t, i]`.
            mask: bool `[b, t]`, true for a window's frames.
            train: whether to drop.
        """
        # A window without a valid frame attends to all of its padding alike, which is finite.
        seen = mask[:, None, None, :]
        x = nn.Dense(self.width)(jnp.where(mask[..., None], x, 0.0))
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        for layer in range(self.layers):
            x = _Layer(self.heads, self.dropout, name=f"layer_{layer}")(x, seen, train)
        encoded: Array = nn.LayerNorm()(x)
        return encoded


class Transformer(nn.Module):
    """An encoder and a head; `[b, t, f]` flat inputs → `[b, t, c]` logits."""

    encoder: TransformerEncoder
    classes: int

    @classmethod
    def from_settings(cls, settings: TransformerSettings, classes: int) -> Self:
        """The module that settings describe."""
        return cls(encoder=TransformerEncoder.from_settings(settings), classes=classes)

    @nn.compact
    def __call__(self, inputs: Inputs, train: bool) -> Array:
        """Float32 logits `[b, t, c]`; those of padded frames mean nothing."""
        return nn.Dense(self.classes)(self.encoder(inputs.flat, inputs.mask, train))
