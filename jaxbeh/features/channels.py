"""Quantities in cm and s as numbers around 1, by scales that no data is fitted to."""

import jax.numpy as jnp
from jax import Array

CLIP = 5.0
"""Scaled quantities are kept within ± this."""

POSTURE_CM, PLACE_CM = 3.0, 10.0
"""What positions in a body, and those of another body, are divided by."""

DISTANCE_CM, SPEED, ACCELERATION, TURNING = 1.0, 1.0, 50.0, 1.0
"""What is small: cm, cm/s, cm/s² and rad/s. Beyond it the logarithm grows."""


def logarithm(values: Array, small: float) -> Array:
    """Half of log1p(|value| / small), with the value's sign."""
    return 0.5 * jnp.sign(values) * jnp.log1p(jnp.abs(values) / small)


def scalars(values: Array, known: Array | bool = True) -> Array:
    """`[…, n]`, clipped; 0 where not known."""
    return jnp.where(known, jnp.clip(values, -CLIP, CLIP), 0.0)


def vectors(values: Array, known: Array) -> Array:
    """`[…, n, 2]` side by side, `[…, 2n]`; `known` `[…, n]`."""
    kept = scalars(values, known[..., None])
    return kept.reshape(*kept.shape[:-2], -1)


def flags(known: Array) -> Array:
    """`[…, n]` as float32."""
    return known.astype(jnp.float32)


def each(things: tuple[str, ...], *ends: str) -> list[str]:
    """Names: of each thing all ends."""
    return [f"{thing}.{end}" for thing in things for end in ends]
