"""A body as it sees itself: origin at its centre, first axis from back to front."""

import jax.numpy as jnp
from jax import Array

from jaxbeh.features import channels
from jaxbeh.features.body_axis import ANCHORS, BACK, CENTRE, FRONT
from jaxbeh.features.body_motion import Bodies, length, turned
from jaxbeh.features.channels import each, flags, logarithm, scalars, vectors
from jaxbeh.vocabulary import KEYPOINT_SLOTS

_ENDS = slice(FRONT, BACK + 1, 2)
_FAST = slice(FRONT, CENTRE + 1)

OWN = (
    *each(KEYPOINT_SLOTS, "along", "across"),
    *each(KEYPOINT_SLOTS, "valid"),
    *each(KEYPOINT_SLOTS, "speed"),
    *each(ANCHORS[_ENDS], "along", "across"),
    *each(ANCHORS[_ENDS], "valid"),
    *each(ANCHORS, "velocity.along", "velocity.across"),
    *each(ANCHORS, "velocity_valid"),
    "centre.speed",
    *each(ANCHORS[_FAST], "acceleration.along", "acceleration.across"),
    *each(ANCHORS[_FAST], "acceleration_valid"),
    *("body.turning", "body.turning_valid"),
    *("body.length", "body.spread_lengthwise", "body.spread_crosswise"),
    *("axis.valid", "axis.held_valid"),
)
"""f names.

A keypoint's speed is there where the keypoint is in the frame before and in the one behind. Spreads
are the deviations of the valid keypoints. The axis is held where a frame has none of its own.
"""


def own_frame(bodies: Bodies) -> Array:
    """Float32 `[b, t, m, f]`, named by `OWN`."""
    centre, unit = bodies.anchors[..., CENTRE, None, :], bodies.unit[..., None, :]
    held, moves = bodies.held[..., None], bodies.moving[..., CENTRE, None]
    ends, ended = bodies.anchors[..., _ENDS, :], bodies.anchored[..., _ENDS]
    places, placed = turned(bodies.xy - centre, unit), bodies.valid & held
    speeds = turned(bodies.velocity, unit)
    pushes, pushed = (
        turned(bodies.acceleration[..., _FAST, :], unit),
        bodies.accelerating[..., _FAST],
    )
    long = length(ends[..., :1, :] - ends[..., 1:, :])
    parts = (
        vectors(places / channels.POSTURE_CM, placed),
        flags(bodies.valid),
        scalars(logarithm(bodies.speed, channels.SPEED)),
        vectors(turned(ends - centre, unit) / channels.POSTURE_CM, ended & held),
        flags(ended),
        vectors(logarithm(speeds, channels.SPEED), bodies.moving & held),
        flags(bodies.moving),
        scalars(logarithm(length(bodies.velocity[..., CENTRE, None, :]), channels.SPEED), moves),
        vectors(logarithm(pushes, channels.ACCELERATION), pushed & held),
        flags(pushed),
        scalars(logarithm(bodies.turning, channels.TURNING)[..., None]),
        flags(bodies.turns[..., None]),
        scalars(long / channels.POSTURE_CM, jnp.all(ended, axis=-1, keepdims=True)),
        scalars(_spread(places, placed) / channels.POSTURE_CM),
        flags(jnp.stack([bodies.seen, bodies.held & bodies.anchored[..., CENTRE]], axis=-1)),
    )
    return jnp.concatenate(parts, axis=-1)


def _spread(places: Array, placed: Array) -> Array:
    """Deviation along and across, `[…, k, 2]` → `[…, 2]`; 0 with fewer than two keypoints."""
    count = jnp.maximum(jnp.sum(placed, axis=-1, dtype=jnp.float32), 1.0)[..., None]
    mean = jnp.sum(jnp.where(placed[..., None], places, 0.0), axis=-2) / count
    off = jnp.where(placed[..., None], places - mean[..., None, :], 0.0)
    return length(jnp.swapaxes(off, -1, -2)) / jnp.sqrt(count)
