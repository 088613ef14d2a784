"""Which videos are trained on and which are validated on; equal tracking is never on both sides."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxbeh.data.folds import groups_of_videos
from jaxbeh.data.recording import Recording
from jaxbeh.data.report import ReadingReport
from jaxbeh.data.scene import UNKNOWN, scene_labels
from jaxbeh.errors import DataError
from jaxbeh.regular import read_text
from jaxbeh.settings.run import DataSettings
from jaxbeh.vocabulary import ClassMap

_TRIES = 100
"""Permutations tried for one that has every class on both sides."""
_SIDES = ("train", "validation")
_EXAMPLE = '{"train": ["1", "2"], "validation": ["3"]}'


def split_videos(
    recordings: Sequence[Recording],
    settings: DataSettings,
    seed: int,
    class_map: ClassMap,
    report: ReadingReport,
    animals: bool = False,
) -> tuple[list[str], list[str]]:
    """Divide labelled videos, by `settings.split_file` or by a seeded draw.

    The draw keeps videos of equal `content_hash` together: the same recording annotated twice on
    two sides would be a leak. `settings.validation_fraction` of the videos, rounded, is the most
    that the validation side gets; it gets at least one group, and so does the training side.
    Of up to 100 permutations of the groups it is the first in which every class that occurs in two
    or more groups occurs on both sides, or else the first in which most of them do.

    Args:
        recordings: labelled videos, ids distinct.
        settings: split file and fraction.
        seed: of the draw; the same videos and seed give the same split, in any order.
        class_map: the classes that should be on both sides.
        report: told of videos that a split file leaves out or of content on both its sides.
        animals: whether a draw keeps videos of an animal together, too (`groups_of_videos`).

    Returns:
        Ids of the training videos and of the validation videos, both in the order of `recordings`.

    Raises:
        DataError: the split file is not usable, or all videos have the same tracking.
    """
    if settings.split_file is not None:
        sides = _from_file(Path(settings.split_file), recordings, report)
    else:
        ordered = sorted(recordings, key=lambda item: item.video_id)
        groups = [
            [ordered[index] for index in group]
            for group in groups_of_videos(ordered, range(len(ordered)), report if animals else None)
        ]
        sides = _drawn(recordings, groups, settings.validation_fraction, seed, class_map)
    train, validation = (
        [item.video_id for item in recordings if item.video_id in side] for side in sides
    )
    return train, validation


def _drawn(
    recordings: Sequence[Recording],
    groups: Sequence[Sequence[Recording]],
    fraction: float,
    seed: int,
    class_map: ClassMap,
) -> tuple[set[str], set[str]]:
    if len(groups) < 2:
        raise DataError(
            f"{len(recordings)} labelled videos with {len(groups)} different trackings cannot be "
            f"divided; training and validation need at least two videos that differ"
        )
    classes = [set[int]().union(*(_classes(item, class_map) for item in group)) for group in groups]
    most = min(max(1, round(fraction * len(recordings))), len(recordings) - 1)
    generator = np.random.default_rng(seed)
    best: tuple[int, set[int]] = (-1, set())
    divisible = sum(
        sum(label in found for found in classes) >= 2 for label in range(len(class_map.names))
    )
    for _ in range(_TRIES):
        chosen = _fill(
            generator.permutation(len(groups)).tolist(), [len(group) for group in groups], most
        )
        there = set[int]().union(*(classes[index] for index in chosen))
        here = set[int]().union(
            *(found for index, found in enumerate(classes) if index not in chosen)
        )
        if len(there & here) > best[0]:
            best = (len(there & here), chosen)
        if best[0] == divisible:
            break
    validation = {item.video_id for index in best[1] for item in groups[index]}
    return {item.video_id for item in recordings} - validation, validation


def _classes(recording: Recording, class_map: ClassMap) -> set[int]:
    """The classes that have a frame."""
    values = scene_labels(recording, class_map).values
    return set(np.flatnonzero(np.bincount(values[values != UNKNOWN])).tolist())


def _fill(order: Sequence[int], sizes: Sequence[int], most: int) -> set[int]:
    """Take groups in order while they fit; the smallest one if none does."""
    chosen: set[int] = set()
    taken = 0
    for index in order:
        if taken + sizes[index] <= most:
            chosen.add(index)
            taken += sizes[index]
    return chosen or {min(order, key=lambda index: sizes[index])}


def _from_file(
    path: Path, recordings: Sequence[Recording], report: ReadingReport
) -> tuple[set[str], set[str]]:
    train, validation = _read_split(path)
    known = {item.video_id for item in recordings}
    unknown = sorted((train | validation) - known)
    if unknown:
        raise DataError(
            f"{path}: {_some(unknown)} is not among the {len(known)} labelled videos that are "
            f"used (the table of what was met while reading says which are not); remove it"
        )
    both = sorted(train & validation)
    if both:
        raise DataError(f"{path}: {_some(both)} is in train and in validation; keep it in one")
    trained_on = {item.tracking.content_hash for item in recordings if item.video_id in train}
    for item in recordings:
        if item.video_id not in train | validation:
            report.add("videos in neither list of data.split_file", "left out", item.video_id)
        elif item.video_id in validation and item.tracking.content_hash in trained_on:
            report.add(
                "validation videos whose tracking is also trained on (data.split_file)",
                "kept as the file says; their scores are too good",
                item.video_id,
            )
    return train, validation


def _read_split(path: Path) -> tuple[set[str], set[str]]:
    try:
        content: object = json.loads(read_text(path, "utf-8-sig"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); see data.split_file") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not JSON ({error}); write {_EXAMPLE}") from None
    if not isinstance(content, dict) or set(content) != set(_SIDES):
        found = f"the keys {', '.join(content)[:80]}" if isinstance(content, dict) else "no object"
        raise DataError(f"{path}: holds {found}; write {_EXAMPLE}")
    sides = []
    for name in _SIDES:
        ids = content[name]
        if not isinstance(ids, list) or not ids:
            raise DataError(f"{path}: {name} is {repr(ids)[:80]}; write {_EXAMPLE}")
        for video in ids:
            if not isinstance(video, str | int) or isinstance(video, bool):
                raise DataError(
                    f"{path}: {name} holds {repr(video)[:80]}; ids are texts or whole numbers"
                )
        texts = [str(video) for video in ids]
        twice = sorted(video for video, count in Counter(texts).items() if count > 1)
        if twice:
            raise DataError(f"{path}: {name} names {_some(twice)} more than once; keep it once")
        sides.append(set(texts))
    return sides[0], sides[1]


def _some(ids: Sequence[str]) -> str:
    shown = ", ".join(repr(video)[:80] for video in ids[:10])
    return shown if len(ids) <= 10 else f"{shown} and {len(ids) - 10} more"
