"""Reading: jaxbeh against pandas' pivot table on one file, or a whole collection on all cores.

    python benchmarks/read_speed.py
    python benchmarks/read_speed.py --collection challenge-sized

The first writes a file in the MABe layout (`--rows`, a share `--tracked` of them there) to a
temporary folder and reads it in turn by each variant, for `--rounds` rounds, all threads held on
one core: pandas' pivot table and jaxbeh without a cache, each cold (the file's pages are dropped
from memory before) and warm, and jaxbeh with a filled cache. A line's rates are by processor time,
which a busy machine changes little; a cold line's wall time has the disk in it.

The second measures what `train` does with a collection, such as `jaxbeh synthesize --full-scale
--out challenge-sized`, in a process of its own for each line and round: read with no cache there
(cold: the pages of all files are dropped before), read from the cache that this made with all
pages still in memory, and the same with all pages dropped. `seconds` end when all recordings are
there, `packed_seconds` when they are copied into one frame store; the peaks of resident memory
count mapped pages as well.

One JSON line a variant, with the median and the spread (largest less smallest) of its rounds. Pages
can be dropped on Linux only; elsewhere the lines that need it are left out.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from jaxbeh.data.cache import TrackingCache
from jaxbeh.data.mabe.tracking import read_tracking

CAN_DROP = hasattr(os, "posix_fadvise")
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
SETTLING_SECONDS = 2.1
"""The cache takes no note of a file that was written in the last two seconds."""


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


def drop_pages(files: Iterable[Path]) -> None:
    """Have the system forget what it holds of these files, once they are on the disk."""
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


def summary(times: Iterable[float], name: str) -> dict[str, float]:
    """Median and spread of some seconds."""
    times = list(times)
    spread = max(times) - min(times)
    return {name: round(statistics.median(times), 3), f"{name}_spread": round(spread, 3)}


def one_file(rows: int, tracked: float, rounds: int) -> None:
    """Write a file, time the variants in turn, print."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    pa.set_cpu_count(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "1.parquet"
        rows = write_tracking(path, rows, tracked)
        cache = TrackingCache(Path(folder) / "cache")
        cache.store(cache.key(path), *read_tracking(path))
        time.sleep(SETTLING_SECONDS)
        cache.key(path)  # old enough now to be noted as seen, as files usually are
        variants: dict[str, Callable[[], object]] = {
            "pandas pivot_table": lambda: pivot(path),
            "jaxbeh": lambda: read_tracking(path),
            "jaxbeh, cached": lambda: cache.load(cache.key(path)),
        }
        if CAN_DROP:
            variants["pandas pivot_table, cold"] = lambda: pivot(path)
            variants["jaxbeh, cold"] = lambda: read_tracking(path)
        wall: dict[str, list[float]] = {name: [] for name in variants}
        processor: dict[str, list[float]] = {name: [] for name in variants}
        for _ in range(rounds):
            for name, read in variants.items():
                if name.endswith("cold"):
                    drop_pages([path])
                start = time.perf_counter(), time.process_time()
                read()
                processor[name].append(time.process_time() - start[1])
                wall[name].append(time.perf_counter() - start[0])
    medians = {name: statistics.median(times) for name, times in processor.items()}
    for name, median in medians.items():
        pandas = "pandas pivot_table, cold" if name.endswith("cold") else "pandas pivot_table"
        line = {
            "variant": name,
            "rows": rows,
            **summary(processor[name], "processor_seconds"),
            **summary(wall[name], "wall_seconds"),
            "million_rows_per_second": round(rows / median / 1e6, 2),
            "times_pandas": round(medians[pandas] / median, 1),
        }
        print(json.dumps(line))


def peak_gigabytes() -> float:
    """Peak resident memory of this process so far, mapped pages included, as Linux counts it."""
    status = Path("/proc/self/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text("utf-8")) if status.exists() else None
    return round(int(found[1]) / 1e6, 2) if found else float("nan")


def read_once(root: Path, cache: Path) -> None:
    """Read a collection, pack it, and print one JSON line about both; runs in its own process."""
    from jaxbeh.config import load_config
    from jaxbeh.data.mabe import read_labelled
    from jaxbeh.data.report import ReadingReport
    from jaxbeh.data.store import build_store, window_table
    from jaxbeh.training import dataset
    from jaxbeh.vocabulary import SlotTable

    config, report = load_config("v6"), ReadingReport()
    before = peak_gigabytes()
    start = time.perf_counter(), time.process_time()
    recordings = read_labelled(root, config.data, report, cache)
    seconds = time.perf_counter() - start[0], time.process_time() - start[1]
    peak = peak_gigabytes()
    names = {name for item in recordings for name in item.tracking.keypoints}
    slots = SlotTable.build(names, config.data.aliases)
    scenes = dataset.scenes(recordings, slots, dataset.class_map(config), report)
    windows = window_table([scene.recording.tracking.frames for scene in scenes], 100, 100)
    store = build_store(scenes, slots, windows)
    line = {
        "seconds": seconds[0],
        "processor_seconds": seconds[1],
        "packed_seconds": time.perf_counter() - start[0],
        "videos": len(recordings),
        "frames": int(store.frames.sum()),
        "points": len(store.points),
        "imports_gigabytes": before,
        "peak_gigabytes": peak,
        "packed_peak_gigabytes": peak_gigabytes(),
    }
    print(json.dumps(line))


def whole_collection(root: Path, rounds: int) -> None:
    """Read a collection cold and from the cache, each in a process of its own; print."""
    files = sorted(root.glob("*.csv")) + sorted(root.rglob("*.parquet"))
    tracking = root.glob("train_tracking/*/*.parquet")
    rows = sum(pq.read_metadata(path).num_rows for path in tracking)
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=root.parent, prefix="read-speed-") as cache:
            words = [sys.executable, __file__, "--read-once", cache, "--collection", str(root)]

            def measure(variant: str, words: list[str] = words) -> None:
                done = subprocess.run(words, check=True, capture_output=True, text=True)
                found.setdefault(variant, []).append(json.loads(done.stdout))

            if CAN_DROP:
                drop_pages(files)
            measure("cold" if CAN_DROP else "no cache, files in memory")
            measure("cached")
            if CAN_DROP:
                drop_pages([*files, *Path(cache).iterdir()])
                measure("cached, nothing in memory")
    for variant, lines in found.items():
        result: dict[str, object] = {"variant": variant, "rows": rows}
        for name in ("seconds", "processor_seconds", "packed_seconds"):
            result |= summary((line[name] for line in lines), name)
        rest = set(lines[0]) - set(result)
        result |= {name: max(line[name] for line in lines) for name in lines[0] if name in rest}
        print(json.dumps(result))


def main() -> None:
    """Parse, measure one thing or the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=4_800_000)
    parser.add_argument("--tracked", type=float, default=0.9, help="share of points that are there")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--collection", type=Path, help="read this folder instead of one file")
    parser.add_argument("--read-once", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read_once:
        read_once(arguments.collection, arguments.read_once)
    elif arguments.collection:
        whole_collection(arguments.collection, arguments.rounds)
    else:
        one_file(arguments.rows, arguments.tracked, arguments.rounds)


if __name__ == "__main__":
    main()
