"""A whole folder in the MABe layout → recordings, with a report of all that was met on the way."""

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from jaxbeh.data.cache import TrackingCache
from jaxbeh.data.mabe.annotation import Annotation, event_factor, place_events, read_annotation
from jaxbeh.data.mabe.parquet import FileError, MissingFileError
from jaxbeh.data.mabe.room import Room
from jaxbeh.data.mabe.scale import centre, pixels_per_cm
from jaxbeh.data.mabe.sharing import Peers, Read, read_together
from jaxbeh.data.mabe.tracking import FINDINGS, count_rows, read_tracking
from jaxbeh.data.mabe.videos import POSSIBLE_FPS, VideoRow, parse_whitelist, read_videos
from jaxbeh.data.recording import Events, Recording, Tracking
from jaxbeh.data.report import ReadingReport
from jaxbeh.errors import DataError
from jaxbeh.regular import require_regular
from jaxbeh.settings.run import DataSettings
from jaxbeh.vocabulary import Triple

LEFT_OUT = "left out"
_ROWS_AT_ONCE = 50_000_000
"""Bounds the memory: a row takes up to 40 bytes while its file is read, 2 GB in all, and each file
some 60 MB beside."""
_LAYOUT = (
    "a collection is a folder with train.csv, train_tracking/<lab_id>/<video_id>.parquet and "
    "train_annotation/<lab_id>/<video_id>.parquet"
)


def read_labelled(
    root: Path,
    settings: DataSettings,
    report: ReadingReport,
    cache: Path | None,
    peers: Peers | None = None,
) -> tuple[Recording, ...]:
    """Read all labelled videos of `train.csv`, in its order; no other video's tracking is opened.

    A video is labelled if it has an annotation file. Its whitelist is `behaviors_labeled`, or,
    where that is empty, every triple that occurs in the annotation files of its lab.

    Args:
        root: the collection's folder.
        settings: what stands in for missing metadata, and the keypoint aliases.
        report: told of everything missing, mended or left out.
        cache: folder of trackings read before, made if need be; `None` reads all files afresh.
        peers: processes among which the tracking files are shared out, if there are others; each
            of them has all recordings, and reports all, as if it had read every file. (The table
            and the annotations, a few kilobytes a video, each reads for itself.)

    Raises:
        DataError: the folder or its table cannot be used as a whole, or no labelled video is left;
            the text has the reasons.
    """
    table = _training_table(root)
    rows = read_videos(table)
    annotations = _read_annotations(root / "train_annotation", rows, report)
    whitelists = _whitelists(rows, annotations, report)
    reader = _Reader(root / "train_tracking", settings, report, cache, peers)
    recordings = reader.read(
        [
            _Wanted(row, whitelists[row.video_id], annotations[row.video_id])
            for row in rows
            if row.video_id in whitelists and row.video_id in annotations
        ]
    )
    if not recordings:
        raise DataError(_none_left(table, len(rows), "trained on", report))
    return recordings


def read_tracks(
    root: Path,
    settings: DataSettings,
    report: ReadingReport,
    cache: Path | None,
    peers: Peers | None = None,
) -> tuple[Recording, ...]:
    """Read all videos of `train.csv`, labelled or not, in its order; no annotation is opened.

    Their `events` and whitelists are `None`.

    Args:
        root: as for `read_labelled`, and likewise all others.
        settings: likewise.
        report: likewise.
        cache: likewise.
        peers: likewise.

    Raises:
        DataError: the folder or its table cannot be used as a whole, or none of its videos can be
            read; the text has the reasons.
    """
    table = _training_table(root)
    rows = read_videos(table)
    reader = _Reader(root / "train_tracking", settings, report, cache, peers)
    recordings = reader.read([_Wanted(row, None, None) for row in rows])
    if not recordings:
        raise DataError(_none_left(table, len(rows), "trained on", report))
    return recordings


