"""Recipes v1 to v6: whole videos to classes, classes to bouts of single triples."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from jaxbeh.data.recording import Recording
from jaxbeh.data.report import ReadingReport
from jaxbeh.data.scene import UNKNOWN
from jaxbeh.data.store import Scene
from jaxbeh.inference.bouts import Bouts
from jaxbeh.inference.predictor import Predictor
from jaxbeh.inference.scene_bouts import ActionFrequencies, predict_scenes
from jaxbeh.inference.submission import solution_table, submission_table
from jaxbeh.metrics.frames import FrameScores, frame_scores
from jaxbeh.metrics.mabe import score
from jaxbeh.settings.run import SceneConfig
from jaxbeh.tasks.evaluation import Scored
from jaxbeh.tasks.task import Table
from jaxbeh.training.checkpoints import best_of
from jaxbeh.training.dataset import (
    class_map,
    scenes,
    with_something_to_tell_apart,
    with_what_is_needed,
)
from jaxbeh.training.recipe import Recipe
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.vocabulary import ClassMap


@dataclass(frozen=True)
class SceneEvaluator:
    """See `Evaluator`.

    Attributes:
        predictor: the best checkpoint.
        classes: the run's.
        frequencies: what the training videos showed, by lab.
    """

    predictor: Predictor
    classes: ClassMap
    frequencies: ActionFrequencies

    @classmethod
    def load(
        cls, folder: RunFolder, config: SceneConfig, tell: Callable[[str], None]
    ) -> "SceneEvaluator":
        """The best checkpoint of a run.

        Raises:
            RunError: it has none, or a file of it is damaged.
            CheckpointError: the checkpoint does not fit the settings.
        """
        leaves = best_of(folder, tell).leaves
        predictor = Predictor.restore(
            Recipe.from_config(config), folder.slots(), leaves, folder.checkpoints
        )
        frequencies = folder.parsed("actions.json", ActionFrequencies.from_json)
        return cls(predictor, class_map(config), frequencies)

    def usable(
        self, recordings: Sequence[Recording], report: ReadingReport, labelled: bool
    ) -> Sequence[Recording]:
        """See `Evaluator`."""
        slots = self.predictor.slots
        kept = with_what_is_needed(
            recordings, self.predictor.recipe.features, slots.aliases, report
        )
        if labelled:
            kept = with_something_to_tell_apart(kept, self.classes, report)
        found = [scene.recording for scene in scenes(kept, slots, self.classes, report)]
        if not labelled:
            for recording in found:
                if recording.lab_id not in self.frequencies.labs:
                    report.add(
                        f"lab {recording.lab_id} was not trained on",
                        "action frequencies of all labs pooled",
                        recording.video_id,
                    )
                elif not self.frequencies.of_lab(recording.lab_id):
                    report.add(
                        f"what was trained on of lab {recording.lab_id} shows no event",
                        "no bout is predicted",
                        recording.video_id,
                    )
        return found

    def score(self, recordings: Sequence[Recording]) -> Scored:
        """See `Evaluator`."""
        found = list(self.predictor.predict(self._scenes(recordings)))
        count = len(self.classes.names)
        confusion = np.zeros((count, count), np.int64)
        for scene, probabilities in found:
            labelled = scene.labels.values != UNKNOWN
            truth, predicted = scene.labels.values[labelled], probabilities[labelled].argmax(axis=1)
            np.add.at(confusion, (truth, predicted), 1)
        scores = frame_scores(confusion)
        videos = [(scene.recording, probabilities) for scene, probabilities in found]
        bouts = predict_scenes(videos, self.classes, self.frequencies).bouts
        solution = solution_table(recording for recording, _ in videos)
        table = submission_table(bouts)
        official = score(solution, table) if len(solution) and len(table) else None
        figures = {
            "macro_f1": scores.macro_f1,
            "accuracy": scores.accuracy,
            "f1": dict(zip(self.classes.names, scores.f1, strict=True)),
            "official_f": official,
            "videos": len(found),
            "frames": scores.frames,
        }
        shown = [_frame_table(self.classes, scores)]
        return Scored(figures, shown, [], official, scores.frames)

    def score_held_out(self, recordings: Sequence[Recording]) -> tuple[Scored, Self]:
        """See `Evaluator`."""
        return self.score(recordings), self

    def bouts(self, recordings: Sequence[Recording]) -> tuple[Bouts, bool]:
        """See `Evaluator`."""
        found = self.predictor.predict(self._scenes(recordings))
        videos = ((scene.recording, probabilities) for scene, probabilities in found)
        predicted = predict_scenes(videos, self.classes, self.frequencies)
        return predicted.bouts, predicted.fallback

    def _scenes(self, recordings: Sequence[Recording]) -> tuple[Scene, ...]:
        return scenes(recordings, self.predictor.slots, self.classes, ReadingReport())


def _frame_table(classes: ClassMap, scores: FrameScores) -> Table:
    rows = [
        (name, "no true frame" if f1 is None else f"{f1:.4f}")
        for name, f1 in zip(classes.names, scores.f1, strict=True)
    ]
    rows += [("macro-F1", f"{scores.macro_f1:.4f}"), ("accuracy", f"{scores.accuracy:.4f}")]
    return Table("Frame scores", ["class", "F1"], rows)
