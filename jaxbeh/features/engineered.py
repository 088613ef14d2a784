"""The 131 engineered features of v2 and v4: two mice, seven keypoints each, taken by name.

23 a frame (distances, velocities, angles, shapes), the rolling statistics of each (92), and the
scores of a PCA of the 28 coordinates, which `projection.complete` puts in the coordinates' place.
Units are cm, s and rad. What is missing:

- The centroid is the mean of a mouse's points that are seen, the head of those of nose and ears;
  each is missing where none is. The tail is the tail base, a mouse's heading points from there to
  its nose; it is missing where they coincide.
- The centroid's velocity is the mean velocity of the points seen both in this frame and in the
  one before, which is the difference of the centroids where all are: a point that comes or goes
  would move the centroid, and does not move the mouse.
- The spread along an axis is the standard deviation over the points seen, of which it takes two.
- The rolling statistics leave out what is missing. Those of angles are of the numbers within ±π,
  so a heading that crosses ±π has a large deviation.
- A video's first frame repeats its second's velocities, changes of speed and angular velocities.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxbeh.features.coordinates import coordinates
from jaxbeh.features.feature_set import Features, FeatureSet
from jaxbeh.features.rates import length, rate
from jaxbeh.features.rolling import SPAN, STATISTICS, rolling
from jaxbeh.vocabulary import KEYPOINT_SLOTS

MICE = 2
"""The mice in the first two slots."""

KEYPOINTS = ("nose", "ear_left", "ear_right", "neck", "hip_left", "hip_right", "tail_base")
"""The seven keypoints that a video must have."""

LEAST_SPREAD = 0.1
"""Centimetres; a smaller y-spread divides the x-spread as if it were this one. A mouse is wider;
what is below has few points left, in a row."""

HISTORY = SPAN - 1 + 2
"""A change of speed takes three frames, and the rolling statistics look back from the last."""

_SLOTS = np.array([KEYPOINT_SLOTS.index(name) for name in KEYPOINTS])
_NOSE, _TAIL = KEYPOINTS.index("nose"), KEYPOINTS.index("tail_base")
_HEAD = np.array([KEYPOINTS.index(name) for name in ("nose", "ear_left", "ear_right")])

Column = tuple[Array, Array]
"""Values float32 `[b, t]` and validity bool `[b, t]` of one quantity."""


def engineered(xy: Array, valid: Array, frame: Array, fps: Array) -> Features:
    """Compute 23 quantities a frame, their 92 rolling statistics and the 28 coordinates (cm).

    Takes eleven frames of history; see `feature_set.Compute` for shapes.
    """
    seven, seen = xy[:, :, :MICE, _SLOTS], valid[:, :, :MICE, _SLOTS]
    columns = [
        *_distances(seven[:, 2:], seen[:, 2:]),
        *_velocities(seven, seen, frame, fps),
        *_angles(seven[:, 1:], seen[:, 1:], frame[:, 1:], fps),
        *_shapes(seven[:, 2:], seen[:, 2:]),
    ]
    known = jnp.stack([known for _, known in columns], axis=-1)
    values = jnp.where(known, jnp.stack([found for found, _ in columns], axis=-1), 0.0)
    statistics, statistics_known = rolling(values, known)
    places = coordinates(seven[:, HISTORY:], seen[:, HISTORY:], frame[:, HISTORY:], fps)
    return Features(
        flat=jnp.concatenate([values[:, SPAN - 1 :], statistics, places.flat], axis=-1),
        flat_valid=jnp.concatenate(
            [known[:, SPAN - 1 :], statistics_known, places.flat_valid], axis=-1
        ),
        points=xy[:, HISTORY:],
        points_valid=valid[:, HISTORY:],
    )


def _distances(points: Array, seen: Array) -> list[Column]:
    """Six distances (cm), over the frames given."""
    centroid, placed = _mean(points, seen)
    head, headed = _mean(points[..., _HEAD, :], seen[..., _HEAD])
    tail, tailed = points[..., _TAIL, :], seen[..., _TAIL]
    nose, nosed = points[..., _NOSE, :], seen[..., _NOSE]

    def between(a: Column, b: Column, mice: tuple[int, int]) -> Column:
        (one, one_known), (other, other_known) = a, b
        first, second = mice
        apart = one[:, :, first] - other[:, :, second]
        return length(apart), one_known[:, :, first] & other_known[:, :, second]

    return [
        between((centroid, placed), (centroid, placed), (0, 1)),
        between((head, headed), (head, headed), (0, 1)),
        between((head, headed), (tail, tailed), (0, 1)),
        between((head, headed), (tail, tailed), (1, 0)),
        between((nose, nosed), (tail, tailed), (0, 0)),
        between((nose, nosed), (tail, tailed), (1, 1)),
    ]


def _velocities(points: Array, seen: Array, frame: Array, fps: Array) -> list[Column]:
    """Each mouse's speed and velocity (cm/s) and change of speed (cm/s²), less two frames."""
    velocity, moving = _mean(*rate(points, seen, frame, fps))
    speed = length(velocity)
    change, changing = rate(speed, moving, frame[:, 1:], fps)
    velocity, speed, moving = velocity[:, 1:], speed[:, 1:], moving[:, 1:]
    columns: list[Column] = []
    for mouse in range(MICE):
        columns += [
            (speed[..., mouse], moving[..., mouse]),
            (velocity[..., mouse, 0], moving[..., mouse]),
            (velocity[..., mouse, 1], moving[..., mouse]),
            (change[..., mouse], changing[..., mouse]),
        ]
    return columns


