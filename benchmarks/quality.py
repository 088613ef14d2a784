"""How good is v7, and does it beat gradient boosting? The same videos, folds and scores for all.

    python benchmarks/quality.py                                # 60 synthetic videos, 5 labs
    python benchmarks/quality.py --systems v1 v6 v7 boosting --epochs 20
    python benchmarks/quality.py --data DIR --folds 6 --set 'data.aliases={chest: body_center}'
    python benchmarks/quality.py --scale 0.1                    # minutes on two cores

With `--folder F` runs are kept: the same command, stopped, goes on with those that are missing, and
several processes can train different `--systems` for one command that compares all. `train_s` is
then of what was still to be done.

Folds are those of recipe v7 (`data/folds.py`): equal tracking and the same animal stay together, so
as many folds as animals leave one out; `--hold-out labs` leaves labs out. Every video is predicted
by a model that did not train on it. Systems:

- v7: all folds and seeds trained as one run; the weights of the last epoch, which no held-out video
  chose; decoded by values tuned on the other folds.
- boosting: `boosting.py`; decoded likewise.
- v1 to v6: one run a fold and seed, with v7's data settings. Their best epoch is chosen by the
  held-out fold, which favours them slightly. Where their classes name no action of the data, each
  action becomes a class. Bouts come from the scene rule (`inference/scene_bouts.py`).

One JSON line a system, then the difference of v7 and boosting, then a table. `judging.py` says what
the three scores are; each is the mean of the seeds, with the interval of 95 % over videos drawn
again within labs (`metrics/bootstrap.py`). `tuned_f` is the official F if each fold's values were
tuned on the fold itself; `train_s` and `decode_s` are seconds of wall time, predicting counted to
the first.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import boosting
import jax
import numpy as np
from judging import Judge, Outcome
from systems import (
    decoded,
    last_weights,
    predict_held_out,
    scene_config,
    scene_outcome,
    trained,
)

from jaxbeh.collection import keep_programs, open_labelled, reading
from jaxbeh.config import load_config
from jaxbeh.machine.compiler import compare_few_kernels
from jaxbeh.metrics.bootstrap import Interval, Score, difference, interval, mean_of
from jaxbeh.settings.pairs import PairConfig
from jaxbeh.tasks.pairs import PairTask
from jaxbeh.training.dataset import class_map
from jaxbeh.training.pairs.dataset import PairDataset, build_pair_dataset

SCENE = ("v1", "v2", "v3", "v4", "v5", "v6")
SYSTEMS = (*SCENE, "v7", "boosting")
SCORES = ("actions", "official", "scene")


def pair_config(arguments: argparse.Namespace) -> PairConfig:
    """Recipe v7 as the command line has it."""
    config = load_config(
        "v7",
        [
            f"data.synthetic_videos={arguments.videos}",
            f"members={{folds: {arguments.folds}, seeds: {arguments.seeds}}}",
            f"members.hold_out={arguments.hold_out}",
            *arguments.overrides,
        ],
    )
    assert isinstance(config, PairConfig)
    epochs = max(1, round(config.training.epochs * arguments.scale))
    training = config.training.model_copy(update={"epochs": epochs})
    return config.model_copy(update={"training": training})


@contextmanager
def place(folder: Path | None) -> Iterator[Path]:
    """Where runs go: a folder that is kept, or one that is removed."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


def run_v7(
    dataset: PairDataset, config: PairConfig, folder: Path | None
) -> tuple[list[Outcome], dict[str, float]]:
    """All seeds, trained together."""
    began = time.perf_counter()
    with place(folder) as path:
        run = trained(PairTask(config, dataset), config, path / "v7")
        predictor = last_weights(run, config, dataset)
    said = [predict_held_out(predictor, dataset, [seed]) for seed in range(config.members.seeds)]
    said_at = time.perf_counter()
    outcomes = [decoded(folds) for folds in said]
    return outcomes, _seconds(began, said_at)


def run_boosting(
    dataset: PairDataset, settings: boosting.Boosting, seeds: int
) -> tuple[list[Outcome], dict[str, float]]:
    """All seeds."""
    began = time.perf_counter()
    said = boosting.predict_held_out(dataset, settings, seeds)
    said_at = time.perf_counter()
    outcomes = [decoded(folds) for folds in said]
    return outcomes, _seconds(began, said_at)


def run_scene(
    name: str,
    dataset: PairDataset,
    config: PairConfig,
    overrides: Sequence[str],
    folder: Path | None,
) -> tuple[list[Outcome], dict[str, float]]:
    """All seeds and folds of a scene recipe, one after another."""

    def config_of(more: Sequence[str]) -> Any:
        return scene_config(name, config, dataset, [*overrides, *more])

    began = time.perf_counter()
    outcomes = []
    for seed in range(config.members.seeds):
        with place(folder and folder / f"{name}-{seed}") as path:
            own = config.training.seed + seed
            outcomes.append(scene_outcome(dataset, config_of, own, path))
    return outcomes, _seconds(began, time.perf_counter())


def _seconds(began: float, trained: float) -> dict[str, float]:
    now = time.perf_counter()
    return {"train_s": round(trained - began, 1), "decode_s": round(now - trained, 1)}


def scores_of(judge: Judge, outcomes: Sequence[Outcome]) -> dict[str, list[Score]]:
    """Each score of each seed."""
    of: dict[str, Callable[[Outcome], Score]] = {
        "actions": judge.actions,
        "official": judge.official,
        "scene": judge.scene,
    }
    return {
        name: [one(outcome) for outcome in outcomes]
        for name, one in of.items()
        if judge.drawn(name).ids
    }


