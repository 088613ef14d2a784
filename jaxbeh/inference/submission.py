"""The competition's tables: a submission, checked before it is written, and a solution."""

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jaxbeh.data.recording import Recording
from jaxbeh.errors import DataError
from jaxbeh.inference.bouts import Bouts
from jaxbeh.metrics.mabe import SUBMISSION_COLUMNS, check_one_action
from jaxbeh.vocabulary import Triple

COLUMNS = ("row_id", *SUBMISSION_COLUMNS)
"""The columns of `submission.csv`, in order."""

_MOUSE = re.compile(r"mouse[1-9][0-9]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


def submission_table(bouts: Bouts) -> pd.DataFrame:
    """The bouts with exactly the columns `COLUMNS`, `row_id` from 0; times and scores are left out.

    Cells are as the metric compares them, `mouse1`, `self`, frames in file numbering.
    """
    table = bouts.table[list(SUBMISSION_COLUMNS)].copy()
    table.insert(0, "row_id", np.arange(len(table), dtype=np.int64))
    return table


def solution_table(recordings: Iterable[Recording]) -> pd.DataFrame:
    """What the metric compares a submission with, from labelled recordings.

    Only events that were looked for are in it: no submission could name the others (rule 3), so
    each would be a miss that nobody can avoid. A video without an event has no row, and predictions
    for it are not scored (rule 2), as in the competition.

    Returns:
        The columns `jaxbeh.metrics.mabe.SOLUTION_COLUMNS`, one row an event, frames in the tracking
        file's numbering, int64; `behaviors_labeled` is the JSON of the sorted whitelist.

    Raises:
        DataError: a recording has no labels.
    """
    rows = []
    for recording in recordings:
        events, whitelist = recording.events, recording.whitelist
        if events is None or whitelist is None:
            raise DataError(
                f"video {recording.video_id} of lab {recording.lab_id} has no labels; it cannot be "
                f"in a solution"
            )
        labeled = json.dumps(sorted(str(triple) for triple in whitelist), ensure_ascii=False)
        first = recording.tracking.first_frame
        for triple, start, stop in zip(events.triples, events.start, events.stop, strict=True):
            if triple in whitelist:
                span = (int(start) + first, int(stop) + first)
                rows.append((recording.video_id, *triple, *span, recording.lab_id, labeled))
    table = pd.DataFrame(rows, columns=[*SUBMISSION_COLUMNS, "lab_id", "behaviors_labeled"])
    return table.astype({"start_frame": np.int64, "stop_frame": np.int64})


def check_submission(table: pd.DataFrame, recordings: Sequence[Recording]) -> None:
    """Refuse a submission that the competition would refuse, or of which a row could never count.

    Text cells have to equal the whitelist's strings to the letter, so a cell that starts with
    `=`, `+`, `-` or `@` stays as it is: only an action of the collection's own can, the file is for
    the scorer, and a changed one would score nothing. Control characters, which a CSV file does not
    carry unharmed, are refused.

    Args:
        table: the columns `COLUMNS`; ids, agents, targets and actions as text, frames as integers.
        recordings: the videos that were predicted.

    Raises:
        DataError: naming the first row that breaks a rule, its value and what to write: columns,
            empty table, `row_id` twice, cell types, unknown video, spelling of agent and target,
            a triple not looked for, mice not tracked where nobody says what was looked for, no
            frame, frames before or after the video, two actions on one frame of one pair.
    """
    if list(table.columns) != list(COLUMNS):
        raise DataError(
            f"submission: the columns are {', '.join(map(str, table.columns))}; write exactly "
            f"{', '.join(COLUMNS)}"
        )
    if table.empty:
        raise DataError(
            "submission: there is no bout to write, and an empty table is an error in the "
            "competition: in none of the videos was an action looked for that the classes have and "
            "the training videos show"
        )
    table = table.reset_index(drop=True)
    _check_cells(table)
    known = {recording.video_id: recording for recording in recordings}
    _refuse(
        table,
        ~table["video_id"].isin(known.keys()).to_numpy(np.bool_),
        "video_id",
        f"is none of the {len(known)} videos predicted",
    )
    _check_triples(table, known)
    _check_frames(table, known)
    check_one_action(table, "submission")


def write_submission(table: pd.DataFrame, path: Path, recordings: Sequence[Recording]) -> None:
    """Check the table, then write it as CSV: the whole file appears at once or not at all.

    Folders on the way are made. A submission already there is replaced only by a whole new one.

    Raises:
        DataError: as `check_submission`, before anything is written; or the file cannot be written.
    """
    check_submission(table, recordings)
    text = table.to_csv(index=False, lineterminator="\n")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.unlink(missing_ok=True)
            with temporary.open("x", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path}: the submission cannot be written ({error.strerror})") from None


def _check_cells(table: pd.DataFrame) -> None:
    _refuse(
        table,
        table["row_id"].duplicated().to_numpy(np.bool_),
        "row_id",
        "is there twice; number the rows from 0",
    )
    for column in ("row_id", "start_frame", "stop_frame"):
        if not pd.api.types.is_integer_dtype(table[column].dtype) or table[column].isna().any():
            raise DataError(
                f"submission: {column} is {table[column].dtype}, such as "
                f"{table[column].iloc[0]!r}; write whole numbers"
            )
    for column in ("video_id", "agent_id", "target_id", "action"):
        bad = [not isinstance(cell, str) or bool(_CONTROL.search(cell)) for cell in table[column]]
        _refuse(table, np.array(bad), column, "is not plain text")


def _check_triples(table: pd.DataFrame, known: dict[str, Recording]) -> None:
    distinct = table.drop_duplicates(["video_id", "agent_id", "target_id", "action"])
    for row, video, agent, target, action in distinct[
        ["video_id", "agent_id", "target_id", "action"]
    ].itertuples():
        where = f"submission row {row}: video {video}"
        spelled = _MOUSE.fullmatch(agent) and (target == "self" or _MOUSE.fullmatch(target))
        if not spelled or agent == target:
            raise DataError(
                f"{where}: agent {agent!r} and target {target!r}; write mouse1 for the agent, and "
                f"mouse2 or, for itself, self for the target"
            )
        triple, recording = Triple(agent, target, action), known[video]
        if recording.whitelist is not None and triple not in recording.whitelist:
            raise DataError(
                f"{where}: '{triple}' was not looked for and would not count; its "
                f"behaviors_labeled are {'; '.join(map(str, sorted(recording.whitelist)))}"
            )
        if recording.whitelist is None:
            missing = set(triple.mouse_ids()) - set(recording.tracking.mice)
            if missing:
                raise DataError(
                    f"{where}: '{triple}' names mouse{min(missing)}, which is not tracked; there "
                    f"are {', '.join(f'mouse{mouse}' for mouse in recording.tracking.mice)}"
                )


def _check_frames(table: pd.DataFrame, known: dict[str, Recording]) -> None:
    first = table["video_id"].map({key: r.tracking.first_frame for key, r in known.items()})
    end = first + table["video_id"].map({key: r.tracking.frames for key, r in known.items()})
    start, stop = table["start_frame"], table["stop_frame"]
    for bad, column, message in (
        (stop <= start, "stop_frame", "is not after start_frame; a bout is start … stop − 1"),
        (start < first.clip(lower=0), "start_frame", "is before the video's first frame"),
        (stop > end, "stop_frame", "is beyond the end of the video"),
    ):
        mask = bad.to_numpy(np.bool_)
        row = int(mask.argmax())
        span = f"frames {first.iloc[row]} … {end.iloc[row] - 1}"
        _refuse(table, mask, column, f"{message} (video {table['video_id'].iloc[row]}: {span})")


def _refuse(table: pd.DataFrame, bad: NDArray[np.bool_], column: str, message: str) -> None:
    if bad.any():
        row = int(bad.argmax())
        raise DataError(f"submission row {row}: {column} {table[column].iloc[row]!r} {message}")
