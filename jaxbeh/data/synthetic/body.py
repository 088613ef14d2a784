"""From a mouse's movement to its keypoints: spine, head, flanks, paws and a tail that lags."""

import math

import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.synthetic.mouse import CHANNELS, STEP

Floats = NDArray[np.float64]

_ALONG: dict[str, float] = {
    "tail_base": -0.50,
    "hip_left": -0.33,
    "hip_right": -0.33,
    "hindpaw_left": -0.28,
    "hindpaw_right": -0.28,
    "spine_2": -0.24,
    "body_center": 0.0,
    "lateral_left": -0.02,
    "lateral_right": -0.02,
    "spine_1": 0.16,
    "forepaw_left": 0.20,
    "forepaw_right": 0.20,
    "neck": 0.28,
}
"""Points of the trunk: how far along the body, in body lengths from its centre."""

_ASIDE: dict[str, float] = {"hip": 1.15, "hindpaw": 1.45, "lateral": 1.4, "forepaw": 0.9}
"""How far to either side, cm."""

_HEAD: dict[str, tuple[float, float]] = {
    "ear_left": (0.5, 0.85),
    "ear_right": (0.5, -0.85),
    "head": (0.9, 0.0),
    "nose": (1.95, 0.0),
    **{
        f"headpiece_{level}{end}{side}": (
            (0.2 if end == "back" else 1.0) + (0.15 if level == "top" else 0.0),
            0.45 if side == "left" else -0.45,
        )
        for level in ("bottom", "top")
        for end in ("back", "front")
        for side in ("left", "right")
    },
}
"""Points of the head: forward of the neck and to the left, cm."""

_TAIL: dict[str, int] = {"tail_middle_1": 1, "tail_midpoint": 2, "tail_middle_2": 3, "tail_tip": 4}
"""Which joint of the tail."""

_TAIL_JOINTS = 4
_TAIL_PIECE = 1.8
_TAIL_LAG = 0.12
_STRIDE = 5.0
_STEP_LENGTH = 0.6
_SHAKE_BAND = (2.0, 8.0)
_TURN_A_SHAKE = 0.14
_BLOCK = 1 << 13
"""Frames placed at a time, so that hours of video need little memory."""


def keypoints(
    states: Floats,
    lengths: Floats,
    names: tuple[str, ...],
    times: Floats,
    generator: np.random.Generator,
) -> Floats:
    """Where every keypoint is at some moments.

    Args:
        states: `[s, m, c]`, the `CHANNELS` at every step of the movement.
        lengths: `[m]`, nose to tail base, cm.
        names: of the k keypoints wanted.
        times: `[t]`, seconds, within the movement.
        generator: for gait, shaking and tails.

    Returns:
        Float64 `[t, m, k, 2]`, cm.
    """
    moved = _with_fast_movement(states, generator)
    course = np.concatenate([moved, _tail_directions(moved, generator)], axis=-1)
    out = np.empty((len(times), len(lengths), len(names), 2))
    for start in range(0, len(times), _BLOCK):
        block = slice(start, start + _BLOCK)
        _place(_between(course, times[block] / STEP), lengths, names, out[block])
    return out


def _place(frames: Floats, lengths: Floats, names: tuple[str, ...], out: Floats) -> None:
    """Put the keypoints at some moments into `out`, `[t, m, k, 2]`.

    Args:
        frames: `[t, m, c]`, the `CHANNELS`, strides and the tail's directions at these moments.
        lengths: `[m]`, nose to tail base, cm.
        names: of the keypoints.
        out: is filled.
    """
    c = {name: frames[..., index] for index, name in enumerate((*CHANNELS, "stride"))}
    tails = frames[..., len(CHANNELS) + 1 :]
    length = lengths * c["stretch"]
    neck = _trunk_point(c, length, _ALONG["neck"], 0.0)
    head_angle = c["heading"] + 0.5 * c["bend"] + c["head"]
    forward = np.stack([np.cos(head_angle), np.sin(head_angle)], axis=-1)
    left = np.stack([-forward[..., 1], forward[..., 0]], axis=-1)
    nod = np.clip(c["bob"], -1.0, 1.0)
    for index, name in enumerate(names):
        if name in _HEAD:
            ahead, aside = _HEAD[name]
            reach = ahead * lengths / 8.6 * np.sqrt(c["stretch"]) + nod
            out[:, :, index] = neck + reach[..., None] * forward + aside * left
        elif name in _TAIL:
            joint = _trunk_point(c, length, _ALONG["tail_base"], 0.0)
            for piece in range(_TAIL[name]):
                angle = tails[..., piece]
                joint = joint - _TAIL_PIECE * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
            out[:, :, index] = joint
        else:
            part, _, side = name.partition("_")
            aside = _ASIDE.get(part, 0.0) * {"left": 1.0, "right": -1.0}.get(side, 0.0)
            step = _gait(c["stride"], name) if part in {"forepaw", "hindpaw"} else 0.0
            out[:, :, index] = _trunk_point(c, length, _ALONG[name], aside, step)


