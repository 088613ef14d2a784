"""What a check found: how bad it is, where, and what to do; machine and data share the type."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding matters, worst first."""

    ERROR = "error"
    """Something does not work or is left out: a video that cannot be read, no place to write."""
    WARNING = "warning"
    """It works, and the result may be wrong: look at it before it is trusted."""
    NOTE = "note"
    """It works, by a documented rule; good to know."""


SEVERITIES = tuple(Severity)
"""Worst first."""


@dataclass(frozen=True, kw_only=True)
class CheckFinding:
    """One line of `jaxbeh doctor`; its fields are those of the JSON form, which stays as it is.

    Attributes:
        check: the check's name in kebab case, such as `identity-swaps`; `docs/doctor.md` has all.
        severity: how much it matters.
        file: path of the file to look at or to mend; empty where no single file is meant.
        what: a sentence with the figures.
        remedy: what to do; equal for all findings of one kind, so that they can be told together.
        video_id: the video, empty where it is not about one.
        lab_id: its lab, likewise.
        count: how many frames, points, events or entries are concerned; the worst come first.
    """

    check: str
    severity: Severity
    file: str
    what: str
    remedy: str
    video_id: str = ""
    lab_id: str = ""
    count: int = 1
