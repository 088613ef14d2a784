"""Recordings made in memory, for tests that need no files."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.recording import MISSING, Events, Recording, Tracking
from jaxbeh.vocabulary import Triple

SEVEN = ("ear_left", "ear_right", "hip_left", "hip_right", "neck", "nose", "tail_base")


def tracking(
    pixels: NDArray[np.floating],
    mice: Sequence[int] = (1, 2),
    keypoints: Sequence[str] = SEVEN,
    step: float = 0.01,
) -> Tracking:
    """Pack pixels `[t, m, k, 2]` (NaN where missing)."""
    missing = np.isnan(pixels).any(-1)
    counts = np.where(missing[..., None], MISSING, np.round(np.nan_to_num(pixels) / step))
    xy = counts.astype(np.int16)
    return Tracking(
        xy=xy,
        origin=np.zeros(2),
        step=step,
        first_frame=0,
        mice=tuple(mice),
        keypoints=tuple(keypoints),
        content_hash=hashlib.sha256(xy.tobytes()).hexdigest(),
    )


def recording(
    pixels: NDArray[np.floating],
    events: Sequence[tuple[str, int, int]] = (),
    video_id: str = "1",
    fps: float = 30.0,
    pixels_per_cm: float = 1.0,
    whitelist: Sequence[str] = (
        "mouse1,mouse2,sniff",
        "mouse1,mouse2,mount",
        "mouse1,mouse2,attack",
    ),
    mice: Sequence[int] = (1, 2),
    keypoints: Sequence[str] = SEVEN,
    lab_id: str = "lab",
) -> Recording:
    """A recording whose events are (triple, start, stop)."""
    return Recording(
        video_id=video_id,
        lab_id=lab_id,
        tracking=tracking(pixels, mice, keypoints),
        fps=fps,
        pixels_per_cm=pixels_per_cm,
        centre=np.zeros(2),
        whitelist=frozenset(Triple.parse(text) for text in whitelist),
        events=Events(
            triples=tuple(Triple.parse(text) for text, _, _ in events),
            start=np.array([start for _, start, _ in events], np.int64),
            stop=np.array([stop for _, _, stop in events], np.int64),
        ),
    )


def wander(
    frames: int, seed: int = 0, mice: int = 2, keypoints: int = len(SEVEN)
) -> NDArray[np.float64]:
    """Pixels `[t, m, k, 2]` of a random walk, within ± 100 or so."""
    draw = np.random.default_rng(seed)
    body = np.cumsum(draw.normal(0, 0.5, (frames, mice, 1, 2)), axis=0)
    return (
        body
        + draw.normal(0, 3, (1, mice, keypoints, 2))
        + draw.normal(0, 0.1, (frames, mice, keypoints, 2))
    )


def motionless(
    frames: int = 10,
    video: str = "v",
    lab: str = "lab",
    fps: float = 30.0,
    whitelist: frozenset[Triple] | None = frozenset(),
    events: Sequence[tuple[str, int, int]] | None = None,
    mice: Sequence[int] = (1, 2),
    first_frame: int = 0,
) -> Recording:
    """A recording of one point that rests; its events are (triple, start, stop), or nobody's."""
    points = Tracking(
        xy=np.zeros((frames, len(mice), 1, 2), np.int16),
        origin=np.zeros(2),
        step=1.0,
        first_frame=first_frame,
        mice=tuple(mice),
        keypoints=("nose",),
        content_hash="",
    )
    found = None
    if events is not None:
        found = Events(
            triples=tuple(Triple.parse(text) for text, _, _ in events),
            start=np.array([start for _, start, _ in events], np.int64),
            stop=np.array([stop for _, _, stop in events], np.int64),
        )
    return Recording(
        video_id=video,
        lab_id=lab,
        tracking=points,
        fps=fps,
        pixels_per_cm=1.0,
        centre=np.zeros(2),
        whitelist=whitelist,
        events=found,
    )