def scores(judge: Judge, outcomes: Sequence[Outcome], draws: int) -> dict[str, Any]:
    """Each score, the mean of the seeds, its interval, and each seed's."""
    line: dict[str, Any] = {}
    for name, of_seed in scores_of(judge, outcomes).items():
        videos = judge.drawn(name)
        once = np.ones((1, len(videos.ids)))
        line[name] = _rounded(interval(mean_of(of_seed), videos, draws=draws))
        line[name]["seeds"] = [round(float(score(once)[0]), 4) for score in of_seed]
    return line


def report(judge: Judge, outcomes: Sequence[Outcome], draws: int) -> dict[str, Any]:
    """The figures of a system."""
    line = scores(judge, outcomes, draws)
    if all(outcome.tracks for outcome in outcomes):
        rows = [
            {"tuned_f": outcome.tuned_f} | judge.segments(outcome) | judge.probabilities(outcome)
            for outcome in outcomes
        ]
        line |= {name: _mean([row[name] for row in rows]) for name in rows[0]}
    return line


def compare(
    judge: Judge, first: Sequence[Outcome], second: Sequence[Outcome], draws: int
) -> dict[str, Any]:
    """The first less the second, on the same drawn videos."""
    ours, theirs = scores_of(judge, first), scores_of(judge, second)
    return {
        name: _rounded(
            interval(
                difference(mean_of(ours[name]), mean_of(theirs[name])),
                judge.drawn(name),
                draws=draws,
            )
        )
        for name in ours
    }


def _rounded(found: Interval) -> dict[str, Any]:
    return {name: round(getattr(found, name), 4) for name in ("value", "low", "high")}


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return round(float(np.mean(there)), 4) if there else None


def print_table(lines: Sequence[dict[str, Any]]) -> None:
    """One row a system, Markdown."""
    print("\n| system | " + " | ".join(SCORES) + " |\n|" + " --- |" * (len(SCORES) + 1))
    for line in lines:
        cells = [
            "{value:.3f} ({low:.3f} … {high:.3f})".format(**line[name]) if name in line else "–"
            for name in SCORES
        ]
        print(f"| {line['system']} | " + " | ".join(cells) + " |")


def main() -> None:
    """Run the systems in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--videos", type=int, default=60, help="synthetic ones, without --data")
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=["v7", "boosting"])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--hold-out", choices=("videos", "labs"), default="videos")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--labs", nargs="+", help="only videos of these labs")
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], dest="overrides", help="for v7"
    )
    parser.add_argument("--scene-set", nargs="+", action="extend", default=[], help="for v1 to v6")
    parser.add_argument("--epochs", type=int, help="of v1 to v6")
    parser.add_argument("--frames", type=int, default=30_000, help="see boosting.py")
    parser.add_argument("--trees", type=int, default=60, help="see boosting.py")
    parser.add_argument("--draws", type=int, default=2000, help="of videos, for the intervals")
    parser.add_argument("--folder", type=Path, help="keeps runs; finished ones are not made again")
    parser.add_argument("--scale", type=float, default=1.0, help="of all work, for a trial")
    arguments = parser.parse_args()
    scale = arguments.scale
    arguments.videos = max(2 * arguments.folds, round(arguments.videos * scale))
    compare_few_kernels()
    keep_programs()
    config = pair_config(arguments)
    with reading() as told:
        _, recordings = open_labelled(arguments.data, config, told)
        if arguments.labs:
            recordings = [item for item in recordings if item.lab_id in arguments.labs]
        dataset = build_pair_dataset(recordings, config, told)
    if dataset.folds < 2:
        parser.error("--folds: what decodes a fold is tuned on the others; give at least 2")
    more = [*arguments.scene_set]
    if arguments.epochs or scale != 1:
        given = arguments.epochs or max(1, round(100 * scale))
        more.append(f"training.epochs={given}")
    small = boosting.Boosting(
        most_frames=max(1000, round(arguments.frames * scale)),
        trees=max(2, round(arguments.trees * scale)),
        bins=max(8, round(63 * min(scale, 1))),
    )
    judge = Judge(dataset, class_map(scene_config("v6", config, dataset, [])))
    systems: dict[str, Callable[[], tuple[list[Outcome], dict[str, float]]]] = {
        **{
            name: partial(run_scene, name, dataset, config, more, arguments.folder)
            for name in SCENE
        },
        "v7": partial(run_v7, dataset, config, arguments.folder),
        "boosting": partial(run_boosting, dataset, small, config.members.seeds),
    }
    common = {
        "videos": len(dataset.recordings),
        "labs": len(dataset.labs),
        "pair_frames": sum(len(truth) for truth in judge.truth),
        "folds": dataset.folds,
        "seeds": config.members.seeds,
        "device": jax.devices()[0].device_kind,
    }
    lines, outcomes = [], {}
    for name in arguments.systems:
        outcomes[name], seconds = systems[name]()
        lines.append({"system": name} | report(judge, outcomes[name], arguments.draws))
        print(json.dumps(lines[-1] | seconds | common), flush=True)
    if {"v7", "boosting"} <= outcomes.keys():
        found = compare(judge, outcomes["v7"], outcomes["boosting"], arguments.draws)
        lines.append({"system": "v7 − boosting"} | found)
        print(json.dumps(lines[-1], ensure_ascii=False), flush=True)
    print_table(lines)


if __name__ == "__main__":
    main()
