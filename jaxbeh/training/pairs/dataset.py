"""From labelled recordings to tracks, their vocabulary, and the fold that each is held out in."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.folds import fold_of_video, lab_folds
from jaxbeh.data.recording import Recording
from jaxbeh.data.report import ReadingReport
from jaxbeh.data.split import split_videos
from jaxbeh.data.tracks import ActionVocabulary, Track, action_bits, entry_frames, tracks_of
from jaxbeh.errors import DataError, RunError
from jaxbeh.settings.pairs import PairConfig
from jaxbeh.settings.run import Config
from jaxbeh.vocabulary import ClassMap, SlotTable

TRAINED_ALWAYS = -1
"""The fold of a video that no member holds out."""


@dataclass(frozen=True, eq=False)
class PairDataset:
    """Labelled videos as tracks.

    Attributes:
        recordings: the videos that teach something.
        folds: K.
        fold: int32 `[v]`, in which each video is held out; −1: in none.
        tracks: of all videos.
        vocabulary: every action that was looked for.
        labs: in sorted order.
        slots: the run's keypoint slots.
        bits: what was annotated in each track, uint32 `[t, w]` (`action_bits`).
    """

    recordings: tuple[Recording, ...]
    folds: int
    fold: NDArray[np.int32]
    tracks: tuple[Track, ...]
    vocabulary: ActionVocabulary
    labs: tuple[str, ...]
    slots: SlotTable
    bits: tuple[NDArray[np.uint32], ...]

    @property
    def track_fold(self) -> NDArray[np.int32]:
        """Int32 `[k]`, the fold of each track's video."""
        return self.fold[[track.video for track in self.tracks]]

    @property
    def lab_fold(self) -> tuple[int, ...]:
        """Of each lab the fold that holds out all its videos, −1 where none does."""
        folds: dict[str, set[int]] = {lab: set() for lab in self.labs}
        for recording, fold in zip(self.recordings, self.fold.tolist(), strict=True):
            if recording.lab_id in folds:
                folds[recording.lab_id].add(fold)
        return tuple(min(found) if len(found) == 1 else TRAINED_ALWAYS for found in folds.values())

    @cached_property
    def entry_frames(self) -> NDArray[np.int64]:
        """Int64 `[c, 2]`, frames of each action seen and looked for."""
        return entry_frames(self.tracks, self.bits, len(self.vocabulary))

    def frames_trained_on(self, fold: int) -> NDArray[np.int64]:
        """Int64 `[c, 2]`, as `entry_frames`, of the videos that a fold does not hold out."""
        own = np.flatnonzero(self.track_fold != fold).tolist()
        tracks, bits = [self.tracks[index] for index in own], [self.bits[index] for index in own]
        return entry_frames(tracks, bits, len(self.vocabulary))

    def split(self) -> dict[str, list[str]]:
        """Video ids as `split.json` holds them: trained on and held out by any, then by fold."""
        ids = [recording.video_id for recording in self.recordings]
        by_fold = {
            f"fold {fold + 1}": [ids[index] for index in np.flatnonzero(self.fold == fold)]
            for fold in range(self.folds)
        }
        seen = self.fold == TRAINED_ALWAYS if self.folds == 1 else np.ones(len(ids), np.bool_)
        held_out = self.fold != TRAINED_ALWAYS
        return {
            "train": [ids[index] for index in np.flatnonzero(seen)],
            "validation": [ids[index] for index in np.flatnonzero(held_out)],
            **by_fold,
        }

    def content(self) -> dict[str, list[str]]:
        """Content hashes of what any member trained on, and of what any held out."""
        split = self.split()
        hashes = {item.video_id: item.tracking.content_hash for item in self.recordings}
        return {
            f"{side}_content": sorted({hashes[video] for video in split[side]})
            for side in ("train", "validation")
        }


def build_pair_dataset(
    recordings: Sequence[Recording], config: PairConfig, report: ReadingReport
) -> PairDataset:
    """Find tracks, vocabulary, slots and folds.

    Args:
        recordings: labelled videos.
        config: folds, split, aliases.
        report: told of videos that teach nothing and of keypoints without a slot.

    Raises:
        RunError: no video teaches anything, or none of one side of a split file.
        DataError: the folds cannot be made, or one leaves no event to tune thresholds on.
        SettingsError: more unknown keypoints than slots.
    """
    slots = SlotTable.build(
        [name for recording in recordings for name in recording.tracking.keypoints],
        config.data.aliases,
    )
    kept = [item for item in recordings if _teaches(item, slots, report)]
    if not kept:
        raise RunError(
            f"none of the {len(recordings)} labelled videos teaches anything; the table says why"
        )
    folds, drawn = _folds(recordings, kept, config, report)
    kept = [item for item in kept if item.video_id in drawn]
    fold = [drawn[item.video_id] for item in kept]
    _refuse_untunable(kept, folds, fold)
    vocabulary = ActionVocabulary.build(
        triple
        for item in kept
        for triple in item.whitelist or ()
        if _tracked(item, triple.mouse_ids())
    )
    tracks = [
        track
        for index, item in enumerate(kept)
        for track in tracks_of(index, item, item.whitelist or (), vocabulary)
    ]
    bits = [action_bits(kept[track.video], track, vocabulary) for track in tracks]
    return PairDataset(
        recordings=tuple(kept),
        folds=folds,
        fold=np.array(fold, np.int32),
        tracks=tuple(tracks),
        vocabulary=vocabulary,
        labs=tuple(sorted({item.lab_id for item in kept})),
        slots=slots,
        bits=tuple(bits),
    )


