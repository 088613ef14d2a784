"""Videos of one collection that have the same tracking."""

from collections.abc import Iterable
from dataclasses import dataclass

from jaxbeh.finding import CheckFinding, Severity


@dataclass(frozen=True)
class Content:
    """A video and the hash of its tracking.

    Attributes:
        video_id: which video.
        lab_id: its lab.
        file: its tracking file.
        side: `train` or `test`.
        content_hash: `Tracking.content_hash`.
    """

    video_id: str
    lab_id: str
    file: str
    side: str
    content_hash: str


def duplicates(contents: Iterable[Content]) -> list[CheckFinding]:
    """One finding a tracking that several videos have, at the first of them."""
    groups: dict[str, list[Content]] = {}
    for content in contents:
        groups.setdefault(content.content_hash, []).append(content)
    return [_of(group) for group in groups.values() if len(group) > 1]


def _of(group: list[Content]) -> CheckFinding:
    first, *others = group
    named = ", ".join(f"{other.video_id} ({other.lab_id}, {other.side})" for other in others[:5])
    more = f" and {len(others) - 5} more" if len(others) > 5 else ""
    leaks = len({content.side for content in group}) > 1
    return CheckFinding(
        check="duplicate-content",
        severity=Severity.WARNING if leaks else Severity.NOTE,
        file=first.file,
        what=f"video {first.video_id} ({first.lab_id}, {first.side}) has the same tracking as "
        f"{named}{more}",
        remedy="predictions of these test videos are no test: the truth may be trained on"
        if leaks
        else "they stay on one side of the split, so that no score leaks; a split file of your own "
        "should keep them together too",
        video_id=first.video_id,
        lab_id=first.lab_id,
        count=len(group),
    )
