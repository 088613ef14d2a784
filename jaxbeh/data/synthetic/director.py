"""Chooses what happens next: which act, by whom, to whom, for how long."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jaxbeh.data.synthetic.acts import (
    ACTS,
    CLASS_OF,
    CLASS_SHARES,
    IDLE_ACTS,
    REACTIONS,
    SELF_ACT_DURATION,
    Act,
)
from jaxbeh.data.synthetic.labs import Lab, LabAction
from jaxbeh.data.synthetic.mouse import Mouse
from jaxbeh.data.synthetic.stances import Placement, draw_placement

_LONGEST = 6.0
_SHORTEST = 0.3
_FULL_LENGTH = 40.0
_PATIENCE = 2.5
_MEMORY = 8.0
_PACE = (6.0, 11.0)
_LAB_IDLE_SHARE = 0.12
_FAR = 10.0
_COMES_RUNNING = 0.8
_COMPANY = 15.0


@dataclass
class Bout:
    """The act under way.

    Attributes:
        action: its name.
        scene_class: of the action, 0 to 3.
        act: what it is like.
        agent, target: mice, from 0.
        placement: where exactly the agent goes.
        pace: of the agent on its way, cm/s.
        agent_speed, target_speed: in the act, cm/s.
        duration: seconds, from when it begins.
        hertz: of its rhythm.
        sense: 1 turns to the left, −1 to the right.
        gives_up: when the agent stops trying to get there, seconds.
        began: when it got there, or `None` while it is on its way.
        on: whether a train of rhythm or shaking is under way.
        switches: when that train or pause ends, seconds.
    """

    action: str
    scene_class: int
    act: Act
    agent: int
    target: int
    placement: Placement
    pace: float
    agent_speed: float
    target_speed: float
    duration: float
    hertz: float
    sense: float
    gives_up: float
    began: float | None = None
    on: bool = False
    switches: float = 0.0


class Director:
    """Draws bouts so that the scene classes keep to their shares.

    Short videos are hurried: below 40 s all durations shrink in proportion, so that every class
    finds its place.
    """

    def __init__(
        self, lab: Lab, seconds: float, mice: Sequence[Mouse], generator: np.random.Generator
    ) -> None:
        self._lab = lab
        self._mice = mice
        self._generator = generator
        self.haste = min(1.0, max(0.1, seconds / _FULL_LENGTH))
        self._durations = {action.name: (action.median, action.p90) for action in lab.actions}

        self._spent = [0.0] * len(CLASS_SHARES)

    def spend(self, scene_class: int, seconds: float) -> None:
        """Note how long the scene was of a class."""
        self._spent[scene_class] += seconds

    def next_bout(self, now: float) -> Bout:
        """Draw the next act: first its class, by what each is short of, then the rest."""
        horizon = sum(self._spent) + _MEMORY * self.haste
        owed = np.array(
            [
                max(share * horizon - spent, 0.0) + 0.004
                for share, spent in zip(CLASS_SHARES, self._spent, strict=True)
            ]
        )
        classes = len(CLASS_SHARES)
        order = self._generator.choice(classes, classes, replace=False, p=owed / owed.sum())
        for scene_class in order.tolist():
            bout = self._idle(now) if scene_class == 0 else self._looked_for(scene_class, now)
            if bout is not None:
                return bout
        return self._idle(now)

    def duration(self, action: str) -> float:
        """Seconds, log-normal with the action's median and ninth decile."""
        if action in IDLE_ACTS:
            median, p90 = IDLE_ACTS[action].median, IDLE_ACTS[action].p90
        else:
            median, p90 = self._durations.get(action, SELF_ACT_DURATION)
        # The ninth decile of a normal is 1.2816 standard deviations up.
        spread = min(math.log(p90 / median) / 1.2816, 0.9)
        drawn = median * math.exp(spread * self._generator.standard_normal())
        return max(min(drawn, 1.5 * p90, _LONGEST) * self.haste, _SHORTEST)

    def reaction(self, action: str, agent: int, target: int) -> str | None:
        """What the target of an act is written down for meanwhile, if the lab looks for it."""
        for name, probability in REACTIONS.get(action, ()):
            looked_for = any(
                known.name == name and (target + 1, agent + 1) in known.directions
                for known in self._lab.actions
            )
            if looked_for and self._generator.random() < probability:
                return name
        return None

    def _looked_for(self, scene_class: int, now: float) -> Bout | None:
        """An act that the lab looks for; none of the class may be possible just now."""
        choices: list[tuple[LabAction, int, int]] = []
        weights: list[float] = []
        for action in self._lab.actions:
            act = ACTS.get(action.name)
            if act is None or CLASS_OF.get(action.name, 0) != scene_class:
                continue
            for agent_id, target_id in action.directions:
                agent, target = agent_id - 1, target_id - 1
                distance = self._distance(agent, target)
                if act.stance == "towards" and distance < _FAR:
                    continue
                choices.append((action, agent, target))
                weights.append(
                    action.weight / len(action.directions) * math.exp(-distance / _COMPANY)
                )
        if not choices:
            return None
        share = np.array(weights) / sum(weights)
        action, agent, target = choices[self._generator.choice(len(choices), p=share)]
        if self._distance(agent, target) > _FAR and self._generator.random() < _COMES_RUNNING:
            # Contact from afar begins with an approach, where the lab has a name for it.
            for nearer in self._lab.actions:
                going = ACTS.get(nearer.name)
                if going is None or going.stance != "towards":
                    continue
                if (agent + 1, target + 1) in nearer.directions:
                    return self._bout(nearer.name, going, agent, target, now)
        return self._bout(action.name, ACTS[action.name], agent, target, now)

    def _idle(self, now: float) -> Bout:
        generator = self._generator
        if generator.random() < _LAB_IDLE_SHARE:
            bout = self._looked_for(0, now)
            if bout is not None:
                return bout
        agent, target = generator.choice(len(self._mice), 2, replace=False).tolist()
        weights = np.array([idle.weight for idle in IDLE_ACTS.values()])
        name = str(generator.choice(list(IDLE_ACTS), p=weights / weights.sum()))
        if name == "pass" and self._distance(agent, target) < _FAR:
            name = "roam"
        return self._bout(name, IDLE_ACTS[name].act, agent, target, now)

    def _bout(self, name: str, act: Act, agent: int, target: int, now: float) -> Bout:
        generator = self._generator
        return Bout(
            action=name,
            scene_class=CLASS_OF.get(name, 0),
            act=act,
            agent=agent,
            target=target,
            placement=draw_placement(act, self._mice[agent], self._mice[target], generator),
            pace=float(generator.uniform(*_PACE)),
            agent_speed=float(generator.uniform(*act.agent_speed)),
            target_speed=float(generator.uniform(*act.target_speed)),
            duration=self.duration(name),
            hertz=float(generator.uniform(*act.hertz)),
            sense=float(generator.choice((-1.0, 1.0))),
            gives_up=now + _PATIENCE,
        )

    def _distance(self, agent: int, target: int) -> float:
        a, b = self._mice[agent], self._mice[target]
        return math.hypot(a.x - b.x, a.y - b.y)
