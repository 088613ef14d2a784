"""The systems that `quality.py` and `pair_variants.py` compare.

Each says of every video what a model says that did not train on it, fold by fold of one dataset.
Probabilities become bouts by values that were tuned on the other folds (`inference/pairs/honest`),
those of recipe v7 and of the baseline alike.
"""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from judging import Outcome
from rich.console import Console

from jaxbeh.config import load_config, to_yaml
from jaxbeh.data.report import ReadingReport
from jaxbeh.data.scene import scene_labels
from jaxbeh.inference.bouts import Bouts
from jaxbeh.inference.pairs.honest import honest
from jaxbeh.inference.pairs.predictor import PairPredictor
from jaxbeh.inference.pairs.probabilities import TrackProbabilities
from jaxbeh.inference.scene_bouts import ActionFrequencies, predict_scenes
from jaxbeh.settings.pairs import PairConfig
from jaxbeh.settings.run import Config, SceneConfig
from jaxbeh.tasks.scene import SceneTask
from jaxbeh.tasks.scene_evaluation import SceneEvaluator
from jaxbeh.tasks.task import Hooks, Task
from jaxbeh.training.checkpoints import Checkpoints
from jaxbeh.training.dataset import class_map, scenes
from jaxbeh.training.devices import Devices
from jaxbeh.training.loop import Run, fit
from jaxbeh.training.pairs.assemble import recipe_of
from jaxbeh.training.pairs.dataset import PairDataset
from jaxbeh.training.pairs.members import Members
from jaxbeh.training.progress import EpochProgress
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.training.stop import StopRequest

Folds = Sequence[Sequence[TrackProbabilities]]
"""What is said of each fold's tracks."""


def train(task: Task, config: Config, path: Path, init_from: RunFolder | None = None) -> Run:
    """A whole run, without a word, in a new folder; its programs are left compiled."""
    folder = RunFolder(path)
    folder.start(config, task.slots, task.split(), task.files(), {})
    job = task.assemble(Devices.all())
    snapshot = job.first() if init_from is None else job.first_from(init_from, lambda _: None)
    checkpoints = Checkpoints(folder.checkpoints, print)
    run = job.run(folder, snapshot, Hooks(lambda _: None, None))
    fit(run, snapshot, checkpoints, StopRequest(), EpochProgress(Console(quiet=True), config, 0))
    checkpoints.close()
    return run


def trained(task: Task, config: Config, path: Path) -> RunFolder:
    """The finished run of these settings and videos that is in a folder, or else a new one."""
    made = json.dumps([to_yaml(config), task.split(), task.files()])
    mark = path.with_name(f"{path.name}.finished")
    if not mark.exists() or mark.read_text("utf-8") != made:
        mark.unlink(missing_ok=True)
        shutil.rmtree(path, ignore_errors=True)
        train(task, config, path)
        mark.write_text(made, "utf-8")
    return RunFolder(path)


def last_weights(folder: RunFolder, config: PairConfig, dataset: PairDataset) -> PairPredictor:
    """All members of a run of pairs after its last epoch.

    The best epoch's would be chosen by the score of the very videos that are held out.
    """
    restored = Checkpoints(folder.checkpoints, print, read_only=True).latest()
    assert restored is not None
    return PairPredictor.restore(
        recipe_of(config, dataset),
        dataset.slots,
        dataset.vocabulary,
        dataset.labs,
        dataset.lab_fold,
        Members.all(dataset.folds, config.members.seeds),
        restored.leaves,
        folder.checkpoints,
    )


def predict_held_out(
    predictor: PairPredictor,
    dataset: PairDataset,
    seeds: Sequence[int],
    mirror: bool = False,
    overlap: int = 2,
) -> list[list[TrackProbabilities]]:
    """What the mean of some seeds' members says of each fold that they did not see."""
    members, folds = predictor.members, []
    for fold in range(dataset.folds):
        chosen = predictor.of_members((members.fold == fold) & np.isin(members.seed, seeds))
        tracks = [dataset.tracks[index] for index in np.flatnonzero(dataset.track_fold == fold)]
        folds.append(list(chosen.predict(dataset.recordings, tracks, mirror, overlap)))
    return folds


def decoded(folds: Folds) -> Outcome:
    """Bouts by values tuned on the other folds."""
    found = honest(folds)
    assert found.honest_bouts is not None
    return Outcome(
        bouts=found.honest_bouts,
        tracks=[track for fold in folds for track in fold],
        tuned_f=found.tuned,
    )


def scene_config(
    name: str, data: PairConfig, dataset: PairDataset, overrides: Sequence[str]
) -> SceneConfig:
    """A scene recipe on v7's data settings.

    Where its classes name no action of the data, each action becomes a class, the rarest highest,
    and all classes weigh alike.
    """
    given = ["data=" + data.data.model_dump_json(), *overrides]
    config = load_config(name, given)
    assert isinstance(config, SceneConfig)
    classes = class_map(config)
    if any(scene_labels(item, classes).teaches for item in dataset.recordings):
        return config
    frames: dict[str, int] = {}
    for of_lab in ActionFrequencies.build(dataset.recordings).labs.values():
        for triple, count in of_lab.items():
            frames[triple.action] = frames.get(triple.action, 0) + count
    own = [{"name": one, "actions": [one]} for one in sorted(frames, key=lambda one: -frames[one])]
    written = json.dumps([{"name": "background"}, *own])
    config = load_config(name, [*given, f"classes={written}", "loss.class_weights=null"])
    assert isinstance(config, SceneConfig)
    return config


def scene_outcome(
    dataset: PairDataset, config_of: Callable[[Sequence[str]], SceneConfig], seed: int, path: Path
) -> Outcome:
    """Train a scene recipe for each fold; its best epoch by the fold itself predicts the fold.

    Args:
        dataset: its videos and folds.
        config_of: the recipe with some settings overridden.
        seed: of everything random.
        path: of the runs' folders; finished ones are taken as they are.
    """
    bouts = []
    said = {item.video_id: np.zeros(item.tracking.frames, np.int8) for item in dataset.recordings}
    ids = np.array([item.video_id for item in dataset.recordings])
    for fold in range(dataset.folds):
        held_out = dataset.fold == fold
        split = path / f"split-{fold}.json"
        sides = {"train": ids[~held_out].tolist(), "validation": ids[held_out].tolist()}
        split.write_text(json.dumps(sides))
        config = config_of([f"data.split_file={split}", f"training.seed={seed}"])
        classes = class_map(config)
        own = [dataset.recordings[video] for video in np.flatnonzero(held_out)]
        own = [item for item in own if scene_labels(item, classes).teaches]
        if not own:
            continue
        task = SceneTask.prepare(dataset.recordings, config, ReadingReport())
        folder = trained(task, config, path / f"fold-{fold}")
        evaluator = SceneEvaluator.load(folder, config, print)
        staged = scenes(own, evaluator.predictor.slots, classes, ReadingReport())
        found = list(evaluator.predictor.predict(staged))
        for scene, probabilities in found:
            said[scene.recording.video_id] = probabilities.argmax(axis=1).astype(np.int8)
        videos = [(scene.recording, probabilities) for scene, probabilities in found]
        predicted = predict_scenes(videos, classes, evaluator.frequencies)
        if not predicted.fallback:
            bouts.append(predicted.bouts)
    return Outcome(bouts=Bouts.concatenate(bouts), scenes=said)
