"""Writes collections of videos in the MABe layout, from typed values in memory."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from jaxbeh.data.partial import PartialFolder, refuse_occupied
from jaxbeh.errors import DataError
from jaxbeh.vocabulary import MOUSE_SLOTS, Triple

Split = Literal["train", "test"]

SPLITS: tuple[Split, Split] = ("train", "test")

MOUSE_COLUMNS = ("strain", "color", "sex", "id", "age", "condition")

VIDEO_COLUMNS = (
    "lab_id",
    "video_id",
    *(f"mouse{slot}_{name}" for slot in range(1, MOUSE_SLOTS + 1) for name in MOUSE_COLUMNS),
    "frames_per_second",
    "video_duration_sec",
    "pix_per_cm_approx",
    "video_width_pix",
    "video_height_pix",
    "arena_width_cm",
    "arena_height_cm",
    "arena_shape",
    "arena_type",
    "body_parts_tracked",
    "behaviors_labeled",
    "tracking_method",
)
"""The 38 columns of `train.csv` and `test.csv`, in order."""

SUBMISSION_COLUMNS = (
    "row_id",
    "video_id",
    "agent_id",
    "target_id",
    "action",
    "start_frame",
    "stop_frame",
)

SOLUTION_COLUMNS = (*SUBMISSION_COLUMNS[1:], "lab_id", "behaviors_labeled")

_TRACKING_TYPES: list[tuple[str, pa.DataType]] = [
    ("video_frame", pa.int32()),
    ("mouse_id", pa.int8()),
    ("bodypart", pa.string()),
    ("x", pa.float32()),
    ("y", pa.float32()),
]

_ANNOTATION_TYPES: list[tuple[str, pa.DataType]] = [
    ("agent_id", pa.int8()),
    ("target_id", pa.int8()),
    ("action", pa.string()),
    ("start_frame", pa.int32()),
    ("stop_frame", pa.int32()),
]


@dataclass(frozen=True)
class Event:
    """One bout: who did what to whom in the frames start … stop − 1, as the file numbers them."""

    triple: Triple
    start: int
    stop: int


@dataclass(frozen=True, kw_only=True)
class MouseDescription:
    """What the table of videos says about one animal; an empty text is an empty cell."""

    strain: str = ""
    color: str = ""
    sex: str = ""
    id: str = ""
    age: str = ""
    condition: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Video:
    """One video to be written: its tracking, its row in the table, its events.

    Attributes:
        video_id: unique in the collection; part of file names.
        lab_id: likewise.
        xy: float32 `[t, m, k, 2]`, pixels; NaN in x or y where a point was not tracked.
        keypoints: the names of axis k.
        mouse_ids: the ids of axis m, each 1 to 4, ascending.
        fps: frames a second; `None` leaves the cell empty, as for all that follow.
        pixels_per_cm: scale.
        size_px: width and height of the picture, pixels.
        arena_cm: width and height of the arena, centimetres.
        mice: one description a mouse id, or none at all.
        whitelist: what was looked for; `None` leaves the cell empty.
        events: what was found; `None` writes no annotation file, an empty tuple an empty one.
        first_frame: the number of the frame at index 0.
        nan_rows: write an untracked point as a row of NaN instead of leaving the row out. Frames
            without any tracked point have no rows either way.
    """

    video_id: int
    lab_id: str
    xy: NDArray[np.float32]
    keypoints: Sequence[str]
    mouse_ids: Sequence[int] = (1, 2)
    fps: float | None = None
    pixels_per_cm: float | None = None
    size_px: tuple[int, int] | None = None
    arena_cm: tuple[float, float] | None = None
    arena_shape: str = ""
    arena_type: str = ""
    tracking_method: str = ""
    mice: Sequence[MouseDescription] = ()
    whitelist: Sequence[Triple] | None = None
    events: Sequence[Event] | None = None
    first_frame: int = 0
    nan_rows: bool = False


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What the tables of a collection say of one video whose own files are written.

    Attributes:
        video_id: its id.
        split: which table it is listed in.
        row: one cell for each of `VIDEO_COLUMNS`.
        truth: a test video's rows of `SOLUTION_COLUMNS`.
        sample: a test video's cells of `SUBMISSION_COLUMNS` but the first.
        frames: its length.
        events: how many were written down.
    """

    video_id: int
    split: Split
    row: tuple[object, ...]
    truth: tuple[tuple[object, ...], ...]
    sample: tuple[object, ...]
    frames: int
    events: int


