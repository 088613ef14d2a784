"""The table of videos (`train.csv`, `test.csv`): ids as written, numbers checked."""

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jaxbeh.errors import DataError
from jaxbeh.regular import require_regular
from jaxbeh.vocabulary import Triple

_NEEDED = ("video_id", "lab_id")
_NUMBERS = ("frames_per_second", "pix_per_cm_approx", "video_width_pix", "video_height_pix")
_RESERVED = frozenset(
    ["CON", "PRN", "AUX", "NUL"]
    + [f"{port}{number}" for port in ("COM", "LPT") for number in range(10)]
)
"""What Windows takes for a device, with any ending."""
POSSIBLE_FPS = (1.0, 100_000.0)
"""Frames a second; a video beyond is left out. Recipe v7 brings each to 30 a second: by the time of
a frame in place of the rate, an hour would become a hundred million places."""
MOST_PIXELS = 100_000.0
"""Of a picture's width or height; what says more is no size."""
_MISSING = frozenset(["", "nan", "na", "n/a", "null", "none"])
"""Spellings of a missing value, in lower case."""


@dataclass(frozen=True)
class VideoRow:
    """What is used of one line of the table; a number is `None` where there is no positive one.

    Attributes:
        video_id: names the video's files; text, exactly as written.
        lab_id: names their folder; likewise.
        fps: frames a second.
        pixels_per_cm: tracking units a centimetre.
        size: width and height of the picture, pixels; `None` unless both are known and possible.
        behaviors: `behaviors_labeled` as written; `None` where the cell or the column is empty.
            It is parsed when the video is read (`parse_whitelist`), since a slip in it concerns
            this video alone.
        cells: the whole line as written, by column; only checks look at the rest of it.
    """

    video_id: str
    lab_id: str
    fps: float | None
    pixels_per_cm: float | None
    size: tuple[float, float] | None
    behaviors: str | None
    cells: Mapping[str, str] = field(default_factory=dict)

    def animals(self, mice: Iterable[int]) -> tuple[str, ...]:
        """The identities of some mice, as written, of those that have one."""
        found = [self.cells.get(f"mouse{mouse}_id", "").strip() for mouse in mice]
        return tuple(name for name in found if name.lower() not in _MISSING)


def read_videos(path: Path) -> list[VideoRow]:
    """Read a table of videos, in its order.

    Only `video_id` and `lab_id` must be there; of the other columns, those that are used may be
    absent, which says the same as empty cells. Lines are counted as a text editor does.

    Raises:
        DataError: the file cannot be read or is no such table, an id is empty, cannot be a file's
            name or is there twice, or a number is not one.
    """
    rows, faults = scan_videos(path)
    if faults:
        raise faults[0]
    return rows


def scan_videos(path: Path) -> tuple[list[VideoRow], list[DataError]]:
    """As `read_videos`, but with the lines that cannot be used beside those that can.

    Raises:
        DataError: the file cannot be read, or is no such table as a whole.
    """
    lines = _read_lines(path)
    if not lines:
        raise DataError(f"{path}: is empty; it needs a header line with {' and '.join(_NEEDED)}")
    (_, header), *body = lines
    for name in _NEEDED:
        if name not in header:
            raise DataError(
                f"{path}: has no column {name!r}; it needs {' and '.join(_NEEDED)}, "
                f"and has {_shortened(', '.join(header))}"
            )
    for name in (*_NEEDED, *_NUMBERS, "behaviors_labeled"):
        if header.count(name) > 1:
            raise DataError(f"{path}: has {header.count(name)} columns {name!r}; keep one")
    rows: list[VideoRow] = []
    faults: list[DataError] = []
    line_of: dict[str, int] = {}
    for line, cells in body:
        try:
            row = _read_row(header, cells, f"{path}, line {line}")
        except DataError as error:
            faults.append(error)
            continue
        if row.video_id in line_of:
            faults.append(
                DataError(
                    f"{path}: video_id {row.video_id!r} is in lines {line_of[row.video_id]} and "
                    f"{line}; every video is listed once"
                )
            )
            continue
        line_of[row.video_id] = line
        rows.append(row)
    return rows, faults


def _read_lines(path: Path) -> list[tuple[int, list[str]]]:
    """The lines that are not blank, each with its number."""
    try:
        require_regular(path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            return [(reader.line_num, cells) for cells in reader if cells]
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); it lists the videos of the collection"
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text ({error.reason}); save it as UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: is not valid CSV ({error})") from None


def _read_row(header: Sequence[str], line: Sequence[str], where: str) -> VideoRow:
    if len(line) != len(header):
        raise DataError(
            f"{where}: has {len(line)} cells under {len(header)} column names; quote cells that "
            f"hold commas"
        )
    cells = dict(zip(header, line, strict=True))
    for name in _NEEDED:
        _check_id(cells[name], name, where)
    fps, pixels_per_cm, width, height = (
        _positive(cells.get(name, ""), name, where) for name in _NUMBERS
    )
    behaviors = cells.get("behaviors_labeled", "").strip()
    return VideoRow(
        video_id=cells["video_id"],
        lab_id=cells["lab_id"],
        fps=fps,
        pixels_per_cm=pixels_per_cm,
        size=(width, height) if width and height and max(width, height) <= MOST_PIXELS else None,
        behaviors=None if behaviors.lower() in _MISSING else behaviors,
        cells=cells,
    )


def _check_id(text: str, name: str, where: str) -> None:
    if not text.strip():
        raise DataError(f"{where}: {name} is empty; fill it in: it names the video's files")
    if (
        any(char in '/\\:"' or not char.isprintable() for char in text)
        or ".." in text
        or text in {".", "~"}
    ):
        raise DataError(
            f"{where}: {name} {_shortened(text)} cannot name a file; leave out slashes, colons, "
            f"quotes, '..' and control characters"
        )
    if text.partition(".")[0].strip().upper() in _RESERVED or text.endswith((".", " ")):
        raise DataError(
            f"{where}: {name} {text!r} names a device of Windows, or ends in a dot or a space, and "
            f"could not be a file's name there; choose another"
        )


def _positive(text: str, name: str, where: str) -> float | None:
    text = text.strip()
    if text.lower() in _MISSING:
        return None
    try:
        value = float(text)
    except ValueError:
        value = None
    if value is None or "_" in text:  # Python, but no table, writes 1_000
        raise DataError(
            f"{where}: {name} is {text!r}; write a number such as 30 or 29.97, or leave the cell "
            f"empty"
        )
    return value if math.isfinite(value) and value > 0 else None


def parse_whitelist(text: str) -> frozenset[Triple] | None:
    """Read a `behaviors_labeled` cell; an empty list says as little as an empty cell: `None`.

    Raises:
        DataError: it is no JSON list of `agent,target,action`; the value is shown.
    """
    remedy = 'behaviors_labeled is a JSON list such as ["mouse1,mouse2,sniff"]'
    try:
        entries: object = json.loads(text)
    except (ValueError, RecursionError):
        raise DataError(f"behaviors_labeled {_shortened(text)} is not JSON; {remedy}") from None
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise DataError(f"behaviors_labeled {_shortened(text)} is no list of texts; {remedy}")
    return _triples(entries)


def _triples(entries: Sequence[str]) -> frozenset[Triple] | None:
    try:
        return frozenset(Triple.parse(entry) for entry in entries) or None
    except DataError as error:
        raise DataError(f"behaviors_labeled: {error}") from None


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "...")
