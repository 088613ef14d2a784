"""Two bodies over a window: where their anchors are, which way they point, how they move.

A velocity at a frame is taken between the frame before and the one behind, an acceleration between
those two frames before and behind and the frame itself, from the keypoints that are valid in all of
them: an anchor that falls back on another keypoint does not move by it. At the edges of a window
there is none.
"""

import jax.numpy as jnp
from flax import struct
from jax import Array

from jaxbeh.features.body_axis import anchors, axis, direction


@struct.dataclass
class Bodies:
    """Bodies of a batch of windows; m of them, k slots, three anchors (`body_axis.ANCHORS`).

    Units are cm and s; all is 0 where it is not known.

    Attributes:
        xy: float32 `[b, t, m, k, 2]`.
        valid: bool `[b, t, m, k]`.
        speed: float32 `[b, t, m, k]`.
        anchors: float32 `[b, t, m, 3, 2]`.
        anchored: bool `[b, t, m, 3]`, where there are anchors.
        unit: float32 `[b, t, m, 2]`, from back to front, held where the frame has no direction.
        held: bool `[b, t, m]`, whether the unit vector means something.
        seen: bool `[b, t, m]`, whether it is the frame's own.
        velocity: float32 `[b, t, m, 3, 2]`, of the anchors.
        moving: bool `[b, t, m, 3]`, where it is known.
        acceleration: float32 `[b, t, m, 3, 2]`, of the anchors.
        accelerating: bool `[b, t, m, 3]`, where it is known.
        turning: float32 `[b, t, m]`, rad/s, from x to y.
        turns: bool `[b, t, m]`, where it is known.
    """

    xy: Array
    valid: Array
    speed: Array
    anchors: Array
    anchored: Array
    unit: Array
    held: Array
    seen: Array
    velocity: Array
    moving: Array
    acceleration: Array
    accelerating: Array
    turning: Array
    turns: Array


def bodies(xy: Array, valid: Array, rate: float) -> Bodies:
    """Find anchors, directions and motion.

    Args:
        xy: float32 `[b, t, m, k, 2]`, cm.
        valid: bool `[b, t, m, k]`.
        rate: frames a second.
    """
    xy = jnp.where(valid[..., None], xy, 0.0)
    places, anchored = anchors(xy, valid)
    facing = direction(places, anchored)

    both = shifted(valid, -1) & shifted(valid, 1)
    step = jnp.where(both[..., None], shifted(xy, 1) - shifted(xy, -1), 0.0)
    before, moving = anchors(shifted(xy, -1), both)
    after, _ = anchors(shifted(xy, 1), both)
    turning, turns = _turning(axis(before, moving), axis(after, moving))

    three = shifted(valid, -2) & valid & shifted(valid, 2)
    early, accelerating = anchors(shifted(xy, -2), three)
    middle, _ = anchors(xy, three)
    late, _ = anchors(shifted(xy, 2), three)

    return Bodies(
        xy=xy,
        valid=valid,
        speed=length(step) * (rate / 2),
        anchors=places,
        anchored=anchored,
        unit=facing.unit,
        held=facing.held,
        seen=facing.seen,
        velocity=(after - before) * (rate / 2),
        moving=moving,
        acceleration=(early - 2.0 * middle + late) * (rate / 2) ** 2,
        accelerating=accelerating,
        turning=turning * (rate / 2),
        turns=turns,
    )


def shifted(values: Array, frames: int) -> Array:
    """What stands so many frames later, or earlier if negative; 0 or false beyond the ends."""
    rest = [(0, 0)] * (values.ndim - 2)
    time = values.shape[1]
    padded = jnp.pad(values, [(0, 0), (max(-frames, 0), max(frames, 0)), *rest])
    return padded[:, max(frames, 0) : max(frames, 0) + time]


def length(vector: Array) -> Array:
    """Euclidean length over the last axis, with gradient 0 for a vector of 0."""
    squares = jnp.sum(vector * vector, axis=-1)
    some = squares > 0
    return jnp.where(some, jnp.sqrt(jnp.where(some, squares, 1.0)), 0.0)


def turned(vector: Array, unit: Array) -> Array:
    """A vector's parts along a unit vector and across it, 90° from it as y is from x, `[…, 2]`."""
    (x, y), (cosine, sine) = _xy(vector), _xy(unit)
    return jnp.stack([x * cosine + y * sine, y * cosine - x * sine], axis=-1)


def _turning(before: tuple[Array, Array], after: tuple[Array, Array]) -> tuple[Array, Array]:
    """The angle from one axis to the other, rad within ±π, and where both are known."""
    (was, had), (now, has) = before, after
    known = had & has
    by = turned(jnp.where(known[..., None], now, 1.0), jnp.where(known[..., None], was, 1.0))
    angle = jnp.arctan2(by[..., 1], by[..., 0])
    return jnp.where(known, angle, 0.0), known


def _xy(vector: Array) -> tuple[Array, Array]:
    return vector[..., 0], vector[..., 1]
