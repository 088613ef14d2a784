"""Dropout whose masks follow from where a number stands, so that none is ever stored."""

from collections.abc import Sequence
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array, lax

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
    def __call__(self, x: Array, key: Array | None = None) -> Array:
        """Shape and dtype stay; the key is one of `dropout_keys`, or drawn here."""
        if self.deterministic or self.rate == 0.0:
            return x
        if self.rate == 1.0:
            return jnp.zeros_like(x)
        shape = [1 if axis in self.broadcast_dims else size for axis, size in enumerate(x.shape)]
        seed = jax.random.key_data(self.make_rng("dropout") if key is None else key)
        return _dropped(x, seed, self.rate, tuple(shape), self.batch_axis)


def dropout_keys(module: nn.Module, rate: float, calls: int) -> list[Array | None]:
    """A key for each call of dropout in a module, made at once.

    Each for itself is a hundred operations, for the compiler to place in a training step.

    Args:
        module: being called.
        rate: of dropout.
        calls: how many.

    Returns:
        The keys, or `None` for each where nothing is drawn.
    """
    if not 0.0 < rate < 1.0:
        return [None] * calls
    return list(jax.random.split(module.make_rng("dropout"), calls))


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _dropped(x: Array, seed: Array, rate: float, shape: tuple[int, ...], batch_axis: int) -> Array:
    """x, or what goes back to it; the mask has the shape."""
    bits = uniform_bits(seed, shape, slowest=batch_axis)
    kept = bits >= jnp.uint32(round(rate * 2**32))
    return jnp.where(kept, x / (1.0 - rate), 0.0)


def _forward(
    x: Array, seed: Array, rate: float, shape: tuple[int, ...], batch_axis: int
) -> tuple[Array, Array]:
    return _dropped(x, seed, rate, shape, batch_axis), seed


def _backward(
    rate: float, shape: tuple[int, ...], batch_axis: int, seed: Array, gradient: Array
) -> tuple[Array, None]:
    # Behind a barrier the compiler does not know that it had this mask before, to keep it till now.
    seed = lax.optimization_barrier(seed)
    return _dropped(gradient, seed, rate, shape, batch_axis), None


_dropped.defvjp(_forward, _backward)
