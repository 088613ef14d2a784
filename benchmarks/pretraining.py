r"""What does pre-training on tracks bring v7? A curve over 1 %, 10 % and 100 % of the labels.

    python benchmarks/pretraining.py            # full size, for a GPU: the same as
    python benchmarks/pretraining.py --videos 60 --folds 5 --seeds 3 --epochs 12 \
        --pretraining-epochs 12 --updates 500 --shares 0.01 0.1 1

docs/v7.md has what it showed, and a trial for a CPU.

For each fold of the videos (v7's folds, `data/folds.py`) v7-poses is trained once, on the whole
tracks of all videos of the other folds, without their labels; with `--data` those of videos that
have no labels at all come too. Then v7 is trained on a share of the labels of the other folds, all
seeds together, once from fresh weights and once from the pre-trained ones; the last weights predict
the fold.

- Labels are left out by stretches of time. The training videos of each lab are cut into stretches
  of a window's length; some, drawn at random, are kept until they have the share of the lab's
  frames, and at least one. v7 sees the frames of these stretches alone, as videos of their own:
  what lies outside is unknown, not absent. Both ways and all seeds see the same stretches.
- Few labels make few updates an epoch: the stretches are dealt several times an epoch, so that
  every run makes at least `--updates` in all.
- `official`: the official F, decoded by values tuned on the other folds as in `quality.py`. The
  tuning sees all labels of these folds whatever the share, the same for both ways.
- `untuned`: the official F with a threshold of 0.5 for all actions that the kept labels show.

One JSON line a row: mean and standard deviation over the seeds, and each seed. Then a table.
"""

import argparse
import dataclasses
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from systems import Folds, decoded, last_weights, predict_held_out, train

from jaxbeh.collection import keep_programs, open_labelled, open_to_train, reading
from jaxbeh.config import load_config
from jaxbeh.data.pair_store import GRID_HZ, pair_windows
from jaxbeh.data.recording import Events, Recording
from jaxbeh.data.report import ReadingReport
from jaxbeh.inference.bouts import Bouts
from jaxbeh.inference.pairs.counts import score_bouts
from jaxbeh.inference.pairs.decoding import Decoding, decode
from jaxbeh.inference.scene_bouts import ActionFrequencies
from jaxbeh.machine.compiler import compare_few_kernels
from jaxbeh.metrics.mabe import mean_of_means
from jaxbeh.settings.pairs import PairConfig, PoseConfig
from jaxbeh.tasks.pairs import PairTask
from jaxbeh.tasks.poses import PoseTask
from jaxbeh.training.pairs.dataset import TRAINED_ALWAYS, PairDataset, build_pair_dataset
from jaxbeh.training.run_folder import RunFolder

WAYS = ("fresh", "pre-trained")


class Fold(NamedTuple):
    """A part of the videos that is held out.

    Attributes:
        held_out: its videos.
        rest: the labelled videos of the others.
        first: a run of v7-poses that saw no track of the part.
    """

    held_out: Sequence[Recording]
    rest: Sequence[Recording]
    first: RunFolder


def cut(recording: Recording, start: int, stop: int) -> Recording:
    """The frames start … stop − 1 of a recording, as one of its own."""
    tracking = dataclasses.replace(
        recording.tracking,
        xy=recording.tracking.xy[start:stop],
        first_frame=recording.tracking.first_frame + start,
        content_hash=f"{recording.tracking.content_hash}:{start}-{stop}",
    )
    events = recording.events
    if events is not None:
        begin, end = np.clip(events.start, start, stop), np.clip(events.stop, start, stop)
        inside = begin < end
        kept = zip(events.triples, inside, strict=True)
        events = Events(
            triples=tuple(triple for triple, there in kept if there),
            start=begin[inside] - start,
            stop=end[inside] - start,
        )
    name = f"{recording.video_id}:{start}"
    return dataclasses.replace(recording, video_id=name, tracking=tracking, events=events)


