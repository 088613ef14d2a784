"""Points where no animal can be: tracking failures that would spoil the scale of a video."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FARTHEST = 50
"""Body lengths from the median position; for a mouse of 9 cm, 4.5 m."""
_SAMPLE = 1 << 18
"""Pairs of keypoints looked at for the body length, over evenly spaced frames."""


def remove_stray_points(xy: NDArray[np.floating[Any]]) -> int:
    """Set points far from everything to NaN, in place.

    A single point at 10⁸ pixels would stretch the step of the packed counts until all else
    coincides. The limit is 50 body lengths from the median position. Body length is here the
    median, over a sample of frames and mice, of the longest distance between two keypoints; where
    a file has no two keypoints together, or they coincide, nothing is removed.

    Args:
        xy: `[2, t, m, k]` pixels, NaN in both where a point is missing.

    Returns:
        Number of points removed.
    """
    keypoints = xy.shape[3]
    rows = xy.reshape(2, -1, keypoints)
    stride = max(1, rows.shape[1] * keypoints * keypoints // _SAMPLE)
    length = body_length(rows[:, ::stride])
    if length is None and stride > 1:
        length = body_length(rows)
    if not length:
        return 0
    flat = xy.reshape(2, -1)
    sample = rows[:, ::stride].reshape(2, -1)
    sample = sample[:, ~np.isnan(sample[0])]
    if not sample.size:
        sample = flat[:, ~np.isnan(flat[0])]
    middle = np.median(sample, axis=1).astype(np.float64)
    limit = FARTHEST * length
    reach = np.maximum(np.fmax.reduce(flat, axis=1) - middle, middle - np.fmin.reduce(flat, axis=1))
    if np.hypot(*reach) <= limit:
        return 0
    stray = np.hypot(flat[0] - middle[0], flat[1] - middle[1]) > limit
    flat[:, stray] = np.nan
    return int(np.count_nonzero(stray))


def body_length(rows: NDArray[np.floating[Any]]) -> float | None:
    """Median over the rows of `farthest_apart`; `None` if no row has two keypoints."""
    longest = farthest_apart(rows)
    return float(np.median(longest)) if longest.size else None


def farthest_apart(rows: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The longest distance between two keypoints of each row that has two.

    Args:
        rows: `[2, n, k]` positions, one row a frame and mouse, NaN in both where missing.

    Returns:
        Float64, at most `n` lengths in the positions' unit, in the rows' order.
    """
    longest = np.full(rows.shape[1], np.nan)
    for first in range(rows.shape[2] - 1):
        apart = rows[:, :, first + 1 :] - rows[:, :, first, None]
        np.fmax(longest, np.fmax.reduce(apart[0] ** 2 + apart[1] ** 2, axis=1), out=longest)
    lengths: NDArray[np.float64] = np.sqrt(longest[~np.isnan(longest)])
    return lengths
