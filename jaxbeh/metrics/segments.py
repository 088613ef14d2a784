"""Scores of segments: F1 at an overlap, and the edit score.

Sources: the edit score is that of C. Lea, A. Reiter, R. Vidal and G. D. Hager, Segmental
Spatiotemporal CNNs for Fine-grained Action Segmentation (ECCV 2016); F1 at an overlap that of
C. Lea, M. D. Flynn, R. Vidal, A. Reiter and G. D. Hager, Temporal Convolutional Networks for Action
Segmentation and Detection (CVPR 2017). They count in percent, here it is 0 to 1.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from jaxbeh.errors import DataError

OVERLAPS = (0.1, 0.25, 0.5)
"""Intersection over union from which a segment counts as found."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Segments:
    """Bouts of one track, in order of start, then stop; those of different actions may overlap.

    Attributes:
        action: int64 `[n]`, any numbers.
        start: int64 `[n]`, first frame.
        stop: int64 `[n]`, one past the last.
    """

    action: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Put them in order.

        Raises:
            DataError: the columns differ in length, or a segment has no frame.
        """
        if not len(self.action) == len(self.start) == len(self.stop):
            raise DataError(
                f"segments need an action, a start and a stop each; there are {len(self.action)}, "
                f"{len(self.start)} and {len(self.stop)}"
            )
        empty = np.asarray(self.start) >= np.asarray(self.stop)
        if empty.any():
            n = int(empty.argmax())
            raise DataError(
                f"segment {n} has no frame: {self.start[n]} … {self.stop[n]} (exclusive)"
            )
        order = np.lexsort((self.action, self.stop, self.start))
        for name in ("action", "start", "stop"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), np.int64)[order])

    @classmethod
    def of_frames(cls, actions: NDArray[np.integer], none: int, known: NDArray[np.bool_]) -> Self:
        """The runs of one action among the frames of a track.

        Args:
            actions: integers `[t]`.
            none: the number that stands for no action; its runs are no segments.
            known: bool `[t]`; false where nobody knows what is true. Segments of the truth and of
                the prediction are both cut there, and those frames belong to none.
        """
        inside = known & (actions != none)
        cut = (actions[1:] != actions[:-1]) | (inside[1:] != inside[:-1])
        edges = np.concatenate([[0], np.flatnonzero(cut) + 1, [len(actions)]]).astype(np.int64)
        start, stop = edges[:-1], edges[1:]
        used = inside[start] if len(actions) else np.zeros(1, np.bool_)
        start, stop = start[used], stop[used]
        return cls(action=actions[start].astype(np.int64), start=start, stop=stop)

    @classmethod
    def of_each(cls, frames: NDArray[np.bool_]) -> Self:
        """The runs of each action by itself; those of different actions may overlap.

        Args:
            frames: bool `[t, a]`; an action's number is its column.
        """
        edges = np.diff(frames.astype(np.int8), axis=0, prepend=0, append=0)
        action, start = np.nonzero((edges == 1).T)
        _, stop = np.nonzero((edges == -1).T)
        return cls(action=action, start=start, stop=stop)


@dataclass(frozen=True, kw_only=True)
class SegmentScores:
    """How well the segments of one or more tracks were predicted.

    Attributes:
        hits: of each overlap of `OVERLAPS`, true segments that were found.
        predicted: how many segments were predicted.
        true: how many there are.
        edit: the mean over the tracks that have a segment, true or predicted, of
            1 − distance / the longer of the two rows; `None` if none has one.
        tracks: how many that mean is over.
    """

    hits: tuple[int, ...]
    predicted: int
    true: int
    edit: float | None
    tracks: int

    @property
    def f1(self) -> tuple[float | None, ...]:
        """Of each overlap 2·TP / (2·TP + FP + FN); `None` where there is no segment at all."""
        whole = self.predicted + self.true
        return tuple(2 * hit / whole if whole else None for hit in self.hits)


def segment_scores(truth: Segments, predicted: Segments) -> SegmentScores:
    """Score one track.

    Predicted segments are gone through in order of start. Each looks at the true segment of its own
    action that it overlaps most (intersection over union; of equal ones the first). It is a hit if
    the overlap is at least the bound and that true segment was not found before; else it is false,
    also where another true segment would be free: of two predictions of one bout one is false. An
    overlap that equals the bound is enough.
    """
    hits = [0] * len(OVERLAPS)
    used = np.zeros((len(OVERLAPS), len(truth.action)), np.bool_)
    if len(truth.action):
        columns = (predicted.action, predicted.start, predicted.stop)
        for action, start, stop in zip(*(column.tolist() for column in columns), strict=True):
            shared = np.minimum(truth.stop, stop) - np.maximum(truth.start, start)
            both = truth.stop - truth.start + (stop - start) - shared
            overlap = np.where((truth.action == action) & (shared > 0), shared / both, 0.0)
            best = int(overlap.argmax())
            for n, bound in enumerate(OVERLAPS):
                if overlap[best] >= bound and not used[n, best]:
                    used[n, best] = True
                    hits[n] += 1
    longest = max(len(truth.action), len(predicted.action))
    distance = edit_distance(truth.action, predicted.action)
    return SegmentScores(
        hits=tuple(hits),
        predicted=len(predicted.action),
        true=len(truth.action),
        edit=1 - distance / longest if longest else None,
        tracks=int(longest > 0),
    )


def pooled(scores: Iterable[SegmentScores]) -> SegmentScores:
    """The scores of all tracks: segments are added up, edit scores averaged over the tracks."""
    scores = list(scores)
    tracks = sum(one.tracks for one in scores)
    edits = sum(one.edit * one.tracks for one in scores if one.edit is not None)
    return SegmentScores(
        hits=tuple(sum(one.hits[n] for one in scores) for n in range(len(OVERLAPS))),
        predicted=sum(one.predicted for one in scores),
        true=sum(one.true for one in scores),
        edit=edits / tracks if tracks else None,
        tracks=tracks,
    )


def edit_distance(first: NDArray[np.integer], second: NDArray[np.integer]) -> int:
    """Levenshtein's distance: the fewest insertions, deletions and changes between two rows.

    Source: V. I. Levenshtein (1966), by the recursion of R. A. Wagner and M. J. Fischer (1974), one
    row of their table at a time.
    """
    steps = np.arange(len(second) + 1)
    row = steps
    for done, label in enumerate(first, 1):
        changed = np.minimum(row[1:] + 1, row[:-1] + (second != label))
        # What is inserted costs one a place: the running minimum of costs less places.
        row = np.minimum.accumulate(np.concatenate([[done], changed]) - steps) + steps
    return int(row[-1])
