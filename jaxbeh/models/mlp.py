"""MLP: each frame on its own, so that neither neighbours nor padding can matter to it."""

from typing import Self

import flax.linen as nn
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from jaxbeh.models.dropout import Dropout
from jaxbeh.models.inputs import Inputs
from jaxbeh.settings.models import MLPSettings


class MLP(nn.Module):
    """Dense → ReLU → dropout for each of `hidden`; `[b, t, f]` flat inputs → `[b, t, c]` logits."""

    hidden: tuple[int, ...]
    dropout: float
    classes: int
    dtype: DTypeLike = jnp.float32

    @classmethod
    def from_settings(cls, settings: MLPSettings, classes: int, dtype: DTypeLike) -> Self:
        """The module that settings describe."""
        return cls(hidden=settings.hidden, dropout=settings.dropout, classes=classes, dtype=dtype)

    @nn.compact
    def __call__(self, inputs: Inputs, train: bool) -> Array:
        """Float32 logits `[b, t, c]`; those of padded frames mean nothing."""
        drop = Dropout(self.dropout, deterministic=not train)
        x = inputs.flat.astype(self.dtype)
        for units in self.hidden:
            x = drop(nn.relu(nn.Dense(units, dtype=self.dtype)(x)))
        return nn.Dense(self.classes, dtype=self.dtype)(x).astype(jnp.float32)
