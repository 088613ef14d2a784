"""From labelled recordings to what a run trains on: split, slots, labels, frame stores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jaxbeh import features as feature_sets
from jaxbeh.data.recording import Recording
from jaxbeh.data.report import ReadingReport
from jaxbeh.data.scene import UNKNOWN, scene_labels
from jaxbeh.data.split import split_videos
from jaxbeh.data.store import FrameStore, Scene, build_store, window_table
from jaxbeh.errors import DataError, RunError
from jaxbeh.features import FeatureSet
from jaxbeh.settings.run import SceneConfig
from jaxbeh.vocabulary import ClassMap, SlotTable


@dataclass(frozen=True, eq=False)
class Dataset:
    """The two sides of a split, with the slots that the training side made.

    Attributes:
        train: scenes trained on.
        validation: scenes validated on.
        slots: the run's keypoint slots.
    """

    train: tuple[Scene, ...]
    validation: tuple[Scene, ...]
    slots: SlotTable

    def split(self) -> dict[str, list[str]]:
        """Video ids as `split.json` holds them."""
        return {
            "train": [scene.recording.video_id for scene in self.train],
            "validation": [scene.recording.video_id for scene in self.validation],
        }


def content(side: Sequence[Scene]) -> list[str]:
    """Content hashes of a side's trackings: those trained on must never be scored."""
    return sorted({scene.recording.tracking.content_hash for scene in side})


def class_map(config: SceneConfig) -> ClassMap:
    """The classes that a config lists."""
    return ClassMap.build((item.name, item.actions) for item in config.classes)


def build_dataset(
    recordings: Sequence[Recording], config: SceneConfig, report: ReadingReport
) -> Dataset:
    """Label, split and slot.

    Args:
        recordings: labelled videos.
        config: classes, split, aliases.
        report: told of videos that teach nothing and of keypoints without a slot.

    Raises:
        RunError: no video teaches anything, or none has what the features need.
        DataError: no split can be made.
        SettingsError: more unknown keypoints than slots.
    """
    classes, features = class_map(config), feature_sets.build(config.features)
    usable = with_what_is_needed(recordings, features, config.data.aliases, report)
    if not usable:
        raise RunError(
            f"none of the {len(recordings)} labelled videos can be used with features.name="
            f"{config.features.name}. {_needs(features)}; {recordings[0].video_id}, for one, lacks "
            f"{_lacks(recordings[0], features, config.data.aliases)}. Another name of a keypoint "
            f"goes into data.aliases; features.name=motion takes any"
        )
    teaching = with_something_to_tell_apart(usable, classes, report)
    if not teaching:
        raise RunError(
            f"none of the {len(usable)} labelled videos teaches anything: in none was an "
            f"action looked for that belongs to {', '.join(classes.names[1:])}. Give `classes` "
            f"with actions of these videos, such as {_some_actions(usable)}"
        )
    # A split file may well name videos that teach nothing; a draw is made among those that do.
    candidates = recordings if config.data.split_file else teaching
    sides = split_videos(candidates, config.data, config.training.seed, classes, report)
    of_id = {recording.video_id: recording for recording in teaching}
    train_ids, validation_ids = ([video for video in side if video in of_id] for side in sides)
    slots = SlotTable.build(
        [name for video in train_ids for name in of_id[video].tracking.keypoints],
        config.data.aliases,
    )
    train = scenes([of_id[video] for video in train_ids], slots, classes, report)
    validation = scenes([of_id[video] for video in validation_ids], slots, classes, report)
    if not train or not validation:
        raise RunError("no video is left on one side of the split; the table above says why")
    return Dataset(train, validation, slots)


def with_something_to_tell_apart(
    recordings: Sequence[Recording], classes: ClassMap, report: ReadingReport
) -> list[Recording]:
    """The recordings that can teach or test a model of these classes; the others are reported."""
    kept = []
    for recording in recordings:
        if scene_labels(recording, classes).teaches:
            kept.append(recording)
        else:
            report.add(
                "none of the classes' actions was looked for",
                "teaches nothing, left out",
                recording.video_id,
            )
    return kept


