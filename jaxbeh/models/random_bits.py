"""Random numbers by the million, as a function of a seed and of each number's place.

JAX's own generators either take a hundred operations a number (threefry) or write all bits to
memory and differ under `vmap` and over devices (rbg). Noise and dropout need neither cryptography
nor long streams: here a number is the hash of its index, which the compiler computes where it is
used, in the forward and once more in the backward pass.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array, lax


def uniform_bits(seed: Array, shape: Sequence[int], slowest: int = 0) -> Array:
    """Uint32 of a shape of fewer than 2³² numbers, all bits uniform.

    Each index is hashed by two rounds of multiplication and shifts (the constants of Wellons'
    "lowbias32"). Before the second, both halves of the seed are added: with one alone, some seeds
    would give each other's numbers in another order.

    Args:
        seed: uint32 `[2]`.
        shape: of the result.
        slowest: the axis that counts slowest; how long it is changes no number.
    """
    index = jnp.zeros(shape, jnp.uint32)
    stride = 1
    for axis in sorted(range(len(shape)), key=lambda axis: (axis == slowest, -axis)):
        index = index + lax.broadcasted_iota(jnp.uint32, shape, axis) * jnp.uint32(stride)
        stride *= shape[axis]
    return hashed(index, salted(seed))


def salted(seed: Array) -> Array:
    """What `hashed` takes of a seed, uint32 `[2]` → `[2]`."""
    return jnp.stack([seed[0], _mix(seed[1] ^ _mix(seed[0]))])


def hashed(place: Array, salt: Array) -> Array:
    """What `uniform_bits` makes of uint32 places."""
    return _mix(_mix(place ^ salt[0]) + salt[1])


def nearly_normal(seed: Array, shape: Sequence[int]) -> Array:
    """Float32 with mean 0 and deviation 1, the sum of four uniform bytes.

    Near enough to normal for noise on inputs (excess kurtosis −0.3, nothing beyond 3.5), at a
    fraction of the cost of inverting the distribution.
    """
    return nearly_normal_of(uniform_bits(seed, shape))


def nearly_normal_of(bits: Array) -> Array:
    """What `nearly_normal` makes of uniform bits."""
    total = (bits & 0xFF) + ((bits >> 8) & 0xFF) + ((bits >> 16) & 0xFF) + (bits >> 24)
    deviation = (4 * (256**2 - 1) / 12) ** 0.5
    drawn: Array = (total.astype(jnp.float32) - 510.0) * jnp.float32(1 / deviation)
    return drawn


def _mix(x: Array) -> Array:
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)
