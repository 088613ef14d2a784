"""The 288 motion features of v5 and v6: coordinates, speeds, accelerations of every keypoint.

velocity[t] = (p[t] − p[t−1]) · fps, speed = ‖velocity‖, acceleration = ‖(velocity[t] −
velocity[t−1]) · fps‖. A video's first frame repeats its second. No step into or out of a missing
frame makes a speed.
"""

import jax.numpy as jnp
from jax import Array

from jaxbeh.features.feature_set import Features, FeatureSet
from jaxbeh.vocabulary import KEYPOINT_SLOTS, MOUSE_SLOTS

_POINTS = tuple(
    f"mouse{mouse}.{keypoint}" for mouse in range(1, MOUSE_SLOTS + 1) for keypoint in KEYPOINT_SLOTS
)


def motion(xy: Array, valid: Array, frame: Array, fps: Array) -> Features:
    """Compute coordinates (cm), speeds (cm/s) and accelerations (cm/s²), with their validity.

    Takes two frames of history; see `feature_set.Compute` for shapes.
    """
    rate = fps[:, None, None, None, None]
    velocity = (xy[:, 1:] - xy[:, :-1]) * rate
    velocity, moving = _repeat_first(velocity, valid[:, 1:] & valid[:, :-1], frame[:, 1:])
    change = (velocity[:, 1:] - velocity[:, :-1]) * rate
    change, changing = _repeat_first(change, moving[:, 1:] & moving[:, :-1], frame[:, 2:])
    xy, valid = xy[:, 2:], valid[:, 2:]
    speed, moving = _length(velocity[:, 1:]), moving[:, 1:]
    batch, time = frame.shape[0], frame.shape[1] - 2
    flat = (batch, time, -1)
    parts = [
        (xy.reshape(flat), jnp.repeat(valid.reshape(flat), 2, axis=-1)),
        (speed.reshape(flat), moving.reshape(flat)),
        (_length(change).reshape(flat), changing.reshape(flat)),
    ]
    values = jnp.concatenate([part for part, _ in parts], axis=-1)
    flags = jnp.concatenate([part for _, part in parts], axis=-1)
    return Features(
        flat=jnp.where(flags, values, 0.0), flat_valid=flags, points=xy, points_valid=valid
    )


def _repeat_first(values: Array, valid: Array, frame: Array) -> tuple[Array, Array]:
    """At a video's frame 0, take frame 1's difference: frame 0 has none of its own."""
    first = (frame == 0)[:, :, None, None]
    following = jnp.concatenate([values[:, 1:], values[:, -1:]], axis=1)
    following_valid = jnp.concatenate([valid[:, 1:], valid[:, -1:]], axis=1)
    return (
        jnp.where(first[..., None], following, values),
        jnp.where(first, following_valid, valid),
    )


def _length(vector: Array) -> Array:
    return jnp.sqrt(jnp.sum(vector * vector, axis=-1))


MOTION = FeatureSet(
    names=(
        *(f"{point}.{axis}" for point in _POINTS for axis in "xy"),
        *(f"{point}.speed" for point in _POINTS),
        *(f"{point}.acceleration" for point in _POINTS),
    ),
    history=2,
    heavy_tailed=(False,) * (2 * len(_POINTS)) + (True,) * (2 * len(_POINTS)),
    compute=motion,
)
