"""The rules of a submission: every violation by row, for the check before writing and for others'.

A submission's rows are told of one by one, so that a person sees all that is wrong at once. A rule
looks only at rows that can be read by it: a row without a whole number has no span to be checked.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jaxbeh.data.recording import Recording
from jaxbeh.finding import Severity
from jaxbeh.metrics.mabe import FRAME_LIMIT, SUBMISSION_COLUMNS, clashes
from jaxbeh.vocabulary import Triple

COLUMNS = ("row_id", *SUBMISSION_COLUMNS)
"""The columns of `submission.csv`, in order."""

_NUMBERS = ("row_id", "start_frame", "stop_frame")
_TEXTS = ("video_id", "agent_id", "target_id", "action")
_MOUSE = re.compile(r"mouse[1-9][0-9]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One rule that a submission breaks, in one place.

    Attributes:
        severity: an error is refused by the challenge or costs score; a warning is a row that the
            challenge passes over, since nobody looked for it: it can never score.
        row: the row's number from 0; `None` where the table as a whole is meant.
        column: the cell's column; empty where several are meant.
        value: what stands there, as Python shows it.
        rule: what is wrong with it.
        remedy: what to do.
    """

    severity: Severity
    row: int | None
    column: str
    value: str
    rule: str
    remedy: str

    def __str__(self) -> str:
        """All of it in one sentence."""
        place = "submission" if self.row is None else f"submission row {self.row}"
        what = " ".join(part for part in (self.column, self.value, self.rule) if part)
        return f"{place}: {what}; {self.remedy}"


def violations(table: pd.DataFrame, recordings: Sequence[Recording]) -> list[Violation]:
    """All violations, rule by rule and within a rule by row; a sound submission has none.

    Text cells have to equal the whitelist's strings to the letter, so a cell that starts with
    `=`, `+`, `-` or `@` stays as it is: only an action of the collection's own can, the file is for
    the scorer, and a changed one would score nothing. Control characters, which a CSV file does not
    carry unharmed, are refused.

    The rules: columns; no empty table; cell types; `row_id` once; known video; spelling of agent
    and target; a triple that was looked for; mice that are tracked where nobody says what was
    looked for; a bout has a frame; no frame before or after the video; one action on a frame of a
    pair, among the rows that count; some row counts.

    Args:
        table: the columns `COLUMNS`; ids, agents, targets and actions as text, frames as integers.
            Columns that are not there end the check: the other rules need them.
        recordings: the videos that the submission is of.
    """
    found = list(_columns(table))
    if table.empty or any(list(table.columns).count(name) != 1 for name in COLUMNS):
        return found
    rows = table.reset_index(drop=True)
    unreadable = _cells(rows)
    found += unreadable
    rows = _without(rows, unreadable).astype(dict.fromkeys(_NUMBERS, np.int64))
    found += _where(
        rows, rows["row_id"].duplicated(), "row_id", "is there twice", "number the rows from 0"
    )
    known = {recording.video_id: recording for recording in recordings}
    uncounted = _videos(rows, known)
    of_known = _without(rows, uncounted)
    uncounted += _triples(of_known, known)
    found += uncounted
    spans = _frames(of_known, known)
    found += spans
    counted = _without(rows, uncounted)
    found += _clashes(counted[counted["start_frame"] < counted["stop_frame"]])
    if uncounted and counted.empty:
        found.append(
            _of_table("not one row can score", "name videos, mice and actions as the data do")
        )
    return found


def _of_table(rule: str, remedy: str) -> Violation:
    return Violation(
        severity=Severity.ERROR, row=None, column="", value="", rule=rule, remedy=remedy
    )


def _where(
    rows: pd.DataFrame,
    bad: "pd.Series[bool] | NDArray[np.bool_]",
    column: str,
    rule: str,
    remedy: str,
    severity: Severity = Severity.ERROR,
) -> list[Violation]:
    """One violation a row that is bad, told by its cell of the column."""
    cells = rows.loc[np.asarray(bad, np.bool_), column]
    return [
        Violation(
            severity=severity, row=row, column=column, value=repr(cell), rule=rule, remedy=remedy
        )
        for row, cell in zip(cells.index.tolist(), cells.tolist(), strict=True)
    ]


def _without(rows: pd.DataFrame, found: Iterable[Violation]) -> pd.DataFrame:
    """The rows that none of the violations is about."""
    return rows[~rows.index.isin({violation.row for violation in found})]


def _columns(table: pd.DataFrame) -> Iterable[Violation]:
    if list(table.columns) != list(COLUMNS):
        yield _of_table(
            f"the columns are {', '.join(map(str, table.columns))}",
            f"write exactly {', '.join(COLUMNS)}",
        )
    elif table.empty:
        yield _of_table(
            "there is no bout to write, and an empty table is an error in the challenge",
            "write one at least; a model finds none where its classes have no action that was "
            "looked for and that the training videos show",
        )


