"""Values tuned for the mean of several runs or views, kept for whoever predicts that mean again.

A mean is known again by what it is made of, wherever its runs lie by then: by the weights that each
run predicts with, in any order, and by whether views are averaged, too. Each has a file of its own.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Self

import pydantic
from pydantic import Field

from jaxbeh.errors import DataError
from jaxbeh.inference.pairs.decoding import Decoding
from jaxbeh.settings.block import Block
from jaxbeh.training.run_folder import RunFolder


@dataclass(frozen=True)
class Mean:
    """What is averaged.

    Attributes:
        weights: content hash of the checkpoint of each run, sorted.
        tta: whether views of each video are averaged, too.
    """

    weights: tuple[str, ...]
    tta: bool

    @classmethod
    def of(cls, weights: Sequence[str], tta: bool) -> Self:
        """The mean of runs in any order."""
        return cls(tuple(sorted(weights)), tta)

    @property
    def is_one_run(self) -> bool:
        """Whether it is a run by itself, which has a decoding without this."""
        return len(self.weights) == 1 and not self.tta

    @property
    def file(self) -> str:
        """The name of the file of a run that holds what was tuned for it."""
        text = "\n".join((*self.weights, f"tta {self.tta}"))
        return f"decoding-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


class MeanDecoding(Block):
    """What was tuned for a mean."""

    weights: tuple[str, ...] = Field(description="see `Mean`")
    tta: bool = Field(description="likewise")
    videos: int = Field(ge=1, description="held out by all runs, on which it was tuned")
    decoding: Decoding

    def to_json(self) -> str:
        """Text that `from_json` reads back to an equal value."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def from_json(cls, mean: Mean, text: str) -> Self:
        """Read what `to_json` wrote for a mean.

        Raises:
            DataError: the text is something else, or of another mean.
        """
        remedy = (
            "restore the file, or remove it and give jaxbeh evaluate with the same runs again "
            "where the videos are that they held out, which makes it anew"
        )
        try:
            found = cls.model_validate_json(text)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise DataError(
                f"{where}: {first['msg']} ({str(first['input'])[:80]!r}); {remedy}"
            ) from None
        if (found.weights, found.tta) != (mean.weights, mean.tta):
            raise DataError(f"was tuned for other runs or views than its name says; {remedy}")
        return found


def kept_for(mean: Mean, folders: Sequence[RunFolder]) -> MeanDecoding | None:
    """What one of the runs keeps for a mean, the first of several; `None` where none does.

    Raises:
        RunError: the file is damaged, or another's.
    """
    for folder in folders:
        if folder.has(mean.file):
            return folder.parsed(mean.file, partial(MeanDecoding.from_json, mean))
    return None