def with_known_keypoints(recording: Recording, slots: SlotTable, report: ReadingReport) -> bool:
    """Whether a video has a keypoint with a slot; what is dropped is reported."""
    try:
        _, dropped = slots.columns(recording.tracking.keypoints)
    except DataError as error:
        report.add(str(error), "left out", recording.video_id)
        return False
    if dropped:
        report.add(f"keypoints without a slot: {', '.join(dropped)}", "dropped", recording.video_id)
    return True


def _teaches(recording: Recording, slots: SlotTable, report: ReadingReport) -> bool:
    if recording.events is None:
        return False
    if not any(_tracked(recording, triple.mouse_ids()) for triple in recording.whitelist or ()):
        report.add(
            "no action was looked for in a tracked mouse",
            "teaches nothing, left out",
            recording.video_id,
        )
        return False
    return with_known_keypoints(recording, slots, report)


def _tracked(recording: Recording, mice: Sequence[int]) -> bool:
    return set(mice) <= set(recording.tracking.mice)


def _refuse_untunable(recordings: Sequence[Recording], folds: int, fold: Sequence[int]) -> None:
    """Thresholds for a fold are tuned on the others, with one fold on itself, after all training.

    Raises:
        DataError: no event is there that was looked for.
    """
    for one in range(folds):
        tuned_on = [
            item
            for item, held_in in zip(recordings, fold, strict=True)
            if (held_in == one) == (folds == 1)
        ]
        if not any(_shows_something(item) for item in tuned_on):
            which = "held out" if folds == 1 else f"outside fold {one + 1}"
            raise DataError(
                f"none of the {len(tuned_on)} videos {which} shows an action that was looked for, "
                f"so that no threshold can be tuned; hold out others (training.seed draws them, "
                f"with --folds 1 data.split_file names them), or label more videos"
            )


def _shows_something(recording: Recording) -> bool:
    events, whitelist = recording.events, recording.whitelist
    return events is not None and not set(events.triples).isdisjoint(whitelist or ())


def _folds(
    recordings: Sequence[Recording],
    kept: Sequence[Recording],
    config: PairConfig,
    report: ReadingReport,
) -> tuple[int, dict[str, int]]:
    """K, and the fold of each kept video by its id; one that a split file leaves out has none."""
    members, ids = config.members, [item.video_id for item in kept]
    if members.hold_out == "labs":
        fold = lab_folds(kept)
        return max(fold) + 1, dict(zip(ids, fold, strict=True))
    if members.folds > 1:
        if config.data.split_file is not None:
            raise RunError(
                f"data.split_file: {config.data.split_file} says one split, and members.folds "
                f"{members.folds}; give --folds 1 to use the file, or null to draw folds"
            )
        fold = fold_of_video(kept, members.folds, config.training.seed, report)
        return members.folds, dict(zip(ids, fold, strict=True))
    actions = sorted({triple.action for item in kept for triple in item.whitelist or ()})
    every = ClassMap.build([("none", ()), *((action, (action,)) for action in actions)])
    return 1, held_out_once(recordings, kept, config, every, report)


def held_out_once(
    recordings: Sequence[Recording],
    kept: Sequence[Recording],
    config: Config,
    classes: ClassMap,
    report: ReadingReport,
) -> dict[str, int]:
    """The only fold, 0, of what is held out by id, `TRAINED_ALWAYS` of what is trained on.

    Those that a split file leaves out have none.

    Args:
        recordings: videos that a split file may name.
        kept: those of them that are of use; a draw is made among these.
        config: split file, fraction and seed.
        classes: that should be on both sides of a draw.
        report: see `split_videos`.

    Raises:
        DataError: see `split_videos`.
        RunError: a split file leaves a side without a video that is kept.
    """
    candidates = recordings if config.data.split_file else kept
    sides = split_videos(
        candidates, config.data, config.training.seed, classes, report, animals=True
    )
    ids = {item.video_id for item in kept}
    train, held_out = ([video for video in side if video in ids] for side in sides)
    if not train or not held_out:
        raise RunError("no video is left on one side of the split; the table above says why")
    return dict.fromkeys(train, TRAINED_ALWAYS) | dict.fromkeys(held_out, 0)
