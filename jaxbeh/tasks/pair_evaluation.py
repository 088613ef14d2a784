"""Recipe v7: tracks of whole videos to bouts, by one run or the mean of several."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Self

from jaxbeh.data.recording import Recording
from jaxbeh.data.report import ReadingReport
from jaxbeh.errors import RunError
from jaxbeh.inference.bouts import Bouts
from jaxbeh.inference.pairs.averaging import average
from jaxbeh.inference.pairs.decoding import Decoding, decode, predict_pairs
from jaxbeh.inference.pairs.figures import fresh_report, held_out_report
from jaxbeh.inference.pairs.held_out import DECODING, by_fold
from jaxbeh.inference.pairs.honest import honest
from jaxbeh.inference.pairs.mean_decoding import Mean, MeanDecoding, kept_for
from jaxbeh.inference.pairs.probabilities import TrackProbabilities
from jaxbeh.inference.pairs.report import HELD_OUT, Report
from jaxbeh.inference.pairs.trained import Trained, load
from jaxbeh.settings.pairs import PairConfig
from jaxbeh.tasks.evaluation import Scored
from jaxbeh.tasks.pair_tables import report_notes, report_tables
from jaxbeh.training.pairs.dataset import with_known_keypoints
from jaxbeh.training.run_folder import RunFolder


@dataclass(frozen=True)
class PairEvaluator:
    """See `Evaluator`.

    Attributes:
        folders: of the runs.
        runs: whose probabilities are averaged.
        decoding: what makes bouts of the mean.
        fitted: whether it belongs to just that mean; else it is the first run's.
        tta: whether to average views, too: the mirror image, and windows that overlap four times.
        tell: called with a sentence on what takes a while.
    """

    folders: tuple[RunFolder, ...]
    runs: tuple[Trained, ...]
    decoding: Decoding
    fitted: bool
    tta: bool
    tell: Callable[[str], None]

    @classmethod
    def load(
        cls,
        folders: Sequence[tuple[RunFolder, PairConfig]],
        tta: bool,
        tell: Callable[[str], None],
    ) -> "PairEvaluator":
        """The best checkpoints of runs, and the decoding kept for their mean or the first one's.

        Raises:
            RunError: a run has no checkpoint yet, or a file of it is damaged.
            CheckpointError: a checkpoint does not fit its settings.
        """
        runs = tuple(load(folder, config, tell) for folder, config in folders)
        places = tuple(folder for folder, _ in folders)
        first = places[0]
        mean = Mean.of([run.weights for run in runs], tta)
        kept = kept_for(mean, places)
        if kept:
            tell(f"Thresholds tuned for this mean on {kept.videos} videos are there ({mean.file})")
            decoding = kept.decoding
        elif first.has(DECODING):
            decoding = first.parsed(DECODING, Decoding.from_json)
        else:
            tell(
                f"{first.path} is not finished: thresholds are not tuned yet, and 0.5 is taken for "
                f"all; its command, given again, finishes it"
            )
            decoding = Decoding.constant(runs[0].frequencies)
        return cls(places, runs, decoding, bool(kept) or mean.is_one_run, tta, tell)

    def usable(
        self, recordings: Sequence[Recording], report: ReadingReport, labelled: bool
    ) -> Sequence[Recording]:
        """See `Evaluator`; every run must know a keypoint of a video."""
        kept = []
        for recording in recordings:
            if labelled and recording.events is None:
                continue
            if not self._knows_keypoints(recording, report):
                continue
            if not self.runs[0].tracks([recording]):
                report.add(
                    "none of the run's actions was looked for in a tracked mouse",
                    "left out",
                    recording.video_id,
                )
                continue
            if recording.lab_id not in self.runs[0].known.labs:
                report.add(
                    f"lab {recording.lab_id} was not trained on",
                    "thresholds and actions of all labs pooled",
                    recording.video_id,
                )
            elif not self.runs[0].frequencies.of_lab(recording.lab_id):
                report.add(
                    f"what was trained on of lab {recording.lab_id} shows no event",
                    "no bout is predicted",
                    recording.video_id,
                )
            kept.append(recording)
        return kept

    def score(self, recordings: Sequence[Recording]) -> Scored:
        """See `Evaluator`."""
        tracks = list(self._probabilities(recordings))
        return _scored(fresh_report(tracks, decode(tracks, self.decoding)))

    def score_held_out(self, recordings: Sequence[Recording]) -> tuple[Scored, Self]:
        """See `Evaluator`; of a finished run by itself, the figures that its training came to.

        Several runs, or views, are predicted again, each video by the members that held it out, and
        thresholds tuned anew, which other videos are then decoded by. They are to be kept.
        """
        first = self.folders[0]
        if self._mean.is_one_run and first.has(DECODING):
            return _scored(first.parsed(HELD_OUT, Report.from_json)), self
        held_out = [set(folder.split()["validation"]) for folder in self.folders]
        own = [item for item in recordings if all(item.video_id in ids for ids in held_out)]
        if not own:
            raise RunError(
                f"{first.path}: none of the {len(recordings)} videos that it held out is here by "
                f"the id that it had then; name the folder trained on with --data"
            )
        self._require_same_actions(own)
        self.tell("Predicting the videos held out, and tuning thresholds on them")
        folds = by_fold(first, self.runs[0].known.folds, own)
        fold_of = {item.video_id: fold for fold, items in enumerate(folds) for item in items}
        predictions: list[list[TrackProbabilities]] = [[] for _ in folds]
        for track in average([self._held_out(number, own) for number in range(len(self.runs))]):
            predictions[fold_of[track.recording.video_id]].append(track)
        predictions = [tracks for tracks in predictions if tracks]
        found = honest(predictions, self.runs[0].frequencies)
        tuned = replace(self, decoding=found.decoding, fitted=True)
        scored = _scored(held_out_report(predictions, found))
        return replace(scored, files=self._to_keep(found.decoding, len(own))), tuned

    def bouts(self, recordings: Sequence[Recording]) -> tuple[Bouts, bool]:
        """See `Evaluator`."""
        if not self.fitted:
            self.tell(
                f"Thresholds are those of {self.folders[0].path} by itself. They are tuned for "
                f"what is averaged, and kept with the run, by jaxbeh evaluate with these runs and "
                f"without --test-only where the videos are that all of them held out"
            )
        predicted = predict_pairs(self._probabilities(recordings), self.decoding)
        return predicted.bouts, predicted.fallback

    def _probabilities(self, recordings: Sequence[Recording]) -> Iterable[TrackProbabilities]:
        """Of all runs in step, as they come, so that more videos need no more memory."""
        self._require_same_actions(recordings)
        return average([run.predict(recordings, self.tta, self._overlap) for run in self.runs])

    def _knows_keypoints(self, recording: Recording, report: ReadingReport) -> bool:
        """Whether every run knows a keypoint of a video; what several drop is reported once."""
        found = ReadingReport()
        known = [with_known_keypoints(recording, run.predictor.slots, found) for run in self.runs]
        for finding in found.findings():
            report.add(finding.what, finding.then, recording.video_id)
        return all(known)

    def _require_same_actions(self, recordings: Sequence[Recording]) -> None:
        """Refuse what cannot be averaged before anything is predicted.

        Raises:
            RunError: a video of which two runs do not predict the same.
        """
        for recording in recordings if len(self.runs) > 1 else ():
            first, *others = [run.triples(recording) for run in self.runs]
            for folder, other in zip(self.folders[1:], others, strict=True):
                if odd := first ^ other:
                    has, lacks = self.folders[0].path, folder.path
                    if min(odd) in other:
                        has, lacks = lacks, has
                    raise RunError(
                        f"video {recording.video_id}: {has} predicts {str(min(odd))!r} there and "
                        f"{lacks} does not, one of {len(odd)} such; average runs that were trained "
                        f"on the same actions"
                    )

    def _held_out(
        self, number: int, recordings: Sequence[Recording]
    ) -> Iterable[TrackProbabilities]:
        """What a run's members say of the videos that they held out."""
        run = self.runs[number]
        folds = by_fold(self.folders[number], run.known.folds, recordings)
        return chain.from_iterable(
            run.not_trained_on(fold).predict(own, self.tta, self._overlap)
            for fold, own in enumerate(folds)
        )

    def _to_keep(self, decoding: Decoding, videos: int) -> dict[str, str]:
        """The file of what was tuned; of a run by itself, its training writes one."""
        mean = self._mean
        if mean.is_one_run:
            return {}
        kept = MeanDecoding(weights=mean.weights, tta=mean.tta, videos=videos, decoding=decoding)
        return {mean.file: kept.to_json()}

    @property
    def _mean(self) -> Mean:
        return Mean.of([run.weights for run in self.runs], self.tta)

    @property
    def _overlap(self) -> int:
        """Windows that hold a frame."""
        return 4 if self.tta else 2


def _scored(report: Report) -> Scored:
    return Scored(
        figures=report.model_dump(),
        tables=report_tables(report),
        notes=report_notes(report),
        official=report.official_f,
        frames=report.frames,
    )