def read_test(
    root: Path, settings: DataSettings, report: ReadingReport, cache: Path | None
) -> tuple[Recording, ...]:
    """Read all videos of `test.csv`, in its order; none if it or `test_tracking` is not there.

    Their `events` are `None`, and so is the whitelist of a video whose `behaviors_labeled` is
    empty.

    Args:
        root: the collection's folder.
        settings: as for `read_labelled`.
        report: likewise.
        cache: likewise.

    Raises:
        DataError: the folder or its table cannot be used as a whole, or none of its videos can be
            read; the text has the reasons.
    """
    _require_folder(root)
    table, folder = root / "test.csv", root / "test_tracking"
    if not table.exists() or not folder.exists():
        return ()
    rows = read_videos(table)
    wanted = []
    for row in rows:
        try:
            whitelist = parse_whitelist(row.behaviors) if row.behaviors else None
        except DataError as error:
            report.add(str(error), LEFT_OUT, row.video_id)
            continue
        wanted.append(_Wanted(row, whitelist, None))
    recordings = _Reader(folder, settings, report, cache).read(wanted)
    if rows and not recordings:
        raise DataError(_none_left(table, len(rows), "predicted on", report))
    return recordings


def read_annotated_actions(root: Path) -> dict[str, frozenset[str]]:
    """The actions in the annotation files of each lab of `train.csv`; no tracking is opened.

    Files that cannot be read are passed over.

    Raises:
        DataError: the folder or its table cannot be used as a whole.
    """
    _require_folder(root)
    rows = read_videos(root / "train.csv")
    annotations = _read_annotations(root / "train_annotation", rows, ReadingReport())
    found: dict[str, set[str]] = {}
    for row in rows:
        if row.video_id in annotations:
            actions = {triple.action for triple in annotations[row.video_id].triples}
            found.setdefault(row.lab_id, set()).update(actions)
    return {lab: frozenset(actions) for lab, actions in found.items()}


def _training_table(root: Path) -> Path:
    _require_folder(root)
    table = root / "train.csv"
    if not table.exists():
        raise DataError(f"{table}: there is no such file; {_LAYOUT}")
    return table


def _require_folder(root: Path) -> None:
    if not root.is_dir():
        state = "is no folder" if root.exists() else "does not exist"
        raise DataError(f"{root}: {state}; {_LAYOUT}")


def _read_annotations(
    folder: Path, rows: Sequence[VideoRow], report: ReadingReport
) -> dict[str, Annotation]:
    """Every annotation there is, by video id; the videos that should have one are reported."""

    def read(row: VideoRow) -> Annotation | FileError:
        try:
            return read_annotation(folder / row.lab_id / f"{row.video_id}.parquet")
        except FileError as error:
            return error

    annotations = {}
    with _threads() as threads:
        found = list(threads.map(read, rows))
    for row, annotation in zip(rows, found, strict=True):
        if isinstance(annotation, Annotation):
            annotations[row.video_id] = annotation
        elif not isinstance(annotation, MissingFileError):
            report.add(annotation.reason, LEFT_OUT, row.video_id)
        elif row.behaviors is None:
            report.add("videos without labels", "their tracking is not read", row.video_id)
        else:
            report.add(
                "behaviors_labeled but no annotation file: unknown, not absent",
                LEFT_OUT,
                row.video_id,
            )
    return annotations


def _threads() -> ThreadPoolExecutor:
    """One for each core: decoding, placing and hashing let the others run."""
    return ThreadPoolExecutor(os.cpu_count() or 1)


def _whitelists(
    rows: Iterable[VideoRow], annotations: Mapping[str, Annotation], report: ReadingReport
) -> dict[str, frozenset[Triple]]:
    """What was looked for in each annotated video."""
    occurring: dict[str, set[Triple]] = {}
    for row in rows:
        if row.video_id in annotations:
            occurring.setdefault(row.lab_id, set()).update(annotations[row.video_id].triples)
    whitelists = {}
    for row in rows:
        if row.video_id not in annotations:
            continue
        try:
            given = parse_whitelist(row.behaviors) if row.behaviors else None
        except DataError as error:
            report.add(str(error), LEFT_OUT, row.video_id)
            continue
        if given is None:
            found = occurring[row.lab_id]
            report.add(
                f"no behaviors_labeled in lab {row.lab_id}",
                f"taken to be the {len(found)} (agent, target, action) of its annotation files",
                row.video_id,
            )
        whitelists[row.video_id] = frozenset(occurring[row.lab_id]) if given is None else given
    return whitelists


@dataclass(frozen=True)
class _Wanted:
    row: VideoRow
    whitelist: frozenset[Triple] | None
    annotation: Annotation | None


