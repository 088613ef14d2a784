"""How much memory a large collection takes: read it, start training, report the peak.

    python benchmarks/large_collection.py --folder /tmp/large

By default 60 videos of 50,000 frames, four mice of eighteen keypoints each (216 million points),
are written to a folder in the MABe layout (about 2.5 GB, kept for the next call), then recipe v6
is trained on it in a process of its own until its first epoch is done or the time is up. One JSON
line: points, seconds until all was read, updates made, peak resident memory.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from jaxbeh.vocabulary import KEYPOINT_SLOTS, MOUSE_SLOTS

ACTIONS = ("sniff", "mount", "attack")


def write_collection(folder: Path, videos: int, frames: int) -> None:
    """Random walks and random bouts: only the size matters here."""
    draw = np.random.default_rng(0)
    points = MOUSE_SLOTS * len(KEYPOINT_SLOTS)
    names = pa.array(list(KEYPOINT_SLOTS) * MOUSE_SLOTS).dictionary_encode()
    for kind in ("tracking", "annotation"):
        (folder / f"train_{kind}" / "large").mkdir(parents=True)
    for video in range(videos):
        walk = np.cumsum(draw.normal(0, 0.5, (frames, MOUSE_SLOTS, 1, 2)), axis=0)
        body = draw.normal(0, 15, (MOUSE_SLOTS, len(KEYPOINT_SLOTS), 2))
        xy = (500 + walk + body).reshape(-1, 2).astype(np.float32)
        codes = np.tile(names.indices.to_numpy(), frames)
        table = pa.table(
            {
                "video_frame": np.repeat(np.arange(frames, dtype=np.int32), points),
                "mouse_id": np.tile(
                    np.repeat(np.arange(1, MOUSE_SLOTS + 1, dtype=np.int8), len(KEYPOINT_SLOTS)),
                    frames,
                ),
                "bodypart": pa.DictionaryArray.from_arrays(codes, names.dictionary),
                "x": xy[:, 0],
                "y": xy[:, 1],
            }
        )
        pq.write_table(table, folder / "train_tracking" / "large" / f"{video}.parquet")
        start = np.arange(0, frames - 100, 200)
        events = pd.DataFrame(
            {
                "agent_id": np.int8(1),
                "target_id": np.int8(2),
                "action": np.resize(ACTIONS, len(start)),
                "start_frame": start,
                "stop_frame": start + 80,
            }
        )
        events.to_parquet(folder / "train_annotation" / "large" / f"{video}.parquet", index=False)
    table = {
        "video_id": range(videos),
        "lab_id": "large",
        "frames_per_second": 30.0,
        "pix_per_cm_approx": 10.0,
        "behaviors_labeled": json.dumps([f"mouse1,mouse2,{action}" for action in ACTIONS]),
    }
    pd.DataFrame(table).to_csv(folder / "train.csv", index=False)


def peak_gigabytes(process: int) -> float:
    """Peak resident memory of a running process, as Linux counts it; 0 once it is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text("utf-8")
    except FileNotFoundError:
        return 0.0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) / 1e6 if found else 0.0


def main() -> None:
    """Write once, train in a child process, watch it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--videos", type=int, default=60)
    parser.add_argument("--frames", type=int, default=50_000)
    parser.add_argument("--seconds", type=float, default=600, help="of training, at most")
    arguments = parser.parse_args()
    if not (arguments.folder / "train.csv").exists():
        write_collection(arguments.folder, arguments.videos, arguments.frames)
    run = arguments.folder / f"run-{int(time.time())}"
    words = ["-m", "jaxbeh.train", "--config", "v6", "--set", "training.epochs=1"]
    words += ["--data", str(arguments.folder), "--run", str(run)]
    began = time.perf_counter()
    ready, peak, stopped = None, 0.0, False
    with subprocess.Popen([sys.executable, *words]) as child:
        while child.poll() is None:
            peak = max(peak, peak_gigabytes(child.pid))
            now = time.perf_counter() - began
            if ready is None and (run / "run.json").exists():
                ready = now
            if ready is not None and now - ready > arguments.seconds and not stopped:
                child.terminate()  # once: it saves and stops, a second time would end it at once
                stopped = True
            time.sleep(0.2)
    steps = [int(path.name) for path in run.glob("checkpoints/*") if path.name.isdigit()]
    result = {
        "points": arguments.videos * arguments.frames * MOUSE_SLOTS * len(KEYPOINT_SLOTS),
        "seconds_until_read": round(ready, 1) if ready else None,
        "updates": max(steps, default=0),
        "peak_gigabytes": round(peak, 2),
        "exit_code": child.returncode,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