def write_video(root: Path, video: Video, split: Split) -> Entry:
    """Write one video's own files under a collection's folder; any process may write any of them.

    Raises:
        DataError: its parts do not fit, or a file cannot be written.
    """
    _check(video)
    name = f"{video.video_id}.parquet"
    try:
        _write(tracking_table(video), root / f"{split}_tracking" / video.lab_id / name)
        if split == "train" and video.events is not None:
            _write(annotation_table(video.events), root / "train_annotation" / video.lab_id / name)
    except OSError as error:
        raise DataError(f"video {video.video_id}: cannot be written ({error})") from None
    events, whitelist = video.events or (), _whitelist_cell(video.whitelist)
    rest = (video.lab_id, whitelist)
    truth = [(video.video_id, *item.triple, item.start, item.stop, *rest) for item in events]
    triple = next(iter(video.whitelist or ()), Triple("mouse1", "mouse2", "sniff"))
    return Entry(
        video_id=video.video_id,
        split=split,
        row=tuple(_video_row(video)),
        truth=tuple(truth) if split == "test" else (),
        sample=(video.video_id, *triple, video.first_frame, video.first_frame + 1),
        frames=video.xy.shape[0],
        events=len(events),
    )


@dataclass
class CollectionWriter:
    """Writes a collection into a temporary sibling and renames it to `folder` when all is there.

    Use it as a context manager: `with CollectionWriter(folder) as writer: writer.add(video,
    "train")`. An exception inside the block removes what was written; a killed process leaves a
    folder `.NAME.partial-…` beside `folder`, never a half collection that looks whole, and the
    next writer of the same collection removes it.

    A test video's events go to `solution.csv`, with agents and targets as the metric spells them,
    and to no annotation file.

    Attributes:
        folder: where the collection will stand; absent or empty.
    """

    folder: Path
    _partial: PartialFolder | None = None
    _entries: dict[int, Entry] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Make the temporary folder.

        Raises:
            DataError: `folder` exists and is not an empty folder, or cannot be made.
        """
        refuse_occupied(self.folder)
        try:
            self._partial = PartialFolder.make(self.folder)
        except OSError as error:
            raise DataError(f"{self.folder}: cannot be made ({error})") from None
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the tables and rename; after an exception, remove what was written."""
        partial = self._partial
        if partial is None:
            return
        try:
            if kind is None:
                self._write_tables(partial.path)
                refuse_occupied(self.folder)
                if self.folder.exists():
                    self.folder.rmdir()
                partial.rename(self.folder)
        except OSError as error:
            raise DataError(f"{self.folder}: cannot be written ({error})") from None
        finally:
            partial.remove()

    @property
    def root(self) -> Path:
        """Where `write_video` is to put the files of this collection's videos.

        Raises:
            DataError: outside the `with` block.
        """
        if self._partial is None:
            raise DataError("a CollectionWriter takes videos only inside its `with` block")
        return self._partial.path

    def add(self, video: Video, split: Split) -> Entry:
        """Write one video's files and list it.

        Raises:
            DataError: its id was used before, its parts do not fit, or a file cannot be written.
        """
        self._require_new(video.video_id)
        entry = write_video(self.root, video, split)
        self.enter(entry)
        return entry

    def enter(self, entry: Entry) -> None:
        """List a video whose files `write_video` has put under `root`.

        Raises:
            DataError: its id was used before.
        """
        self._require_new(entry.video_id)
        self._entries[entry.video_id] = entry

    def _require_new(self, video_id: int) -> None:
        if video_id in self._entries:
            raise DataError(f"video {video_id} is added twice; ids are unique")

    def _write_tables(self, partial: Path) -> None:
        train, test = (
            [entry for entry in self._entries.values() if entry.split == split] for split in SPLITS
        )
        _write_csv(partial / "train.csv", VIDEO_COLUMNS, [entry.row for entry in train])
        if test:
            sample = [(index, *entry.sample) for index, entry in enumerate(test)]
            _write_csv(partial / "test.csv", VIDEO_COLUMNS, [entry.row for entry in test])
            _write_csv(partial / "sample_submission.csv", SUBMISSION_COLUMNS, sample)
        truth = [row for entry in test for row in entry.truth]
        if truth:
            _write_csv(partial / "solution.csv", SOLUTION_COLUMNS, truth)


