"""What the readers make of a video on the host: its tracking, its events, what was looked for."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jaxbeh.vocabulary import Triple

MISSING = np.iinfo(np.int16).min
"""Both coordinates of a point that was not tracked."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Tracking:
    """One tracking file, packed: pixel = origin + step · count.

    Attributes:
        xy: int16 `[t, m, k, 2]`, counts; `MISSING` in x and y where a point was not tracked. Frames
            without rows (gaps) are there, all missing.
        origin: float64 `[2]`, pixels.
        step: pixels a count.
        first_frame: the file's number of the frame at index 0.
        mice: the file's mouse ids in ascending order, one an entry of axis m.
        keypoints: the file's own names in sorted order, one an entry of axis k.
        content_hash: sha256 of all of the above, so equal for files of equal content.
    """

    xy: NDArray[np.int16]
    origin: NDArray[np.float64]
    step: float
    first_frame: int
    mice: tuple[int, ...]
    keypoints: tuple[str, ...]
    content_hash: str

    @property
    def frames(self) -> int:
        """Number of frames, gaps included."""
        return int(self.xy.shape[0])

    @property
    def valid(self) -> NDArray[np.bool_]:
        """`[t, m, k]`, true where a point was tracked."""
        return np.not_equal(self.xy[..., 0], MISSING)

    def pixels(self, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """Float32 `[t, m, k, 2]` pixels of frames start … stop − 1 (indices); NaN where missing."""
        counts = self.xy[start:stop]
        pixels = (self.origin + self.step * counts.astype(np.float64)).astype(np.float32)
        pixels[counts[..., 0] == MISSING] = np.nan
        return pixels


@dataclass(frozen=True, kw_only=True, eq=False)
class Events:
    """The usable events of one video, half-open, as indices into its tracking's frames.

    Attributes:
        triples: one an event.
        start: int64 `[n]`, first frame index.
        stop: int64 `[n]`, one past the last; always 0 ≤ start < stop ≤ frames.
    """

    triples: tuple[Triple, ...]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Recording:
    """One video with all that training and prediction need, nothing of it missing any more.

    Attributes:
        video_id: as in the table of videos; never a path.
        lab_id: likewise.
        tracking: its points.
        fps: frames a second.
        pixels_per_cm: tracking units a centimetre, measured or by body length.
        centre: float64 `[2]`, pixels: the arena's centre.
        whitelist: the triples that were looked for; `None` where nobody says (a test video of a
            lab without whitelist).
        events: what was found, or `None` for a video without labels (a test video).
        animals: the identities that the table gives its mice, as written; those it knows.
    """

    video_id: str
    lab_id: str
    tracking: Tracking
    fps: float
    pixels_per_cm: float
    centre: NDArray[np.float64]
    whitelist: frozenset[Triple] | None
    events: Events | None
    animals: tuple[str, ...] = ()
