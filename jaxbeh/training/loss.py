"""Class-weighted cross-entropy over labelled frames, among the classes looked for in each video."""

import jax
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


def targets(labels: Array, looked_for: Array, smoothing: float = 0.0) -> Array:
    """What each frame should be: float32 `[b, t, c]`, summing to 1, or all 0 where not known.

    Args:
        labels: int8 `[b, t]`, negative where not known.
        looked_for: bool `[b, c]`.
        smoothing: share that is spread evenly over the classes looked for.
    """
    known = (labels >= 0)[..., None]
    allowed = looked_for[:, None, :].astype(jnp.float32)
    spread = allowed / jnp.sum(allowed, axis=-1, keepdims=True)
    certain = jax.nn.one_hot(labels, looked_for.shape[-1], dtype=jnp.float32)
    return jnp.where(known, (1.0 - smoothing) * certain + smoothing * spread, 0.0)


def weighted_cross_entropy(
    logits: Array, targets: Array, looked_for: Array, class_weights: Array
) -> tuple[Array, Array]:
    """Each window's sum of weight · negative log-likelihood, and of weights.

    Summed over windows, their ratio is the loss.

    Args:
        logits: float32 `[b, t, c]`.
        targets: float32 `[b, t, c]`, all 0 in frames that do not count, 0 for classes that were not
            looked for.
        looked_for: bool `[b, c]`.
        class_weights: float32 `[c]`.

    Returns:
        Two float32 `[b]`.
    """
    weight = targets * class_weights
    # A class with target 0 may have log-probability −∞, and 0 · ∞ is no number.
    log_likelihood = jnp.where(targets > 0, log_probabilities(logits, looked_for), 0.0)
    return -jnp.sum(weight * log_likelihood, axis=(1, 2)), jnp.sum(weight, axis=(1, 2))
