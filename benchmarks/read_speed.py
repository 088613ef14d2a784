"""Reading one tracking file: jaxbeh against pandas' pivot table, side by side on one core.

    python benchmarks/read_speed.py --rows 4800000

A file in the MABe layout is written to a temporary folder, then read in turn by each variant: the
pivot table, jaxbeh without a cache, and jaxbeh with a filled cache (which maps the packed counts
after verifying its checksums). One JSON line a variant: the median processor seconds, which a busy
machine changes little, the median wall seconds, and by processor time the rows a second and how
many times the pivot table's rate that is. All threads are held on one core.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from jaxbeh.data.cache import TrackingCache
from jaxbeh.data.mabe.tracking import read_tracking

KEYPOINTS = (
    "body_center",
    "ear_left",
    "ear_right",
    "forepaw_left",
    "forepaw_right",
    "hindpaw_left",
    "hindpaw_right",
    "hip_left",
    "hip_right",
    "neck",
    "nose",
    "tail_base",
)
MICE = (1, 2)


def write_tracking(path: Path, rows: int, tracked: float) -> int:
    """Two mice of twelve keypoints on random walks, as pandas writes them; returns the rows.

    A share `tracked` of the points is there, at random, as in recordings with occlusions.
    """
    points = len(MICE) * len(KEYPOINTS)
    frames = max(1, round(rows / points / tracked))
    generator = np.random.default_rng(0)
    paths = 0.3 * np.cumsum(generator.normal(size=(frames, len(MICE), 1, 2)), axis=0)
    offsets = generator.normal(scale=20, size=(len(MICE), len(KEYPOINTS), 2))
    xy = (400 + paths + offsets).reshape(-1, 2).astype(np.float32)
    table = pd.DataFrame(
        {
            "video_frame": np.repeat(np.arange(frames, dtype=np.int32), points),
            "mouse_id": np.tile(np.repeat(np.array(MICE, np.int8), len(KEYPOINTS)), frames),
            "bodypart": np.tile(np.array(KEYPOINTS, object), frames * len(MICE)),
            "x": xy[:, 0],
            "y": xy[:, 1],
        }
    )[generator.random(len(xy)) < tracked]
    table.to_parquet(path, index=False)
    return len(table)


def pivot(path: Path) -> object:
    """What most notebooks do."""
    return pd.read_parquet(path).pivot_table(
        index="video_frame", columns=["mouse_id", "bodypart"], values=["x", "y"]
    )


def main() -> None:
    """Parse, write a file, time the variants in turn, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=4_800_000)
    parser.add_argument("--tracked", type=float, default=0.9, help="share of points that are there")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    pa.set_cpu_count(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "1.parquet"
        rows = write_tracking(path, arguments.rows, arguments.tracked)
        cache = TrackingCache(Path(folder) / "cache")
        cache.store(cache.key(path), *read_tracking(path))
        variants: dict[str, Callable[[], object]] = {
            "pandas pivot_table": lambda: pivot(path),
            "jaxbeh": lambda: read_tracking(path),
            "jaxbeh, cached": lambda: cache.load(cache.key(path)),
        }
        wall: dict[str, list[float]] = {name: [] for name in variants}
        processor: dict[str, list[float]] = {name: [] for name in variants}
        for _ in range(arguments.rounds):
            for name, read in variants.items():
                start = time.perf_counter(), time.process_time()
                read()
                processor[name].append(time.process_time() - start[1])
                wall[name].append(time.perf_counter() - start[0])
    medians = {name: statistics.median(times) for name, times in processor.items()}
    for name, median in medians.items():
        line = {
            "variant": name,
            "rows": rows,
            "processor_seconds": round(median, 4),
            "wall_seconds": round(statistics.median(wall[name]), 4),
            "million_rows_per_second": round(rows / median / 1e6, 2),
            "times_pandas": round(medians["pandas pivot_table"] / median, 1),
        }
        print(json.dumps(line))


if __name__ == "__main__":
    main()
