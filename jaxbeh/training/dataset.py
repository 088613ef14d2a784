"""From labelled recordings to what a run trains on: split, slots, labels, frame stores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jaxbeh.config import Config
from jaxbeh.data.recording import Recording
from jaxbeh.data.report import ReadingReport
from jaxbeh.data.scene import UNKNOWN, scene_labels
from jaxbeh.data.split import split_videos
from jaxbeh.data.store import FrameStore, Scene, build_store, window_table
from jaxbeh.errors import DataError, RunError
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

    def train_content(self) -> list[str]:
        """Content hashes of the trackings trained on: what must never be scored."""
        return sorted({scene.recording.tracking.content_hash for scene in self.train})


def class_map(config: Config) -> ClassMap:
    """The classes that a config lists."""
    return ClassMap.build((item.name, item.actions) for item in config.classes)


def build_dataset(
    recordings: Sequence[Recording], config: Config, report: ReadingReport
) -> Dataset:
    """Label, split and slot.

    Args:
        recordings: labelled videos.
        config: classes, split, aliases.
        report: told of videos that teach nothing and of keypoints without a slot.

    Raises:
        RunError: no video teaches anything.
        DataError: no split can be made.
        SettingsError: more unknown keypoints than slots.
    """
    classes = class_map(config)
    teaching = []
    for recording in recordings:
        if scene_labels(recording, classes).teaches:
            teaching.append(recording)
        else:
            report.add(
                "none of the classes' actions was looked for",
                "teaches nothing, left out",
                recording.video_id,
            )
    if not teaching:
        raise RunError(
            f"none of the {len(recordings)} labelled videos teaches anything: in none was an "
            f"action looked for that belongs to {', '.join(classes.names[1:])}. Give `classes` "
            f"with actions of these videos, such as {_some_actions(recordings)}"
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
    kept = np.array(
        [
            bool((side[video].labels.values[start : start + length] != UNKNOWN).any())
            for video, start in windows[:, :2]
        ]
    )
    if not kept.any():
        raise RunError(
            f"videos {', '.join(scene.recording.video_id for scene in side)} have no labelled frame"
        )
    return build_store(side, slots, windows[kept])


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


def unseen_actions(recordings: Sequence[Recording], config: Config) -> list[str]:
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