def write_collection(folder: Path, train: Iterable[Video], test: Iterable[Video] = ()) -> None:
    """Write a whole collection; videos may be made one by one as they are taken.

    Raises:
        DataError: as `CollectionWriter` does; nothing is left behind then.
    """
    with CollectionWriter(folder) as writer:
        for video in train:
            writer.add(video, "train")
        for video in test:
            writer.add(video, "test")


def tracking_table(video: Video) -> pa.Table:
    """The long table of one video: sorted by frame, mouse and body part; untracked rows absent."""
    order = np.argsort(np.asarray(video.keypoints))
    names = np.asarray(video.keypoints)[order]
    xy = video.xy[:, :, order]
    written = ~(np.isnan(xy[..., 0]) | np.isnan(xy[..., 1]))
    if video.nan_rows:
        written[np.unique(np.nonzero(written)[0])] = True
    frame, mouse, keypoint = np.nonzero(written)
    points = xy[written]
    points[np.isnan(points).any(axis=-1)] = np.nan
    words = pa.DictionaryArray.from_arrays(keypoint.astype(np.int32), pa.array(names.tolist()))
    return pa.table(
        [
            pa.array((frame + video.first_frame).astype(np.int32)),
            pa.array(np.asarray(video.mouse_ids, np.int8)[mouse]),
            words.cast(pa.string()),
            pa.array(points[:, 0], from_pandas=False),
            pa.array(points[:, 1], from_pandas=False),
        ],
        schema=pa.schema(_TRACKING_TYPES),
    )


def annotation_table(events: Sequence[Event]) -> pa.Table:
    """The table of one video's events, in the order given; self actions have target = agent."""
    ids = [event.triple.mouse_ids() for event in events]
    return pa.table(
        [
            pa.array([agent for agent, _ in ids], pa.int8()),
            pa.array([target for _, target in ids], pa.int8()),
            pa.array([event.triple.action for event in events], pa.string()),
            pa.array([event.start for event in events], pa.int32()),
            pa.array([event.stop for event in events], pa.int32()),
        ],
        schema=pa.schema(_ANNOTATION_TYPES),
    )


def _check(video: Video) -> None:
    wanted = (len(video.mouse_ids), len(video.keypoints), 2)
    if video.xy.ndim != 4 or video.xy.shape[1:] != wanted or video.xy.dtype != np.float32:
        raise DataError(
            f"video {video.video_id}: xy is {video.xy.dtype} {list(video.xy.shape)}, but "
            f"{wanted[0]} mice and {wanted[1]} keypoints need float32 [t, {wanted[0]}, "
            f"{wanted[1]}, 2]"
        )
    if len(set(video.keypoints)) != len(video.keypoints):
        raise DataError(f"video {video.video_id}: a keypoint is named twice")
    allowed = range(1, MOUSE_SLOTS + 1)
    if list(video.mouse_ids) != sorted(set(video.mouse_ids) & set(allowed)):
        raise DataError(
            f"video {video.video_id}: mouse ids {list(video.mouse_ids)} are not ascending numbers "
            f"from 1 to {MOUSE_SLOTS}"
        )
    if video.mice and len(video.mice) != len(video.mouse_ids):
        raise DataError(
            f"video {video.video_id}: {len(video.mice)} descriptions for "
            f"{len(video.mouse_ids)} mice"
        )
    if not video.lab_id or set(video.lab_id) & set("/\\\0") or video.lab_id in {".", ".."}:
        raise DataError(f"video {video.video_id}: lab {video.lab_id!r} cannot name a folder")


def _video_row(video: Video) -> list[object]:
    mice = dict(zip(video.mouse_ids, video.mice, strict=False))
    row: list[object] = [video.lab_id, video.video_id]
    for slot in range(1, MOUSE_SLOTS + 1):
        mouse = mice.get(slot, MouseDescription())
        row += [mouse.strain, mouse.color, mouse.sex, mouse.id, mouse.age, mouse.condition]
    duration = None if video.fps is None else round(video.xy.shape[0] / video.fps, 3)
    row += [video.fps, duration, video.pixels_per_cm]
    row += video.size_px or (None, None)
    row += video.arena_cm or (None, None)
    row += [video.arena_shape, video.arena_type, json.dumps(sorted(video.keypoints))]
    row += [_whitelist_cell(video.whitelist), video.tracking_method]
    return row


def _whitelist_cell(whitelist: Sequence[Triple] | None) -> str:
    return "" if whitelist is None else json.dumps([str(triple) for triple in whitelist])


def _write(table: pa.Table, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd")


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
