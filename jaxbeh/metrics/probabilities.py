"""Scores of probabilities: average precision, the Brier score and calibration.

Frames of which nobody knows whether the action happened are left out of all of them.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from jaxbeh.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Precision:
    """Average precision of actions.

    Attributes:
        of_action: one an action; `None` where no known frame shows it.
        mean: over the actions that have one; `None` if none has.
    """

    of_action: tuple[float | None, ...]
    mean: float | None


def average_precisions(
    truth: NDArray[np.bool_], probabilities: NDArray[np.floating], known: NDArray[np.bool_]
) -> Precision:
    """The average precision of each action and their plain mean.

    Args:
        truth: bool `[n, c]`.
        probabilities: `[n, c]`.
        known: bool `[n, c]`; false where nobody looked for the action.

    Raises:
        DataError: as `average_precision`.
    """
    found = tuple(
        average_precision(truth[known[:, c], c], probabilities[known[:, c], c])
        for c in range(truth.shape[1])
    )
    counted = [value for value in found if value is not None]
    return Precision(of_action=found, mean=sum(counted) / len(counted) if counted else None)


def average_precision(
    truth: NDArray[np.bool_], probabilities: NDArray[np.floating]
) -> float | None:
    """Σ (Rₙ − Rₙ₋₁)·Pₙ over the distinct probabilities, highest first, without interpolation.

    R and P are recall and precision of what is at least as probable; frames of equal probability
    come together. Source: the step-wise area of scikit-learn's `average_precision_score`.

    Args:
        truth: bool `[n]`, of known frames.
        probabilities: `[n]`.

    Returns:
        0 to 1; `None` if no frame is true.

    Raises:
        DataError: the lengths differ, or a probability is not between 0 and 1.
    """
    _check(truth, probabilities)
    if not truth.any():
        return None
    order = np.argsort(-probabilities, kind="stable")
    ranked = probabilities[order]
    last = np.append(ranked[1:] != ranked[:-1], True)  # of those of equal probability
    hits = np.cumsum(truth[order])[last]
    precision = hits / (np.flatnonzero(last) + 1)
    return float(np.sum(np.diff(hits, prepend=0) * precision) / hits[-1])


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """Whether what is given 70 % happens in 70 % of such frames.

    Attributes:
        frames: int64 `[b]`, of each bin that has one, by rising probability.
        probability: float64 `[b]`, their mean probability.
        share: float64 `[b]`, the share of them that is true.
        error: the expected calibration error: the mean over frames of their bin's
            |share − probability|.
        brier: the mean squared difference of probability and truth.
    """

    frames: NDArray[np.int64]
    probability: NDArray[np.float64]
    share: NDArray[np.float64]
    error: float
    brier: float


def calibration(
    truth: NDArray[np.bool_],
    probabilities: NDArray[np.floating],
    bins: int = 10,
    equal: Literal["width", "mass"] = "mass",
) -> Calibration:
    """The reliability table, the expected calibration error and the Brier score of known frames.

    A probability on the edge of two bins is in the lower one, as in scikit-learn's
    `calibration_curve`. Sources: M. P. Naeini, G. F. Cooper and M. Hauskrecht (AAAI 2015) for the
    error; G. W. Brier (1950).

    Args:
        truth: bool `[n]`, of known frames.
        probabilities: `[n]`.
        bins: how many at most; an empty one is left out.
        equal: bins of equal `width` in probability, or of equal `mass`: edges at its quantiles.
            Rare actions have nearly all frames in the lowest bin of equal width.

    Raises:
        DataError: as `average_precision`, or there is no frame or no bin.
    """
    _check(truth, probabilities)
    if not len(truth) or bins < 1:
        raise DataError(
            f"calibration needs frames and bins; there are {len(truth)} frames and {bins} bins"
        )
    values = probabilities.astype(np.float64)
    edges = np.linspace(0, 1, bins + 1)
    if equal == "mass":
        edges = np.percentile(values, edges * 100)  # to the bit as the reference rounds them
    place = np.searchsorted(edges[1:-1], values)
    frames = np.bincount(place, minlength=bins)
    there = frames > 0
    frames = frames[there]
    probability = np.bincount(place, values, minlength=bins)[there] / frames
    share = np.bincount(place, truth, minlength=bins)[there] / frames
    return Calibration(
        frames=frames,
        probability=probability,
        share=share,
        error=float((frames * np.abs(share - probability)).sum() / len(truth)),
        brier=float(np.mean((values - truth) ** 2)),
    )


def _check(truth: NDArray[np.bool_], probabilities: NDArray[np.floating]) -> None:
    if truth.shape != probabilities.shape or truth.ndim != 1:
        raise DataError(
            f"truth and probabilities need one value a frame each; they are {list(truth.shape)} "
            f"and {list(probabilities.shape)}"
        )
    if not ((probabilities >= 0) & (probabilities <= 1)).all():  # a NaN is neither
        bad = probabilities[~((probabilities >= 0) & (probabilities <= 1))][0]
        raise DataError(f"a probability is {bad}; give values between 0 and 1")
