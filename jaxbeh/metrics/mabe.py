"""The F-score of the MABe 2025 challenge, counted on intervals instead of sets of frames.

Source: the challenge's published rules. Frames of a row are start … stop − 1. Per lab and action,
F = 2·TP / (2·TP + FP + FN) over frames pooled over the lab's videos and pairs; a lab's score is the
plain mean over its actions, the final score the plain mean over labs.
"""

import json
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jaxbeh.errors import DataError

SUBMISSION_COLUMNS = (
    "video_id",
    "agent_id",
    "target_id",
    "action",
    "start_frame",
    "stop_frame",
)
"""What the score reads of a submission; its `row_id` carries nothing."""

SOLUTION_COLUMNS = (*SUBMISSION_COLUMNS, "lab_id", "behaviors_labeled")
"""What the score reads of a solution; `behaviors_labeled` is a JSON list of strings."""

FRAME_LIMIT = 2**40
"""Frame numbers stay below this in size, so that no sum of frames leaves int64."""

_PAIR = ["video_id", "agent_id", "target_id"]
_KEY = [*_PAIR, "action"]


@dataclass(frozen=True, kw_only=True)
class Unscored:
    """Submission rows that change no score, because nothing can be known about them.

    Attributes:
        unknown_video: rows of videos that the solution does not have.
        not_whitelisted: rows whose `agent,target,action` is not in their video's list.
        rows: all rows of the submission.
    """

    unknown_video: int
    not_whitelisted: int
    rows: int


def score(solution: pd.DataFrame, submission: pd.DataFrame) -> float:
    """The final score, 0 to 1.

    Raises:
        DataError: as `score_table`.
    """
    return mean_of_means(score_table(solution, submission))


def mean_of_means(table: pd.DataFrame) -> float:
    """The final score of a `score_table`: the mean over labs of the mean over their actions."""
    return float(table.groupby("lab_id")["f"].mean().mean())


def score_table(solution: pd.DataFrame, submission: pd.DataFrame) -> pd.DataFrame:
    """The score of each lab and action.

    Video ids may be text or integers, in either table; they are compared as text.

    Args:
        solution: the columns `SOLUTION_COLUMNS`, one row a true event.
        submission: the columns `SUBMISSION_COLUMNS`, one row a predicted one; more do no harm.

    Returns:
        One row a lab and action, sorted: `lab_id`, `action` (text), `f` (float64) and `tp`, `fp`,
        `fn` (int64, frames). A lab's actions are those of its truth and those predicted for it.

    Raises:
        DataError: a column is missing; a table is empty; a cell is missing or no frame number;
            a row starts after it stops; a video is in two labs; a video's `behaviors_labeled` is
            not a JSON list of strings; two actions on one frame of one agent and target.
    """
    return pooled_scores(video_counts(solution, submission))


def pooled_scores(counts: pd.DataFrame) -> pd.DataFrame:
    """The `score_table` of `video_counts`, or of some of its videos."""
    table = counts.groupby(["lab_id", "action"], as_index=False)[["tp", "fp", "fn"]].sum()
    twice = 2 * table["tp"]
    whole = twice + table["fp"] + table["fn"]
    table["f"] = (twice / whole.where(whole > 0, 1)).astype(np.float64)
    return table[["lab_id", "action", "f", "tp", "fp", "fn"]]


def video_counts(solution: pd.DataFrame, submission: pd.DataFrame) -> pd.DataFrame:
    """Frames hit, falsely predicted and missed, before they are pooled over a lab's videos.

    Args:
        solution: as `score_table`.
        submission: likewise.

    Returns:
        One row a video and action that its truth or its counted predictions have, sorted:
        `lab_id`, `video_id`, `action` (text), `tp`, `fp`, `fn` (int64, frames). Every video of the
        solution has a row.

    Raises:
        DataError: as `score_table`.
    """
    truth, kept, _ = _prepare(solution, submission)
    check_one_action(kept, "submission")
    both = pd.concat([truth[_KEY], kept[_KEY]], ignore_index=True)
    key = _codes(both, _KEY)
    predicted = np.arange(len(both)) >= len(truth)
    segments = _sweep(
        key,
        np.concatenate([truth["start_frame"], kept["start_frame"]]),
        np.concatenate([truth["stop_frame"], kept["stop_frame"]]),
        predicted,
    )
    labs = truth.drop_duplicates("video_id").set_index("video_id")["lab_id"]
    names = ["lab_id", "video_id", "action"]
    rows = both.assign(lab_id=both["video_id"].map(labs))[names]
    table = rows.drop_duplicates().sort_values(names, ignore_index=True)
    owner_of_key = np.zeros(int(key.max()) + 1, np.int64)
    owner_of_key[key] = _codes(rows, names)
    for name, counts in (
        ("tp", segments.true & segments.predicted),
        ("fp", ~segments.true & segments.predicted),
        ("fn", segments.true & ~segments.predicted),
    ):
        frames = np.zeros(len(table), np.int64)
        length = segments.stop - segments.start
        np.add.at(frames, owner_of_key[segments.key[counts]], length[counts])
        table[name] = frames
    return table


