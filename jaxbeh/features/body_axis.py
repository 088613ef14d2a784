"""Where a body is and which way it points, whichever keypoints a lab tracks.

Three anchors stand for a body: front, centre and back. Each is the first complete one of a list of
keypoints (a pair counts by its middle), and failing all of them the mean of what is valid in its
part of the body. Slots lent to unknown names are taken for what the slot is called: with unknown
names alone, the first slots are filled, and the body points from the mean of its points to the
first of them. All of it turns and mirrors with the arena.
"""

import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array, lax

from jaxbeh.vocabulary import KEYPOINT_SLOTS

ANCHORS: tuple[str, ...] = ("front", "centre", "back")
"""In the order of all arrays of anchors."""

FRONT, CENTRE, BACK = range(3)

SHORTEST_AXIS_CM = 0.5
"""Anchors closer to each other give no direction."""

_CANDIDATES = {
    "front": (
        ("nose",),
        ("head",),
        ("ear_left", "ear_right"),
        ("neck",),
        ("forepaw_left", "forepaw_right"),
        ("spine_1",),
    ),
    "centre": (
        ("body_center",),
        ("lateral_left", "lateral_right"),
        ("spine_1", "spine_2"),
        ("neck", "hip_left", "hip_right"),
        ("nose", "tail_base"),
    ),
    "back": (
        ("tail_base",),
        ("hip_left", "hip_right"),
        ("spine_2",),
        ("hindpaw_left", "hindpaw_right"),
        ("tail_tip",),
    ),
}


_ALL = range(len(KEYPOINT_SLOTS))
_SLOTS = {
    anchor: [[KEYPOINT_SLOTS.index(name) for name in names] for names in sets]
    for anchor, sets in _CANDIDATES.items()
}
_PARTS = {
    anchor: np.array([anchor == "centre" or any(slot in one for one in sets) for slot in _ALL])
    for anchor, sets in _SLOTS.items()
}


@struct.dataclass
class Direction:
    """Which way bodies point.

    Attributes:
        unit: float32 `[b, t, m, 2]`, from back to front; where a frame gives none, that of the last
            frame before it which does, or else of the first behind it.
        held: bool `[b, t, m]`, whether any frame of the window gives one; the unit vector means
            nothing where false.
        seen: bool `[b, t, m]`, whether the frame itself gives one.
    """

    unit: Array
    held: Array
    seen: Array


def anchors(xy: Array, valid: Array) -> tuple[Array, Array]:
    """The anchors of bodies; a body without a keypoint in its front has no front, and so on.

    Args:
        xy: float32 `[…, k, 2]` of the canonical slots, finite.
        valid: bool `[…, k]`.

    Returns:
        Float32 `[…, 3, 2]`, 0 where unknown, and bool `[…, 3]`.
    """
    places, known = zip(*(_anchor(xy, valid, name) for name in ANCHORS), strict=True)
    return jnp.stack(places, axis=-2), jnp.stack(known, axis=-1)


def axis(places: Array, known: Array) -> tuple[Array, Array]:
    """From back to front, the centre in place of the one that is unknown.

    Args:
        places: float32 `[…, 3, 2]`, anchors.
        known: bool `[…, 3]`.

    Returns:
        Float32 `[…, 2]`, cm, and whether it is long enough to point somewhere, bool `[…]`.
    """
    centre = places[..., CENTRE, :]
    front = jnp.where(known[..., FRONT, None], places[..., FRONT, :], centre)
    back = jnp.where(known[..., BACK, None], places[..., BACK, :], centre)
    along = front - back
    return along, jnp.sum(along * along, axis=-1) >= SHORTEST_AXIS_CM**2


def direction(places: Array, known: Array) -> Direction:
    """The unit vectors of the axes, held over the frames that give none.

    Args:
        places: float32 `[b, t, m, 3, 2]`, anchors.
        known: bool `[b, t, m, 3]`.
    """
    along, seen = axis(places, known)
    along = jnp.where(seen[..., None], along, jnp.array([1.0, 0.0]))
    unit = along / jnp.sqrt(jnp.sum(along * along, axis=-1, keepdims=True))
    time = jnp.arange(seen.shape[1], dtype=jnp.int32)[:, None]
    last = lax.cummax(jnp.where(seen, time, -1), axis=1)
    first = jnp.argmax(seen, axis=1, keepdims=True).astype(jnp.int32)
    source = jnp.where(last >= 0, last, first)[..., None]
    held = jnp.broadcast_to(jnp.any(seen, axis=1, keepdims=True), seen.shape)
    return Direction(unit=jnp.take_along_axis(unit, source, axis=1), held=held, seen=seen)


def _anchor(xy: Array, valid: Array, name: str) -> tuple[Array, Array]:
    seen = valid & _PARTS[name]
    count = jnp.maximum(jnp.sum(seen, axis=-1, dtype=jnp.float32), 1.0)
    place = jnp.sum(jnp.where(seen[..., None], xy, 0.0), axis=-2) / count[..., None]
    for slots in reversed(_SLOTS[name]):
        complete = jnp.all(jnp.stack([valid[..., slot] for slot in slots]), axis=0)
        total = jnp.sum(jnp.stack([xy[..., slot, :] for slot in slots]), axis=0)
        place = jnp.where(complete[..., None], total / len(slots), place)
    return place, jnp.any(seen, axis=-1)
