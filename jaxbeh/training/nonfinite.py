"""Updates whose loss or gradient is no finite number: noted always, skipped if that is wanted."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from numpy.typing import NDArray

from jaxbeh.training.state import TrainState

_NAMED = 10
"""Videos that a message names at most."""


def is_finite(loss: Array, gradients: optax.Updates) -> Array:
    """Whether a loss and the norm of its gradients are finite; the norm is the clipping's own."""
    return jnp.isfinite(loss) & jnp.isfinite(optax.tree.norm(gradients))


def first(before: Array, step: Array, finite: Array) -> Array:
    """The step of the first bad update; `before` is that of those before this one, or −1."""
    return jnp.where(finite | (before >= 0), before, step)


def unless_finite(finite: Array, changed: TrainState, before: TrainState) -> TrainState:
    """The changed state, or the one before it, of which only the step and the rate go on.

    Parameters, BatchNorm's statistics and the optimiser's moments hang together: a bad input that
    one of them kept would be in every later prediction.
    """

    def keep(new: Any, old: Any) -> Any:
        if isinstance(new, optax.ScaleByScheduleState):  # the rate's course is one of steps
            return new
        return jnp.where(finite, new, old)

    kept: TrainState = jax.tree.map(
        keep, changed, before, is_leaf=lambda part: isinstance(part, optax.ScaleByScheduleState)
    )
    return kept.replace(step=changed.step)  # type: ignore[attr-defined,no-any-return]  # by struct


def batch_of(
    step: int, order: NDArray[np.int32], windows: NDArray[np.int32], videos: Sequence[str]
) -> str:
    """The videos of a step's batch, in words.

    Args:
        step: of the run, counted from 0.
        order: int32 `[steps, rows]` windows of the epoch.
        windows: int32 `[n, 4]`, the video of each first.
        videos: their ids.
    """
    rows = order[step % len(order)]
    found = [videos[index] for index in np.unique(windows[rows[rows >= 0], 0])]
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more
