"""The 144 coordinates of v1 and v3: x and y of every keypoint of every mouse, by name."""

import jax.numpy as jnp
from jax import Array

from jaxbeh.features.feature_set import Features, FeatureSet
from jaxbeh.vocabulary import KEYPOINT_SLOTS, MOUSE_SLOTS

POINTS = tuple(
    f"mouse{mouse}.{keypoint}" for mouse in range(1, MOUSE_SLOTS + 1) for keypoint in KEYPOINT_SLOTS
)
"""The 72 points of a frame, in the order of the flat form."""


def coordinates(xy: Array, valid: Array, frame: Array, fps: Array) -> Features:
    """Lay out the coordinates (cm) side by side; see `feature_set.Compute` for shapes."""
    del frame, fps
    flat = (*xy.shape[:2], -1)
    return Features(
        flat=jnp.where(valid[..., None], xy, 0.0).reshape(flat),
        flat_valid=jnp.repeat(valid.reshape(flat), 2, axis=-1),
        points=xy,
        points_valid=valid,
    )


COORDINATES = FeatureSet(
    names=tuple(f"{point}.{axis}" for point in POINTS for axis in "xy"),
    history=0,
    heavy_tailed=(False,) * (2 * len(POINTS)),
    compute=coordinates,
)
