"""Bouts: who did what to whom, from which frame to which; and the runs they are made of."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jaxbeh.data.recording import Recording
from jaxbeh.errors import DataError
from jaxbeh.vocabulary import Triple

BOUT_COLUMNS = {
    "video_id": "str",
    "agent_id": "str",
    "target_id": "str",
    "action": "str",
    "start_frame": "int64",
    "stop_frame": "int64",
    "start_s": "float64",
    "stop_s": "float64",
    "score": "float64",
}
"""The columns of a bout table, in order, and what their cells are."""


@dataclass(frozen=True, eq=False)
class Bouts:
    """The canonical bout table, which every writer starts from.

    Attributes:
        table: the columns `BOUT_COLUMNS`, one row a bout, in the order in which bouts were made.
            Agents are written `mouse1`, targets `mouse2` or `self`. Frames are the tracking file's
            own numbers, start … stop − 1; seconds are frame / fps. The score is the mean
            probability of what was predicted, 0 to 1. Read it; never change it in place.

    Raises:
        DataError: columns are missing or others are there, or a bout has no frame.
    """

    table: pd.DataFrame

    def __post_init__(self) -> None:
        """Check the columns and that every bout has a frame; number the rows from 0."""
        if list(self.table.columns) != list(BOUT_COLUMNS):
            raise DataError(
                f"a bout table has the columns {', '.join(BOUT_COLUMNS)}; this one has "
                f"{', '.join(map(str, self.table.columns))}"
            )
        table = self.table.astype(BOUT_COLUMNS).reset_index(drop=True)
        empty = np.asarray(table["start_frame"] >= table["stop_frame"], np.bool_)
        if empty.any():
            row = int(empty.argmax())
            raise DataError(
                f"bout {row} of video {table['video_id'].iloc[row]} has no frame: "
                f"{table['start_frame'].iloc[row]} … {table['stop_frame'].iloc[row]} (exclusive)"
            )
        object.__setattr__(self, "table", table)

    def __len__(self) -> int:
        """The number of bouts."""
        return len(self.table)

    @classmethod
    def of_recording(
        cls,
        recording: Recording,
        triples: Sequence[Triple],
        start: NDArray[np.int64],
        stop: NDArray[np.int64],
        score: NDArray[np.float64],
    ) -> Self:
        """The bouts of one video, from indices into its frames.

        Args:
            recording: whose file numbering and frame rate the table takes.
            triples: n of them, one a bout.
            start: `[n]`, index of the first frame.
            stop: `[n]`, one past the index of the last.
            score: `[n]`, mean probabilities.

        Raises:
            DataError: a bout has no frame.
        """
        first = recording.tracking.first_frame
        start_frame = np.asarray(start, np.int64) + first
        stop_frame = np.asarray(stop, np.int64) + first
        values: dict[str, object] = {
            "video_id": [recording.video_id] * len(triples),
            "agent_id": [triple.agent for triple in triples],
            "target_id": [triple.target for triple in triples],
            "action": [triple.action for triple in triples],
            "start_frame": start_frame,
            "stop_frame": stop_frame,
            "start_s": start_frame / recording.fps,
            "stop_s": stop_frame / recording.fps,
            "score": np.asarray(score, np.float64),
        }
        return cls(pd.DataFrame(values))

    @classmethod
    def empty(cls) -> Self:
        """No bouts."""
        return cls(pd.DataFrame({name: [] for name in BOUT_COLUMNS}))

    @classmethod
    def concatenate(cls, parts: Iterable[Self]) -> Self:
        """All bouts of the parts, in their order."""
        tables = [part.table for part in parts if len(part)]
        return cls(pd.concat(tables)) if tables else cls.empty()


def runs(
    classes: NDArray[np.integer],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.integer]]:
    """Cut a row of classes into its maximal runs of one class.

    Args:
        classes: integers `[t]`, one class a frame.

    Returns:
        `start` and `stop` (exclusive), int64 `[r]`, and the class of each run, `[r]` of the type
        given. The runs follow on one another and cover all frames; no frames, no runs.
    """
    change = np.flatnonzero(classes[1:] != classes[:-1]).astype(np.int64) + 1
    edges = np.concatenate([[0], change, [len(classes)]]).astype(np.int64)
    start, stop = edges[:-1], edges[1:]
    if not len(classes):
        start = stop = start[:0]
    return start, stop, classes[start]