def unscored_rows(solution: pd.DataFrame, submission: pd.DataFrame) -> Unscored:
    """How many rows of a submission the score passes over, and why.

    Raises:
        DataError: as `score_table`, except for two actions on one frame.
    """
    return _prepare(solution, submission)[2]


class Clash(NamedTuple):
    """Two rows with different actions on one frame of one video, agent and target."""

    first: int
    """The label, in the table's index, of the row that is above the other."""
    second: int
    frame: int
    """The first that both cover."""


def clashes(rows: pd.DataFrame) -> list[Clash]:
    """Each row that starts within another of its video, agent and target, with another action.

    A row that starts within several is told of once, with the one that reaches farthest. So the
    list is as long as the rows at most, and empty if and only if no two rows clash.

    Args:
        rows: the columns `SUBMISSION_COLUMNS`, frames int64, start ≤ stop; its index names them.
    """
    rows = rows[rows["start_frame"] < rows["stop_frame"]]
    if rows.empty:
        return []
    pair, action = _codes(rows, _PAIR), _codes(rows, ["action"])
    start, stop = (rows[name].to_numpy(np.int64) for name in ("start_frame", "stop_frame"))
    order = np.lexsort((start, pair))
    columns = (pair, action, start, stop, rows.index.to_numpy())
    found = []
    # Of the rows before, the one that reaches farthest, and the farthest of another action.
    here, best, rival = None, (0, 0, 0), (0, 0, 0)
    for of_pair, does, begin, end, row in zip(*(c[order].tolist() for c in columns), strict=True):
        if of_pair != here:
            here, best, rival = of_pair, (begin, -1, row), (begin, -1, row)
        reach, _, other = best if best[1] != does else rival
        if begin < reach:
            found.append(Clash(min(row, other), max(row, other), begin))
        own = (end, does, row)
        if does == best[1]:
            best = max(best, own, key=itemgetter(0))
        elif end > best[0]:
            best, rival = own, best
        elif end > rival[0]:
            rival = own
    return found


