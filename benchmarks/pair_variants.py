"""What each part of recipe v7 brings: variants of it on the same videos, folds and seeds.

    python benchmarks/pair_variants.py                          # all of VARIANTS, synthetic videos
    python benchmarks/pair_variants.py --variants base tcn bce --data DIR
    python benchmarks/pair_variants.py --add wide network.width=256 network.encoder.width=256

A variant is v7 with some settings overridden; `--set` changes all of them. All folds and seeds of a
variant train as one run. One JSON line each, then a table; all scores are of held-out videos:

- `last`, `best`: official F of the likeliest actions after the last epoch, and after the epoch
  where it was highest, the mean of the seeds;
- `official`, `actions`, `scene`: as in `quality.py`, by the last weights, decoded by values tuned
  on the other folds: the mean of the seeds with an interval over videos, and each seed;
- `less_first`: the difference to the first variant on the same drawn videos;
- `averaged`: official F of all seeds' mean probabilities;
- `mirror`, `overlap`, `all`: with `--tta`, official F with the mirror image averaged, with windows
  that overlap four times in place of twice (both the mean of the seeds), and of both with the seeds
  averaged;
- `ms_a_step`: median time of a step of all members, validation and checkpoints apart, and
  `pair_frames_a_second`, summed over the members.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from judging import Judge, Outcome
from quality import compare, pair_config, scores
from systems import Folds, decoded, last_weights, predict_held_out, scene_config, train

from jaxbeh.collection import keep_programs, open_labelled, reading
from jaxbeh.machine.compiler import compare_few_kernels
from jaxbeh.settings.pairs import PairConfig
from jaxbeh.tasks.pairs import PairTask
from jaxbeh.training.dataset import class_map
from jaxbeh.training.loop import Run
from jaxbeh.training.pairs.dataset import PairDataset, build_pair_dataset
from jaxbeh.training.state import EpochSums, LoopState

VARIANTS: dict[str, tuple[str, ...]] = {
    "base": (),
    "tcn": ("network.encoder={name: tcn}",),
    "transformer": ("network.encoder={name: transformer}",),
    "conv_bilstm": ("network.encoder={name: conv_bilstm}",),
    "bce": ("loss.name=bce",),
    "balance-0": ("loss.balance=0.0",),
    "balance-1": ("loss.balance=1.0",),
    "no-augmentation": ("augmentation={mirror: 0.0, scale: 0.0, lab_dropout: 0.0}",),
    "no-mirror": ("augmentation.mirror=0.0",),
    "no-scale": ("augmentation.scale=0.0",),
    "no-lab-dropout": ("augmentation.lab_dropout=0.0",),
    "noise": ("augmentation.noise_cm=0.2",),
    "keypoint-dropout": ("augmentation.keypoint_dropout=0.1",),
    "gaps": ("augmentation.gaps=0.1",),
    "time-stretch": ("augmentation.time_stretch=1.5",),
    "no-average": ("average=0.0",),
}
"""What is overridden in the recipe."""


def milliseconds_a_step(run: Run, seconds: float) -> float:
    """Median over calls of the training program, from fresh weights."""
    programs, put = run.programs, run.devices.put
    state, sums = programs.init(run.root), put(EpochSums.zero())
    store, order = run.batches.at(0)
    rate = put(LoopState.start().rate_scale)
    times: list[float] = []
    while len(times) < 4 or sum(times) < seconds:
        began = time.perf_counter()
        state, sums = programs.train(state, sums, store, order, None, run.root, rate)
        jax.block_until_ready(sums)
        times.append(time.perf_counter() - began)
    called = statistics.median(times[1:])  # the first call warms up
    return 1e3 * called / run.plan.steps_per_call


def measure(
    dataset: PairDataset, config: PairConfig, judge: Judge, tta: bool, draws: int
) -> tuple[dict[str, Any], list[Outcome]]:
    """Train and judge one variant."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as path:
        run = train(PairTask(config, dataset), config, Path(path) / "run")
        trained = time.perf_counter()
        epochs = [line[config.score] for line in run.folder.metrics()]
        predictor = last_weights(run.folder, config, dataset)
    step = milliseconds_a_step(run, seconds=2.0)
    seeds = range(config.members.seeds)

    def of_seeds(**views: Any) -> list[Outcome]:
        said = [predict_held_out(predictor, dataset, [seed], **views) for seed in seeds]
        return [decoded(folds) for folds in said]

    def official(found: Sequence[Outcome]) -> float:
        once = np.ones((1, len(judge.eventful.ids)))
        return round(float(np.mean([judge.official(one)(once)[0] for one in found])), 4)

    def averaged(**views: Any) -> float:
        folds: Folds = predict_held_out(predictor, dataset, list(seeds), **views)
        return official([decoded(folds)])

    outcomes = of_seeds()
    frames = run.plan.windows / run.plan.steps * config.window.length
    line: dict[str, Any] = {
        "last": round(epochs[-1], 4),
        "best": round(max(epochs), 4),
        "best_epoch": int(np.argmax(epochs)) + 1,
        **scores(judge, outcomes, draws),
        "averaged": averaged(),
        "ms_a_step": round(step, 2),
        "pair_frames_a_second": round(frames / step * 1e3),
        "train_s": round(trained - began, 1),
    }
    if tta:
        line["mirror"] = official(of_seeds(mirror=True))
        line["overlap"] = official(of_seeds(overlap=4))
        line["all"] = averaged(mirror=True, overlap=4)
    line["seconds"] = round(time.perf_counter() - began, 1)
    return line, outcomes


