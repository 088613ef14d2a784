"""What reading a tracking file had to pass over."""

from jaxbeh.data.checks.case import Case
from jaxbeh.data.mabe.tracking import FINDINGS
from jaxbeh.finding import CheckFinding, Severity

_REMEDIES = {
    "unplaced": "write video_frame, mouse_id and bodypart in every row",
    "repeated": "write one row a frame, mouse and body part; see whether a file was appended to "
    "itself",
    "stray": "see whether these rows were written in another unit, or by a failed tracking",
}
"""Those of `FINDINGS` that are odd; points that are missing are told by their rates."""


def passed_over(case: Case) -> list[CheckFinding]:
    """Rows without an id, rows that repeat others, points where no mouse can be."""
    return [
        case.found(
            f"{name}-rows",
            Severity.WARNING,
            case.tracking_file,
            f"{case.met[name]:,} {FINDINGS[name][0]}: {FINDINGS[name][1]}",
            remedy,
            case.met[name],
        )
        for name, remedy in _REMEDIES.items()
        if case.met.get(name)
    ]
