"""Moments at which two mice seem to have exchanged their identities."""

import itertools

import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.checks.case import Case
from jaxbeh.finding import CheckFinding, Severity

LEAP = 0.5
"""Body lengths that both mice must move at once, which at 30 fps is 135 cm/s: a sprint, by both."""
LANDING = 0.25
"""Body lengths: how near to the other's old place each must land; a mouse is about as wide."""
LONGEST_GAP_S = 0.2
"""Seconds; identities are lost where mice cover each other, and a short gap is bridged."""
FEWEST_SHARED = 2
"""Keypoints that both mice have in both frames; one alone may be the tracker's slip."""


def identity_swaps(case: Case) -> list[CheckFinding]:
    """Frames at which each of two mice is suddenly where, and how, the other was.

    Keypoints are compared with their own kind, so that mice that lie side by side are told apart
    by the way they point. A mouse that runs to the other's place is no swap, unless the other is
    at that moment where it came from.
    """
    length = case.mouse_length
    if length is None:
        return []
    reach = max(1, round(LONGEST_GAP_S * case.fps))
    found: set[int] = set()
    for first, pixels in case.blocks(before=reach):
        fresh = first + reach if first else 0
        for one, other in itertools.combinations(range(pixels.shape[1]), 2):
            swapped = first + swapped_at(pixels[:, one], pixels[:, other], length, reach)
            found.update(index for index in swapped.tolist() if index >= fresh)
    if not found:
        return []
    return [
        case.found(
            "identity-swaps",
            Severity.WARNING,
            case.tracking_file,
            f"{len(found)} suspected identity swaps: {case.moments(list(found))}",
            "look at these moments in the video; mend identities in the tracker, or leave the "
            "video out where who did what to whom matters",
            len(found),
        )
    ]


def swapped_at(
    one: NDArray[np.float32], other: NDArray[np.float32], length: float, reach: int
) -> NDArray[np.int64]:
    """Where two mice exchange places.

    Args:
        one: `[t, k, 2]` positions, NaN where missing.
        other: the other mouse's.
        length: a body length, in the unit of the positions.
        reach: frames that a gap, in which one of them is not seen, may take.

    Returns:
        Int64 indices of the first frame after each exchange.
    """
    both = ~np.isnan(one[..., 0]) & ~np.isnan(other[..., 0])  # [t, k]
    seen = np.flatnonzero(np.count_nonzero(both, axis=1) >= FEWEST_SHARED)
    before, after = seen[:-1], seen[1:]
    near = after - before <= reach
    before, after = before[near], after[near]
    shared = both[before] & both[after]
    enough = np.count_nonzero(shared, axis=1) >= FEWEST_SHARED
    before, after, shared = before[enough], after[enough], shared[enough]
    stays = [_apart(mouse[before], mouse[after], shared) for mouse in (one, other)]
    leaps = (stays[0] > LEAP * length) & (stays[1] > LEAP * length)
    before, after, shared = before[leaps], after[leaps], shared[leaps]
    lands = [
        _apart(one[before], other[after], shared),
        _apart(other[before], one[after], shared),
    ]
    exchanged = (lands[0] < LANDING * length) & (lands[1] < LANDING * length)
    indices: NDArray[np.int64] = after[exchanged].astype(np.int64)
    return indices


def _apart(
    here: NDArray[np.float32], there: NDArray[np.float32], shared: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Mean distance `[n]` between equal keypoints of `[n, k, 2]` positions, over those shared."""
    distance = np.hypot(here[..., 0] - there[..., 0], here[..., 1] - there[..., 1])
    mean: NDArray[np.float32] = np.mean(distance, axis=1, where=shared)
    return mean
