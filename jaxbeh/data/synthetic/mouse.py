"""One animal's movement: what it wants, and how its body follows, in centimetres and seconds."""

import math
from collections.abc import Iterator

import numpy as np

STEPS_A_SECOND = 40
"""The rate at which movement is worked out, whatever the video's frame rate."""

STEP = 1.0 / STEPS_A_SECOND

CHANNELS = (
    "x",
    "y",
    "heading",
    "bend",
    "head",
    "stretch",
    "thrust",
    "bob",
    "shake",
    "hertz",
)
"""What is recorded of a mouse at every step.

x, y: the body's centre, cm. heading: radians, continuous. bend: of the spine, radians from tail to
neck. head: angle of the head to the neck, radians. stretch: apparent length, 1 is full. thrust,
bob, shake: amplitudes now, cm. hertz: the rhythm of thrust and bob.
"""

_VELOCITY_LAG = 0.10
_TURNING_LAG = 0.07
_SHAPE_LAG = 0.12
_AMPLITUDE_LAG = 0.05
_TOP_ACCELERATION = 350.0
_TOP_TURNING = 9.0
_WALL_FELT = 6.0
_WALL_STOPS = 1.8
_CROWDED = 10.0
_COMPANY = 30.0


class Draws:
    """Standard normal numbers one at a time, drawn in blocks (a call a number would be slow)."""

    def __init__(self, generator: np.random.Generator, block: int = 4096) -> None:
        self._generator = generator
        self._block = block
        self._rest: Iterator[float] = iter(())

    def normal(self) -> float:
        """The next number."""
        for value in self._rest:
            return value
        self._rest = iter(self._generator.standard_normal(self._block).tolist())
        return next(self._rest)


def wrap(angle: float) -> float:
    """The same direction between −π and π."""
    return math.remainder(angle, math.tau)


