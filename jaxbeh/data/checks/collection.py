"""All checks over a whole collection, one video after another, in bounded memory."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from jaxbeh.data.checks.case import Case
from jaxbeh.data.checks.duplicates import Content, duplicates
from jaxbeh.data.checks.events import events_in_time, events_of_mice, overlapping_events
from jaxbeh.data.checks.missing import missing_keypoints
from jaxbeh.data.checks.names import formula_names
from jaxbeh.data.checks.rows import passed_over
from jaxbeh.data.checks.swaps import identity_swaps
from jaxbeh.data.checks.teleports import teleports
from jaxbeh.data.checks.units import frame_rate, scale
from jaxbeh.data.checks.whitelist import whitelist
from jaxbeh.data.mabe.annotation import event_factor, read_annotation
from jaxbeh.data.mabe.parquet import FileError, MissingFileError
from jaxbeh.data.mabe.scale import body_length
from jaxbeh.data.mabe.tracking import read_tracking
from jaxbeh.data.mabe.videos import POSSIBLE_FPS, VideoRow, scan_videos
from jaxbeh.errors import DataError
from jaxbeh.finding import CheckFinding, Severity
from jaxbeh.settings.run import DataSettings

CHECKS: tuple[Callable[[Case], list[CheckFinding]], ...] = (
    passed_over,
    missing_keypoints,
    teleports,
    identity_swaps,
    frame_rate,
    scale,
    whitelist,
    formula_names,
    events_in_time,
    events_of_mice,
    overlapping_events,
)
"""Every check of a single video."""

_FILES_AT_ONCE = 4
"""Bounds the memory: a recording of hours takes some 300 MB while it is read."""
_FETCH = "fetch or write the file again; until then the video is left out"


@dataclass
class Examination:
    """What was looked at, and what was found.

    Attributes:
        videos: labelled and test videos that were listed, so looked at.
        unlabelled: videos of `train.csv` without labels; nothing uses them, and they are not read.
        frames: tracked frames of the videos that could be read.
        findings: in the order of the tables.
    """

    videos: int = 0
    unlabelled: int = 0
    frames: int = 0
    findings: list[CheckFinding] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where the parts of one side of the collection lie."""

    root: Path
    side: str

    @property
    def table(self) -> Path:
        return self.root / f"{self.side}.csv"

    def file(self, kind: str, row: VideoRow) -> Path:
        return self.root / f"{self.side}_{kind}" / row.lab_id / f"{row.video_id}.parquet"


@dataclass(frozen=True)
class _Looked:
    """What one video gave; content and events are `None` if they could not be read."""

    findings: list[CheckFinding]
    content: Content | None
    frames: int
    events: int | None


def examine(
    root: Path, settings: DataSettings, progress: Callable[[int, int], None]
) -> Examination:
    """Check every labelled video and every test video of a folder in the MABe layout.

    A file that cannot be read is a finding, and the next one is looked at. Findings that need
    nothing but one video are made and kept; of its tracking only a hash remains.

    Args:
        root: the collection's folder.
        settings: frame rate and body length where none is given, aliases, `event_scale`.
        progress: called after each video with the number looked at and the number of all.
    """
    result = Examination()
    listed: list[tuple[_Place, VideoRow]] = []
    for side in ("train", "test"):
        place = _Place(root=root, side=side)
        rows = _rows(place, result)
        result.findings += _unlisted(place, rows)
        for row in rows:
            if side == "test" or row.behaviors or _is_there(place.file("annotation", row)):
                listed.append((place, row))
            else:
                result.unlabelled += 1
        if side == "train" and place.table.exists() and not listed:
            result.findings += _without_labels(place, rows, result)
    result.videos = len(listed)
    contents = []
    shown: dict[str, list[int]] = {}
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _FILES_AT_ONCE)) as threads:
        looked = threads.map(partial(_look, settings=settings), listed)
        for number, ((_, row), video) in enumerate(zip(listed, looked, strict=True), 1):
            result.findings += video.findings
            result.frames += video.frames
            if video.content is not None:
                contents.append(video.content)
            if video.events is not None:
                shown.setdefault(row.lab_id, []).append(video.events)
            progress(number, len(listed))
    result.findings += _without_events(_Place(root=root, side="train"), shown)
    result.findings += duplicates(contents)
    return result


def _is_there(path: Path) -> bool:
    """Whether there is such a file, or a name that no file can have, which reading will tell of."""
    try:
        return path.exists()
    except OSError:  # a name that is too long
        return True


def _rows(place: _Place, result: Examination) -> list[VideoRow]:
    """The lines of a table that can be used; the others are findings."""
    alone = place.side == "test" or (place.root / "test.csv").exists()
    if alone and not place.table.exists():
        return []  # a folder to train on alone, or to predict on alone
    try:
        rows, faults = scan_videos(place.table)
    except DataError as error:
        rows, faults = [], [error]
    for fault in faults:
        result.findings.append(
            CheckFinding(
                check="table-unreadable",
                severity=Severity.ERROR,
                file=str(place.table),
                what=str(fault).removeprefix(f"{place.table}").lstrip(":, "),
                remedy="correct the table; nothing of the collection is used until it is in order",
            )
        )
    return rows


