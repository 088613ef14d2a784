"""Where an act's agent has to be, relative to its target."""

import math
from dataclasses import dataclass

import numpy as np

from jaxbeh.data.synthetic.acts import Act, Part
from jaxbeh.data.synthetic.mouse import Mouse

_NOSE_GAP = 0.3
_REACH = 3.5
_FLANK = 1.3
_LOOKS = 8
_ROOM = 2.5


@dataclass(frozen=True)
class Spot:
    """A place on the floor and the direction to face there: cm, cm, radians."""

    x: float
    y: float
    heading: float


@dataclass(frozen=True)
class Placement:
    """One bout's choice of where exactly the agent goes; drawn once, so that bouts differ.

    Attributes:
        along: the contact point (nose) or the agent's centre (over, behind) in the target's body
            frame, cm to the front.
        across: likewise, cm to the left.
        turn: the agent's heading relative to the target's, radians.
        goal: a fixed spot on the floor, for the stance past.
    """

    along: float
    across: float
    turn: float
    goal: Spot | None = None


def draw_placement(
    act: Act, agent: Mouse, target: Mouse, generator: np.random.Generator
) -> Placement:
    """Choose how this bout's agent meets its target."""
    if act.stance == "over":
        # The same for all acts over another's body, whatever their class.
        turn = 0.4 * generator.standard_normal()
        if generator.random() < 0.25:
            turn = generator.uniform(-math.pi, math.pi)
        return Placement(
            generator.uniform(-3.2, -0.6), 0.7 * float(generator.standard_normal()), float(turn)
        )
    if act.stance == "behind":
        gap = generator.uniform(1.0, 4.5)
        return Placement(
            -(agent.length + target.length) / 2 - gap, float(generator.normal(0.0, 0.8)), 0.0
        )
    if act.stance in {"nose", "towards"}:
        # With the target at a wall there may be no room; look further round until there is.
        for attempt in range(_LOOKS):
            placement = _at_body(act.part, 1.0 + 0.5 * attempt, agent, target, generator)
            if _has_room(spot(act, placement, agent, target), agent.arena):
                break
        return placement
    if act.stance == "past":
        return Placement(0.0, 0.0, 0.0, _beyond(agent, target, generator))
    return Placement(0.0, 0.0, 0.0)


def spot(act: Act, placement: Placement, agent: Mouse, target: Mouse) -> Spot:
    """Where the agent's centre should be now that the target is where it is."""
    if placement.goal is not None:
        return placement.goal
    cos, sin = math.cos(target.heading), math.sin(target.heading)
    x = target.x + placement.along * cos - placement.across * sin
    y = target.y + placement.along * sin + placement.across * cos
    heading = target.heading + placement.turn
    if act.stance == "behind":
        heading = math.atan2(target.y - agent.y, target.x - agent.x)
    elif act.stance in {"nose", "towards"}:
        back = agent.length / 2 + (_NOSE_GAP if act.stance == "nose" else _REACH)
        x -= back * math.cos(heading)
        y -= back * math.sin(heading)
    return Spot(x, y, heading)


def _has_room(there: Spot, arena: tuple[float, float]) -> bool:
    return all(
        _ROOM < at < size - _ROOM for at, size in zip((there.x, there.y), arena, strict=True)
    )


def _at_body(
    part: Part, looseness: float, agent: Mouse, target: Mouse, generator: np.random.Generator
) -> Placement:
    if part == "any":
        parts: tuple[Part, ...] = ("face", "flank", "rear")
        part = parts[generator.integers(3)]
    spread = looseness * float(generator.standard_normal())
    if part == "face":
        return Placement(target.length / 2 + 0.3, 0.0, math.pi + 0.5 * spread)
    if part == "rear":
        return Placement(-target.length / 2, 0.0, 0.45 * spread)
    # On the side where the agent is already.
    left = (agent.y - target.y) * math.cos(target.heading) - (agent.x - target.x) * math.sin(
        target.heading
    )
    side = math.copysign(1.0, left)
    along = generator.uniform(-2.5, 2.5)
    return Placement(float(along), side * _FLANK, -side * math.pi / 2 + 0.4 * spread)


def _beyond(agent: Mouse, target: Mouse, generator: np.random.Generator) -> Spot:
    dx, dy = target.x - agent.x, target.y - agent.y
    distance = math.hypot(dx, dy) + 1e-6
    aside = float(generator.choice((-1.0, 1.0)) * generator.uniform(3.5, 6.0))
    on = (distance + generator.uniform(8.0, 14.0)) / distance
    width, height = agent.arena
    x = agent.x + on * dx - aside * dy / distance
    y = agent.y + on * dy + aside * dx / distance
    return Spot(min(max(x, 3.0), width - 3.0), min(max(y, 3.0), height - 3.0), math.atan2(dy, dx))
