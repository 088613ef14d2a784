"""Statistics over the frames up to and including each frame."""

import jax.numpy as jnp
import numpy as np
from jax import Array

SPAN = 10
"""Frames that the statistics look at, the frame itself the last of them."""

STATISTICS = ("mean", "deviation", "minimum", "maximum")
"""In the order that `rolling` gives them; the standard deviation is the population's."""


def rolling(values: Array, valid: Array) -> tuple[Array, Array]:
    """Mean, standard deviation, minimum and maximum over the `SPAN` frames up to each frame.

    Missing values are left out: fewer are looked at where some are missing or the video has only
    begun, and the result is invalid where there is none.

    Args:
        values: float32 `[b, SPAN−1+t, f]`.
        valid: bool `[b, SPAN−1+t, f]`.

    Returns:
        Float32 `[b, t, 4f]`, all means first, 0 where invalid; bool `[b, t, 4f]`.
    """
    time = values.shape[1] - SPAN + 1
    spans = np.arange(time)[:, None] + np.arange(SPAN)
    values, valid = values[:, spans], valid[:, spans]
    count = jnp.maximum(jnp.sum(valid, axis=2, dtype=jnp.float32), 1.0)
    # About the mean of each span: the mean square less the squared mean would lose its digits.
    mean = jnp.sum(jnp.where(valid, values, 0.0), axis=2) / count
    squares = jnp.where(valid, values - mean[:, :, None], 0.0) ** 2
    found = [
        mean,
        jnp.sqrt(jnp.sum(squares, axis=2) / count),
        jnp.min(jnp.where(valid, values, jnp.inf), axis=2),
        jnp.max(jnp.where(valid, values, -jnp.inf), axis=2),
    ]
    known = jnp.any(valid, axis=2)
    return (
        jnp.concatenate([jnp.where(known, one, 0.0) for one in found], axis=-1),
        jnp.concatenate([known] * len(STATISTICS), axis=-1),
    )
