"""Small collections in the MABe layout, written as other people write them, faults included."""

import csv
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

KEYPOINTS = ("ear_left", "ear_right", "nose", "tail_base")
WHITELIST = ("mouse1,mouse2,sniff", "mouse1,mouse2,attack", "mouse1,self,rear")
EVENT_COLUMNS = ("agent_id", "target_id", "action", "start_frame", "stop_frame")
EVENT_TYPES = (pa.int8(), pa.int8(), pa.string(), pa.int32(), pa.int32())


def walk(frames=40, mice=2, keypoints=4, seed=0):
    """Pixels `[t, m, k, 2]` of mice some 60 pixels long, around (400, 300)."""
    draw = np.random.default_rng(seed)
    path = np.cumsum(draw.normal(0, 1, (frames, mice, 1, 2)), axis=0)
    shape = np.linspace(-30, 30, keypoints)[:, None] * np.array([1.0, 0.2])
    wobble = draw.normal(0, 0.5, (frames, mice, keypoints, 2))
    return np.array([400.0, 300.0]) + path + shape + wobble


def rows(pixels, mice=None, keypoints=KEYPOINTS, first_frame=0):
    """The long table of pixels `[t, m, k, 2]`; a point of NaN has no row."""
    mice = mice or range(1, pixels.shape[1] + 1)
    frames = range(first_frame, first_frame + len(pixels))
    index = list(itertools.product(frames, mice, keypoints))
    flat = pixels.reshape(-1, 2)
    there = ~np.isnan(flat).any(axis=1)
    index = [key for key, tracked in zip(index, there, strict=True) if tracked]
    return table(
        [key[0] for key in index],
        [key[1] for key in index],
        [key[2] for key in index],
        flat[there, 0],
        flat[there, 1],
    )


def table(frames, mice, parts, x, y, types=None):
    """A tracking table of the usual column types, or of those given by name."""
    kinds = {
        "video_frame": pa.int32(),
        "mouse_id": pa.int8(),
        "bodypart": pa.string(),
        "x": pa.float32(),
        "y": pa.float32(),
    } | (types or {})
    values = dict(zip(kinds, (frames, mice, parts, x, y), strict=True))
    return pa.table({name: pa.array(values[name]).cast(kind) for name, kind in kinds.items()})


def annotation(events):
    """An annotation table of (agent, target, action, start, stop)."""
    columns = list(zip(*events, strict=True)) or [[]] * len(EVENT_COLUMNS)
    return pa.table(
        {
            name: pa.array(column, kind)
            for name, column, kind in zip(EVENT_COLUMNS, columns, EVENT_TYPES, strict=True)
        }
    )


@dataclass(frozen=True)
class Video:
    """One line of the table and its files; what is `None` is not written."""

    video_id: str = "101"
    lab_id: str = "Lab"
    tracking: pa.Table | None = field(default_factory=lambda: rows(walk()))
    events: Sequence[tuple[int, int, str, int, int]] | pa.Table | None = ((1, 2, "sniff", 3, 9),)
    whitelist: Sequence[str] | str | None = WHITELIST
    fps: object = 30.0
    pix_per_cm: object = 6.5
    width: object = 800
    height: object = 600
    more: Mapping[str, object] = field(default_factory=dict)

    def cells(self):
        """The line, by column."""
        whitelist = self.whitelist
        if not isinstance(whitelist, str | None):
            whitelist = json.dumps(list(whitelist))
        cells = {
            "lab_id": self.lab_id,
            "video_id": self.video_id,
            "frames_per_second": self.fps,
            "pix_per_cm_approx": self.pix_per_cm,
            "video_width_pix": self.width,
            "video_height_pix": self.height,
            "behaviors_labeled": whitelist,
        } | self.more
        return {name: "" if value is None else str(value) for name, value in cells.items()}


def write_folder(root: Path, videos: Sequence[Video], test: Sequence[Video] = (), without=()):
    """Write a collection, its tables without the columns named; returns its root."""
    write_table(root / "train.csv", videos, without)
    write_files(root, "train", videos)
    if test:
        write_table(root / "test.csv", test, without)
        write_files(root, "test", test)
    return root


def write_table(path: Path, videos: Sequence[Video], without=()):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        {name: cell for name, cell in video.cells().items() if name not in without}
        for video in videos
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]))
        writer.writeheader()
        writer.writerows(lines)


def write_files(root: Path, side: str, videos: Sequence[Video]):
    for video in videos:
        if video.tracking is not None:
            write_parquet(tracking_path(root, video, side), video.tracking)
        if side == "train" and video.events is not None:
            events = (
                video.events if isinstance(video.events, pa.Table) else annotation(video.events)
            )
            write_parquet(
                root / "train_annotation" / video.lab_id / f"{video.video_id}.parquet", events
            )


def tracking_path(root: Path, video: Video, side="train"):
    return root / f"{side}_tracking" / video.lab_id / f"{video.video_id}.parquet"


def write_parquet(path: Path, content: pa.Table, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(content, path, **options)
    return path