@dataclass(frozen=True)
class _Reader:
    folder: Path
    settings: DataSettings
    report: ReadingReport
    cache: Path | None
    peers: Peers | None = None
    room: Room = field(default_factory=lambda: Room(_ROWS_AT_ONCE))

    def read(self, wanted: Sequence[_Wanted]) -> tuple[Recording, ...]:
        """All videos that can be read; the others are reported as left out.

        Several files are read at a time, and told of in the order of the table.
        """
        if self.cache:
            TrackingCache(self.cache).remove_abandoned()
        files = [self.folder / item.row.lab_id / f"{item.row.video_id}.parquet" for item in wanted]
        with _threads() as threads:
            read = partial(threads.map, self._tracking)
            found = read_together(files, read, self.peers) if self.peers else read(files)
            recordings = [self._recording(*pair) for pair in zip(wanted, found, strict=True)]
        return tuple(recording for recording in recordings if recording is not None)

    def _recording(self, wanted: _Wanted, found: Read) -> Recording | None:
        """One video; `None` once it is reported as left out."""
        row, tracking = wanted.row, found.tracking
        if found.unwritable:
            self.report.add(found.unwritable, "read afresh every time", row.video_id)
        if isinstance(tracking, FileError):
            self.report.add(tracking.reason, LEFT_OUT, row.video_id)
            return None
        fps = self.settings.default_fps if row.fps is None else row.fps
        low, high = POSSIBLE_FPS
        if not low <= fps <= high:
            self.report.add(
                f"frames per second below {low:g} or above {high:,.0f}", LEFT_OUT, row.video_id
            )
            return None
        try:
            scale = pixels_per_cm(row, tracking, self.settings, self.report)
        except DataError as error:
            self.report.add(str(error), LEFT_OUT, row.video_id)
            return None
        for name, count in found.findings.items():
            self.report.add(*FINDINGS[name], row.video_id, count)
        if row.fps is None:
            self.report.add(
                "no frames per second", f"taken as {fps:g} (data.default_fps)", row.video_id
            )
        if row.size is None:
            self.report.add(
                "no usable picture size", "the centre is the median position", row.video_id
            )
        return Recording(
            video_id=row.video_id,
            lab_id=row.lab_id,
            tracking=tracking,
            fps=fps,
            pixels_per_cm=scale,
            centre=centre(row, tracking),
            whitelist=wanted.whitelist,
            events=self._events(wanted, tracking, fps),
            animals=row.animals(tracking.mice),
        )

    def _tracking(self, path: Path) -> Read:
        try:
            return self._cached(path, self.cache) if self.cache else Read(*self._fresh(path))
        except FileError as error:
            return Read(error, {})

    def _fresh(self, path: Path) -> tuple[Tracking, dict[str, int]]:
        with self.room.taken(count_rows(path)):
            return read_tracking(path)

    def _cached(self, path: Path, folder: Path) -> Read:
        cache = TrackingCache(folder)
        try:
            require_regular(path)
            key = cache.key(path)
        except OSError:
            return Read(*self._fresh(path))  # which says what is wrong with the file
        kept = cache.load(key)
        if kept is not None:
            return Read(*kept)
        tracking, findings = self._fresh(path)
        try:
            return Read(cache.store(key, tracking, findings), findings)
        except OSError as error:
            unwritable = f"the cache folder {folder} cannot be written ({error.strerror})"
            return Read(tracking, findings, unwritable)

    def _events(self, wanted: _Wanted, tracking: Tracking, fps: float) -> Events | None:
        row, whitelist, annotation = wanted.row, wanted.whitelist, wanted.annotation
        if annotation is None or whitelist is None:
            return None
        events = place_events(
            annotation,
            tracking.first_frame,
            tracking.frames,
            event_factor(self.settings.event_scale, row.lab_id, fps),
            self.report,
            row.video_id,
        )
        unexpected = sum(triple not in whitelist for triple in events.triples)
        if unexpected:
            self.report.add(
                "events of actions that were not looked for",
                "unknown, not absent, if a class above the background has them",
                row.video_id,
                unexpected,
            )
        return events


def _none_left(table: Path, listed: int, used: str, report: ReadingReport) -> str:
    """Why a table gives nothing, from the report."""
    if not listed:
        return f"{table}: lists no video; write one line a video under its column names"
    reasons = [
        f"  {finding.what}: {len(finding.videos)} "
        f"({', '.join(finding.videos[:3])}{', …' if len(finding.videos) > 3 else ''})"
        for finding in report.findings()
        if finding.then == LEFT_OUT or finding.what == "videos without labels"
    ]
    ask = f"What to do about each is said by: jaxbeh doctor --data {table.parent}"
    return "\n".join([f"{table}: none of its {listed} videos can be {used}", *reasons, ask])
