"""Updates whose loss or gradient is no finite number: noted always, skipped if that is wanted."""

from collections.abc import Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import optax
from jax import Array

T = TypeVar("T")

_NAMED = 10
"""Videos that a message names at most."""


def is_finite(loss: Array, gradients: optax.Updates) -> Array:
    """Whether a loss and the norm of its gradients are finite; the norm is the clipping's own."""
    return jnp.isfinite(loss) & jnp.isfinite(optax.tree.norm(gradients))


def first(before: Array, step: Array, finite: Array) -> Array:
    """The step of the first bad update; `before` is that of those before this one, or −1."""
    return jnp.where(finite | (before >= 0), before, step)


def unless_finite(finite: Array, changed: T, before: T) -> T:
    """The changed parts of a state, or those before, of which only the rate's course goes on.

    Parameters, BatchNorm's statistics and the optimiser's moments hang together: a bad input that
    one of them kept would be in every later prediction.
    """

    def keep(new: Any, old: Any) -> Any:
        if isinstance(new, optax.ScaleByScheduleState):  # the rate's course is one of steps
            return new
        return jnp.where(finite, new, old)

    kept: T = jax.tree.map(
        keep, changed, before, is_leaf=lambda part: isinstance(part, optax.ScaleByScheduleState)
    )
    return kept


def listed(videos: Sequence[str]) -> str:
    """Videos of a batch in words, each once."""
    found = list(dict.fromkeys(videos))
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more
