"""The 288 motion features of v5 and v6: coordinates, speeds, accelerations of every keypoint.

velocity[t] = (p[t] − p[t−1]) · fps, speed = ‖velocity‖, acceleration = ‖(velocity[t] −
velocity[t−1]) · fps‖. A video's first frame repeats its second. No step into or out of a missing
frame makes a speed.
"""

import jax.numpy as jnp
from jax import Array

from jaxbeh.features.coordinates import COORDINATES, POINTS, coordinates
from jaxbeh.features.feature_set import Features, FeatureSet
from jaxbeh.features.rates import length, rate


def motion(xy: Array, valid: Array, frame: Array, fps: Array) -> Features:
    """Compute coordinates (cm), speeds (cm/s) and accelerations (cm/s²), with their validity.

    Takes two frames of history; see `feature_set.Compute` for shapes.
    """
    velocity, moving = rate(xy, valid, frame, fps)
    change, changing = rate(velocity, moving, frame[:, 1:], fps)
    places = coordinates(xy[:, 2:], valid[:, 2:], frame[:, 2:], fps)
    flat = (*places.flat.shape[:2], -1)
    values = [length(velocity[:, 1:]).reshape(flat), length(change).reshape(flat)]
    flags = [moving[:, 1:].reshape(flat), changing.reshape(flat)]
    values = [jnp.where(known, found, 0.0) for found, known in zip(values, flags, strict=True)]
    return Features(
        flat=jnp.concatenate([places.flat, *values], axis=-1),
        flat_valid=jnp.concatenate([places.flat_valid, *flags], axis=-1),
        points=places.points,
        points_valid=places.points_valid,
    )


MOTION = FeatureSet(
    names=(
        *COORDINATES.names,
        *(f"{point}.speed" for point in POINTS),
        *(f"{point}.acceleration" for point in POINTS),
    ),
    history=2,
    heavy_tailed=(*COORDINATES.heavy_tailed, *((True,) * (2 * len(POINTS)))),
    compute=motion,
)
