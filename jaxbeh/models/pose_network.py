"""What two bodies look like where they are not seen: `pair_body.py`, and a linear head."""

from typing import Self

import flax.linen as nn
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from jaxbeh.models import build
from jaxbeh.models.inputs import PairInputs
from jaxbeh.models.pair_body import PairBody
from jaxbeh.settings.models import PairNetworkSettings


class PoseNetwork(PairBody, kw_only=True):
    """`PairInputs` → `[b, t, n]` features of the two bodies.

    Attributes:
        features: n.
    """

    features: int

    @classmethod
    def from_settings(
        cls, settings: PairNetworkSettings, features: int, dtype: DTypeLike = jnp.float32
    ) -> Self:
        """The module that settings describe; it knows no lab."""
        return cls(
            encoder=build(settings.encoder, settings.width, dtype),
            width=settings.width,
            stem=settings.stem,
            lab_embedding=settings.lab_embedding,
            features=features,
            labs=0,
            dtype=dtype,
        )

    @nn.compact
    def __call__(self, inputs: PairInputs, train: bool) -> Array:
        """Float32 `[b, t, n]`; padded frames mean nothing."""
        head = nn.Dense(self.features, dtype=self.dtype, name="pose_head")
        return head(self.described(inputs, train)).astype(jnp.float32)
