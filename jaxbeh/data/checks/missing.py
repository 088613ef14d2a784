"""How often keypoints are missing."""

import numpy as np

from jaxbeh.data.checks.case import Case
from jaxbeh.finding import CheckFinding, Severity

MOST_MISSING = 0.5
"""Share of frames; beyond half, what a model is shown of a keypoint is mostly not what was seen."""
_NAMED = 5


def missing_keypoints(case: Case) -> list[CheckFinding]:
    """Mice and keypoints that are missing in more than half of the frames, one finding a video."""
    valid = case.tracking.valid
    frames = case.tracking.frames
    seen = np.count_nonzero(valid.any(axis=2), axis=0)  # [m]
    points = np.count_nonzero(valid, axis=0)  # [m, k]
    lost = []
    for mouse, number in enumerate(case.tracking.mice):
        if 1 - seen[mouse] / frames > MOST_MISSING:
            lost.append((1 - seen[mouse] / frames, f"mouse{number} as a whole"))
            continue
        for keypoint, name in enumerate(case.tracking.keypoints):
            share = 1 - points[mouse, keypoint] / frames
            if share > MOST_MISSING:
                lost.append((share, f"{name} of mouse{number}"))
    if not lost:
        return []
    lost.sort(reverse=True)
    named = ", ".join(f"{name} in {share:.0%}" for share, name in lost[:_NAMED])
    rest = f" and {len(lost) - _NAMED} more" if len(lost) > _NAMED else ""
    return [
        case.found(
            "missing-keypoints",
            Severity.WARNING,
            case.tracking_file,
            f"missing in more than half of the {frames:,} frames: {named}{rest}",
            "look at the tracking of these points; one that is seldom seen may be left out of the "
            "file for the whole lab, and a mouse that is not there has no rows",
            int(frames * lost[0][0]),
        )
    ]
