"""Class-weighted cross-entropy over labelled frames, among the classes looked for in each video."""

import jax.numpy as jnp
from jax import Array
from jax.nn import log_softmax


def log_probabilities(logits: Array, looked_for: Array) -> Array:
    """Float32 `[b, t, c]`; a class that was not looked for has probability 0 (log −∞).

    Args:
        logits: float32 `[b, t, c]`.
        looked_for: bool `[b, c]`; the background always is.
    """
    return log_softmax(jnp.where(looked_for[:, None, :], logits, -jnp.inf), axis=-1)


def weighted_cross_entropy(
    logits: Array, labels: Array, looked_for: Array, class_weights: Array
) -> tuple[Array, Array]:
    """Sum of weight · negative log-likelihood, and sum of weights; their ratio is the loss.

    Args:
        logits: float32 `[b, t, c]`.
        labels: int8 `[b, t]`; a frame with a negative label does not count.
        looked_for: bool `[b, c]`.
        class_weights: float32 `[c]`.

    Returns:
        Two float32 scalars.
    """
    known = labels >= 0
    index = jnp.where(known, labels, jnp.int8(0)).astype(jnp.int32)
    log_likelihood = jnp.take_along_axis(
        log_probabilities(logits, looked_for), index[..., None], axis=-1
    )[..., 0]
    weight = jnp.where(known, class_weights[index], 0.0)
    return -jnp.sum(weight * jnp.where(known, log_likelihood, 0.0)), jnp.sum(weight)