def with_what_is_needed(
    recordings: Sequence[Recording],
    features: FeatureSet,
    aliases: Mapping[str, str],
    report: ReadingReport,
) -> list[Recording]:
    """The recordings whose mice and keypoints a set of features needs; the others are reported."""
    kept = []
    for recording in recordings:
        lacks = _lacks(recording, features, aliases)
        if lacks:
            report.add(f"{_needs(features)}; lacking: {lacks}", "left out", recording.video_id)
        else:
            kept.append(recording)
    return kept


def _needs(features: FeatureSet) -> str:
    return f"the features need {', '.join(features.required)} of mice 1 to {features.mice}"


def _lacks(recording: Recording, features: FeatureSet, aliases: Mapping[str, str]) -> str:
    tracked = {aliases.get(name, name) for name in recording.tracking.keypoints}
    needed = set(range(1, features.mice + 1))
    absent = [name for name in features.required if name not in tracked]
    absent += [f"mouse {mouse}" for mouse in sorted(needed.difference(recording.tracking.mice))]
    return ", ".join(absent)


def scenes(
    recordings: Sequence[Recording], slots: SlotTable, classes: ClassMap, report: ReadingReport
) -> tuple[Scene, ...]:
    """Label recordings; those without any known keypoint are left out and reported."""
    kept = []
    for recording in recordings:
        try:
            _, dropped = slots.columns(recording.tracking.keypoints)
        except DataError as error:
            report.add(str(error), "left out", recording.video_id)
            continue
        if dropped:
            report.add(
                f"keypoints without a slot: {', '.join(dropped)}", "dropped", recording.video_id
            )
        kept.append(Scene(recording, scene_labels(recording, classes)))
    return tuple(kept)


def labelled_store(side: Sequence[Scene], slots: SlotTable, length: int, stride: int) -> FrameStore:
    """A store with the windows that hold at least one labelled frame (on the host).

    Raises:
        RunError: there is none.
    """
    windows = window_table([len(scene.labels.values) for scene in side], length, stride)
    parts = np.split(windows[:, 1], np.searchsorted(windows[:, 0], np.arange(1, len(side))))
    kept = np.concatenate(
        [
            _labelled_frames(scene.labels.values, starts, length) > 0
            for scene, starts in zip(side, parts, strict=True)
        ]
    )
    if not kept.any():
        raise RunError(
            f"videos {', '.join(scene.recording.video_id for scene in side)} have no labelled frame"
        )
    return build_store(side, slots, windows[kept])


def _labelled_frames(
    labels: NDArray[np.int8], starts: NDArray[np.int32], length: int
) -> NDArray[np.int64]:
    """How many labelled frames each window of one video has; `[n]` for its `[n]` starts."""
    before = np.concatenate([[0], np.cumsum(labels != UNKNOWN)])
    counts: NDArray[np.int64] = before[np.minimum(starts + length, len(labels))] - before[starts]
    return counts


def tiling_windows(side: Sequence[Scene], length: int) -> NDArray[np.int32]:
    """Windows that hold every frame exactly once."""
    return window_table([len(scene.labels.values) for scene in side], length, length)


def class_frames(side: Sequence[Scene], classes: int) -> list[int]:
    """Labelled frames of each class."""
    total = np.zeros(classes, np.int64)
    for scene in side:
        values = scene.labels.values
        total += np.bincount(values[values != UNKNOWN], minlength=classes)
    return [int(count) for count in total]


def unseen_actions(recordings: Sequence[Recording], config: SceneConfig) -> list[str]:
    """Actions that a class names and no event of the collection shows."""
    seen = {
        triple.action
        for recording in recordings
        if recording.events is not None
        for triple in recording.events.triples
    }
    return [action for item in config.classes for action in item.actions if action not in seen]


def _some_actions(recordings: Sequence[Recording]) -> str:
    actions = {triple.action for item in recordings for triple in item.whitelist or ()}
    return ", ".join(sorted(actions)[:8]) or "none (nothing was looked for in any)"
