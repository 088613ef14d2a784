"""The scores of `quality.py`: the same for every system, as functions of how often a video counts.

- Actions: F1 of each action and of none over pair-frames, that is frames of tracks, where it was
  looked for; pooled over labs, averaged over the actions that occur and none. None is true where
  none of the actions looked for in a track is annotated.
- Official: the challenge's F-score.
- Scene: macro-F1 over the frames of videos, one class each. Where a system says actions, the
  highest class among those of its bouts holds, as in the labels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jaxbeh.data.recording import Recording
from jaxbeh.data.scene import UNKNOWN, scene_labels
from jaxbeh.data.tracks import Track, action_bits
from jaxbeh.inference.bouts import Bouts
from jaxbeh.inference.pairs.probabilities import TrackProbabilities
from jaxbeh.inference.submission import solution_table, submission_table
from jaxbeh.metrics import bootstrap
from jaxbeh.metrics.bootstrap import Score, Videos
from jaxbeh.metrics.mabe import video_counts
from jaxbeh.metrics.probabilities import average_precisions, calibration
from jaxbeh.metrics.segments import OVERLAPS, Segments, pooled, segment_scores
from jaxbeh.training.pairs.dataset import PairDataset
from jaxbeh.vocabulary import ClassMap

Labels = Mapping[str, NDArray[np.integer]]
"""The class of each frame of a scene, by video."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one seed of a system says of all videos, each by a model that did not train on it.

    Attributes:
        bouts: who does what to whom.
        tracks: the probabilities that the bouts were decoded from, of systems that have any.
        scenes: the class of each frame, of systems that say classes; else it comes from the bouts.
        tuned_f: the official F if the decoding is tuned on what it decodes: too high.
    """

    bouts: Bouts
    tracks: Sequence[TrackProbabilities] = ()
    scenes: Labels = field(default_factory=dict)
    tuned_f: float | None = None


class Judge:
    """The truth of a dataset, and the scores of outcomes.

    Attributes:
        truth: bool `[t, a]` of each track, which of its actions are annotated.
        videos: of `actions`; every one has tracks.
        eventful: of `official`; those that show an action.
        staged: of `scene`; those with a class to tell from the background.
    """

    def __init__(self, dataset: PairDataset, classes: ClassMap) -> None:
        self._dataset, self._classes = dataset, classes
        self.truth = [truth_of(dataset, track) for track in dataset.tracks]
        labels = {item.video_id: scene_labels(item, classes) for item in dataset.recordings}
        self._labels = {video: found.values for video, found in labels.items()}
        self._solution = solution_table(dataset.recordings)
        self.videos = _videos(dataset.recordings)
        self.eventful = Videos.of_counts(self._counts(Bouts.empty()))
        self.staged = _videos(
            [
                item
                for item in dataset.recordings
                if labels[item.video_id].teaches and (labels[item.video_id].values != UNKNOWN).any()
            ]
        )

    def drawn(self, score: str) -> Videos:
        """The videos that a score of this name is over."""
        return {"actions": self.videos, "official": self.eventful, "scene": self.staged}[score]

    def actions(self, outcome: Outcome) -> Score:
        """See the module."""
        counts = np.zeros((len(self._dataset.recordings), len(self._dataset.vocabulary) + 1, 3))
        spans = _spans(outcome.bouts)
        for track, truth in zip(self._dataset.tracks, self.truth, strict=True):
            found = found_in(self._dataset, track, spans)
            true, said = (np.c_[one, ~one.any(axis=1)] for one in (truth, found))
            frames = [(true & said).sum(axis=0), true.sum(axis=0), said.sum(axis=0)]
            counts[track.video, [*track.actions, -1]] += np.stack(frames, axis=-1)

        def score(times: NDArray[np.float64]) -> NDArray[np.float64]:
            hits, true, predicted = np.moveaxis(np.tensordot(times, counts, 1), -1, 0)
            f = 2 * hits / np.maximum(true + predicted, 1)
            return np.asarray((f * (true > 0)).sum(axis=1) / (true > 0).sum(axis=1))

        return score

    def official(self, outcome: Outcome) -> Score:
        """See the module."""
        return bootstrap.official_score(self._counts(outcome.bouts), self.eventful)

    def scene(self, outcome: Outcome) -> Score:
        """See the module."""
        said = outcome.scenes or self._scenes(outcome.bouts)
        count = len(self._classes.names)
        confusions = np.zeros((len(self.staged.ids), count, count), np.int64)
        for confusion, video in zip(confusions, self.staged.ids, strict=True):
            truth = self._labels[video]
            labelled = truth != UNKNOWN
            np.add.at(confusion, (truth[labelled], said[video][labelled]), 1)
        return bootstrap.macro_f1(confusions)

    def segments(self, outcome: Outcome) -> dict[str, float | None]:
        """Segment F1 at each overlap and edit score, over all tracks."""
        spans = _spans(outcome.bouts)
        found = pooled(
            segment_scores(
                _segments(truth, track.actions),
                _segments(found_in(self._dataset, track, spans), track.actions),
            )
            for track, truth in zip(self._dataset.tracks, self.truth, strict=True)
        )
        at = {f"segment_f1_{bound}": f1 for bound, f1 in zip(OVERLAPS, found.f1, strict=True)}
        return {**at, "edit": found.edit}

    def probabilities(self, outcome: Outcome) -> dict[str, float | None]:
        """Mean average precision over actions, calibration error and Brier score, where known."""
        vocabulary, tracks = self._dataset.vocabulary, self._dataset.tracks
        of_key = {said.key: said.values for said in outcome.tracks}
        rows = sum(len(truth) for truth in self.truth)
        truth = np.zeros((rows, len(vocabulary)), np.bool_)
        values = np.zeros((rows, len(vocabulary)), np.float32)
        known = np.zeros((rows, len(vocabulary)), np.bool_)
        row = 0
        for track, true in zip(tracks, self.truth, strict=True):
            place = np.ix_(np.arange(row, row + len(true)), track.actions)
            video = self._dataset.recordings[track.video].video_id
            truth[place], known[place] = true, True
            values[place] = of_key[video, f"mouse{track.agent}", track.target]
            row += len(true)
        values = np.clip(values, 0, 1)
        reliable = calibration(truth[known], values[known])
        return {
            "mean_average_precision": average_precisions(truth, values, known).mean,
            "calibration_error": reliable.error,
            "brier": reliable.brier,
        }

    def _counts(self, bouts: Bouts) -> pd.DataFrame:
        table = submission_table(bouts)
        if not len(table):  # the metric refuses no rows; one of an unknown video counts nothing
            table = self._solution.head(1).assign(
                video_id="no " + max(self._solution["video_id"], key=len)
            )
        return video_counts(self._solution, table)

    def _scenes(self, bouts: Bouts) -> Labels:
        scenes = {
            item.video_id: np.zeros(item.tracking.frames, np.int8)
            for item in self._dataset.recordings
        }
        first = {item.video_id: item.tracking.first_frame for item in self._dataset.recordings}
        columns = ["video_id", "action", "start_frame", "stop_frame"]
        for video, action, start, stop in bouts.table[columns].itertuples(index=False):
            span = scenes[video][start - first[video] : stop - first[video]]
            np.maximum(span, np.int8(self._classes.index(action)), out=span)
        return scenes


def truth_of(dataset: PairDataset, track: Track) -> NDArray[np.bool_]:
    """Bool `[t, a]`: which of a track's actions are annotated at a video's own frames."""
    bits = action_bits(dataset.recordings[track.video], track, dataset.vocabulary)
    entry = np.array(track.actions)
    return (bits[:, entry // 32] >> (entry % 32).astype(np.uint32) & np.uint32(1)).astype(np.bool_)


Spans = Mapping[tuple[str, str, str], Sequence[tuple[str, int, int]]]
"""Action, start and stop, in file numbering, by video, agent and target."""


def found_in(dataset: PairDataset, track: Track, spans: Spans) -> NDArray[np.bool_]:
    """Bool `[t, a]`: which of a track's actions the bouts say."""
    recording = dataset.recordings[track.video]
    names = [dataset.vocabulary.name(entry) for entry in track.actions]
    found = np.zeros((recording.tracking.frames, len(names)), np.bool_)
    first = recording.tracking.first_frame
    key = (recording.video_id, f"mouse{track.agent}", track.target)
    for action, start, stop in spans.get(key, ()):
        if action in names:
            found[start - first : stop - first, names.index(action)] = True
    return found


def _spans(bouts: Bouts) -> Spans:
    spans: dict[tuple[str, str, str], list[tuple[str, int, int]]] = {}
    columns = ["video_id", "agent_id", "target_id", "action", "start_frame", "stop_frame"]
    for *key, action, start, stop in bouts.table[columns].itertuples(index=False):
        spans.setdefault((key[0], key[1], key[2]), []).append((action, start, stop))
    return spans


def _segments(frames: NDArray[np.bool_], entries: Sequence[int]) -> Segments:
    """The runs of each action, `[t, a]` by itself."""
    edges = np.diff(frames.astype(np.int8), axis=0, prepend=0, append=0)
    column, start = np.nonzero((edges == 1).T)
    _, stop = np.nonzero((edges == -1).T)
    return Segments(action=np.array(entries)[column], start=start, stop=stop)


def _videos(recordings: Sequence[Recording]) -> Videos:
    return Videos(
        ids=tuple(item.video_id for item in recordings),
        labs=tuple(item.lab_id for item in recordings),
    )
