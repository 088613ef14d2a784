"""Steps from frame to frame that no mouse makes."""

import itertools

import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.checks.case import Case
from jaxbeh.data.checks.swaps import swapped_at
from jaxbeh.finding import CheckFinding, Severity

TOP_SPEED_CM_S = 360.0
"""Centimetres a second: 13 km/h, the fastest that house mice were measured to run."""
SMALLEST_STEP_CM = 4.5
"""Centimetres, half a body length: at high frame rates a tracker's tremor outruns any mouse."""
OFTEN = 0.01
"""Share of a keypoint's steps: one in each window of 100 frames."""
RARELY = 0.001
"""Share of a mouse's steps up to which jumps are only noted: one in ten such windows."""
_NAMED = 5


def teleports(case: Case) -> list[CheckFinding]:
    """Whole mice that jump, and single keypoints that often do.

    A mouse has jumped if every keypoint seen in two successive frames (two at least, where it has
    so many) went faster than a mouse can run. Suspected identity swaps are not told again here.
    """
    if case.pixels_per_cm is None:
        return []
    limit = max(TOP_SPEED_CM_S / case.fps, SMALLEST_STEP_CM) * case.pixels_per_cm
    mice, keypoints = len(case.tracking.mice), len(case.tracking.keypoints)
    jumped: list[int] = []
    steps, leaps = np.zeros(mice, np.int64), np.zeros(mice, np.int64)
    point_steps = np.zeros((mice, keypoints), np.int64)
    point_leaps = np.zeros((mice, keypoints), np.int64)
    for first, pixels in case.blocks(before=1):
        if len(pixels) < 2:
            continue
        moved = pixels[1:] - pixels[:-1]
        distance = np.hypot(moved[..., 0], moved[..., 1])  # [t - 1, m, k]
        seen = ~np.isnan(distance)
        far = seen & (distance > limit)
        both = np.count_nonzero(seen, axis=2) >= min(2, keypoints)
        whole = both & (far == seen).all(axis=2)
        if case.mouse_length is not None:
            whole &= ~_swapped(pixels, case.mouse_length)
        steps += np.count_nonzero(both, axis=0)
        leaps += np.count_nonzero(whole, axis=0)
        jumped += (first + 1 + np.flatnonzero(whole.any(axis=1))).tolist()
        point_steps += np.count_nonzero(seen, axis=0)
        point_leaps += np.count_nonzero(far & ~(far == seen).all(axis=2)[..., None], axis=0)
    return _of_mice(case, jumped, leaps, steps) + _of_points(case, point_leaps, point_steps)


def _swapped(pixels: NDArray[np.float32], length: float) -> NDArray[np.bool_]:
    """`[t − 1, m]`, the mice that exchanged their identities from one frame to the next."""
    swapped = np.zeros((len(pixels) - 1, pixels.shape[1]), np.bool_)
    for pair in itertools.combinations(range(pixels.shape[1]), 2):
        one, other = (pixels[:, mouse] for mouse in pair)
        swapped[np.ix_(swapped_at(one, other, length, reach=1) - 1, np.array(pair))] = True
    return swapped


def _of_mice(
    case: Case, jumped: list[int], leaps: NDArray[np.int64], steps: NDArray[np.int64]
) -> list[CheckFinding]:
    if not jumped:
        return []
    share = float((leaps / np.maximum(steps, 1)).max())
    return [
        case.found(
            "teleports",
            Severity.WARNING if share > RARELY else Severity.NOTE,
            case.tracking_file,
            f"a whole mouse jumps farther than a mouse can run, {int(leaps.sum())} times: "
            f"{case.moments(jumped)}",
            "look at these moments; it may be another animal, a reflection, a cut in the video, or "
            "a wrong frames_per_second or pix_per_cm_approx",
            int(leaps.sum()),
        )
    ]


def _of_points(
    case: Case, leaps: NDArray[np.int64], steps: NDArray[np.int64]
) -> list[CheckFinding]:
    share = leaps / np.maximum(steps, 1)
    often = [
        (float(share[mouse, keypoint]), f"{name} of mouse{number}")
        for mouse, number in enumerate(case.tracking.mice)
        for keypoint, name in enumerate(case.tracking.keypoints)
        if share[mouse, keypoint] > OFTEN
    ]
    if not often:
        return []
    often.sort(reverse=True)
    named = ", ".join(f"{name} in {part:.1%} of its steps" for part, name in often[:_NAMED])
    rest = f" and {len(often) - _NAMED} more" if len(often) > _NAMED else ""
    return [
        case.found(
            "jumping-keypoints",
            Severity.WARNING,
            case.tracking_file,
            f"jumps farther than a mouse can run while the mouse stays: {named}{rest}",
            "look at the tracking of these points; drop those of low likelihood before the file is "
            "written",
            int(leaps.sum()),
        )
    ]