def _cells(rows: pd.DataFrame) -> list[Violation]:
    """Cells of the wrong type."""
    found = []
    for column in _NUMBERS:
        cells = rows[column]
        if pd.api.types.is_integer_dtype(cells.dtype) and not cells.isna().any():
            bad = np.asarray((cells <= -FRAME_LIMIT) | (cells >= FRAME_LIMIT), np.bool_)
        else:
            bad = np.array([not _is_number(cell) for cell in cells.tolist()], np.bool_)
        found += _where(rows, bad, column, "is no whole number", "write one, without a point")
    for column in _TEXTS:
        cells = rows[column]
        plain = {cell for cell in set(cells) if isinstance(cell, str) and not _CONTROL.search(cell)}
        found += _where(
            rows, ~cells.isin(plain), column, "is not plain text", "write it on one line"
        )
    return found


def _is_number(cell: object) -> bool:
    return isinstance(cell, int) and not isinstance(cell, bool) and abs(cell) < FRAME_LIMIT


def _videos(rows: pd.DataFrame, known: dict[str, Recording]) -> list[Violation]:
    return _where(
        rows,
        ~rows["video_id"].isin(known.keys()),
        "video_id",
        f"is none of the {len(known)} videos that are predicted",
        "write it as the table of videos has it, zeros in front included",
        Severity.WARNING,
    )


def _triples(rows: pd.DataFrame, known: dict[str, Recording]) -> list[Violation]:
    """Agents and targets that are misspelled, and what was not looked for."""
    found = []
    keys = ["video_id", "agent_id", "target_id", "action"]
    for key, group in rows.groupby(keys, sort=False):
        video, agent, target, action = map(str, key)
        fault = _fault(Triple(agent, target, action), known[video])
        if fault is None:
            continue
        severity, column, value, rule, remedy = fault
        found += [
            Violation(
                severity=severity, row=row, column=column, value=value, rule=rule, remedy=remedy
            )
            for row in group.index.tolist()
        ]
    return sorted(found, key=lambda violation: violation.row or 0)


def _fault(triple: Triple, recording: Recording) -> tuple[Severity, str, str, str, str] | None:
    """What is wrong with a triple in a video: severity, column, value, rule and remedy."""
    agent, target, _ = triple
    of_video = f"of video {recording.video_id}"
    if not _MOUSE.fullmatch(agent):
        return (
            Severity.ERROR,
            "agent_id",
            f"agent {agent!r}",
            f"{of_video} is no mouse as the challenge spells it",
            "write mouse1 for mouse 1",
        )
    if agent == target or (target != "self" and not _MOUSE.fullmatch(target)):
        return (
            Severity.ERROR,
            "target_id",
            f"target {target!r}",
            f"{of_video} is neither self nor another mouse as the challenge spells it",
            "write mouse2 for mouse 2 and, for the agent itself, self",
        )
    if recording.whitelist is not None:
        if triple in recording.whitelist:
            return None
        return (
            Severity.WARNING,
            "action",
            f"'{triple}'",
            f"was not looked for in video {recording.video_id} and would not count",
            f"leave it out; its behaviors_labeled are "
            f"{'; '.join(map(str, sorted(recording.whitelist)))}",
        )
    missing = set(triple.mouse_ids()) - set(recording.tracking.mice)
    if not missing:
        return None
    return (
        Severity.WARNING,
        "action",
        f"'{triple}'",
        f"names mouse{min(missing)}, which is not tracked in video {recording.video_id}",
        f"there are {', '.join(f'mouse{mouse}' for mouse in recording.tracking.mice)}",
    )


def _frames(rows: pd.DataFrame, known: dict[str, Recording]) -> list[Violation]:
    if rows.empty:
        return []
    spans = {
        video: (recording.tracking.first_frame, recording.tracking.frames)
        for video, recording in known.items()
    }
    first = rows["video_id"].map({video: span[0] for video, span in spans.items()})
    end = rows["video_id"].map({video: sum(span) for video, span in spans.items()})
    start, stop = rows["start_frame"], rows["stop_frame"]
    found = _where(
        rows,
        stop <= start,
        "stop_frame",
        "is not after start_frame",
        "a bout is start … stop − 1, so write one with a frame or none",
    )
    for bad, column, rule in (
        (start < first.clip(lower=0), "start_frame", "is before the video's first frame"),
        (stop > end, "stop_frame", "is beyond the end of the video"),
    ):
        for video, group in rows[bad].groupby("video_id", sort=False):
            low, count = spans[str(video)]
            remedy = f"video {video} has frames {low} … {low + count - 1}"
            found += _where(group, np.ones(len(group), np.bool_), column, rule, remedy)
    return found


def _clashes(rows: pd.DataFrame) -> list[Violation]:
    found = clashes(rows)
    earlier = rows.loc[[clash.first for clash in found], "action"].tolist()
    later = rows.loc[[clash.second for clash in found], list(_TEXTS)].itertuples(index=False)
    told = [
        Violation(
            severity=Severity.ERROR,
            row=clash.second,
            column="action",
            value=repr(action),
            rule=f"and {other!r} are two predictions for the same frame from one agent/target "
            f"pair: rows {clash.first} and {clash.second} both cover frame {clash.frame} of video "
            f"{video} for {agent} → {target}",
            remedy="keep one action a frame",
        )
        for clash, other, (video, agent, target, action) in zip(found, earlier, later, strict=True)
    ]
    return sorted(told, key=lambda violation: violation.row or 0)
