"""What evaluating a run of any task has to say and to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from jaxbeh.data.recording import Recording
from jaxbeh.data.report import ReadingReport
from jaxbeh.inference.bouts import Bouts
from jaxbeh.tasks.task import Table


@dataclass(frozen=True)
class Scored:
    """How well labelled videos were predicted.

    Attributes:
        figures: as `evaluation.json` holds them.
        tables: to print.
        notes: what the figures are of, where it is not plain.
        official: the challenge's F-score of the bouts, `None` where there is no event or no bout.
        frames: labelled frames scored.
        files: texts to keep in the run's folder by name: what was learnt in scoring.
    """

    figures: Mapping[str, Any]
    tables: Sequence[Table]
    notes: Sequence[str]
    official: float | None
    frames: int
    files: Mapping[str, str] = field(default_factory=dict)


class Evaluator(Protocol):
    """A trained run that predicts."""

    def usable(
        self, recordings: Sequence[Recording], report: ReadingReport, labelled: bool
    ) -> Sequence[Recording]:
        """The videos that can be predicted and, if labelled, scored; others are reported."""

    def score(self, recordings: Sequence[Recording]) -> Scored:
        """Predict labelled videos, none of them trained on, and compare."""

    def score_held_out(self, recordings: Sequence[Recording]) -> tuple[Scored, Self]:
        """The same of videos that training held out, each by what did not train on it.

        Returns:
            The scores, and what predicts other videos by all that was learnt on these.
        """

    def bouts(self, recordings: Sequence[Recording]) -> tuple[Bouts, bool]:
        """The bouts of videos; and whether they are only the most likely one, none being found."""
