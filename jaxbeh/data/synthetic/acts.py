"""What the invented animals do: how each act places, moves and shakes its agent and its target.

Acts of different classes share their postures on purpose. A mouse over another may mount, attack,
or merely lie there; a nose at another's flank may sniff or rest; one mouse behind another may
follow, chase, or sit. What tells them apart is how fast they move, in which rhythm, and what comes
after, so a model that looks at one frame at a time cannot do well.
"""

from dataclasses import dataclass
from typing import Literal

Stance = Literal["apart", "nose", "over", "behind", "towards", "past", "away"]
"""Where the agent goes, relative to its target.

apart: nowhere, it roams. nose: nose at a part of the target's body. over: body over body. behind:
one body length back, in line. towards: as nose, but going there is the act, over on arrival. past:
along the target and beyond. away: off, wherever there is room.
"""

Part = Literal["face", "flank", "rear", "any"]

Range = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Act:
    """One thing a pair can be at, for some seconds.

    Attributes:
        stance: where the agent goes.
        part: which part of the target's body, for the stances nose and towards.
        agent_speed: its speed in the act, centimetres a second.
        target_speed: the target's own walking meanwhile, centimetres a second.
        flees: the target runs from the agent, as fast as `target_speed` says.
        thrust: amplitude of the agent's rocking along its body, centimetres.
        bob: amplitude of the agent's nodding along its head, centimetres.
        hertz: the rhythm of both.
        shake: amplitude of the irregular shaking of both bodies, centimetres.
        orbit: how fast the two bodies turn about each other, radians a second.
        on: rhythm and shaking come in trains of so many seconds,
        off: with pauses of so many seconds between them.
    """

    stance: Stance
    part: Part = "any"
    agent_speed: Range = (4.0, 9.0)
    target_speed: Range = (0.0, 0.0)
    flees: bool = False
    thrust: float = 0.0
    bob: float = 0.0
    hertz: Range = (1.0, 1.0)
    shake: float = 0.0
    orbit: float = 0.0
    on: Range = (0.6, 1.6)
    off: Range = (0.15, 0.5)


def _sniff(part: Part) -> Act:
    return Act(
        stance="nose", part=part, target_speed=(0.0, 3.0), bob=0.5, hertz=(5.0, 8.0), on=(0.5, 1.4)
    )


ACTS: dict[str, Act] = {
    # social
    "sniff": _sniff("any"),
    "sniffface": _sniff("face"),
    "sniffbody": _sniff("flank"),
    "sniffgenital": _sniff("rear"),
    "reciprocalsniff": _sniff("face"),
    "approach": Act(stance="towards", agent_speed=(13.0, 22.0)),
    "follow": Act(stance="behind", agent_speed=(10.0, 16.0), target_speed=(7.0, 12.0)),
    # mating
    "mount": Act(stance="over", thrust=0.55, hertz=(4.0, 6.5), target_speed=(0.0, 1.5)),
    "attemptmount": Act(stance="over", thrust=0.55, hertz=(4.0, 6.5), target_speed=(0.0, 3.0)),
    "intromit": Act(stance="over", thrust=0.8, hertz=(2.2, 3.2), on=(1.5, 3.0)),
    # aggressive
    "attack": Act(stance="over", shake=0.8, orbit=2.0, on=(0.4, 1.2), agent_speed=(10.0, 20.0)),
    "chase": Act(stance="behind", agent_speed=(32.0, 45.0), target_speed=(22.0, 34.0), flees=True),
    "chaseattack": Act(
        stance="behind",
        agent_speed=(35.0, 48.0),
        target_speed=(22.0, 34.0),
        flees=True,
        shake=0.65,
    ),
    # labelled by some labs, background for scene classes
    "allogroom": Act(stance="nose", part="flank", bob=0.4, hertz=(2.2, 3.0), on=(1.0, 2.5)),
    "disengage": Act(stance="away", agent_speed=(6.0, 11.0)),
    "avoid": Act(stance="away", agent_speed=(10.0, 16.0)),
    "escape": Act(stance="away", agent_speed=(24.0, 34.0)),
}
"""Acts of pairs that a lab may look for."""

_ROAM = Act(stance="apart", agent_speed=(3.0, 14.0), target_speed=(0.0, 9.0))
_DASH = Act(stance="apart", agent_speed=(20.0, 34.0), target_speed=(0.0, 6.0))
_SIT = Act(stance="nose", bob=0.15, hertz=(3.0, 6.0), on=(0.15, 0.4), off=(0.8, 2.5))
_LIE = Act(stance="over", shake=0.15, on=(0.15, 0.4), off=(0.8, 2.5))


@dataclass(frozen=True)
class IdleAct:
    """Something that no lab looks for; median and ninth decile of its durations in seconds."""

    weight: float
    median: float
    p90: float
    act: Act


IDLE_ACTS: dict[str, IdleAct] = {
    "roam": IdleAct(0.40, 2.2, 4.5, _ROAM),
    "dash": IdleAct(0.15, 1.2, 2.4, _DASH),
    "sit": IdleAct(0.15, 1.6, 3.8, _SIT),
    "lie": IdleAct(0.15, 1.8, 4.5, _LIE),
    "queue": IdleAct(0.075, 1.2, 2.5, Act(stance="behind")),
    "pass": IdleAct(0.075, 1.5, 3.0, Act(stance="past", agent_speed=(13.0, 24.0))),
}
"""What looks like the above and is not. Lying together is what labs with `huddle` write down for
both mice."""

REACTIONS: dict[str, tuple[tuple[str, float], ...]] = {
    "attack": (("defend", 0.5), ("submit", 0.3), ("flinch", 0.3)),
    "chase": (("escape", 0.8),),
    "chaseattack": (("escape", 0.6), ("submit", 0.3)),
}
"""What the target of an act may be written down for meanwhile, with the probability of each; the
first that the lab looks for and that happens is taken."""


@dataclass(frozen=True, kw_only=True)
class SelfAct:
    """One thing a mouse does on its own.

    Attributes:
        speed: of walking meanwhile, centimetres a second.
        stretch: the body's apparent length, as a share of its full one (a rearing mouse is short
            from above).
        bob: amplitude of the head's rhythm, centimetres.
        hertz: that rhythm.
    """

    speed: Range = (0.0, 0.0)
    stretch: float = 1.0
    bob: float = 0.0
    hertz: Range = (1.0, 1.0)


SELF_ACTS: dict[str, SelfAct] = {
    "rear": SelfAct(stretch=0.6),
    "selfgroom": SelfAct(stretch=0.85, bob=0.25, hertz=(4.0, 7.0)),
    "freeze": SelfAct(),
}
"""All of them happen in every lab, whether it looks for them or not."""

SELF_ACT_DURATION = (1.2, 3.5)
"""Median and ninth decile, seconds, where a lab says nothing."""

CLASS_OF = {
    "sniff": 1,
    "sniffface": 1,
    "sniffbody": 1,
    "sniffgenital": 1,
    "reciprocalsniff": 1,
    "approach": 1,
    "follow": 1,
    "mount": 2,
    "attemptmount": 2,
    "intromit": 2,
    "attack": 3,
    "chase": 3,
    "chaseattack": 3,
    "defend": 3,
    "flinch": 3,
}
"""Scene class of each act, 0 for those absent: 1 social, 2 mating, 3 aggressive. It steers how
often each kind happens; what is written are the actions."""

CLASS_SHARES = (0.54, 0.18, 0.14, 0.14)
"""The share of the frames that each scene class is steered to; missed bouts go to the first."""
