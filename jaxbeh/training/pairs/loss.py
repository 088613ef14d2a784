"""What a track's frame should be, among the actions that were looked for, and what is missed."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

_HEAVIEST = 30.0
"""No frame weighs more, in units of a frame without an action."""


def entry_weights(frames: NDArray[np.int64], balance: float) -> tuple[float, ...]:
    """What a frame of each action weighs, where a frame without any weighs 1.

    (Share of the frames without any / share of the action's) ** balance, at most 30; 1 for actions
    never seen.

    Args:
        frames: int64 `[c, 2]`: frames in which each action was seen, and was looked for.
        balance: 0 weighs all alike, 1 gives all actions the same sum.
    """
    seen, looked_for = frames[:, 0], np.maximum(frames[:, 1], 1)
    share = seen / looked_for
    none = max(1.0 - share.sum() / max(1, (share > 0).sum()), 0.1)
    raw = np.divide(none, share, out=np.ones(len(share)), where=seen > 0)
    return tuple(np.clip(raw**balance, 1 / _HEAVIEST, _HEAVIEST).tolist())


def pair_loss(
    kind: str, logits: Array, seen: Array, known: Array, mask: Array, weights: Array
) -> tuple[Array, Array]:
    """Sum of weight · negative log-likelihood, and sum of weights; their ratio is the loss.

    Args:
        kind: `softmax`: the allowed actions and none, whose logit is 0, share a frame; a frame with
            several actions should be each of them in equal parts. `bce`: each allowed action is
            there or not, whatever the others are.
        logits: float32 `[b, t, c]`.
        seen: bool `[b, t, c]`, false where not known.
        known: bool `[b, c]`, actions that were looked for.
        mask: bool `[b, t]`.
        weights: float32 `[c]`, as `entry_weights` gives them.

    Returns:
        Two float32 scalars.
    """
    hit = seen.astype(jnp.float32)
    if kind == "softmax":
        several = jnp.maximum(jnp.sum(hit, axis=-1, keepdims=True), 1.0)
        wanted = weights * hit / several
        none = jnp.where(jnp.any(seen, axis=-1), 0.0, 1.0) * mask.astype(jnp.float32)
        likely, none_likely = _log_softmax(logits, known)
        missed = -jnp.sum(wanted * jnp.where(seen, likely, 0.0)) - jnp.sum(none * none_likely)
        return missed, jnp.sum(wanted) + jnp.sum(none)
    there = known[:, None].astype(jnp.float32) * mask[..., None].astype(jnp.float32)
    weight = there * jnp.where(seen, weights, 1.0)
    missed = jax.nn.softplus(jnp.where(seen, -logits, logits))
    return jnp.sum(weight * missed), jnp.sum(weight)


def probabilities(kind: str, logits: Array, known: Array) -> Array:
    """Float32 `[b, t, c]`, 0 for actions that were not looked for; see `pair_loss`."""
    if kind == "softmax":
        return jnp.exp(_log_softmax(logits, known)[0])
    return jnp.where(known[:, None], jax.nn.sigmoid(logits), 0.0)


def _log_softmax(logits: Array, known: Array) -> tuple[Array, Array]:
    """Log-probabilities of the actions `[b, t, c]`, −∞ if not allowed, and of none `[b, t]`."""
    allowed = jnp.where(known[:, None], logits, -jnp.inf)
    whole = jnp.concatenate([allowed, jnp.zeros_like(allowed[..., :1])], axis=-1)
    found = jax.nn.log_softmax(whole, axis=-1)
    return found[..., :-1], found[..., -1]
