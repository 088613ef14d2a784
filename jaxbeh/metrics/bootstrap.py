"""Intervals of pooled scores, by drawing videos again (a percentile bootstrap).

A video is the unit: its frames are no independent witnesses. Within each lab as many videos are
drawn, with replacement, as it has, so that no lab vanishes. Source: B. Efron and R. J. Tibshirani,
An Introduction to the Bootstrap (1993), chapters 8 (units that are drawn whole) and 13 (percentile
intervals).

A score is a function of how often each video counts; so scores of the same videos are averaged over
seeds and subtracted draw by draw. A lab with one video draws it every time: such labs add no width,
and an interval over few videos is too narrow.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jaxbeh.errors import DataError

Score = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From how often each video counts, `[n, v]`, to the score of each draw, `[n]`."""


@dataclass(frozen=True, kw_only=True)
class Videos:
    """Videos in the order in which a score counts them.

    Attributes:
        ids: v of them, each once.
        labs: the lab of each.
    """

    ids: tuple[str, ...]
    labs: tuple[str, ...]

    @classmethod
    def of_counts(cls, counts: pd.DataFrame) -> "Videos":
        """The videos of `jaxbeh.metrics.mabe.video_counts`."""
        one = counts.drop_duplicates("video_id")
        return cls(ids=tuple(one["video_id"]), labs=tuple(one["lab_id"]))


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A score and where it lies when the videos are drawn again.

    Attributes:
        value: of every video once.
        low: the lower end of the middle `level` of the draws.
        high: the upper end.
        level: a share, such as 0.95.
    """

    value: float
    low: float
    high: float
    level: float


def interval(
    score: Score, videos: Videos, *, draws: int = 2000, seed: int = 0, level: float = 0.95
) -> Interval:
    """The score with its percentile interval; the same seed gives the same interval.

    Args:
        score: of these videos.
        videos: v of them, in the score's order.
        draws: how often videos are drawn again.
        seed: of the generator.
        level: the share of draws between the ends.

    Raises:
        DataError: no video, no draw, or a level that is no share.
    """
    if not videos.ids or draws < 1 or not 0 < level < 1:
        raise DataError(
            f"an interval needs videos, draws and a level between 0 and 1; these are "
            f"{len(videos.ids)}, {draws} and {level}"
        )
    found = score(draw_videos(videos, draws, seed))
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    value = score(np.ones((1, len(videos.ids))))[0]
    return Interval(value=float(value), low=float(low), high=float(high), level=level)


def draw_videos(videos: Videos, draws: int, seed: int) -> NDArray[np.float64]:
    """How often each video is drawn: whole numbers `[n, v]` that add up to its size in each lab."""
    generator = np.random.default_rng(seed)
    times = np.zeros((draws, len(videos.ids)))
    labs = np.array(videos.labs)
    for lab in sorted(set(videos.labs)):
        own = np.flatnonzero(labs == lab)
        times[:, own] = generator.multinomial(len(own), np.full(len(own), 1 / len(own)), draws)
    return times


@dataclass(frozen=True, kw_only=True, eq=False)
class LabCounts:
    """What the F-scores of a lab's actions are counted from.

    Attributes:
        lab: its id.
        actions: a of them, in sorted order.
        videos: int64 `[w]`, places of its videos among those that are drawn.
        table: float64 `[3, w, a]`: 2·TP, 2·TP + FP + FN, and 1 where the video has the action.
    """

    lab: str
    actions: tuple[str, ...]
    videos: NDArray[np.int64]
    table: NDArray[np.float64]

    def f(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """F of each draw and action, `[n, a]`; NaN where no drawn video has the action.

        A draw is scored as if its videos were all there are: the lab's actions are those that its
        drawn videos show or that are predicted there (rule 7). Counting the others as 0 would
        punish every draw without them.

        Args:
            times: `[n, v]`, how often each video counts.
        """
        hits, frames, there = times[:, self.videos] @ self.table
        return np.where(there > 0, hits / np.maximum(frames, 1), np.nan)


def lab_counts(counts: pd.DataFrame, videos: Videos) -> list[LabCounts]:
    """The counts of each lab, by lab.

    Args:
        counts: `jaxbeh.metrics.mabe.video_counts`.
        videos: all of the counts' videos, in any order.

    Raises:
        DataError: the counts are of other videos or labs.
    """
    given = Videos.of_counts(counts)
    if dict(zip(given.ids, given.labs, strict=True)) != dict(
        zip(videos.ids, videos.labs, strict=True)
    ):
        raise DataError(
            f"the counts are of {len(given.ids)} videos and not of the {len(videos.ids)} that are "
            f"drawn; compare systems on the same solution"
        )
    place = {video: index for index, video in enumerate(videos.ids)}
    found = []
    for lab, rows in counts.groupby("lab_id"):
        own, video = np.unique(rows["video_id"].map(place), return_inverse=True)
        actions, action = np.unique(rows["action"], return_inverse=True)
        table = np.zeros((3, len(own), len(actions)))
        hits = 2 * rows["tp"].to_numpy(np.float64)
        table[0, video, action] = hits
        table[1, video, action] = hits + rows["fp"].to_numpy() + rows["fn"].to_numpy()
        table[2, video, action] = 1
        found.append(
            LabCounts(lab=str(lab), actions=tuple(map(str, actions)), videos=own, table=table)
        )
    return found


def mean_there(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """The mean over an axis of what is not NaN; NaN where all is."""
    there = ~np.isnan(values)
    count = there.sum(axis=axis)
    total = np.where(there, values, 0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def official_score(counts: pd.DataFrame, videos: Videos) -> Score:
    """The challenge's F-score: the mean over labs of the mean over a draw's actions.

    Args:
        counts: as for `lab_counts`.
        videos: likewise.

    Raises:
        DataError: as `lab_counts`.
    """
    labs = lab_counts(counts, videos)

    def score(times: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.mean([mean_there(lab.f(times), axis=1) for lab in labs], axis=0))

    return score


def macro_f1(confusions: NDArray[np.int64]) -> Score:
    """The macro-F1 of `jaxbeh.metrics.frames.frame_scores`, frames pooled over the drawn videos.

    A class without a true frame in a draw is left out of that draw's mean.

    Args:
        confusions: frames `[v, c, c]`, rows the truth, columns the prediction; each video has one.

    Raises:
        DataError: a video has no frame: a draw of it alone would have no score.
    """
    if (confusions.sum(axis=(1, 2)) == 0).any():
        raise DataError("a video has no labelled frame; leave it out of the videos that are drawn")
    right = np.diagonal(confusions, axis1=1, axis2=2).astype(np.float64)
    true = confusions.sum(axis=2).astype(np.float64)
    predicted = confusions.sum(axis=1).astype(np.float64)

    def score(times: NDArray[np.float64]) -> NDArray[np.float64]:
        present = times @ true
        f = 2 * (times @ right) / np.maximum(present + times @ predicted, 1)
        counted = present > 0
        return np.asarray((f * counted).sum(axis=1) / counted.sum(axis=1))

    return score


def mean_of(scores: Sequence[Score]) -> Score:
    """The mean of scores of the same videos, such as those of several seeds."""
    return lambda times: np.mean([score(times) for score in scores], axis=0)


def difference(first: Score, second: Score) -> Score:
    """The first less the second on the same drawn videos: its interval is a paired one."""
    return lambda times: first(times) - second(times)
