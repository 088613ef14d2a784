"""One video's course: who is at what, for how long, and the movement that comes of it.

The scene is a semi-Markov process. When an act ends, the next one's scene class is drawn so that
the shares of `CLASS_SHARES` are approached, then an act of that class, its agent and target, and
its duration. The agent first goes to where the act takes place, which is nobody's action; then the
act begins. Everything is in centimetres and seconds.
"""

import math
from array import array
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.synthetic.acts import SELF_ACTS
from jaxbeh.data.synthetic.director import Bout, Director
from jaxbeh.data.synthetic.labs import Lab
from jaxbeh.data.synthetic.mouse import CHANNELS, STEP, STEPS_A_SECOND, Draws, Mouse, wrap
from jaxbeh.data.synthetic.stances import spot

_WARM_UP = 2.0
_SELF_ACTS_A_SECOND = 0.08
_BEHIND = 15.0


@dataclass(frozen=True)
class Deed:
    """Something that was done, as it was: mice count from 0, seconds from the video's start."""

    action: str
    agent: int
    target: int
    start: float
    stop: float


@dataclass(frozen=True, eq=False)
class Course:
    """What a scene leaves behind.

    Attributes:
        states: float64 `[s, m, c]`, the `CHANNELS` of every mouse at every step.
        deeds: every act, looked for or not, in the order in which they ended.
        lengths: float64 `[m]`, nose to tail base of every mouse, cm.
    """

    states: NDArray[np.float64]
    deeds: tuple[Deed, ...]
    lengths: NDArray[np.float64]


@dataclass
class _Solo:
    """What one mouse is at on its own."""

    action: str
    began: float
    ends: float


