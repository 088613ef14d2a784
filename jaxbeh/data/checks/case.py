"""What the checks look at: one video as its files have it, before anything is mended."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.mabe.annotation import Annotation
from jaxbeh.data.mabe.videos import VideoRow
from jaxbeh.data.recording import Tracking
from jaxbeh.finding import CheckFinding, Severity

BODY_LENGTH_CM = 9.0
"""Centimetres from nose to tail base of an adult house mouse, the default of
`data.assumed_body_length_cm`."""
_BLOCK = 1 << 14
"""Frames looked at a time, so that a recording of hours needs little memory."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """One video that can be read.

    A `Recording` would not do: in it the missing frame rate is filled in, and the events beyond the
    end are cut off already.

    Attributes:
        row: its line of the table of videos.
        table: the table's path.
        tracking: its points.
        tracking_file: where they were read from.
        met: how often each of `mabe.tracking.FINDINGS` was met in that file.
        annotation: its events as written; `None` where there is no annotation file.
        annotation_file: where they were read from, or would be.
        event_factor: what their frame numbers are multiplied by (`data.event_scale`).
        fps: frames a second, the default where the table has none.
        body_length: units of the tracking, the median over frames and mice; `None` where no mouse
            ever has two keypoints apart.
        nose_to_tail: whether that is nose to tail base, and not the farthest two keypoints.
        pixels_per_cm: units a centimetre, measured by the body length where the table has none;
            `None` where that cannot be.
    """

    row: VideoRow
    table: Path
    tracking: Tracking
    tracking_file: Path
    met: Mapping[str, int]
    annotation: Annotation | None
    annotation_file: Path
    event_factor: float
    fps: float
    body_length: float | None
    nose_to_tail: bool
    pixels_per_cm: float | None

    @property
    def mouse_length(self) -> float | None:
        """What movements are compared with, in the tracking's units; `None` without any scale.

        Two ears are no body: where nose and tail base are not tracked, and the table has a scale,
        it is `BODY_LENGTH_CM` by that scale.
        """
        if self.nose_to_tail or self.row.pixels_per_cm is None:
            return self.body_length
        return BODY_LENGTH_CM * self.row.pixels_per_cm

    def blocks(self, before: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """The video's pixels in blocks, each with some frames of the block before it.

        Args:
            before: frames repeated at the front of every block but the first, where there are none.

        Yields:
            The index of the first frame, and float32 `[t, m, k, 2]` pixels, NaN where missing.
        """
        for start in range(0, self.tracking.frames, _BLOCK):
            first = max(0, start - before)
            yield first, self.tracking.pixels(first, start + _BLOCK)

    def found(
        self, check: str, severity: Severity, file: Path, what: str, remedy: str, count: int = 1
    ) -> CheckFinding:
        """A finding about this video."""
        return CheckFinding(
            check=check,
            severity=severity,
            file=str(file),
            what=what,
            remedy=remedy,
            video_id=self.row.video_id,
            lab_id=self.row.lab_id,
            count=count,
        )

    def moment(self, index: int) -> str:
        """A frame by the file's number and by the clock, for people who look at the video."""
        seconds = index / self.fps
        hours, rest = divmod(int(seconds), 3600)
        clock = f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
        return f"frame {index + self.tracking.first_frame} ({clock})"

    def moments(self, indices: list[int]) -> str:
        """The first three of several frames."""
        shown = ", ".join(self.moment(index) for index in sorted(indices)[:3])
        return f"{shown}, …" if len(indices) > 3 else shown
