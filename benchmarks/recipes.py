"""How well do the recipes do on the synthetic default? Best validation macro-F1 over seeds.

    python benchmarks/recipes.py --folder runs/recipes

trains every recipe below with every seed (a seed draws the split as well) by the command that a
user types, each in a run folder of its own. Runs that were interrupted continue and finished ones
are only read, so that the table can be filled step by step: name some `--variants` or `--seeds` at
a time. Prints one JSON line a recipe; `--jobs 4` trains four at a time, where a GPU has room (their
seconds are then no measure of speed).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

VARIANTS = {
    "v1": ("v1",),
    "v2": ("v2",),
    "v2-tcn": ("v2", "model.name=tcn"),
    "v2-hybrid": ("v2", "model.name=hybrid"),
    "v3": ("v3",),
    "v4": ("v4",),
    "v5": ("v5",),
    "v6": ("v6",),
    "v6-float32": ("v6", "training.precision=float32"),
    "v6-bfloat16": ("v6", "training.precision=bfloat16"),
    "v6-mlp": ("v6", "model.name=mlp"),
    "v6-tcn": ("v6", "model.name=tcn"),
    "v6-hybrid": ("v6", "model.name=hybrid"),
    "v6-transformer": ("v6", "model.name=transformer"),
    "v6-unet": ("v6", "model.name=unet"),
}
"""A recipe and the settings that are changed in it."""

DEFAULT = ("v1", "v2", "v2-tcn", "v2-hybrid", "v3", "v4", "v5", "v6")


def train(folder: Path, name: str, seed: int, jobs: int) -> None:
    """Start or continue one run; its output goes to a file beside it."""
    config, *overrides = VARIANTS[name]
    run = folder / f"{name}-{seed}"
    words = ["-m", "jaxbeh.train", "--config", config, "--run", str(run)]
    for override in (*overrides, f"training.seed={seed}"):
        words += ["--set", override]
    share = {"XLA_PYTHON_CLIENT_MEM_FRACTION": f"{0.8 / jobs:.2f}"}
    with (folder / f"{name}-{seed}.log").open("w") as log:
        done = subprocess.run(
            [sys.executable, *words], stdout=log, stderr=log, env={**os.environ, **share}
        )
    if done.returncode:
        print(f"{run}: ended with {done.returncode}; see its log", file=sys.stderr, flush=True)


def result(folder: Path, name: str, seeds: Sequence[int]) -> dict[str, object]:
    """The scores of a recipe's runs, as far as they went."""
    scores, epochs, seconds = [], [], []
    for seed in seeds:
        path = folder / f"{name}-{seed}" / "metrics.jsonl"
        if not path.exists() or not path.read_text():
            continue
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        scores.append(max(line["val_macro_f1"] for line in lines))
        epochs.append(len(lines))
        seconds.append(sum(line["seconds"] for line in lines))
    if not scores:
        return {"variant": name, "macro_f1": []}
    return {
        "variant": name,
        "macro_f1": [round(score, 4) for score in scores],
        "mean": round(statistics.mean(scores), 4),
        "spread": round(statistics.stdev(scores), 4) if len(scores) > 1 else None,
        "epochs": epochs,
        "seconds": [round(value, 1) for value in seconds],
    }


def main() -> None:
    """Train what is missing, print what there is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=DEFAULT)
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(arguments.jobs) as threads:
        for seed in arguments.seeds:
            for name in arguments.variants:
                threads.submit(train, arguments.folder, name, seed, arguments.jobs)
    for name in arguments.variants:
        print(json.dumps(result(arguments.folder, name, arguments.seeds)), flush=True)


if __name__ == "__main__":
    main()