def _without_labels(place: _Place, rows: list[VideoRow], result: Examination) -> list[CheckFinding]:
    """That there is nothing to train on, unless a table that cannot be used says so already."""
    if any(finding.check == "table-unreadable" for finding in result.findings):
        return []
    return [
        CheckFinding(
            check="no-labels",
            severity=Severity.WARNING if rows else Severity.ERROR,
            file=str(place.table),
            what=f"none of its {len(rows)} videos has labels" if rows else "lists no video",
            remedy="write train_annotation/<lab_id>/<video_id>.parquet for the videos that were "
            "annotated, without rows where nothing happened"
            if rows
            else "write one line a video under its column names",
            count=max(1, len(rows)),
        )
    ]


def _without_events(place: _Place, shown: dict[str, list[int]]) -> list[CheckFinding]:
    """Labs whose annotation files are all empty; events of each of their videos are given."""
    return [
        CheckFinding(
            check="lab-without-events",
            severity=Severity.WARNING,
            file=str(place.root / f"{place.side}_annotation" / lab),
            what=f"none of the lab's {len(events)} videos with an annotation file has an event",
            remedy="see whether the annotations got there whole; if nothing happened at all, the "
            "lab teaches what absence looks like, and no bout is predicted for its videos",
            lab_id=lab,
            count=len(events),
        )
        for lab, events in sorted(shown.items())
        if not any(events)
    ]


def _unlisted(place: _Place, rows: list[VideoRow]) -> list[CheckFinding]:
    """Files that no line of the table names, one finding a folder."""
    found = []
    for kind in ("tracking", "annotation"):
        known = {place.file(kind, row) for row in rows}
        folder = place.root / f"{place.side}_{kind}"
        strays = sorted(path for path in folder.glob("*/*.parquet") if path not in known)
        if strays and rows:
            found.append(
                CheckFinding(
                    check="unlisted-files",
                    severity=Severity.NOTE,
                    file=str(strays[0]),
                    what=f"{len(strays)} files of {folder.name} are not in {place.table.name}",
                    remedy="list them with lab_id and video_id, which are folder and file name, if "
                    "they should be used",
                    count=len(strays),
                )
            )
    return found


def _look(listed: tuple[_Place, VideoRow], settings: DataSettings) -> _Looked:
    place, row = listed
    file, annotation_file = place.file("tracking", row), place.file("annotation", row)
    findings: list[CheckFinding] = []

    def unreadable(error: FileError, path: Path, check: str, remedy: str) -> None:
        findings.append(
            CheckFinding(
                check=check,
                severity=Severity.ERROR,
                file=str(path),
                what=error.reason,
                remedy=remedy,
                video_id=row.video_id,
                lab_id=row.lab_id,
            )
        )

    annotation = None
    if place.side == "train":
        try:
            annotation = read_annotation(annotation_file)
        except MissingFileError as error:
            unreadable(
                error,
                annotation_file,
                "annotation-missing",
                "write one, without rows if nothing happened; until then the video is left out",
            )
        except FileError as error:
            unreadable(error, annotation_file, "annotation-unreadable", _FETCH)
    events = None if annotation is None else len(annotation.triples)
    try:
        tracking, met = read_tracking(file)
    except FileError as error:
        if isinstance(error, MissingFileError):
            unreadable(error, file, "tracking-missing", _FETCH)
        else:
            unreadable(error, file, "tracking-unreadable", _FETCH)
        return _Looked(findings, None, 0, events)
    length, nose_to_tail = body_length(tracking, settings)
    measured = None if length is None else length / settings.assumed_body_length_cm
    low, high = POSSIBLE_FPS
    fps = min(max(row.fps or settings.default_fps, low), high)  # what is beyond is a finding
    case = Case(
        row=row,
        table=place.table,
        tracking=tracking,
        tracking_file=file,
        met=met,
        annotation=annotation,
        annotation_file=annotation_file,
        event_factor=event_factor(settings.event_scale, row.lab_id, fps),
        fps=fps,
        body_length=length,
        nose_to_tail=nose_to_tail,
        pixels_per_cm=row.pixels_per_cm or measured,
    )
    findings += [finding for check in CHECKS for finding in check(case)]
    content = Content(row.video_id, row.lab_id, str(file), place.side, tracking.content_hash)
    return _Looked(findings, content, tracking.frames, events)


def worst_first(findings: list[CheckFinding]) -> Iterator[tuple[CheckFinding, ...]]:
    """Findings of one check, severity and remedy together, errors first, most concerned first."""
    kinds: dict[tuple[Severity, str, str], list[CheckFinding]] = {}
    for finding in findings:
        kind = (finding.severity, finding.check, finding.remedy)
        kinds.setdefault(kind, []).append(finding)
    order = list(Severity)
    for kind in sorted(kinds, key=lambda kind: order.index(kind[0])):
        yield tuple(sorted(kinds[kind], key=lambda finding: -finding.count))
