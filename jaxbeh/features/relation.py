"""The other as the agent sees it, and how far the two are from each other."""

import jax.numpy as jnp
from jax import Array

from jaxbeh.features import channels
from jaxbeh.features.body_axis import ANCHORS, CENTRE, FRONT
from jaxbeh.features.body_motion import Bodies, length, turned
from jaxbeh.features.channels import each, flags, logarithm, scalars, vectors
from jaxbeh.vocabulary import KEYPOINT_SLOTS

_FAST = slice(FRONT, CENTRE + 1)

RELATION = (
    *each(KEYPOINT_SLOTS, "along", "across"),
    *each(ANCHORS, "along", "across"),
    *each(KEYPOINT_SLOTS, "from_agents_front"),
    *each(KEYPOINT_SLOTS, "from_others_front"),
    *(f"distance.{agents}_to_{others}" for agents in ANCHORS for others in ANCHORS),
    *(f"distance.{end}" for end in ("nearest", "from_agents_front", "from_others_front")),
    *(f"distance.{agents}_to_{others}_valid" for agents in ANCHORS for others in ANCHORS),
    *("heading.cos", "heading.sin", "heading.valid"),
    *each(("bearing_of_other", "bearing_of_agent"), "along", "across"),
    *each(ANCHORS[_FAST], "velocity.along", "velocity.across"),
    *("approach.of_agent", "approach.of_other", "approach.of_fronts"),
    *each(ANCHORS[_FAST], "velocity_valid"),
)
"""g names.

- Positions are those of the other in the agent's frame, origin at the agent's centre.
- `from_agents_front`: distances of the agent's front to the other's keypoints, and
  `from_others_front` of the other's front to the agent's; with `distance.`, to the nearest of them.
- The heading is the other's direction in the agent's frame.
- A bearing is where the other's centre lies as seen from the agent's front in the agent's frame, or
  the reverse: a unit vector, but shorter where they touch.
- Velocities are the other's less the agent's, in the agent's frame. An approach is the speed of one
  centre towards the other, and of the fronts towards each other.
"""


def relation(bodies: Bodies) -> Array:
    """Float32 `[b, t, g]`, named by `RELATION`; takes two bodies, the agent first."""
    places, known = bodies.anchors, bodies.anchored
    unit, held = bodies.unit[:, :, :1], bodies.held[:, :, :1]
    centre, centred = places[:, :, :1, CENTRE], known[:, :, :1, CENTRE] & held

    # From the front of each to the other's keypoints, the agent's front first.
    fronted = known[..., FRONT]
    reach = length(bodies.xy[:, :, ::-1] - places[..., FRONT, None, :])
    reached = bodies.valid[:, :, ::-1] & fronted[..., None]
    apart = length(places[:, :, 1, None] - places[:, :, 0, :, None])
    both = known[:, :, 1, None] & known[:, :, 0, :, None]
    nearest = jnp.stack([_nearest(bodies), *_least(reach, reached)], axis=-1)

    headed = jnp.all(bodies.held & known[..., CENTRE], axis=-1, keepdims=True)
    heading = turned(bodies.unit[:, :, 1], bodies.unit[:, :, 0])
    sight = places[:, :, ::-1, CENTRE] - places[..., FRONT, :]
    seen = known[:, :, ::-1, CENTRE] & fronted & bodies.held

    speed = bodies.velocity[:, :, 1, _FAST] - bodies.velocity[:, :, 0, _FAST]
    moves = bodies.moving[:, :, 1, _FAST] & bodies.moving[:, :, 0, _FAST]
    closing, closes = _approach(bodies)

    def distances(values: Array, there: Array) -> Array:
        scaled = scalars(logarithm(values, channels.DISTANCE_CM), there)
        return scaled.reshape(*scaled.shape[:2], -1)

    def seen_from_agent(points: Array, there: Array) -> Array:
        return vectors(turned(points - centre, unit) / channels.PLACE_CM, there & centred)

    parts = (
        seen_from_agent(bodies.xy[:, :, 1], bodies.valid[:, :, 1]),
        seen_from_agent(places[:, :, 1], known[:, :, 1]),
        distances(reach, reached),
        distances(apart, both),
        distances(nearest, jnp.isfinite(nearest)),
        flags(both).reshape(*both.shape[:2], -1),
        vectors(heading[..., None, :], headed),
        flags(headed),
        vectors(_bearing(turned(sight, bodies.unit)), seen),
        vectors(logarithm(turned(speed, unit), channels.SPEED), moves & held),
        scalars(logarithm(closing, channels.SPEED), closes),
        flags(moves),
    )
    return jnp.concatenate(parts, axis=-1)


def _least(values: Array, known: Array) -> list[Array]:
    """Of `[b, t, m, k]`, the least of each body, `[b, t]` each; infinite where none is known."""
    least = jnp.min(jnp.where(known, values, jnp.inf), axis=-1)
    return [least[..., body] for body in range(least.shape[-1])]


def _nearest(bodies: Bodies) -> Array:
    """Between any keypoints of the two, cm; infinite where one body has none."""
    gap = bodies.xy[:, :, 0, :, None] - bodies.xy[:, :, 1, None]
    known = bodies.valid[:, :, 0, :, None] & bodies.valid[:, :, 1, None]
    squares = jnp.min(jnp.where(known, jnp.sum(gap * gap, axis=-1), jnp.inf), axis=(-1, -2))
    some = (squares > 0) & jnp.isfinite(squares)
    return jnp.where(some, jnp.sqrt(jnp.where(some, squares, 1.0)), squares)


def _bearing(sight: Array) -> Array:
    """A vector's direction, shorter than 1 where it is not long beside 1 cm."""
    return sight / jnp.sqrt(jnp.sum(sight * sight, axis=-1, keepdims=True) + 1.0)


def _approach(bodies: Bodies) -> tuple[Array, Array]:
    """Speeds (cm/s) of the agent's and the other's centre and of both fronts, and which are known.

    Velocities along the line that joins the two: they are taken from the same keypoints in the
    frames before and behind, which distances need not be.
    """
    away = bodies.anchors[:, :, 1, _FAST] - bodies.anchors[:, :, 0, _FAST]
    line = _bearing(away)
    towards = jnp.stack([line, -line], axis=2)
    speeds = jnp.sum(bodies.velocity[..., _FAST, :] * towards, axis=-1)
    known = bodies.moving[..., _FAST] & jnp.all(bodies.anchored[..., _FAST], axis=2, keepdims=True)
    closing = [speeds[..., CENTRE], jnp.sum(speeds[..., FRONT], axis=-1, keepdims=True)]
    closes = [known[..., CENTRE], jnp.all(known[..., FRONT], axis=-1, keepdims=True)]
    return jnp.concatenate(closing, axis=-1), jnp.concatenate(closes, axis=-1)