def _angles(points: Array, seen: Array, frame: Array, fps: Array) -> list[Column]:
    """Headings (rad), angular velocities (rad/s), the relative heading (rad), less a frame."""
    body = points[..., _NOSE, :] - points[..., _TAIL, :]
    heading = jnp.arctan2(body[..., 1], body[..., 0])
    headed = seen[..., _NOSE] & seen[..., _TAIL] & jnp.any(body != 0, axis=-1)
    turning, turns = rate(heading, headed, frame, fps, step=_turn)
    heading, headed = heading[:, 1:], headed[:, 1:]
    columns: list[Column] = []
    for mouse in range(MICE):
        columns += [
            (heading[..., mouse], headed[..., mouse]),
            (turning[..., mouse], turns[..., mouse]),
        ]
    relative = _turn(heading[..., 1], heading[..., 0])
    return [*columns, (relative, headed[..., 0] & headed[..., 1])]


def _shapes(points: Array, seen: Array) -> list[Column]:
    """Each mouse's x-spread · y-spread (cm²) and x-spread / y-spread, over the frames given."""
    centre, _ = _mean(points, seen)
    squares, _ = _mean((points - centre[..., None, :]) ** 2, seen)
    spread = jnp.sqrt(squares)
    wide, high = spread[..., 0], spread[..., 1]
    known = jnp.sum(seen, axis=-1, dtype=jnp.int32) >= 2
    area, ratio = wide * high, wide / jnp.maximum(high, LEAST_SPREAD)
    columns: list[Column] = []
    for mouse in range(MICE):
        columns += [
            (area[..., mouse], known[..., mouse]),
            (ratio[..., mouse], known[..., mouse]),
        ]
    return columns


def _mean(points: Array, seen: Array) -> tuple[Array, Array]:
    """Mean over the keypoints seen, `[b, t, m, k, 2]` → `[b, t, m, 2]`, and whether any is."""
    count = jnp.maximum(jnp.sum(seen, axis=-1, dtype=jnp.float32), 1.0)
    total = jnp.sum(jnp.where(seen[..., None], points, 0.0), axis=-2)
    return total / count[..., None], jnp.any(seen, axis=-1)


def _turn(to: Array, start: Array) -> Array:
    """The shorter way from one angle to another, within ±π."""
    around = to - start
    return around - 2 * np.float32(np.pi) * jnp.round(around / (2 * np.float32(np.pi)))


def _of_each(*quantities: str) -> list[str]:
    return [f"mouse{mouse}.{name}" for mouse in range(1, MICE + 1) for name in quantities]


QUANTITIES = (
    "distance.centroid_to_centroid.mouse1_mouse2",
    "distance.head_to_head.mouse1_mouse2",
    "distance.head_to_tail.mouse1_mouse2",
    "distance.head_to_tail.mouse2_mouse1",
    *_of_each("body_length"),
    *_of_each(
        "centroid_speed", "centroid_velocity.x", "centroid_velocity.y", "centroid_speed_change"
    ),
    *_of_each("heading", "angular_velocity"),
    "relative_heading.mouse1_mouse2",
    *_of_each("spread_product", "spread_ratio"),
)
"""The 23 quantities of a frame."""


def _heavy_tailed(name: str) -> bool:
    """Speeds and accelerations that are never negative, as sizes and deviations are.

    Areas are not among them: a mouse's size bounds them (of the synthetic collection's, none is
    4 standard deviations off), and what lies beyond is misplaced points, which clipping holds.
    """
    fast = name.endswith((".centroid_velocity.x", ".centroid_velocity.y", ".centroid_speed_change"))
    return name.endswith(".centroid_speed") or (fast and name.startswith("rolling_deviation."))


def engineered_set(components: int) -> FeatureSet:
    """The set with so many principal components: 115 + `components` features."""
    measured = (
        *QUANTITIES,
        *(f"rolling_{statistic}.{name}" for statistic in STATISTICS for name in QUANTITIES),
    )
    return FeatureSet(
        names=(*measured, *(f"pca.{component}" for component in range(components))),
        history=HISTORY,
        heavy_tailed=(*map(_heavy_tailed, measured), *((False,) * components)),
        compute=engineered,
        projected=MICE * len(KEYPOINTS) * 2,
        components=components,
        required=KEYPOINTS,
        mice=MICE,
    )