def print_table(lines: Sequence[dict[str, Any]]) -> None:
    """One row a variant, Markdown."""
    plain = ("last", "best", "averaged", "mirror", "overlap", "all", "ms_a_step")
    columns = ["variant", "official", "less the first", *plain, "M pair-frames/s"]
    print("\n| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns))
    for line in lines:
        apart = line.get("less_first")
        cells = [
            line["variant"],
            "{value:.3f}".format(**line["official"]),
            "{value:+.3f} ({low:+.3f} … {high:+.3f})".format(**apart["official"]) if apart else "",
            *(str(line.get(name, "")) for name in plain),
            f"{line['pair_frames_a_second'] / 1e6:.2f}",
        ]
        print("| " + " | ".join(cells) + " |")


def main() -> None:
    """Run the variants in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--videos", type=int, default=60, help="synthetic ones, without --data")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument(
        "--add", nargs="+", action="append", default=[], metavar=("NAME", "KEY=VALUE")
    )
    parser.add_argument("--tta", nargs="*", default=["base"], help="variants to try views with")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--hold-out", choices=("videos", "labs"), default="videos")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], dest="overrides", help="for all variants"
    )
    parser.add_argument("--draws", type=int, default=2000, help="of videos, for the intervals")
    parser.add_argument("--scale", type=float, default=1.0, help="of all work, for a trial")
    arguments = parser.parse_args()
    arguments.videos = max(2 * arguments.folds, round(arguments.videos * arguments.scale))
    compare_few_kernels()
    keep_programs()
    base = pair_config(arguments)
    with reading() as told:
        _, recordings = open_labelled(arguments.data, base, told)
        dataset = build_pair_dataset(recordings, base, told)
    if dataset.folds < 2:
        parser.error("--folds: what decodes a fold is tuned on the others; give at least 2")
    judge = Judge(dataset, class_map(scene_config("v6", base, dataset, [])))
    variants = {name: VARIANTS[name] for name in arguments.variants}
    variants |= {name: tuple(overrides) for name, *overrides in arguments.add}
    configs = {}
    for name, overrides in variants.items():
        own = vars(arguments) | {"overrides": [*arguments.overrides, *overrides]}
        configs[name] = pair_config(argparse.Namespace(**own))
        if (configs[name].data, configs[name].members) != (base.data, base.members):
            parser.error(f"{name}: a variant cannot change data or members, which all share")
    lines: list[dict[str, Any]] = []
    first: list[Outcome] = []
    for name, config in configs.items():
        line, outcomes = measure(dataset, config, judge, name in arguments.tta, arguments.draws)
        if first:
            line["less_first"] = compare(judge, outcomes, first, arguments.draws)
        first = first or outcomes
        lines.append({"variant": name} | line)
        device = {"device": jax.devices()[0].device_kind, "members": dataset.folds * len(outcomes)}
        print(json.dumps(lines[-1] | device), flush=True)
    print_table(lines)


if __name__ == "__main__":
    main()
