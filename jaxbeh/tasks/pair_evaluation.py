"""Recipe v7: tracks of whole videos to bouts, by one run or the mean of several."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jaxbeh.data.recording import Recording
from jaxbeh.data.report import ReadingReport
from jaxbeh.inference.bouts import Bouts
from jaxbeh.inference.pairs.averaging import average
from jaxbeh.inference.pairs.counts import score_bouts
from jaxbeh.inference.pairs.decoding import Decoding, decode, predict_pairs
from jaxbeh.inference.pairs.held_out import DECODING
from jaxbeh.inference.pairs.probabilities import TrackProbabilities
from jaxbeh.inference.pairs.trained import Trained, load
from jaxbeh.metrics.mabe import mean_of_means
from jaxbeh.pair_settings import PairConfig
from jaxbeh.tasks.evaluation import Scored
from jaxbeh.tasks.task import Table
from jaxbeh.training.pairs.dataset import with_known_keypoints
from jaxbeh.training.run_folder import RunFolder


@dataclass(frozen=True)
class PairEvaluator:
    """See `Evaluator`.

    Attributes:
        runs: whose probabilities are averaged.
        decoding: of the first run.
        tta: whether to average views, too: the mirror image, and windows that overlap four times.
    """

    runs: tuple[Trained, ...]
    decoding: Decoding
    tta: bool

    @classmethod
    def load(
        cls,
        folders: Sequence[tuple[RunFolder, PairConfig]],
        tta: bool,
        tell: Callable[[str], None],
    ) -> "PairEvaluator":
        """The best checkpoints of runs, and the first one's decoding.

        Raises:
            RunError: a run has no checkpoint or no decoding yet, or a file of it is damaged.
            CheckpointError: a checkpoint does not fit its settings.
        """
        first = folders[0][0]
        runs = tuple(load(folder, config, tell) for folder, config in folders)
        if first.has(DECODING):
            decoding = first.parsed(DECODING, Decoding.from_json)
        else:
            tell(
                f"{first.path} is not finished: thresholds are not tuned yet, and 0.5 is taken for "
                f"all; its command, given again, finishes it"
            )
            decoding = Decoding.constant(runs[0].frequencies)
        return cls(runs, decoding, tta)

    def usable(
        self, recordings: Sequence[Recording], report: ReadingReport, labelled: bool
    ) -> Sequence[Recording]:
        """See `Evaluator`."""
        kept = []
        for recording in recordings:
            if labelled and recording.events is None:
                continue
            if not with_known_keypoints(recording, self.runs[0].predictor.slots, report):
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
            kept.append(recording)
        return kept

    def score(self, recordings: Sequence[Recording]) -> Scored:
        """See `Evaluator`."""
        bouts = decode(self._probabilities(recordings), self.decoding)
        frames = sum(recording.tracking.frames for recording in recordings)
        if not any(recording.events and len(recording.events.start) for recording in recordings):
            nothing = {"official_f": None, "videos": len(recordings), "frames": frames}
            return Scored(nothing, [], None, frames)
        table = score_bouts(recordings, bouts)
        official = mean_of_means(table)
        labs = {str(lab): mean_of_means(rows) for lab, rows in table.groupby("lab_id")}
        figures = {
            "official_f": official,
            "labs": labs,
            "videos": len(recordings),
            "frames": frames,
        }
        shown = [
            Table("Official F by lab", ["lab", "F"], list(labs.items())),
            Table(
                "Official F by lab and action, counts in frames",
                ["lab", "action", "F", "hits", "false", "missed"],
                table.astype(object).to_numpy().tolist(),
            ),
        ]
        return Scored(figures, shown, official, frames)

    def bouts(self, recordings: Sequence[Recording]) -> tuple[Bouts, bool]:
        """See `Evaluator`."""
        predicted = predict_pairs(self._probabilities(recordings), self.decoding)
        return predicted.bouts, predicted.fallback

    def _probabilities(self, recordings: Sequence[Recording]) -> list[TrackProbabilities]:
        overlap = 4 if self.tta else 2
        return average([run.predict(recordings, self.tta, overlap) for run in self.runs])
