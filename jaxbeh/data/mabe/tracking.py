"""One long tracking table → packed int16 counts, by one scatter and without sorting."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from jaxbeh.data.mabe.parquet import (
    BATCH_ROWS,
    FileError,
    explained,
    is_integer,
    is_real,
    is_text,
    open_parquet,
)
from jaxbeh.data.mabe.quantise import quantise
from jaxbeh.data.mabe.stray import remove_stray_points
from jaxbeh.data.recording import MISSING, Tracking
from jaxbeh.vocabulary import MOUSE_SLOTS

_KIND = "tracking file"
_IDS = {"video_frame": is_integer, "mouse_id": is_integer, "bodypart": is_text}
_COLUMNS = {**_IDS, "x": is_real, "y": is_real}

LARGEST_COORDINATE = 1e9
"""Pixels; what lies beyond is no position, and is treated as infinite."""

CELLS_PER_ROW, SPARE_CELLS = 20, 50_000_000
"""The packed array has a cell for every frame, mouse and keypoint. A file may leave cells empty, but
not so many that a wrong frame number exhausts the memory: at most 20 cells a row and 50 million
(400 MB while reading) beside. The longest MABe recording has 14 million cells in all."""

FINDINGS = {
    "unplaced": ("rows without frame, mouse or body part", "ignored"),
    "missing": ("points that are NaN, null or infinite", "taken as not tracked"),
    "repeated": ("rows that repeat a frame, mouse and body part", "the last one is used"),
    "stray": (
        "points farther than 50 body lengths from the median position",
        "taken as not tracked",
    ),
    "untracked_frames": ("frames without any tracked point", "kept, all missing"),
}
"""What reading a file may count → what was found and what was done, for the report."""


@dataclass(frozen=True)
class _Layout:
    first_frame: int
    frames: int
    first_mouse: int
    mice: int
    keypoints: tuple[str, ...]

    @property
    def cells(self) -> int:
        return self.frames * self.mice * len(self.keypoints)


def read_tracking(path: Path) -> tuple[Tracking, dict[str, int]]:
    """Read and pack one tracking file.

    Two passes: the identifying columns say how large the packed array is, then all columns are
    scattered into it, batch by batch. A row's place is computed from its frame, mouse and body
    part, so rows may stand in any order. Mice and keypoints without a single tracked point are
    left out, as a row without a position says no more than an absent row.

    Returns:
        The tracking, and how often each of `FINDINGS` was met.

    Raises:
        MissingFileError: there is no such file.
        FileError: it is damaged, lacks a column or has one of another type, holds no tracked point,
            a mouse id outside 1 … 4, a negative frame number, or far more frames than rows.
    """
    with explained(path, _KIND):
        layout = _survey(path)
        xy, counts = _scatter(path, layout)
    if not np.isfinite(xy[0]).any():
        raise FileError(path, "the tracking file holds no tracked point: every position is missing")
    counts["stray"] = remove_stray_points(xy.reshape(2, layout.frames, layout.mice, -1))
    packed, origin, step = quantise(xy)
    del xy
    tracking, counts["untracked_frames"] = _assemble(packed, origin, step, layout)
    return tracking, {name: count for name, count in counts.items() if count}


def _batches(path: Path, columns: Any) -> Iterator[tuple[Any, int]]:
    """Batches whose identifying columns have no nulls, and how many rows that left out."""
    options = {"read_dictionary": ["bodypart"]}
    file = open_parquet(path, _KIND, _COLUMNS, **options)
    with file:
        for batch in file.iter_batches(BATCH_ROWS, columns=list(columns)):
            ids = [batch.column(name) for name in _IDS]
            if not any(column.null_count for column in ids):
                yield batch, 0
                continue
            whole = pc.is_valid(ids[0])
            for column in ids[1:]:
                whole = pc.and_(whole, pc.is_valid(column))
            kept = batch.filter(whole)
            yield kept, batch.num_rows - kept.num_rows


def _survey(path: Path) -> _Layout:
    rows, frames, mice, names = 0, [], [], set()
    for batch, _ in _batches(path, _IDS):
        if not batch.num_rows:
            continue
        rows += batch.num_rows
        for limits, name in ((frames, "video_frame"), (mice, "mouse_id")):
            values = _numbers(batch.column(name))
            limits += [int(values.min()), int(values.max())]
        names.update(_dictionary(batch.column("bodypart")))
    if not rows:
        raise FileError(path, "the tracking file has no rows")
    layout = _Layout(
        first_frame=min(frames),
        frames=max(frames) - min(frames) + 1,
        first_mouse=min(mice),
        mice=max(mice) - min(mice) + 1,
        keypoints=tuple(sorted(names)),
    )
    if layout.first_frame < 0:
        raise FileError(path, f"video_frame {layout.first_frame} is negative; frames count from 0")
    wrong = [mouse for mouse in (min(mice), max(mice)) if not 1 <= mouse <= MOUSE_SLOTS]
    if wrong:
        raise FileError(
            path,
            f"mouse_id {wrong[0]} is outside 1 to {MOUSE_SLOTS}, for which there is room; "
            f"number the mice from 1 and keep at most {MOUSE_SLOTS}",
        )
    if layout.cells > CELLS_PER_ROW * rows + SPARE_CELLS:
        raise FileError(
            path,
            f"video_frame runs from {layout.first_frame} to {max(frames)} but there are only "
            f"{rows} rows; correct the frame numbers",
        )
    return layout


def _numbers(column: Any) -> NDArray[Any]:
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values


def _dictionary(column: Any) -> list[str]:
    names: list[str] = column.dictionary.to_pylist()
    return names


def _scatter(path: Path, layout: _Layout) -> tuple[NDArray[np.floating[Any]], dict[str, int]]:
    """Place all rows.

    Returns:
        `[2, cells]` pixels in the file's own precision, NaN where missing; the counts.
    """
    width = len(layout.keypoints)
    place = {name: index for index, name in enumerate(layout.keypoints)}
    xy: NDArray[np.floating[Any]] | None = None
    rows = unplaced = missing = 0
    for batch, left_out in _batches(path, _COLUMNS):
        unplaced += left_out
        rows += batch.num_rows
        x, y = (_numbers(pc.fill_null(batch.column(axis), np.nan)) for axis in ("x", "y"))
        if xy is None:
            xy = np.full((2, layout.cells), np.nan, np.result_type(x, y))
        part = batch.column("bodypart")
        places = np.array([place[name] for name in _dictionary(part)], np.int64)
        index = _numbers(batch.column("video_frame")).astype(np.int64)
        index -= layout.first_frame
        index *= layout.mice
        index += _numbers(batch.column("mouse_id"))
        index -= layout.first_mouse
        index *= width
        index += places[_numbers(part.indices)]
        if not (_in_range(x).all() and _in_range(y).all()):
            # Infinity marks a cell that has a row but no position, until rows have been counted.
            lost = ~(_in_range(x) & _in_range(y))
            missing += int(np.count_nonzero(lost))
            x, y = np.where(lost, np.inf, x), np.where(lost, np.inf, y)
        xy[0][index] = x
        xy[1][index] = y
    assert xy is not None  # the survey found rows
    filled = layout.cells - int(np.count_nonzero(np.isnan(xy[0])))
    if missing:
        xy[np.isinf(xy)] = np.nan
    return xy, {"unplaced": unplaced, "missing": missing, "repeated": rows - filled}


def _in_range(values: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    within: NDArray[np.bool_] = np.abs(values) <= LARGEST_COORDINATE
    return within


def _assemble(
    packed: NDArray[np.int16], origin: NDArray[np.float64], step: float, layout: _Layout
) -> tuple[Tracking, int]:
    """Drop what is empty throughout, hash, and count the frames without a point."""
    xy = packed.reshape(layout.frames, layout.mice, len(layout.keypoints), 2)
    valid = xy[..., 0] != MISSING
    ever = valid.any(axis=0)
    mice, keypoints = ever.any(axis=1), ever.any(axis=0)
    if not (mice.all() and keypoints.all()):
        xy = np.ascontiguousarray(xy[:, mice][:, :, keypoints])
    fields = {
        "first_frame": layout.first_frame,
        "mice": [layout.first_mouse + int(index) for index in np.flatnonzero(mice)],
        "keypoints": [layout.keypoints[index] for index in np.flatnonzero(keypoints)],
        "origin": origin.tolist(),
        "step": step,
        "shape": xy.shape,
    }
    digest = hashlib.sha256(json.dumps(fields, sort_keys=True).encode())
    digest.update(memoryview(xy).cast("B"))
    tracking = Tracking(
        xy=xy,
        origin=origin,
        step=step,
        first_frame=layout.first_frame,
        mice=tuple(fields["mice"]),
        keypoints=tuple(fields["keypoints"]),
        content_hash=digest.hexdigest(),
    )
    return tracking, layout.frames - int(np.count_nonzero(valid.any(axis=(1, 2))))
