"""How well a run predicted labelled videos: the figures of `held_out.json` and `evaluation.json`.

`docs/figures.md` says what each figure is.
"""

from typing import Literal, Self

import pydantic
from pydantic import Field

from jaxbeh.errors import DataError
from jaxbeh.settings.block import Block

HELD_OUT = "held_out.json"
"""The file of a run that holds the report of the videos that training held out."""


Scored = Literal["videos held out in training", "videos not trained on"]

DecodedBy = Literal[
    "values tuned on the other folds",
    "values tuned on these very videos",
    "values of the run",
]


class Figures(Block):
    """Figures of all labs, of a lab or of an action; `None` where there is nothing to count.

    Segment F1, average precision, calibration error and Brier score are counted for each lab and
    action and averaged as the challenge averages F: over a lab's actions, then over labs; for an
    action over its labs.
    """

    official_f: float | None = Field(description="the challenge's F-score")
    low: float | None = Field(
        description="lower end of its interval; none where each lab has one video"
    )
    high: float | None = Field(description="upper end")
    segment_f1: dict[str, float | None] = Field(
        description="F1 of bouts, by the intersection over union from which one counts as found"
    )
    edit: float | None = Field(
        description="edit score: the mean over a lab's tracks; none for an action alone"
    )
    average_precision: float | None
    calibration_error: float | None = Field(description="expected; ten bins of equal mass")
    brier: float | None


class Bin(Block):
    """Frames of like probability."""

    frames: int
    probability: float = Field(description="their mean")
    share: float = Field(description="of them that show the action")


class ActionFigures(Figures):
    """Figures of one action in one lab, and what they are counted from."""

    seconds: float = Field(description="annotated, in tracks")
    frames: int = Field(description="of tracks in which it was looked for")
    hits: int = Field(description="frames, by the challenge's rules")
    false: int = Field(description="likewise")
    missed: int = Field(description="likewise")
    bouts: int = Field(description="annotated")
    predicted_bouts: int
    reliability: tuple[Bin, ...] = Field(description="by rising probability")


class Report(Block):
    """All figures of some labelled videos."""

    scored: Scored
    decoded_by: DecodedBy
    videos: int
    frames: int
    official_f: float | None = Field(description="as in `overall`")
    tuned_f: float | None = Field(
        description="the same by values tuned on these very videos: too high"
    )
    level: float = Field(description="share of the draws between `low` and `high`")
    draws: int = Field(description="how often the videos were drawn again")
    overall: Figures
    labs: dict[str, Figures]
    actions: dict[str, Figures]
    labs_and_actions: dict[str, dict[str, ActionFigures]]

    def to_json(self) -> str:
        """Text that `from_json` reads back to an equal value."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            DataError: the text is something else; the message shows what and where.
        """
        try:
            return cls.model_validate_json(text)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise DataError(
                f"{where}: {first['msg']} ({str(first['input'])[:80]!r}); restore the file, or "
                f"remove it and decoding.json and give the run's training command again, which "
                f"makes both anew"
            ) from None
