"""Frame scores from a confusion matrix: F1 of each class, macro-F1, accuracy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jaxbeh.errors import DataError


@dataclass(frozen=True, kw_only=True)
class FrameScores:
    """How well one class a frame was predicted.

    Attributes:
        f1: one a class, 2·TP / (2·TP + FP + FN); `None` for a class without a true frame.
        macro_f1: the plain mean of `f1` over the classes that have a true frame.
        classes_counted: how many classes that mean is over.
        accuracy: the share of frames predicted rightly.
        frames: how many frames were scored.
    """

    f1: tuple[float | None, ...]
    macro_f1: float
    classes_counted: int
    accuracy: float
    frames: int


def frame_scores(confusion: NDArray[np.int64]) -> FrameScores:
    """Score a confusion matrix, the sum of those of all batches.

    A class without a true frame has no F1 and is left out of the mean (a 0 would punish a split for
    what it does not hold); its wrong predictions still count as misses of the true classes.

    Args:
        confusion: integers `[c, c]`, frames; rows are the truth, columns the prediction.

    Raises:
        DataError: the matrix is not square, not of integers, has a negative count or no frame.
    """
    counts = np.asarray(confusion)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or counts.dtype.kind not in "iu":
        raise DataError(
            f"a confusion matrix holds integers [c, c]; this one holds {counts.dtype} "
            f"{list(counts.shape)}"
        )
    counts = counts.astype(np.int64)
    if (counts < 0).any():
        raise DataError(f"a confusion matrix counts frames; this one holds {int(counts.min())}")
    frames = int(counts.sum())
    if frames == 0:
        raise DataError("not one frame to score: the validation videos have no labelled frame")
    right = np.diag(counts)
    true = counts.sum(axis=1)
    f1 = tuple(
        2 * int(hit) / int(in_truth + in_prediction) if in_truth else None
        for hit, in_truth, in_prediction in zip(right, true, counts.sum(axis=0), strict=True)
    )
    counted = [value for value in f1 if value is not None]
    return FrameScores(
        f1=f1,
        macro_f1=sum(counted) / len(counted),
        classes_counted=len(counted),
        accuracy=int(right.sum()) / frames,
        frames=frames,
    )
