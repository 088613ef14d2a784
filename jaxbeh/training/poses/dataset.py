"""From recordings, labelled or not, to tracks of which nothing is looked for."""

from collections.abc import Sequence

import numpy as np

from jaxbeh.data.recording import Recording
from jaxbeh.data.report import ReadingReport
from jaxbeh.data.tracks import ActionVocabulary, all_tracks
from jaxbeh.errors import RunError
from jaxbeh.settings.pairs import PoseConfig
from jaxbeh.training.pairs.dataset import PairDataset, held_out_once, with_known_keypoints
from jaxbeh.vocabulary import ClassMap, SlotTable

_NO_CLASSES = ClassMap(("none",), {})


def build_pose_dataset(
    recordings: Sequence[Recording], config: PoseConfig, report: ReadingReport
) -> PairDataset:
    """Every mouse towards every other one; no action and no lab has a name.

    One part of the videos is held out, as `data.split_file` or the draw says; equal trackings stay
    together.

    Args:
        recordings: videos; events and whitelists are not looked at.
        config: split, aliases.
        report: told of keypoints without a slot and of videos left out.

    Raises:
        RunError: no video can be used, or none of one side of a split file.
        DataError: no split can be made.
        SettingsError: more unknown keypoints than slots.
    """
    slots = SlotTable.build(
        [name for recording in recordings for name in recording.tracking.keypoints],
        config.data.aliases,
    )
    kept = [item for item in recordings if with_known_keypoints(item, slots, report)]
    if not kept:
        raise RunError(
            f"none of the {len(recordings)} videos has a known keypoint; the table says why"
        )
    drawn = held_out_once(recordings, kept, config, _NO_CLASSES, report)
    kept = [item for item in kept if item.video_id in drawn]
    fold = [drawn[item.video_id] for item in kept]
    return PairDataset(
        recordings=tuple(kept),
        folds=1,
        fold=np.array(fold, np.int32),
        tracks=tuple(track for index, item in enumerate(kept) for track in all_tracks(index, item)),
        vocabulary=ActionVocabulary((), ()),
        labs=(),
        slots=slots,
        bits=(),
    )