class Mouse:
    """The state of one animal and the laws it moves by.

    A step is: one of `roam`, `flee`, `hold` says what is wanted; `advance` moves the body there as
    fast as limited accelerations, turning rates and lags let it.

    Attributes:
        x, y: centre of the body, cm.
        vx, vy: its velocity, cm/s.
        heading: radians, not wrapped.
        length: nose to tail base, cm.
        pace: this animal's speeds relative to others'.
        wanted_*: what the next `advance` goes for.
    """

    __slots__ = (
        "_drive",
        "_gaze",
        "_sway",
        "_turning",
        "arena",
        "bend",
        "bob",
        "draws",
        "head",
        "heading",
        "hertz",
        "length",
        "pace",
        "shake",
        "stretch",
        "thrust",
        "vx",
        "vy",
        "wanted_bob",
        "wanted_heading",
        "wanted_shake",
        "wanted_stretch",
        "wanted_thrust",
        "wanted_vx",
        "wanted_vy",
        "x",
        "y",
    )

    def __init__(
        self,
        *,
        x: float,
        y: float,
        heading: float,
        length: float,
        pace: float,
        arena: tuple[float, float],
        draws: Draws,
    ) -> None:
        self.x, self.y, self.heading = x, y, heading
        self.length, self.pace, self.arena, self.draws = length, pace, arena, draws
        self.vx = self.vy = self._turning = 0.0
        self._drive, self._sway, self._gaze = draws.normal(), draws.normal(), draws.normal()
        self.bend = self.head = self.thrust = self.bob = self.shake = 0.0
        self.stretch, self.hertz = 1.0, 1.0
        self.wanted_vx = self.wanted_vy = 0.0
        self.wanted_heading, self.wanted_stretch = heading, 1.0
        self.wanted_thrust = self.wanted_bob = self.wanted_shake = 0.0

    def state(self) -> tuple[float, ...]:
        """The values of `CHANNELS` now."""
        return (
            self.x,
            self.y,
            self.heading,
            self.bend,
            self.head,
            self.stretch,
            self.thrust,
            self.bob,
            self.shake,
            self.hertz,
        )

    def roam(self, speed: float, other: "Mouse | None") -> None:
        """Wander, stopping and going, clear of walls and of the nearest other mouse."""
        drive = speed * self.pace * (1.0 + 0.9 * self._drive)
        # The turning noise is an angle ahead; it fades with speed, as a resting mouse looks about.
        aim = self.heading + (0.35 + 0.9 * min(1.0, speed / 6.0)) * self._sway
        dx, dy = math.cos(aim), math.sin(aim)
        if other is not None and speed > 0.0:
            ox, oy = other.x - self.x, other.y - self.y
            distance = math.hypot(ox, oy) + 1e-6
            if distance < _CROWDED:
                push = (_CROWDED - distance) / (0.5 * _CROWDED * distance)
                dx, dy = dx - push * ox, dy - push * oy
            elif distance > _COMPANY:
                dx, dy = dx + 0.5 * ox / distance, dy + 0.5 * oy / distance
        self._go(dx, dy, max(0.0, drive))

    def flee(self, other: "Mouse", speed: float) -> None:
        """Run from another mouse, along walls where there is no way out."""
        ox, oy = self.x - other.x, self.y - other.y
        distance = math.hypot(ox, oy) + 1e-6
        aim = self.heading + 0.5 * self._sway
        self._go(
            math.cos(aim) + 0.7 * ox / distance,
            math.sin(aim) + 0.7 * oy / distance,
            speed * self.pace,
        )

    def _go(self, dx: float, dy: float, speed: float) -> None:
        wall_x = self._wall(self.x, self.arena[0])
        wall_y = self._wall(self.y, self.arena[1])
        if speed > 0.5:
            dx, dy = dx + wall_x, dy + wall_y
        self.wanted_heading = math.atan2(dy, dx)
        # Bodies run where they point: a mouse that still has to turn goes slowly.
        ahead = max(0.15, math.cos(self.wanted_heading - self.heading))
        self.wanted_vx = speed * ahead * math.cos(self.heading)
        self.wanted_vy = speed * ahead * math.sin(self.heading)

    @staticmethod
    def _wall(at: float, size: float) -> float:
        low, high = at, size - at
        push = 0.0
        if low < _WALL_FELT:
            push += (_WALL_FELT / max(low, 0.5) - 1.0) * 0.6
        if high < _WALL_FELT:
            push -= (_WALL_FELT / max(high, 0.5) - 1.0) * 0.6
        return push

    def hold(
        self, x: float, y: float, heading: float, carried: tuple[float, float], speed: float
    ) -> float:
        """Go to a place and keep it while it moves; facing the way it goes until it is near.

        Args:
            x: of the place, cm.
            y: likewise.
            heading: to be taken up there, radians.
            carried: velocity of the place itself, cm/s.
            speed: top speed relative to the place, cm/s.

        Returns:
            The distance still to go, cm.
        """
        dx, dy = x - self.x, y - self.y
        distance = math.hypot(dx, dy)
        pace = min(speed * self.pace, 5.0 * distance) / (distance + 1e-6)
        self.wanted_vx = carried[0] + pace * dx
        self.wanted_vy = carried[1] + pace * dy
        self.wanted_heading = heading if distance < 3.5 else math.atan2(dy, dx)
        return distance

    def rest(self) -> None:
        """Stay here, looking where it looks."""
        self.wanted_vx = self.wanted_vy = 0.0
        self.wanted_heading = self.heading + 0.03 * self._sway

    def advance(self) -> None:
        """Move on by one step."""
        normal = self.draws.normal
        self._drive += -self._drive * STEP / 0.8 + math.sqrt(2.0 * STEP / 0.8) * normal()
        self._sway += -self._sway * STEP / 0.7 + math.sqrt(2.0 * STEP / 0.7) * normal()
        self._gaze += -self._gaze * STEP / 0.5 + math.sqrt(2.0 * STEP / 0.5) * normal()

        ax = (self.wanted_vx - self.vx) / _VELOCITY_LAG
        ay = (self.wanted_vy - self.vy) / _VELOCITY_LAG
        excess = math.hypot(ax, ay) / _TOP_ACCELERATION
        if excess > 1.0:
            ax, ay = ax / excess, ay / excess
        self.vx += ax * STEP
        self.vy += ay * STEP
        self.x += self.vx * STEP
        self.y += self.vy * STEP
        width, height = self.arena
        if not _WALL_STOPS <= self.x <= width - _WALL_STOPS:
            self.x, self.vx = min(max(self.x, _WALL_STOPS), width - _WALL_STOPS), 0.0
        if not _WALL_STOPS <= self.y <= height - _WALL_STOPS:
            self.y, self.vy = min(max(self.y, _WALL_STOPS), height - _WALL_STOPS), 0.0

        wanted = 8.0 * wrap(self.wanted_heading - self.heading)
        wanted = min(max(wanted, -_TOP_TURNING), _TOP_TURNING)
        self._turning += (wanted - self._turning) * STEP / _TURNING_LAG
        self.heading += self._turning * STEP

        shape = STEP / _SHAPE_LAG
        bend = min(max(0.14 * self._turning, -0.9), 0.9)
        self.bend += (bend - self.bend) * shape
        self.head += (0.25 * self._gaze + 0.4 * bend - self.head) * shape
        self.stretch += (self.wanted_stretch - self.stretch) * shape
        swell = STEP / _AMPLITUDE_LAG
        self.thrust += (self.wanted_thrust - self.thrust) * swell
        self.bob += (self.wanted_bob - self.bob) * swell
        self.shake += (self.wanted_shake - self.shake) * swell