def labelled_part(
    recordings: Sequence[Recording], share: float, seconds: float, seed: int
) -> list[Recording]:
    """Stretches of so many seconds that make a share of each lab's frames, and at least one."""
    if share >= 1:
        return list(recordings)
    draw = np.random.default_rng(seed)
    of_lab: dict[str, list[tuple[Recording, int, int]]] = defaultdict(list)
    for item in recordings:
        step, frames = max(1, round(seconds * item.fps)), item.tracking.frames
        starts = range(0, frames, step)
        of_lab[item.lab_id] += [(item, start, min(start + step, frames)) for start in starts]
    kept = []
    for stretches in of_lab.values():
        wanted, taken = share * sum(stop - start for _, start, stop in stretches), 0
        for index in draw.permutation(len(stretches)):
            item, start, stop = stretches[index]
            kept.append(cut(item, start, stop))
            taken += stop - start
            if taken >= wanted:
                break
    return kept


def dataset_of(
    rest: Sequence[Recording], held_out: Sequence[Recording], config: PairConfig, path: Path
) -> PairDataset:
    """Some videos to train on and some held out."""
    sides = {
        "train": [item.video_id for item in rest],
        "validation": [item.video_id for item in held_out],
    }
    path.write_text(json.dumps(sides))
    data = config.data.model_copy(update={"split_file": str(path)})
    split = config.model_copy(update={"data": data})
    return build_pair_dataset([*rest, *held_out], split, ReadingReport())


