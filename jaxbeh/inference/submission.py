"""The competition's tables: a submission, checked before it is written, and a solution."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from jaxbeh.data.recording import Recording
from jaxbeh.errors import DataError
from jaxbeh.inference.bouts import Bouts
from jaxbeh.inference.submission_rules import violations
from jaxbeh.metrics.mabe import SUBMISSION_COLUMNS


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

    Args:
        table: as for `jaxbeh.inference.submission_rules.violations`, which has the rules.
        recordings: the videos that were predicted.

    Raises:
        DataError: the first violation, with the row, its value and what to write.
    """
    found = violations(table, recordings)
    if found:
        raise DataError(str(found[0]))


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
