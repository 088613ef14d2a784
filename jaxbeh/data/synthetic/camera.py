"""What tracking makes of the keypoints: pixels, jitter, lost points, gaps in the frames."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.synthetic.labs import Lab

Floats = NDArray[np.float64]

_MEAN_LOSS = 5.0
_HIDDEN_WITHIN_CM = 4.0
_HIDDEN_FACTOR = 4.0
_TAIL_FACTOR = 4.0
_WHOLE_MOUSE_LOSSES = 1 / 4000
_SLOW_JITTER = 0.5
_OUTLIERS = 1 / 3000
_OUTLIER_PX = 12.0
_GAP_CHANCE = 0.2
_GAP_FRAMES = (3, 40)


@dataclass(frozen=True)
class View:
    """How one video is filmed.

    Attributes:
        fps: frames a second.
        pixels_per_cm: scale.
        corner: pixel of the arena's corner at the origin, `[2]`.
    """

    fps: float
    pixels_per_cm: float
    corner: Floats


def draw_view(lab: Lab, generator: np.random.Generator) -> View:
    """Set up the camera: one of the lab's frame rates, a scale, the arena near the middle."""
    scale = round(float(generator.uniform(*lab.pixels_per_cm)), 2)
    spare = np.array(lab.size_px) - scale * np.array(lab.arena_cm)
    corner = spare / 2 + generator.uniform(-0.15, 0.15, 2) * np.maximum(spare, 0.0)
    return View(float(generator.choice(lab.fps)), scale, corner)


def film(
    points: Floats, lab: Lab, view: View, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Float32 `[t, m, k, 2]` pixels as a tracker would give them; NaN where a point was lost.

    Args:
        points: `[t, m, k, 2]`, cm.
        lab: says how exact and how complete its tracking is.
        view: the camera.
        generator: of everything random here.
    """
    pixels = np.clip(points, 0.0, np.array(lab.arena_cm))
    pixels *= view.pixels_per_cm
    pixels += view.corner
    pixels += _jitter(pixels.shape, lab.jitter_px, generator)
    outliers = np.nonzero(generator.random(pixels.shape[:3]) < _OUTLIERS)
    pixels[outliers] += _OUTLIER_PX * generator.standard_normal((len(outliers[0]), 2))
    lost = _lost(points, lab, generator)
    pixels[lost] = np.nan
    return pixels.astype(np.float32)


def _jitter(shape: tuple[int, ...], size: float, generator: np.random.Generator) -> Floats:
    """White noise and, of half its size, noise that lasts some frames."""
    # In place where it can be: a recording of hours has some ten million points.
    jitter: Floats = generator.standard_normal(shape)
    total = generator.standard_normal((shape[0] + 6, *shape[1:]))
    np.cumsum(total, axis=0, out=total)
    mean = total[6:] - total[:-6]
    mean /= np.sqrt(6.0)
    mean *= _SLOW_JITTER
    jitter += mean
    jitter *= size
    jitter /= np.sqrt(1.0 + _SLOW_JITTER**2)
    return jitter


def _lost(points: Floats, lab: Lab, generator: np.random.Generator) -> NDArray[np.bool_]:
    """`[t, m, k]`: runs of lost points, more where another body covers them, and of whole mice."""
    frames, mice, names = points.shape[:3]
    centre = points.mean(axis=2)
    hidden = np.zeros((frames, mice, names), bool)
    for other in range(mice):
        gap = np.linalg.norm(points - centre[:, None, None, other], axis=-1)
        gap[:, other] = np.inf
        hidden |= gap < _HIDDEN_WITHIN_CM / 2
    rate = np.full((frames, mice, names), lab.dropout / _MEAN_LOSS)
    rate[hidden] *= _HIDDEN_FACTOR
    rate[:, :, [name.startswith("tail_m") or name == "tail_tip" for name in lab.keypoints]] *= (
        _TAIL_FACTOR
    )
    lost = _runs(rate, generator)
    mouse = _runs(np.full((frames, mice), _WHOLE_MOUSE_LOSSES), generator)
    lost |= mouse[:, :, None]
    if generator.random() < _GAP_CHANCE and frames > 10 * _GAP_FRAMES[1]:
        length = int(generator.integers(*_GAP_FRAMES))
        start = int(generator.integers(1, frames - length - 1))
        lost[start : start + length] = True
    return lost


def _runs(rate: Floats, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Runs of frames that start with probability `rate`, of geometric length, along axis 0."""
    starts = np.nonzero(generator.random(rate.shape) < rate)
    lengths = generator.geometric(1.0 / _MEAN_LOSS, len(starts[0]))
    edges = np.zeros((rate.shape[0] + 1, *rate.shape[1:]), np.int32)
    np.add.at(edges, starts, 1)
    stops = np.minimum(starts[0] + lengths, rate.shape[0])
    np.add.at(edges, (stops, *starts[1:]), -1)
    return np.cumsum(edges[:-1], axis=0) > 0
