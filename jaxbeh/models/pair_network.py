"""Who does what to whom: what two bodies do over time (`pair_body.py`), to two heads.

One head is for what an agent does alone and one for what it does to the other.
"""

from typing import Self

import flax.linen as nn
import jax.numpy as jnp
from jax import Array
from jax.typing import DTypeLike

from jaxbeh.models import build
from jaxbeh.models.inputs import PairInputs
from jaxbeh.models.pair_body import PairBody
from jaxbeh.settings.models import PairNetworkSettings


class PairNetwork(PairBody, kw_only=True):
    """See the module's docstring; `PairInputs` → `[b, t, c]` logits.

    Attributes:
        alone: actions that an agent does by itself.
        pair: actions that it does to the other; c = alone + pair.
    """

    alone: int
    pair: int

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
        x = self.described(inputs, train)
        heads = [
            nn.Dense(actions, dtype=self.dtype, name=f"{name}_head")(
                self.widened(name, x, self.width)
            )
            for name, actions in (("alone", self.alone), ("pair", self.pair))
            if actions
        ]
        return jnp.concatenate(heads, axis=-1).astype(jnp.float32)
