"""Poses of mice in the slots of the vocabulary, and windows cut from them, for feature tests."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxbeh.features.engineered import KEYPOINTS
from jaxbeh.vocabulary import KEYPOINT_SLOTS, MOUSE_SLOTS

SLOTS = [KEYPOINT_SLOTS.index(name) for name in KEYPOINTS]

BODY = np.array(
    [[8.0, 0.0], [6.5, 0.75], [6.5, -0.75], [5.5, 0.0], [1.5, 1.0], [1.5, -1.0], [0.0, 0.0]]
)
"""A mouse 8 cm long that looks along x with its tail base at the origin, in `KEYPOINTS`' order."""


def turned(angle):
    """`BODY` turned about its tail base; `[*angle.shape, 7, 2]`."""
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], -2)
    return BODY @ turn


def scene(*mice):
    """Slots `[t, 4, 18, 2]` and validity from each mouse's `[t, 7, 2]`, NaN where missing."""
    frames = len(mice[0])
    xy = np.zeros((frames, MOUSE_SLOTS, len(KEYPOINT_SLOTS), 2), np.float32)
    valid = np.zeros(xy.shape[:-1], bool)
    for mouse, points in enumerate(mice):
        valid[:, mouse, SLOTS] = ~np.isnan(points).any(-1)
        xy[:, mouse, SLOTS] = np.nan_to_num(points)
    return xy, valid


def window(features, xy, valid, start, length, fps):
    """What `compute` finds for `length` frames of a video, gathered as the store gathers them."""
    frame = np.arange(start - features.history, start + length, dtype=np.int32)
    inside = np.clip(frame, 0, len(xy) - 1)
    shown = valid[inside] & (frame == inside)[:, None, None]
    given = np.where(shown[..., None], xy[inside], np.float32(0))
    return jax.jit(features.compute)(
        jnp.asarray(given)[None],
        jnp.asarray(shown)[None],
        jnp.asarray(frame)[None],
        jnp.full((1,), fps, jnp.float32),
    )


def columns(features, found):
    """Name → values `[t]` and validity `[t]`, of all features before the projected ones."""
    measured = features.names[: len(features.names) - features.components]
    return {
        name: (np.asarray(found.flat[0, :, i]), np.asarray(found.flat_valid[0, :, i]))
        for i, name in enumerate(measured)
    }
