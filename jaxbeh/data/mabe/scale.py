"""A video's unit and centre: measured where the table says so, else from the animals themselves."""

import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.mabe.stray import farthest_apart
from jaxbeh.data.mabe.videos import VideoRow
from jaxbeh.data.recording import MISSING, Tracking
from jaxbeh.data.report import ReadingReport
from jaxbeh.errors import DataError
from jaxbeh.settings.run import DataSettings

_BLOCK = 1 << 15
"""Frames handled at a time, so that long videos need little memory."""


def pixels_per_cm(
    row: VideoRow, tracking: Tracking, settings: DataSettings, report: ReadingReport
) -> float:
    """Tracking units a centimetre; from the animals' length where the table has no scale.

    The length is the median, over frames and mice, of nose–tail_base (names after
    `settings.aliases`), or, where those two are never tracked together, of the longest distance
    between two keypoints of a mouse. It is taken as `settings.assumed_body_length_cm`.

    Raises:
        DataError: no mouse ever has two keypoints at once, or they always coincide.
    """
    if row.pixels_per_cm is not None:
        return row.pixels_per_cm
    assumed = settings.assumed_body_length_cm
    length, nose_to_tail = body_length(tracking, settings)
    if length is None:
        raise DataError(
            "no pixels per centimetre, and no mouse has two keypoints at once to measure it by; "
            "fill pix_per_cm_approx in the table of videos"
        )
    measured = (
        "nose to tail base"
        if nose_to_tail
        else "the longest distance between two keypoints of a mouse"
    )
    report.add(
        f"no pixels per centimetre: {measured}",
        f"taken as {assumed:g} cm long (data.assumed_body_length_cm)",
        row.video_id,
    )
    return length / assumed


def body_length(tracking: Tracking, settings: DataSettings) -> tuple[float | None, bool]:
    """How long the animals are, in the tracking's units, and whether from nose to tail base.

    `None` where no mouse ever has two keypoints at once, or they always coincide.
    """
    names = [settings.aliases.get(name, name) for name in tracking.keypoints]
    if "nose" in names and "tail_base" in names:
        length = _length(tracking, [names.index("nose"), names.index("tail_base")])
        if length:
            return length, True
    return _length(tracking, list(range(len(names)))) or None, False


def _length(tracking: Tracking, keypoints: list[int]) -> float | None:
    """The median of `farthest_apart` over frames and mice, of the keypoints given by column."""
    longest: list[NDArray[np.float64]] = []
    for start in range(0, tracking.frames, _BLOCK):
        counts = tracking.xy[start : start + _BLOCK, :, keypoints].astype(np.float32)
        counts[counts[..., 0] == MISSING] = np.nan
        longest.append(farthest_apart(np.moveaxis(counts.reshape(-1, len(keypoints), 2), 2, 0)))
    found = np.concatenate(longest)
    return tracking.step * float(np.median(found)) if found.size else None


def centre(row: VideoRow, tracking: Tracking) -> NDArray[np.float64]:
    """The arena's centre, float64 `[2]`, pixels.

    The layout does not say where in the picture the arena lies: where the picture's size is known,
    its middle stands for the arena's. Elsewhere it is the median position over frames, mice and
    keypoints.
    """
    if row.size is not None:
        return np.array(row.size, np.float64) / 2
    return tracking.origin + tracking.step * np.array(
        [_median_count(tracking, 0), _median_count(tracking, 1)]
    )


def _median_count(tracking: Tracking, axis: int) -> float:
    """The median of one coordinate's counts, by a histogram: exact, without a sorted copy."""
    histogram = np.zeros(1 << 16, np.int64)
    for start in range(0, tracking.frames, _BLOCK):
        counts = tracking.xy[start : start + _BLOCK, ..., axis].ravel().astype(np.int64)
        histogram += np.bincount(counts - MISSING, minlength=1 << 16)
    histogram[0] = 0  # the missing ones
    below = histogram.cumsum()
    middle = [
        np.searchsorted(below, rank, side="right")
        for rank in ((below[-1] - 1) // 2, below[-1] // 2)
    ]
    return float(np.mean(middle)) + MISSING
