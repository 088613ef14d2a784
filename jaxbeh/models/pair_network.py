"""Who does what to whom: what both bodies show, exchanged, through a model of time, to two heads.

One stem describes either body by its own features. The exchange puts both descriptions, the
relation and the lab side by side; what comes out goes through any model that takes features, and
from there to a head for what an agent does alone and one for what it does to the other. All
normalisation is over a frame's channels, so that neither padding nor the rest of a batch matters
where the encoder lets it not.
"""

from typing import Self

import flax.linen as nn
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from jaxbeh.models import build
from jaxbeh.models.inputs import Inputs, PairInputs
from jaxbeh.settings import PairNetworkSettings


class PairNetwork(nn.Module):
    """See the module's docstring; `PairInputs` → `[b, t, c]` logits.

    Attributes:
        encoder: the model of time, with `width` classes.
        width: numbers a frame, into the encoder and out of it.
        stem: numbers a body.
        lab_embedding: numbers a lab.
        alone: actions that an agent does by itself.
        pair: actions that it does to the other; c = alone + pair.
        labs: known ones; there is an entry more, 0, for all that are unknown.
        dtype: of products and activations; parameters are float32.
    """

    encoder: nn.Module
    width: int
    stem: int
    lab_embedding: int
    alone: int
    pair: int
    labs: int
    dtype: DTypeLike = jnp.float32

    @classmethod
    def from_settings(
        cls,
        settings: PairNetworkSettings,
        alone: int,
        pair: int,
        labs: int,
        dtype: DTypeLike = jnp.float32,
    ) -> Self:
        """The module that settings describe."""
        return cls(
            encoder=build(settings.encoder, settings.width, dtype),
            width=settings.width,
            stem=settings.stem,
            lab_embedding=settings.lab_embedding,
            alone=alone,
            pair=pair,
            labs=labs,
            dtype=dtype,
        )

    @nn.compact
    def __call__(self, inputs: PairInputs, train: bool) -> Array:
        """Float32 logits `[b, t, c]`, alone before pair; those of padded frames mean nothing."""
        batch, time = inputs.mask.shape
        both = self._widened("stem", inputs.own, self.stem).reshape(batch, time, -1)
        lab = nn.Embed(self.labs + 1, self.lab_embedding, name="lab")(inputs.lab)
        lab = jnp.broadcast_to(lab[:, None].astype(self.dtype), (batch, time, self.lab_embedding))
        met = jnp.concatenate([both, inputs.relation.astype(self.dtype), lab], axis=-1)
        x = self._widened("exchange", met, self.width)
        x = jnp.where(inputs.mask[..., None], x, 0.0)

        x = nn.gelu(self.encoder(_as_features(x, inputs.mask), train).astype(self.dtype))
        heads = [
            nn.Dense(actions, dtype=self.dtype, name=f"{name}_head")(
                self._widened(name, x, self.width)
            )
            for name, actions in (("alone", self.alone), ("pair", self.pair))
            if actions
        ]
        return jnp.concatenate(heads, axis=-1).astype(jnp.float32)

    def _widened(self, name: str, x: Array, width: int) -> Array:
        """Dense → LayerNorm → GELU."""
        x = nn.Dense(width, dtype=self.dtype, name=name)(x.astype(self.dtype))
        x = nn.LayerNorm(name=f"{name}_norm")(x.astype(jnp.float32)).astype(self.dtype)
        return nn.gelu(x)


def _as_features(x: Array, mask: Array) -> Inputs:
    """Inputs of a model that takes features: there are no keypoints."""
    batch, time = mask.shape
    return Inputs(
        flat=x.astype(jnp.float32),
        points=jnp.zeros((batch, time, 0, 0, 2)),
        points_valid=jnp.zeros((batch, time, 0, 0), bool),
        mask=mask,
    )
