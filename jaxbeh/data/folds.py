"""K folds of videos: equal tracking and the same animal stay together, labs are spread evenly."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from jaxbeh.data.recording import Recording
from jaxbeh.data.report import ReadingReport
from jaxbeh.errors import DataError


def fold_of_video(
    recordings: Sequence[Recording], folds: int, seed: int, report: ReadingReport
) -> list[int]:
    """The fold, 0 … folds − 1, in which each recording is held out.

    Videos of equal `content_hash`, or that share an animal of one lab, form a group, which no fold
    divides. Groups are drawn in random order, the largest first; each goes to the fold that has the
    fewest frames of its labs so far, then the fewest frames in all. Where the animals' identities
    would make one group of a lab's several trackings, they are taken to mean nothing.

    Args:
        recordings: labelled videos.
        folds: K, at least 2.
        seed: of the draw; the same videos and seed give the same folds, whatever their order.
        report: told of identities that are not used.

    Raises:
        DataError: there are fewer groups than folds.
    """
    order = sorted(range(len(recordings)), key=lambda index: recordings[index].video_id)
    groups = groups_of_videos(recordings, order, report)
    if len(groups) < folds:
        raise DataError(
            f"{len(recordings)} labelled videos make {len(groups)} groups that share neither "
            f"tracking nor animals, too few for {folds} folds; give at most --folds {len(groups)}"
        )
    draw = np.random.default_rng(seed)
    shuffled = [groups[index] for index in draw.permutation(len(groups))]
    shuffled.sort(key=lambda group: -sum(recordings[index].tracking.frames for index in group))
    found = [0] * len(recordings)
    of_lab: dict[str, list[int]] = defaultdict(lambda: [0] * folds)
    in_all = [0] * folds
    empty = set(range(folds))
    for left, group in zip(range(len(shuffled), 0, -1), shuffled, strict=True):
        labs = {recordings[index].lab_id for index in group}
        # No fold stays empty: once as few groups are left as folds without any, they go there.
        open_to = sorted(empty) if left <= len(empty) else range(folds)
        fold = min(open_to, key=lambda item: (sum(of_lab[lab][item] for lab in labs), in_all[item]))
        empty.discard(fold)
        for index in group:
            found[index] = fold
            frames = recordings[index].tracking.frames
            of_lab[recordings[index].lab_id][fold] += frames
            in_all[fold] += frames
    return found


def lab_folds(recordings: Sequence[Recording]) -> list[int]:
    """Leave one lab out: a fold for each recording's lab, in sorted order.

    Labs that share a tracking are left out together: the same recording annotated by two of them
    would be a leak.

    Raises:
        DataError: there is only one lab, or all share trackings.
    """
    contents: dict[str, set[str]] = defaultdict(set)
    for recording in recordings:
        contents[recording.lab_id].add(recording.tracking.content_hash)
    labs = sorted(contents)
    groups = _joined(range(len(labs)), {place: [*contents[lab]] for place, lab in enumerate(labs)})
    if len(groups) < 2:
        sharing = ", which share trackings" if len(labs) > 1 else ""
        raise DataError(
            f"all labelled videos are of lab {', '.join(labs)}{sharing}; leaving a lab out needs "
            f"two; members.hold_out=videos leaves out videos"
        )
    fold_of = {labs[place]: fold for fold, group in enumerate(groups) for place in group}
    return [fold_of[recording.lab_id] for recording in recordings]


def groups_of_videos(
    recordings: Sequence[Recording], order: Sequence[int], report: ReadingReport | None
) -> list[list[int]]:
    """Indices of recordings, joined where they share content or an animal of one lab.

    Args:
        recordings: of several labs.
        order: indices of all of them; groups come in the order of their first.
        report: told where identities would join all of a lab's trackings, and are not used;
            `None` where content alone joins.
    """
    keys: list[list[object]] = [[item.tracking.content_hash] for item in recordings]
    if report is not None:
        _add_animals(keys, recordings, order, report)
    return _joined(order, dict(enumerate(keys)))


def _add_animals(
    keys: list[list[object]],
    recordings: Sequence[Recording],
    order: Sequence[int],
    report: ReadingReport,
) -> None:
    by_lab: dict[str, list[int]] = defaultdict(list)
    for index in order:
        by_lab[recordings[index].lab_id].append(index)
    for lab, own in by_lab.items():
        animals = {index: [(lab, name) for name in recordings[index].animals] for index in own}
        contents = {recordings[index].tracking.content_hash for index in own}
        if len(contents) > 1 and len(_joined(own, animals)) == 1:
            for index in own:
                report.add(
                    "all videos of a lab name the same animals",
                    "identities not used for the folds",
                    recordings[index].video_id,
                )
        else:
            for index, names in animals.items():
                keys[index] += names


def _joined(order: Sequence[int], keys: Mapping[int, Sequence[object]]) -> list[list[int]]:
    """Groups of indices that share a key, or are joined by others that do."""
    parent = {index: index for index in order}

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first: dict[object, int] = {}
    for index in order:
        for key in keys[index]:
            parent[root(index)] = root(first.setdefault(key, index))
    groups: dict[int, list[int]] = defaultdict(list)
    for index in order:
        groups[root(index)].append(index)
    return list(groups.values())
