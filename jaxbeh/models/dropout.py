"""Dropout whose masks follow from where a number stands, so that none is ever stored."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from jaxbeh.models.random_bits import uniform_bits


class Dropout(nn.Module):
    """Sets a share of all numbers to 0 and scales the rest so that their mean stays.

    Attributes:
        rate: the share.
        broadcast_dims: axes along which a mask is the same.
        batch_axis: what a window drops does not follow from how many there are.
        deterministic: whether to leave everything as it is.
    """

    rate: float
    broadcast_dims: Sequence[int] = ()
    batch_axis: int = 0
    deterministic: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Shape and dtype stay."""
        if self.deterministic or self.rate == 0.0:
            return x
        if self.rate == 1.0:
            return jnp.zeros_like(x)
        shape = [1 if axis in self.broadcast_dims else size for axis, size in enumerate(x.shape)]
        seed = jax.random.key_data(self.make_rng("dropout"))
        bits = uniform_bits(seed, shape, slowest=self.batch_axis)
        kept = bits >= jnp.uint32(round(self.rate * 2**32))
        return jnp.where(kept, x / (1.0 - self.rate), 0.0)
