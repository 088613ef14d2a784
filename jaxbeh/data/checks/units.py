"""Frame rate, duration and scale: missing, or contradicted by the tracking."""

import math

import numpy as np

from jaxbeh.data.checks.case import Case
from jaxbeh.data.mabe.videos import POSSIBLE_FPS
from jaxbeh.finding import CheckFinding, Severity

PLAUSIBLE_FPS = (5.0, 1000.0)
"""Frames a second; the challenge's labs have 10 to 120, and high-speed cameras end near 1,000."""
SAME_DURATION = 0.05
"""Share; 25 frames a second taken for 30 are 20 % off, rounded durations and rates far less."""
PLAUSIBLE_LENGTH_CM = (3.5, 15.0)
"""Centimetres from nose to tail base. Adult house mice have 7 to 10 cm of head and body; half of
that for young or bent ones, half more for stretched ones."""
PLAUSIBLE_SPAN_CM = (1.5, 25.0)
"""Centimetres between the farthest two keypoints, which may be ears and neck, or nose and tail
tip: a mouse is some 18 cm with its tail."""
BEYOND_ARENA = 1.5
"""Times the arena's longer side; lenses distort, and mice climb walls."""
_SAMPLE = 20_000
"""Frames, evenly spaced, that the extent of the tracking is taken from."""


def frame_rate(case: Case) -> list[CheckFinding]:
    """No frame rate, an implausible one, or one that the video's duration contradicts."""
    if case.row.fps is None:
        return [
            case.found(
                "fps-missing",
                Severity.WARNING,
                case.table,
                f"no frames_per_second; taken as {case.fps:g} (data.default_fps)",
                "fill frames_per_second: speeds, and the seconds of every bout, hang on it",
            )
        ]
    fps = case.row.fps
    if not PLAUSIBLE_FPS[0] <= fps <= PLAUSIBLE_FPS[1]:
        possible = POSSIBLE_FPS[0] <= fps <= POSSIBLE_FPS[1]
        return [
            case.found(
                "fps-implausible",
                Severity.WARNING if possible else Severity.ERROR,
                case.table,
                f"frames_per_second is {fps:g}{'' if possible else ': the video is left out'}",
                "correct frames_per_second; it is frames a second, not the time of a frame",
            )
        ]
    duration = _number(case, "video_duration_sec")
    if duration is None:
        return []
    # What the duration says of frames before the first and after the last tracked one is unknown:
    # too few tracked frames are no contradiction, too many are.
    last = case.tracking.first_frame + case.tracking.frames
    if last / (duration * fps) <= 1 + SAME_DURATION:
        return []
    return [
        case.found(
            "fps-contradicted",
            Severity.WARNING,
            case.table,
            f"frames_per_second {fps:g} and video_duration_sec {duration:g} make "
            f"{duration * fps:,.0f} frames, and the tracking goes on to frame {last:,}: "
            f"{last / duration:.4g} frames a second",
            "correct frames_per_second or video_duration_sec; if the events were annotated at "
            "another rate than the tracking, say so in data.event_scale",
            round(last - duration * fps),
        )
    ]


def scale(case: Case) -> list[CheckFinding]:
    """No scale, or one by which the mice or the ground they cover have impossible sizes."""
    if case.pixels_per_cm is None:
        return [
            case.found(
                "scale-missing",
                Severity.ERROR,
                case.table,
                "no pix_per_cm_approx, and no mouse has two keypoints at once to measure it by: "
                "the video is left out",
                "fill pix_per_cm_approx with the tracking's units a centimetre",
            )
        ]
    if case.row.pixels_per_cm is None:
        between = "nose to tail base" if case.nose_to_tail else "their farthest two keypoints"
        return [
            case.found(
                "scale-missing",
                Severity.NOTE,
                case.table,
                f"no pix_per_cm_approx; mice are taken to be as long as "
                f"data.assumed_body_length_cm from {between}: {case.pixels_per_cm:.4g} units a cm",
                "fill pix_per_cm_approx if it is known; else nothing needs to be done",
            )
        ]
    return _length(case) + _extent(case)


def _length(case: Case) -> list[CheckFinding]:
    if case.body_length is None or case.pixels_per_cm is None:
        return []
    length = case.body_length / case.pixels_per_cm
    low, high = PLAUSIBLE_LENGTH_CM if case.nose_to_tail else PLAUSIBLE_SPAN_CM
    if low <= length <= high:
        return []
    between = "from nose to tail base" if case.nose_to_tail else "between their farthest keypoints"
    return [
        case.found(
            "scale-contradicted",
            Severity.WARNING,
            case.table,
            f"by pix_per_cm_approx {case.pixels_per_cm:g} the mice measure {length:.1f} cm "
            f"{between}",
            "correct pix_per_cm_approx: it is the tracking's units a centimetre, and halves or "
            "doubles where a video was resized before it was tracked",
        )
    ]


def _extent(case: Case) -> list[CheckFinding]:
    sides = [_number(case, f"arena_{side}_cm") for side in ("width", "height")]
    known = [side for side in sides if side is not None]
    if not known or case.pixels_per_cm is None:
        return []
    stride = max(1, case.tracking.frames // _SAMPLE)
    counts = case.tracking.xy[::stride][case.tracking.valid[::stride]].astype(np.float64)
    low, high = np.percentile(counts, (1, 99), axis=0)
    covered = float((high - low).max()) * case.tracking.step / case.pixels_per_cm
    if covered <= BEYOND_ARENA * max(known):
        return []
    return [
        case.found(
            "scale-contradicted",
            Severity.WARNING,
            case.table,
            f"by pix_per_cm_approx {case.pixels_per_cm:g} the mice cover {covered:.0f} cm, in an "
            f"arena of {max(known):g} cm",
            "correct pix_per_cm_approx, or arena_width_cm and arena_height_cm",
        )
    ]


def _number(case: Case, column: str) -> float | None:
    """A positive number of the table's line; `None` where the cell says none."""
    try:
        value = float(case.row.cells.get(column, ""))
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
