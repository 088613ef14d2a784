"""How fast something changes from frame to frame, where both frames are known."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array


def rate(
    values: Array,
    valid: Array,
    frame: Array,
    fps: Array,
    step: Callable[[Array, Array], Array] = jnp.subtract,
) -> tuple[Array, Array]:
    """(values[t] − values[t−1]) · fps and its validity, without the first of the frames given.

    No step into or out of a missing frame makes a rate. A video's frame 0 has no step of its own
    and repeats frame 1's.

    Args:
        values: float32 `[b, t, …]`.
        valid: bool, as the values or without some of their last axes.
        frame: int32 `[b, t]`, frame index in its video.
        fps: float32 `[b]`.
        step: what lies between a value and the one before it.

    Returns:
        Float32 `[b, t−1, …]` in units a second, and bool of the shape of `valid` less a frame.
    """
    known = valid[:, 1:] & valid[:, :-1]
    found = step(values[:, 1:], values[:, :-1]) * _like(fps, values)
    first = frame[:, 1:] == 0
    return (
        jnp.where(_like(first, found), _following(found), found),
        jnp.where(_like(first, known), _following(known), known),
    )


def length(vector: Array) -> Array:
    """Euclidean length over the last axis."""
    return jnp.sqrt(jnp.sum(vector * vector, axis=-1))


def _following(values: Array) -> Array:
    """The next frame's; 0 or false behind the last, which is followed by none."""
    behind = [(0, 0)] * (values.ndim - 2)
    return jnp.pad(values[:, 1:], [(0, 0), (0, 1), *behind])


def _like(array: Array, values: Array) -> Array:
    """Add axes at the end, as many as `values` has more."""
    return array.reshape(array.shape + (1,) * (values.ndim - array.ndim))