def _trunk_point(
    c: dict[str, Floats], length: Floats, along: float, aside: float, step: Floats | float = 0.0
) -> Floats:
    """A point of a spine that is bent into an arc; `step` cm further forward."""
    # An arc of curvature bend a body length, through the centre in the direction of heading.
    angle = c["heading"] + c["bend"] * along
    chord = c["heading"] + c["bend"] * along / 2
    s = along * length + step
    x = c["x"] + s * np.cos(chord) - aside * np.sin(angle)
    y = c["y"] + s * np.sin(chord) + aside * np.cos(angle)
    return np.stack([x, y], axis=-1)


def _gait(stride: Floats, name: str) -> Floats:
    """How far forward of its joint a paw is; diagonal paws go together."""
    diagonal = name in {"forepaw_left", "hindpaw_right"}
    swing: Floats = _STEP_LENGTH * np.sin(math.tau * stride + (0.0 if diagonal else math.pi))
    return swing


def _with_fast_movement(states: Floats, generator: np.random.Generator) -> Floats:
    """`[s, m, c + 1]`: rhythm and shaking added to the positions, bob as a displacement, strides.

    Amplitudes become movement here, with all steps at once: thrust along the body, bob along the
    head, shake in all directions and in the heading.
    """
    moved = np.concatenate([states, np.zeros((*states.shape[:2], 1))], axis=-1)
    at = {name: index for index, name in enumerate(CHANNELS)}
    x, y, heading = (states[..., at[name]] for name in ("x", "y", "heading"))
    phase = math.tau * np.cumsum(states[..., at["hertz"]], axis=0) * STEP
    rhythm = np.sin(phase + generator.uniform(0.0, math.tau, states.shape[1]))
    thrust = states[..., at["thrust"]] * rhythm
    shake = states[..., at["shake"], None] * _band_noise((*states.shape[:2], 3), generator)
    moved[..., at["x"]] = x + thrust * np.cos(heading) + shake[..., 0]
    moved[..., at["y"]] = y + thrust * np.sin(heading) + shake[..., 1]
    moved[..., at["heading"]] = heading + _TURN_A_SHAKE * shake[..., 2]
    moved[..., at["bob"]] = states[..., at["bob"]] * rhythm
    travelled = np.hypot(np.diff(x, axis=0, prepend=x[:1]), np.diff(y, axis=0, prepend=y[:1]))
    moved[..., -1] = np.cumsum(travelled, axis=0) / _STRIDE
    return moved


def _band_noise(shape: tuple[int, ...], generator: np.random.Generator) -> Floats:
    """Gaussian noise of unit variance between the frequencies of `_SHAKE_BAND`, along axis 0."""
    spectrum = np.fft.rfft(generator.standard_normal(shape), axis=0)
    frequency = np.fft.rfftfreq(shape[0], STEP)
    inside = (frequency >= _SHAKE_BAND[0]) & (frequency <= _SHAKE_BAND[1])
    spectrum[~inside] = 0.0
    noise = np.fft.irfft(spectrum, n=shape[0], axis=0)
    unit: Floats = noise / (noise.std(axis=0) + 1e-12)
    return unit


def _tail_directions(states: Floats, generator: np.random.Generator) -> Floats:
    """`[s, m, joints]`: each piece of the tail points where the one before pointed a little ago."""
    heading = states[:, :, CHANNELS.index("heading")]
    bend = states[:, :, CHANNELS.index("bend")]
    before = heading - 0.5 * bend
    lag = max(1, round(_TAIL_LAG / STEP))
    sway = np.cumsum(generator.standard_normal(before.shape), axis=0) * math.sqrt(STEP)
    sway -= _smooth(sway, 4 * lag)
    pieces = []
    for piece in range(_TAIL_JOINTS):
        late = np.concatenate([np.repeat(before[:1], lag, axis=0), before[:-lag]])
        before = _smooth(late, lag)
        pieces.append(before + 0.5 * (piece + 1) * sway)
    return np.stack(pieces, axis=-1)


def _smooth(values: Floats, width: int) -> Floats:
    """Running mean over `2 · width + 1` steps along axis 0, shorter at the ends."""
    total = np.concatenate([np.zeros_like(values[:1]), np.cumsum(values, axis=0)])
    index = np.arange(len(values))
    low, high = np.maximum(index - width, 0), np.minimum(index + width + 1, len(values))
    mean: Floats = (total[high] - total[low]) / (high - low).reshape(-1, *[1] * (values.ndim - 1))
    return mean


def _between(values: Floats, at: Floats) -> Floats:
    """Values at fractional steps `at`, by the cubic through the four nearest (Catmull–Rom)."""
    base = np.clip(np.floor(at).astype(np.int64), 0, len(values) - 2)
    u = (at - base).reshape(-1, *[1] * (values.ndim - 1))
    p0 = values[np.maximum(base - 1, 0)]
    p1, p2 = values[base], values[base + 1]
    p3 = values[np.minimum(base + 2, len(values) - 1)]
    curve: Floats = p1 + 0.5 * u * (
        p2 - p0 + u * (2 * p0 - 5 * p1 + 4 * p2 - p3 + u * (3 * (p1 - p2) + p3 - p0))
    )
    return curve
