"""Pixels → int16 counts with an origin and a step that suit the video's own span."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.recording import MISSING

LARGEST_COUNT = 32_767
_BLOCK = 1 << 14
"""Points handled at a time, so that all passes over them stay in the processor's cache."""
_SMALLEST_SPAN = 1e-20
"""Pixels; a video within less than that stands still."""


def quantise(
    xy: NDArray[np.floating[Any]],
) -> tuple[NDArray[np.int16], NDArray[np.float64], float]:
    """Round to counts: pixel = origin + step · count, |count| ≤ 32,767.

    A fixed step would not do: some recordings span 20 units, others 56,000. The error is at most
    half a step, 1/131,068 of the larger side of the box around all points, and what the precision
    of the given pixels adds to it.

    Args:
        xy: `[2, n]` pixels, NaN in both rows where a point is missing; at least one is there.

    Returns:
        counts int16 `[n, 2]`, `MISSING` where a point is missing; origin float64 `[2]`, pixels;
        step, pixels a count.
    """
    low, high = np.fmin.reduce(xy, axis=1), np.fmax.reduce(xy, axis=1)
    # The origin is a number of the file's own precision, so that subtracting it is exact enough.
    origin = (low.astype(np.float64) / 2 + high.astype(np.float64) / 2).astype(xy.dtype)
    reach = float(np.maximum(high - origin, origin - low).max())
    step = reach / LARGEST_COUNT if reach > _SMALLEST_SPAN else 1.0
    counts = np.empty((xy.shape[1], 2), np.int16)
    missing = xy.dtype.type(MISSING)
    for start in range(0, xy.shape[1], _BLOCK):
        for axis in (0, 1):
            values = xy[axis, start : start + _BLOCK] - origin[axis]
            values *= xy.dtype.type(1 / step)
            np.rint(values, out=values)
            np.fmax(values, missing, out=values)  # NaN, too, becomes MISSING
            counts[start : start + _BLOCK, axis] = values
    return counts, origin.astype(np.float64), step
