"""What the networks of two bodies share: what both show, exchanged, through a model of time.

One stem describes either body by its own features. The exchange puts both descriptions, the
relation and the lab side by side; what comes out goes through any model that takes features. All
normalisation is over a frame's channels, so that neither padding nor the rest of a batch matters
where the encoder lets it not.
"""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import DTypeLike

from jaxbeh.models.inputs import Inputs, PairInputs

BODY = ("stem", "stem_norm", "exchange", "exchange_norm", "encoder")
"""The modules that say nothing of labs and actions: weights that another network can start from."""


class PairBody(nn.Module, kw_only=True):
    """See the module's docstring; a network adds heads to what `described` gives.

    Attributes:
        encoder: the model of time, with `width` classes.
        width: numbers a frame, into the encoder and out of it.
        stem: numbers a body.
        lab_embedding: numbers a lab.
        labs: known ones; there is an entry more, 0, for all that are unknown.
        dtype: of products and activations; parameters are float32.
    """

    encoder: nn.Module
    width: int
    stem: int
    lab_embedding: int
    labs: int
    dtype: DTypeLike = jnp.float32

    def described(self, inputs: PairInputs, train: bool) -> Array:
        """`[b, t, width]`, within a compact call; padded frames mean nothing."""
        batch, time = inputs.mask.shape
        # Without the barrier the compiler works the features out twice in one kernel, as they stand
        # and transposed for the stem's gradient: slower to compile and to run on a GPU.
        own = lax.optimization_barrier(inputs.own.astype(self.dtype))
        both = self.widened("stem", own, self.stem).reshape(batch, time, -1)
        lab = nn.Embed(self.labs + 1, self.lab_embedding, name="lab")(inputs.lab)
        lab = jnp.broadcast_to(lab[:, None].astype(self.dtype), (batch, time, self.lab_embedding))
        met = jnp.concatenate([both, inputs.relation.astype(self.dtype), lab], axis=-1)
        x = self.widened("exchange", met, self.width)
        x = jnp.where(inputs.mask[..., None], x, 0.0)
        return nn.gelu(self.encoder(_as_features(x, inputs.mask), train).astype(self.dtype))

    def widened(self, name: str, x: Array, width: int) -> Array:
        """Dense → LayerNorm → GELU, within a compact call."""
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
