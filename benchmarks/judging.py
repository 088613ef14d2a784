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
from numpy.typing import NDArray

from jaxbeh.data.recording import Recording
from jaxbeh.data.scene import UNKNOWN, scene_labels
from jaxbeh.data.tracks import Track
from jaxbeh.inference.bouts import Bouts
from jaxbeh.inference.pairs.counts import count_bouts
from jaxbeh.inference.pairs.probabilities import TrackProbabilities
from jaxbeh.inference.submission import solution_table
from jaxbeh.inference.track_frames import annotated, said, spans_of
from jaxbeh.metrics import bootstrap
from jaxbeh.metrics.bootstrap import Score, Videos
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
        self.eventful = Videos.of_counts(count_bouts(self._solution, Bouts.empty()))
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
        spans = spans_of(outcome.bouts)
        for track, truth in zip(self._dataset.tracks, self.truth, strict=True):
            found = said(*_key(self._dataset, track), spans)
            true, told = (np.c_[one, ~one.any(axis=1)] for one in (truth, found))
            frames = [(true & told).sum(axis=0), true.sum(axis=0), told.sum(axis=0)]
            counts[track.video, [*track.actions, -1]] += np.stack(frames, axis=-1)

        def score(times: NDArray[np.float64]) -> NDArray[np.float64]:
            hits, true, predicted = np.moveaxis(np.tensordot(times, counts, 1), -1, 0)
            f = 2 * hits / np.maximum(true + predicted, 1)
            return np.asarray((f * (true > 0)).sum(axis=1) / (true > 0).sum(axis=1))

        return score

    def official(self, outcome: Outcome) -> Score:
        """See the module."""
        return bootstrap.official_score(count_bouts(self._solution, outcome.bouts), self.eventful)

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
        spans = spans_of(outcome.bouts)
        found = pooled(
            segment_scores(
                Segments.of_each(truth),
                Segments.of_each(said(*_key(self._dataset, track), spans)),
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
    return annotated(*_key(dataset, track))


def _key(dataset: PairDataset, track: Track) -> tuple[Recording, str, str, list[str]]:
    """Recording, agent, target and actions of a track, by name."""
    names = [dataset.vocabulary.name(entry) for entry in track.actions]
    return dataset.recordings[track.video], f"mouse{track.agent}", track.target, names


def _videos(recordings: Sequence[Recording]) -> Videos:
    return Videos(
        ids=tuple(item.video_id for item in recordings),
        labs=tuple(item.lab_id for item in recordings),
    )