def repeated(
    dataset: PairDataset, rest: Sequence[Recording], config: PairConfig, updates: int
) -> list[Recording]:
    """The videos to train on, as often as so many updates in all need."""
    own = [track for track in dataset.tracks if dataset.fold[track.video] == TRAINED_ALWAYS]
    window, settings = config.window, config.training
    windows = len(pair_windows(dataset.recordings, own, window.length, window.train_stride)[0])
    times = -(-updates * settings.batch_size // (settings.epochs * windows))
    return [
        item if time == 0 else dataclasses.replace(item, video_id=f"{item.video_id}#{time}")
        for time in range(max(1, times))
        for item in rest
    ]


def run_v7(
    fold: Fold, kept: Sequence[Recording], way: str, config: PairConfig, updates: int
) -> list[Any]:
    """What each seed says of the tracks of a fold."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        dataset = dataset_of(kept, fold.held_out, config, path / "split.json")
        dealt = repeated(dataset, kept, config, updates)
        if len(dealt) > len(kept):
            dataset = dataset_of(dealt, fold.held_out, config, path / "split.json")
        first = fold.first if way == "pre-trained" else None
        run = train(PairTask(config, dataset), config, path / "run", first)
        predictor = last_weights(run.folder, config, dataset)
        return [predict_held_out(predictor, dataset, [seed])[0] for seed in seeds_of(config)]


def seeds_of(config: PairConfig) -> range:
    """The seeds of a run."""
    return range(config.members.seeds)


def official(recordings: Sequence[Recording], bouts: Bouts) -> float:
    """The official F."""
    return mean_of_means(score_bouts(recordings, bouts))


def untuned(said: Folds, kept: Sequence[Sequence[Recording]]) -> Bouts:
    """Bouts by a threshold of 0.5 for what each fold's labels show."""
    return Bouts.concatenate(
        decode(tracks, Decoding.constant(ActionFrequencies.build(labels)))
        for tracks, labels in zip(said, kept, strict=True)
    )


def measure(
    folds: Sequence[Fold], share: float, way: str, config: PairConfig, updates: int
) -> dict[str, Any]:
    """A row: all folds and seeds of a share of the labels, from fresh or pre-trained weights."""
    began = time.perf_counter()
    seconds = config.window.length / GRID_HZ
    kept = [
        labelled_part(fold.rest, share, seconds, config.training.seed + index)
        for index, fold in enumerate(folds)
    ]
    said = [
        run_v7(fold, labels, way, config, updates) for fold, labels in zip(folds, kept, strict=True)
    ]
    recordings = [item for fold in folds for item in fold.held_out]
    scores: dict[str, list[float]] = {"official": [], "untuned": []}
    for seed in seeds_of(config):
        of_seed = [of_fold[seed] for of_fold in said]
        scores["official"].append(official(recordings, decoded(of_seed).bouts))
        scores["untuned"].append(official(recordings, untuned(of_seed, kept)))
    frames = [sum(item.tracking.frames for item in labels) for labels in kept]
    return {
        "share": share,
        "way": way,
        **{name: summary(values) for name, values in scores.items()},
        "labelled_frames": round(float(np.mean(frames))),
        "seconds": round(time.perf_counter() - began, 1),
    }


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Mean, standard deviation and each."""
    spread = round(float(np.std(values, ddof=1)), 4) if len(values) > 1 else None
    shown = [round(value, 4) for value in values]
    return {"mean": round(float(np.mean(values)), 4), "spread": spread, "seeds": shown}


def print_table(lines: Sequence[dict[str, Any]]) -> None:
    """One row a share, Markdown."""
    print("\n| labels | frames | score | fresh | pre-trained | difference |\n|" + " --- |" * 6)
    for fresh, other in zip(lines[::2], lines[1::2], strict=True):
        for score in ("official", "untuned"):
            cells = [
                f"{line[score]['mean']:.3f} ± {line[score]['spread'] or 0:.3f}"
                for line in (fresh, other)
            ]
            apart = other[score]["mean"] - fresh[score]["mean"]
            share, frames = f"{fresh['share']:.0%}", f"{fresh['labelled_frames']:,}"
            print(f"| {share} | {frames} | {score} | {' | '.join(cells)} | {apart:+.3f} |")


def pre_train(
    dataset: PairDataset, everything: Sequence[Recording], config: PoseConfig, folder: Path
) -> list[Fold]:
    """The folds of labelled videos, with a run of v7-poses for each."""
    folds = []
    for number in range(dataset.folds):
        own = [dataset.recordings[video] for video in np.flatnonzero(dataset.fold == number)]
        rest = [dataset.recordings[video] for video in np.flatnonzero(dataset.fold != number)]
        hidden = {item.tracking.content_hash for item in own}
        shown = [item for item in everything if item.tracking.content_hash not in hidden]
        task = PoseTask.prepare(shown, config, ReadingReport())
        began = time.perf_counter()
        run = train(task, config, folder / f"poses-{number}")
        line = {
            "fold": number,
            "videos": len(shown),
            config.score: round(max(line[config.score] for line in run.folder.metrics()), 4),
            "epochs": config.training.epochs,
            "seconds": round(time.perf_counter() - began, 1),
        }
        print(json.dumps(line), flush=True)
        folds.append(Fold(own, rest, run.folder))
    return folds


def main() -> None:
    """Pre-train, then run the shares in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--videos", type=int, default=60, help="synthetic ones, without --data")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.01, 0.1, 1.0])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12, help="of v7")
    parser.add_argument("--pretraining-epochs", type=int, default=12, help="of v7-poses")
    parser.add_argument("--updates", type=int, default=500, help="of a run of v7, at least")
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], dest="overrides", help="for both recipes"
    )
    arguments = parser.parse_args()
    if arguments.folds < 2:
        parser.error("--folds: what decodes a fold is tuned on the others; give at least 2")
    compare_few_kernels()
    keep_programs()
    common = [f"data.synthetic_videos={arguments.videos}", *arguments.overrides]
    config = load_config(
        "v7",
        [
            *common,
            f"training.epochs={arguments.epochs}",
            f"members={{folds: {arguments.folds}, seeds: {arguments.seeds}}}",
        ],
    )
    poses = load_config("v7-poses", [*common, f"training.epochs={arguments.pretraining_epochs}"])
    assert isinstance(config, PairConfig)
    assert isinstance(poses, PoseConfig)
    with reading() as told:
        _, recordings = open_labelled(arguments.data, config, told)
        dataset = build_pair_dataset(recordings, config, told)
    _, everything = open_to_train(arguments.data, poses, ReadingReport())
    one = config.members.model_copy(update={"folds": 1})
    config = config.model_copy(update={"members": one})
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        folds = pre_train(dataset, everything, poses, Path(folder))
        for share in arguments.shares:
            for way in WAYS:
                lines.append(measure(folds, share, way, config, arguments.updates))
                device = {"device": jax.devices()[0].device_kind, "folds": dataset.folds}
                print(json.dumps(lines[-1] | device), flush=True)
    print_table(lines)


if __name__ == "__main__":
    main()