class Scene:
    """The mice of one video and what they are at."""

    def __init__(self, lab: Lab, seconds: float, generator: np.random.Generator) -> None:
        self._lab = lab
        self._seconds = seconds
        self._generator = generator
        self._now = -_WARM_UP
        self._deeds: list[Deed] = []
        draws = Draws(generator)
        width, height = lab.arena_cm
        spare = np.minimum((9.0, 8.0), (width / 2, height / 2))
        middle = generator.uniform(spare, np.array([width, height]) - spare)
        self._mice = [
            Mouse(
                x=float(np.clip(middle[0] + generator.uniform(-12, 12), 4.0, width - 4.0)),
                y=float(np.clip(middle[1] + generator.uniform(-12, 12), 4.0, height - 4.0)),
                heading=float(generator.uniform(-math.pi, math.pi)),
                length=float(generator.normal(8.6, 0.5)),
                pace=float(np.exp(0.12 * generator.standard_normal())),
                arena=lab.arena_cm,
                draws=draws,
            )
            for _ in range(lab.mice)
        ]
        self._solos: list[_Solo | None] = [None] * lab.mice
        self._own_speeds = generator.uniform(1.0, 8.0, lab.mice).tolist()
        self._director = Director(lab, seconds, self._mice, generator)
        self._bout = self._director.next_bout(self._now)

    def run(self) -> Course:
        """Let the mice live through the video."""
        record = array("d")
        for step in range(-int(_WARM_UP * STEPS_A_SECOND), self._steps):
            self._now = step * STEP
            self._pass_time()
            self._want()
            for mouse in self._mice:
                mouse.advance()
            if step >= 0:
                for mouse in self._mice:
                    record.extend(mouse.state())
        self._end_bout()
        for index in range(len(self._mice)):
            self._end_solo(index)
        states = np.frombuffer(record, np.float64).reshape(-1, len(self._mice), len(CHANNELS))
        lengths = np.array([mouse.length for mouse in self._mice])
        return Course(states, tuple(self._deeds), lengths)

    @property
    def _steps(self) -> int:
        return math.ceil(self._seconds * STEPS_A_SECOND) + 2

    # What happens next

    def _pass_time(self) -> None:
        bout = self._bout
        if bout.began is None:
            self._director.spend(0, STEP)
            if self._arrived(bout):
                self._begin(bout)
            elif self._now > bout.gives_up:
                self._bout = self._director.next_bout(self._now)
        else:
            self._director.spend(bout.scene_class, STEP)
            if self._now >= bout.began + bout.duration or self._there(bout):
                self._end_bout()
                self._bout = self._director.next_bout(self._now)
        for mouse, solo in enumerate(self._solos):
            if solo is not None and (self._now >= solo.ends or not self._may_solo(mouse)):
                self._end_solo(mouse)
            elif (
                solo is None
                and self._may_solo(mouse)
                and self._generator.random() < _SELF_ACTS_A_SECOND * STEP
            ):
                self._begin_solo(mouse)

    # Beginning and ending

    def _arrived(self, bout: Bout) -> bool:
        act = bout.act
        if act.stance in {"apart", "away", "towards", "past"}:
            return True
        agent, target = self._mice[bout.agent], self._mice[bout.target]
        if act.stance == "behind":
            return math.hypot(agent.x - target.x, agent.y - target.y) < _BEHIND
        there = spot(act, bout.placement, agent, target)
        near = math.hypot(there.x - agent.x, there.y - agent.y) < 1.0
        return near and abs(wrap(there.heading - agent.heading)) < 0.5

    def _there(self, bout: Bout) -> bool:
        """Acts that consist in going somewhere end on arrival."""
        if bout.act.stance not in {"towards", "past"}:
            return False
        agent, target = self._mice[bout.agent], self._mice[bout.target]
        there = spot(bout.act, bout.placement, agent, target)
        return math.hypot(there.x - agent.x, there.y - agent.y) < 1.5

    def _begin(self, bout: Bout) -> None:
        bout.began = self._now
        bout.switches = self._now
        agent, target = self._mice[bout.agent], self._mice[bout.target]
        agent.hertz = bout.hertz
        if bout.act.thrust or bout.act.shake:
            target.hertz = bout.hertz
        if bout.act.stance == "towards":
            bout.duration = 3.0 * self._director.haste + 0.5  # enough to get there

    def _end_bout(self) -> None:
        bout = self._bout
        if bout.began is None:
            return
        agent, target = bout.agent, bout.target
        for mouse in (agent, target):
            if self._solos[mouse] is None:
                self._calm(mouse)
        self._deeds.append(Deed(bout.action, agent, target, bout.began, self._now))
        if bout.action == "lie":
            for mouse in (agent, target):
                self._deeds.append(Deed("huddle", mouse, mouse, bout.began, self._now))
        reaction = self._director.reaction(bout.action, agent, target)
        if reaction is not None:
            start = bout.began + self._generator.uniform(0.0, 0.4) * (self._now - bout.began)
            stop = min(start + self._director.duration(reaction), self._now)
            self._deeds.append(Deed(reaction, target, agent, float(start), stop))

    def _may_solo(self, mouse: int) -> bool:
        """A mouse may be at something of its own unless the act under way needs its body."""
        bout = self._bout
        if mouse == bout.agent:
            return bout.act.stance == "apart"
        if mouse == bout.target:
            return bout.act.stance in {"apart", "nose", "towards", "past", "away"}
        return True

    def _begin_solo(self, mouse: int) -> None:
        name = str(self._generator.choice(list(SELF_ACTS)))
        ends = self._now + self._director.duration(name)
        self._solos[mouse] = _Solo(name, self._now, ends)
        solo = SELF_ACTS[name]
        self._mice[mouse].wanted_stretch = solo.stretch
        self._mice[mouse].wanted_bob = solo.bob
        self._mice[mouse].hertz = float(self._generator.uniform(*solo.hertz))

    def _end_solo(self, mouse: int) -> None:
        solo = self._solos[mouse]
        if solo is None:
            return
        self._deeds.append(Deed(solo.action, mouse, mouse, solo.began, self._now))
        self._solos[mouse] = None
        self._calm(mouse)

    def _calm(self, mouse: int) -> None:
        this = self._mice[mouse]
        this.wanted_thrust = this.wanted_shake = this.wanted_bob = 0.0
        this.wanted_stretch = 1.0

    # What everybody wants at this step

    def _want(self) -> None:
        bout = self._bout
        if bout.act.stance == "apart":
            self._walk(bout.agent, bout.agent_speed)
            self._walk(bout.target, bout.target_speed + 1.0)
        else:
            self._want_target(bout)
            self._want_agent(bout)
        for mouse in range(len(self._mice)):
            if mouse not in (bout.agent, bout.target):
                self._walk(mouse, self._own_speeds[mouse])

    def _walk(self, mouse: int, speed: float) -> None:
        solo = self._solos[mouse]
        this = self._mice[mouse]
        if solo is not None:
            this.rest()
            return
        others = [other for other in self._mice if other is not this]
        nearest = min(others, key=lambda other: abs(other.x - this.x) + abs(other.y - this.y))
        this.roam(speed, nearest)

    def _want_target(self, bout: Bout) -> None:
        target = self._mice[bout.target]
        if self._solos[bout.target] is not None or bout.began is None:
            target.rest()
        elif bout.act.flees:
            target.flee(self._mice[bout.agent], bout.target_speed)
        elif bout.target_speed > 0.0:
            target.roam(bout.target_speed, None)
        else:
            target.rest()
        if bout.on and bout.act.orbit:
            target.wanted_heading = target.heading + bout.sense * bout.act.orbit / 8.0

    def _want_agent(self, bout: Bout) -> None:
        agent, target = self._mice[bout.agent], self._mice[bout.target]
        act = bout.act
        if act.stance == "away":
            agent.flee(target, bout.agent_speed)
            return
        there = spot(act, bout.placement, agent, target)
        carried = (target.vx, target.vy) if act.stance != "past" else (0.0, 0.0)
        if bout.began is None:
            agent.hold(there.x, there.y, there.heading, carried, bout.pace)
            return
        if act.stance == "behind" and act.target_speed[1] > 0.0:
            carried = (0.5 * target.vx, 0.5 * target.vy)
        agent.hold(there.x, there.y, there.heading, carried, bout.agent_speed)
        if act.stance == "over":
            agent.wanted_stretch = 0.88
        self._beat(bout, agent, target)

    def _beat(self, bout: Bout, agent: Mouse, target: Mouse) -> None:
        """Trains and pauses of rhythm and shaking."""
        if self._now >= bout.switches:
            bout.on = not bout.on
            length = self._generator.uniform(*(bout.act.on if bout.on else bout.act.off))
            bout.switches = self._now + length
            act = bout.act
            strength = float(self._generator.uniform(0.8, 1.2)) if bout.on else 0.0
            agent.wanted_thrust = strength * act.thrust
            agent.wanted_bob = strength * act.bob
            agent.wanted_shake = strength * act.shake
            target.wanted_thrust = 0.3 * strength * act.thrust
            target.wanted_shake = strength * act.shake


def run_scene(lab: Lab, seconds: float, generator: np.random.Generator) -> Course:
    """Simulate one video of a lab, from 0 to at least `seconds`."""
    return Scene(lab, seconds, generator).run()
