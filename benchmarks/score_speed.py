"""How long the challenge's F-score takes: `python benchmarks/score_speed.py`, one JSON line.

Solution and submission have the same number of bouts in every video; those of one agent and target
do not overlap, so that the submission is a sound one.
"""

import argparse
import json
import platform
import statistics
import time

import numpy as np
import pandas as pd

from jaxbeh.metrics.mabe import score

PAIRS = [("mouse1", "mouse2"), ("mouse2", "mouse1"), ("mouse1", "self"), ("mouse2", "self")]
ACTIONS = ["sniff", "attack", "mount", "rear"]
LABS = 20


def bouts(videos: int, of_video: int, rng: np.random.Generator) -> pd.DataFrame:
    """Bouts of all videos; those of one pair follow on one another with gaps."""
    n = videos * of_video
    pair = np.tile(np.arange(of_video) % len(PAIRS), videos)
    slot = np.tile(np.arange(of_video) // len(PAIRS), videos)
    start = slot * 300 + rng.integers(0, 100, n)
    return pd.DataFrame(
        {
            "video_id": np.repeat(np.arange(videos), of_video).astype(str),
            "agent_id": np.array([agent for agent, _ in PAIRS])[pair],
            "target_id": np.array([target for _, target in PAIRS])[pair],
            "action": rng.choice(ACTIONS, n),
            "start_frame": start,
            "stop_frame": start + rng.integers(1, 200, n),
        }
    )


def main() -> None:
    """Make the tables, score them some rounds, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--videos", type=int, default=200)
    parser.add_argument("--bouts", type=int, default=100, help="of each video, in both tables")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    submission = bouts(arguments.videos, arguments.bouts, rng)
    solution = bouts(arguments.videos, arguments.bouts, rng)
    solution["lab_id"] = "lab" + (solution["video_id"].astype(int) % LABS).astype(str)
    solution["behaviors_labeled"] = json.dumps(
        [f"{agent},{target},{action}" for agent, target in PAIRS for action in ACTIONS]
    )
    seconds, value = [], float("nan")
    for _ in range(arguments.rounds):
        start = time.perf_counter()
        value = score(solution, submission)
        seconds.append(time.perf_counter() - start)
    line = {
        "videos": arguments.videos,
        "bouts": arguments.bouts,
        "seconds": round(statistics.median(seconds), 3),
        "seconds_spread": round(max(seconds) - min(seconds), 3),
        "score": round(value, 6),
        "python": platform.python_version(),
        "pandas": pd.__version__,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
