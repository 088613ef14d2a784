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

    Each index is multiplied by an odd number and moved on by another, which follow from the seed,
    and hashed by two rounds of multiplication and shifts (the constants of Wellons' "lowbias32").

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
    """What `hashed` takes of a seed, uint32 `[2]` → `[2]`: an odd number and another."""
    # Both words decide both numbers: seeds that shared a multiplier would give the same numbers,
    # moved on.
    first = _mix(seed[0] ^ jnp.uint32(0x9E3779B9))
    both = _mix(seed[1] ^ first)
    return jnp.stack([both | 1, _mix(first + both)])


def hashed(place: Array, salt: Array) -> Array:
    """What `uniform_bits` makes of uint32 places."""
    return _mix(place * salt[0] + salt[1])


def whole_numbers(seed: Array, shape: Sequence[int], most: int) -> Array:
    """Int32 from −most to most, equally likely but for a share of most · 2⁻³¹."""
    return (uniform_bits(seed, shape) % (2 * most + 1)).astype(jnp.int32) - most


def nearly_normal(seed: Array, shape: Sequence[int]) -> Array:
    """Float32 with mean 0 and deviation 1, the sum of four uniform bytes.

    Near enough to normal for noise on inputs (excess kurtosis −0.3, nothing beyond 3.5), at a
    fraction of the cost of inverting the distribution.
    """
    return nearly_normal_of(sum_of_bytes(uniform_bits(seed, shape)))


def sum_of_bytes(bits: Array) -> Array:
    """Of the four bytes of uint32 numbers each."""
    return (bits & 0xFF) + ((bits >> 8) & 0xFF) + ((bits >> 16) & 0xFF) + (bits >> 24)


def nearly_normal_of(total: Array) -> Array:
    """What `nearly_normal` makes of four uniform bytes' sum."""
    deviation = (4 * (256**2 - 1) / 12) ** 0.5
    drawn: Array = (total.astype(jnp.float32) - 510.0) * jnp.float32(1 / deviation)
    return drawn


def _mix(x: Array) -> Array:
    x = (x ^ (x >> 16)) * jnp.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * jnp.uint32(0x846CA68B)
    return x ^ (x >> 16)