def check_one_action(rows: pd.DataFrame, name: str) -> None:
    """Refuse two different actions on the same frame of one video, agent and target.

    Args:
        rows: as for `clashes`.
        name: what the table is called in the message.

    Raises:
        DataError: naming two rows and the first frame that they share.
    """
    found = clashes(rows)
    if found:
        first, second, frame = found[0]
        one, other = rows.loc[first], rows.loc[second]
        raise DataError(
            f"{name}: multiple predictions for the same frame from one agent/target pair: rows "
            f"{first} and {second} both cover frame {frame} of video {one['video_id']} for "
            f"{one['agent_id']} → {one['target_id']}, as {one['action']!r} and "
            f"{other['action']!r}; keep one action a frame"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Segments:
    """Stretches `[n]` of one key on which truth and prediction stay what they are."""

    key: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    true: NDArray[np.bool_]
    predicted: NDArray[np.bool_]


def _codes(rows: pd.DataFrame, columns: list[str]) -> NDArray[np.int64]:
    """One number a distinct combination of the columns, in their sorted order."""
    return np.asarray(rows.groupby(columns).ngroup(), dtype=np.int64)


def _sweep(
    key: NDArray[np.int64],
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    predicted: NDArray[np.bool_],
) -> _Segments:
    """Cut each key's rows at every start and stop and say what covers each piece.

    Every row opens at its start and closes at its stop; along the sorted edges, the running sums of
    openings less closings say how many rows of the truth and of the prediction cover the stretch up
    to the next edge. After a key's last edge both are 0, so keys do not touch.
    """
    edges = np.concatenate([start, stop])
    order = np.lexsort((edges, np.tile(key, 2)))
    frame = edges[order]
    keys = np.tile(key, 2)[order]
    of_prediction = np.tile(predicted, 2)[order]
    opens = np.repeat(np.array([1, -1], np.int64), len(start))[order]
    in_truth = np.cumsum(np.where(of_prediction, 0, opens)) > 0
    in_prediction = np.cumsum(np.where(of_prediction, opens, 0)) > 0
    end = np.append(frame[1:], frame[-1:])
    used = (in_truth | in_prediction) & (end > frame)
    return _Segments(
        key=keys[used],
        start=frame[used],
        stop=end[used],
        true=in_truth[used],
        predicted=in_prediction[used],
    )


def _prepare(
    solution: pd.DataFrame, submission: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, Unscored]:
    """Both tables in plain types, the submission without the rows that do not count."""
    truth = _plain(solution, SOLUTION_COLUMNS, "solution")
    rows = _plain(submission, SUBMISSION_COLUMNS, "submission")
    per_video = truth.drop_duplicates(["video_id", "lab_id"])
    twice = per_video[per_video["video_id"].duplicated(keep=False)]
    if len(twice):
        one = twice[twice["video_id"] == twice["video_id"].iloc[0]]
        raise DataError(
            f"solution: video {one['video_id'].iloc[0]} is in labs "
            f"{', '.join(one['lab_id'])} (rows {', '.join(map(str, one.index))}); "
            f"give every video one lab"
        )
    allowed = pd.MultiIndex.from_tuples(
        [
            (video, text)
            for row, video, cell in per_video[["video_id", "behaviors_labeled"]].itertuples()
            for text in _whitelist(cell, int(row), video)
        ]
        or [("", "")],
        names=["video_id", "label"],
    )
    known = rows["video_id"].isin(per_video["video_id"])
    label = rows["agent_id"] + "," + rows["target_id"] + "," + rows["action"]
    listed = pd.MultiIndex.from_arrays([rows["video_id"], label]).isin(allowed)
    counts = Unscored(
        unknown_video=int((~known).sum()),
        not_whitelisted=int((known & ~listed).sum()),
        rows=len(rows),
    )
    return truth, rows[known & listed], counts


def _whitelist(cell: object, row: int, video: str) -> list[str]:
    try:
        strings = json.loads(cell) if isinstance(cell, str) else None
    except (ValueError, RecursionError):
        strings = None
    if not isinstance(strings, list) or not all(isinstance(text, str) for text in strings):
        raise DataError(
            f"solution row {row}: behaviors_labeled of video {video} is {str(cell)[:80]!r}; write "
            f'a JSON list such as ["mouse1,mouse2,sniff", "mouse1,self,rear"]'
        )
    return strings


def _plain(table: pd.DataFrame, columns: tuple[str, ...], name: str) -> pd.DataFrame:
    """The columns as text and int64, rows numbered from 0."""
    names = list(table.columns)
    for column in columns:
        if names.count(column) != 1:
            found = "is missing" if column not in names else "is there more than once"
            raise DataError(
                f"{name}: column {column!r} {found}; it has {', '.join(map(str, names))} and "
                f"needs {', '.join(columns)}, each once"
            )
    if table.empty:
        raise DataError(
            f"{name}: the table has no rows; write at least one, or nothing can be scored"
        )
    plain = table[list(columns)].reset_index(drop=True)
    for column in ("start_frame", "stop_frame"):
        plain[column] = _frame_numbers(plain[column], name)
    late = plain["start_frame"] > plain["stop_frame"]
    if late.any():
        row = int(late.to_numpy().argmax())
        raise DataError(
            f"{name} row {row}: start_frame {plain['start_frame'].iloc[row]} is after stop_frame "
            f"{plain['stop_frame'].iloc[row]}; write a bout as start … stop − 1"
        )
    for column in plain.columns.difference(["start_frame", "stop_frame", "behaviors_labeled"]):
        plain[column] = _text(plain[column], name)
    return plain


def _text(column: pd.Series, name: str) -> pd.Series:
    missing = column.isna()
    if missing.any():
        row = int(missing.to_numpy().argmax())
        raise DataError(f"{name} row {row}: {column.name} is missing; every row needs one")
    if pd.api.types.is_float_dtype(column.dtype):
        whole = np.asarray(column, np.float64)
        if (np.abs(whole) < 2**53).all() and (whole % 1 == 0).all():
            column = column.astype(np.int64)  # ids that were read beside a missing cell
    return column.astype(str)


def _frame_numbers(column: pd.Series, name: str) -> NDArray[np.int64]:
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    good = np.isfinite(numbers)
    good[good] = (numbers[good] % 1 == 0) & (np.abs(numbers[good]) < FRAME_LIMIT)
    if not good.all():
        row = int((~good).argmax())
        raise DataError(
            f"{name} row {row}: {column.name} is {column.iloc[row]!r}; write a whole number of "
            f"frames"
        )
    return numbers.astype(np.int64)
