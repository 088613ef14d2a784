"""One long tracking table → packed int16 counts, by one scatter and without sorting."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from jaxbeh.data.mabe.grid import PointGrid
from jaxbeh.data.mabe.parquet import (
    BATCH_ROWS,
    FileError,
    explained,
    is_integer,
    is_real,
    is_text,
    most_rows,
    open_parquet,
)
from jaxbeh.data.mabe.quantise import quantise
from jaxbeh.data.mabe.stray import remove_stray_points
from jaxbeh.data.recording import MISSING, Tracking

_KIND = "tracking file"
_IDS = {"video_frame": is_integer, "mouse_id": is_integer, "bodypart": is_text}
_COLUMNS = {**_IDS, "x": is_real, "y": is_real}

LARGEST_COORDINATE = 1e9
"""Pixels; what lies beyond is no position, and is treated as infinite."""

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


def read_tracking(path: Path) -> tuple[Tracking, dict[str, int]]:
    """Read and pack one tracking file.

    A row's cell is computed from its frame, mouse and body part, so rows may stand in any order;
    they come in batches, so that only the cells are ever held whole. Mice and keypoints without a
    single tracked point are left out, as a row without a position says no more than no row.

    Returns:
        The tracking, and how often each of `FINDINGS` was met.

    Raises:
        MissingFileError: there is no such file.
        FileError: it is damaged, lacks a column or has one of another type, holds no tracked point,
            a mouse id outside 1 … 4, a negative frame number, or far more frames than rows.
    """
    with explained(path, _KIND):
        grid, findings = _scatter(path)
    if not np.isfinite(grid.xy[0]).any():
        raise FileError(path, "the tracking file holds no tracked point: every position is missing")
    findings["stray"] = remove_stray_points(grid.xy)
    packed, origin, step = quantise(grid.xy.reshape(2, -1))
    tracking, findings["untracked_frames"] = _assemble(packed, origin, step, grid)
    return tracking, {name: count for name, count in findings.items() if count}


def count_rows(path: Path) -> int:
    """How many rows a tracking file says it has.

    Raises:
        MissingFileError: there is no such file.
        FileError: it cannot be opened.
    """
    with explained(path, _KIND), open_parquet(path, _KIND, {}) as file:
        return int(file.metadata.num_rows)


def _scatter(path: Path) -> tuple[PointGrid, dict[str, int]]:
    """Put all rows into a grid; how many could not be placed, had no position or came again."""
    placed = unplaced = missing = 0
    with open_parquet(path, _KIND, _COLUMNS, dictionaries=["bodypart"]) as file:
        frames, total = _frames(file, path)
        if not total:
            raise FileError(path, "the tracking file has no rows")
        kinds = [file.schema_arrow.field(axis).type.to_pandas_dtype() for axis in ("x", "y")]
        grid = PointGrid(path, frames, total, np.result_type(*kinds))
        for batch in file.iter_batches(BATCH_ROWS, columns=list(_COLUMNS)):
            kept = _with_ids(batch)
            unplaced += batch.num_rows - kept.num_rows
            if not kept.num_rows:
                continue
            numbers, mice, x, y = (
                _numbers(kept.column(name)) for name in ("video_frame", "mouse_id", "x", "y")
            )
            part = kept.column("bodypart")
            names = part.dictionary.to_pylist()
            if not (_in_range(x).all() and _in_range(y).all()):
                # Infinity marks a cell that had a row without a position, until rows are counted.
                lost = ~(_in_range(x) & _in_range(y))
                missing += int(np.count_nonzero(lost))
                x, y = np.where(lost, np.inf, x), np.where(lost, np.inf, y)
            grid.place(numbers, mice, _numbers(part.indices), names, x, y)
            placed += kept.num_rows
    filled = int(np.count_nonzero(~np.isnan(grid.xy[0])))
    if missing:
        grid.xy[np.isinf(grid.xy)] = np.nan
    return grid, {"unplaced": unplaced, "missing": missing, "repeated": placed - filled}


def _frames(file: Any, path: Path) -> tuple[tuple[int, int] | None, int]:
    """First and last frame, `None` if all are null, and the rows, by a look through one column.

    The footer would say both at once, but it may claim any number of rows, and pyarrow ends the
    process when it is asked for the statistics of a damaged file.
    """
    limits: list[int] = []
    rows, most = 0, most_rows(path)
    for batch in file.iter_batches(BATCH_ROWS, columns=["video_frame"]):
        rows += batch.num_rows
        if rows > most:
            raise FileError(
                path,
                f"the tracking file has more than {most:,} rows, which no tracking packs into "
                f"{path.stat().st_size:,} bytes; write it again",
            )
        column = batch.column(0).drop_null()
        if len(column):
            values = _numbers(column)
            limits += [int(values.min()), int(values.max())]
    return ((min(limits), max(limits)) if limits else None), rows


def _with_ids(batch: Any) -> Any:
    """The rows whose frame, mouse and body part are there."""
    ids = [batch.column(name) for name in _IDS]
    if not any(column.null_count for column in ids):
        return batch
    there = pc.is_valid(ids[0])
    for column in ids[1:]:
        there = pc.and_(there, pc.is_valid(column))
    return batch.filter(there)


def _numbers(column: Any) -> NDArray[Any]:
    """An arrow column as numpy; nulls, which only real numbers still have here, as NaN."""
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values


def _in_range(values: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    within: NDArray[np.bool_] = np.abs(values) <= LARGEST_COORDINATE
    return within


def _assemble(
    packed: NDArray[np.int16], origin: NDArray[np.float64], step: float, grid: PointGrid
) -> tuple[Tracking, int]:
    """Drop what is empty throughout, sort the keypoints, hash; the number of empty frames."""
    frames, mice = grid.xy.shape[1:3]
    xy = packed.reshape(frames, mice, -1, 2)
    valid = (packed[:, 0] != MISSING).reshape(frames, -1)
    ever = valid.any(axis=0).reshape(mice, -1)
    mouse_axis = np.flatnonzero(ever.any(axis=1)).tolist()
    keypoint_axis = sorted(
        np.flatnonzero(ever.any(axis=0)).tolist(), key=lambda index: grid.keypoints[index]
    )
    if mouse_axis != list(range(xy.shape[1])) or keypoint_axis != list(range(xy.shape[2])):
        xy = np.ascontiguousarray(xy[:, mouse_axis][:, :, keypoint_axis])
    ids = [grid.first_mouse + index for index in mouse_axis]
    keypoints = [grid.keypoints[index] for index in keypoint_axis]
    header = [grid.first_frame, ids, keypoints, origin.tolist(), step, xy.shape]
    digest = hashlib.sha256(json.dumps(header).encode())
    digest.update(xy.data)
    tracking = Tracking(
        xy=xy,
        origin=origin,
        step=step,
        first_frame=grid.first_frame,
        mice=tuple(ids),
        keypoints=tuple(keypoints),
        content_hash=digest.hexdigest(),
    )
    return tracking, frames - int(np.count_nonzero(valid.any(axis=1)))
