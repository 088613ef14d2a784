"""One annotation file: its events as written, then as frame indices of the video's tracking."""

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.mabe.parquet import (
    BATCH_ROWS,
    FileError,
    explained,
    is_integer,
    is_text,
    open_parquet,
)
from jaxbeh.data.recording import Events
from jaxbeh.data.report import ReadingReport
from jaxbeh.settings.run import EventScale
from jaxbeh.vocabulary import MOUSE_SLOTS, Triple

_KIND = "annotation file"
_COLUMNS = {
    "agent_id": is_integer,
    "target_id": is_integer,
    "action": is_text,
    "start_frame": is_integer,
    "stop_frame": is_integer,
}
MOST_EVENTS = 1_000_000
"""Of one video; all of the challenge's have some 84,000 together."""
_FARTHEST = 2**40
"""Frames; an event's ends are brought within it, so that arithmetic on them cannot overflow."""
_SAME_FPS = 0.01
"""Frame rates this close are the same: tables round 29.97003 to 29.97."""


@dataclass(frozen=True, eq=False)
class Annotation:
    """The events of one file whose mice and action are known, with its own frame numbers.

    Attributes:
        triples: one an event.
        start: int64 `[n]`, the file's number of the first frame.
        stop: int64 `[n]`, one past the last; may be at or before `start`.
        incomplete: events left out since a field is empty.
        strangers: events left out since a mouse id is outside 1 … 4.
    """

    triples: tuple[Triple, ...]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    incomplete: int
    strangers: int


def read_annotation(path: Path) -> Annotation:
    """Read an annotation file; one without rows is valid and says that nothing happened.

    Raises:
        MissingFileError: there is no such file.
        FileError: it is damaged, or lacks a column or has one of another type.
    """
    with explained(path, _KIND), open_parquet(path, _KIND, _COLUMNS) as file:
        # In batches: the number of rows that a footer claims is what a whole read makes room for.
        columns: list[list[Any]] = [[] for _ in _COLUMNS]
        for batch in file.iter_batches(BATCH_ROWS, columns=list(_COLUMNS), use_threads=False):
            for values, name in zip(columns, _COLUMNS, strict=True):
                values += batch.column(name).to_pylist()
            if len(columns[0]) > MOST_EVENTS:
                raise FileError(
                    path,
                    f"the annotation file has more than {MOST_EVENTS:,} events, which no person "
                    f"made in one video; write it again",
                )
    triples, spans, incomplete, strangers = [], [], 0, 0
    triple_of = functools.cache(Triple.of_ids)  # there are few, in many events
    for agent, target, action, start, stop in zip(*columns, strict=True):
        if None in (agent, target, action, start, stop) or not action.strip():
            incomplete += 1
        elif not (1 <= agent <= MOUSE_SLOTS and 1 <= target <= MOUSE_SLOTS):
            strangers += 1
        else:
            triples.append(triple_of(agent, target, action.strip()))
            spans += [max(-_FARTHEST, min(end, _FARTHEST)) for end in (start, stop)]
    ends = np.array(spans, np.int64).reshape(-1, 2)
    return Annotation(tuple(triples), ends[:, 0], ends[:, 1], incomplete, strangers)


def event_factor(scales: Iterable[EventScale], lab_id: str, fps: float) -> float:
    """The product of the `data.event_scale` factors that hold for a video of this lab and rate."""
    factor = 1.0
    for scale in scales:
        if scale.lab == lab_id and abs(scale.fps - fps) <= _SAME_FPS:
            factor *= scale.factor
    return factor


def place_events(
    annotation: Annotation,
    first_frame: int,
    frames: int,
    factor: float,
    report: ReadingReport,
    video_id: str,
) -> Events:
    """Bring events onto the tracked frames: scale, subtract the first frame, drop, clip.

    Scaled frame numbers are rounded to the nearest whole one, halves to the even one, starts and
    stops alike, so that events that met still meet.

    Args:
        annotation: the file's events.
        first_frame: the tracking's first frame number, which gets index 0.
        frames: number of tracked frames, gaps included.
        factor: what the file's frame numbers are multiplied by.
        report: told of every event changed or dropped.
        video_id: whom the report is told about.
    """
    start, stop = annotation.start, annotation.stop
    if factor != 1 and start.size:
        start, stop = (
            np.clip(np.rint(ends * factor), -_FARTHEST, _FARTHEST).astype(np.int64)
            for ends in (start, stop)
        )
        report.add(
            "events annotated at another frame rate (data.event_scale)",
            f"their frames are multiplied by {factor:.4g}",
            video_id,
            start.size,
        )
    start, stop = start - first_frame, stop - first_frame
    empty = stop <= start
    outside = ~empty & ((stop <= 0) | (start >= frames))
    kept = ~empty & ~outside
    clipped = kept & ((start < 0) | (stop > frames))
    for what, then, count in (
        ("events with an empty field", "dropped", annotation.incomplete),
        (f"events of a mouse id outside 1 to {MOUSE_SLOTS}", "dropped", annotation.strangers),
        ("events that stop before they start, or at once", "dropped", empty.sum()),
        ("events outside the tracked frames", "dropped", outside.sum()),
        ("events that reach beyond the tracked frames", "clipped", clipped.sum()),
    ):
        if count:
            report.add(what, then, video_id, int(count))
    return Events(
        triples=tuple(annotation.triples[index] for index in np.flatnonzero(kept)),
        start=np.clip(start[kept], 0, frames),
        stop=np.clip(stop[kept], 0, frames),
    )
