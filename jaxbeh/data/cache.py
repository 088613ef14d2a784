"""A folder of trackings once read, each found by the content of the file it was read from."""

import contextlib
import hashlib
import json
import tempfile
import threading
import time
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from jaxbeh.data.recording import Tracking

FORMAT = 1
"""Raised whenever the same file would be packed differently; older entries are then not found."""

_ABANDONED_SECONDS = 3600.0
"""A file that was being written so long ago is what a killed process left."""

_PART = "."
"""What the name of a file that is being written begins with."""

_SETTLED_SECONDS = 2.0
"""A file changed less than this ago may change again without a later time to show for it."""

_PARSING = threading.Lock()
"""Held while numpy parses the head of a file, by Python's own parser: with two threads in it at a
time, some versions raise `SystemError` (CPython's issue 106905)."""


@dataclass(frozen=True)
class TrackingCache:
    """Two files an entry: `<key>.npy` with the counts, `<key>.json` with all else, written last.

    An entry is used only if both files are intact, which their checksums say; whatever is damaged,
    half written or not ours counts as absent and is written anew. Nothing is ever pickled.

    A third file, `<name>.seen`, notes the key of a tracking file by its path, inode, size and times
    of change, so that a file as it was last time need not be read to know its content.

    Attributes:
        folder: where the entries lie; made when the first one is stored.
    """

    folder: Path

    def key(self, file: Path) -> str:
        """The key of a file's content: sha256 of its bytes and of `FORMAT`.

        Raises:
            OSError: the file cannot be read.
        """
        before = _state(file)
        note = self.folder / f"{hashlib.sha256(before.encode()).hexdigest()}.seen"
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            # Suppressed: there is no note, or none that can be trusted.
            text = note.read_text("utf-8")
            noted = str(json.loads(text)["entry"]["key"])
            if text == _sealed({"file": before, "key": noted}):
                return noted
        key = hashlib.sha256(f"{FORMAT} {_sha256(file)}".encode()).hexdigest()
        status = file.stat()
        age = time.time() - max(status.st_mtime, status.st_ctime)
        if age > _SETTLED_SECONDS and _state(file) == before:
            # Suppressed: a folder that takes no note takes no entry either, which is told then.
            with contextlib.suppress(OSError):
                self.folder.mkdir(parents=True, exist_ok=True)
                with _replacing(note) as stream:
                    stream.write(_sealed({"file": before, "key": key}).encode())
        return key

    def remove_abandoned(self) -> None:
        """Remove what processes that were killed while they wrote have left."""
        before = time.time() - _ABANDONED_SECONDS
        # Suppressed: there is no folder, or none to remove from, or another process was quicker.
        with contextlib.suppress(OSError):
            for path in self.folder.glob(f"{_PART}*-*"):
                if path.lstat().st_mtime < before:
                    path.unlink()

    def load(self, key: str) -> tuple[Tracking, dict[str, int]] | None:
        """The entry's tracking, its counts mapped from the disk read-only, and its findings.

        Returns:
            `None` where there is no intact entry.
        """
        try:
            text = (self.folder / f"{key}.json").read_text("utf-8")
            fields = json.loads(text)["entry"]
            if text != _sealed(fields) or fields["key"] != key:
                return None
            counts = self.folder / f"{key}.npy"
            if _sha256(counts) != fields["xy_sha256"]:
                return None
            return tracking_of(_mapped(counts), fields), dict(fields["findings"])
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            EOFError,
            RecursionError,
            tokenize.TokenError,
        ):
            # What a foreign or damaged file makes json, numpy and the lookups above raise.
            return None

    def store(self, key: str, tracking: Tracking, findings: Mapping[str, int]) -> Tracking:
        """Write an entry; a reader at the same time sees all of it or none.

        Returns:
            The tracking with its counts mapped from the disk, so that the given ones can go.

        Raises:
            OSError: the folder or its disk takes no file.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with _replacing(self.folder / f"{key}.npy") as stream:
            np.save(stream, tracking.xy, allow_pickle=False)
            stream.flush()
            digest = _sha256(Path(stream.name))
        fields = {
            "key": key,
            "xy_sha256": digest,
            **fields_of(tracking),
            "findings": dict(findings),
        }
        with _replacing(self.folder / f"{key}.json") as stream:
            stream.write(_sealed(fields).encode())
        xy = _mapped(self.folder / f"{key}.npy")
        return replace(tracking, xy=xy)


def _state(file: Path) -> str:
    """What shows whether a file is the one that it was: its place, inode, size and times.

    Raises:
        OSError: there is none.
    """
    status = file.stat()
    numbers = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return json.dumps([FORMAT, str(file.resolve()), *numbers])


def _mapped(file: Path) -> Any:
    """The array in a file, read as it is looked at."""
    with _PARSING:
        return np.load(file, mmap_mode="r", allow_pickle=False)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sealed(fields: Mapping[str, Any]) -> str:
    """The JSON text of an entry, with a checksum of the entry in it."""
    entry = json.dumps(fields, sort_keys=True)
    return json.dumps(
        {"entry": fields, "sha256": hashlib.sha256(entry.encode()).hexdigest()}, sort_keys=True
    )


def fields_of(tracking: Tracking) -> dict[str, Any]:
    """All of a tracking but its counts, for JSON; floats come back from it to the bit."""
    return {
        "origin": tracking.origin.tolist(),
        "step": tracking.step,
        "first_frame": tracking.first_frame,
        "mice": list(tracking.mice),
        "keypoints": list(tracking.keypoints),
        "content_hash": tracking.content_hash,
    }


def tracking_of(xy: Any, fields: Mapping[str, Any]) -> Tracking:
    """The tracking of counts and of what `fields_of` gave.

    Raises:
        ValueError: the two do not belong together.
        KeyError: a field is missing.
    """
    mice, keypoints = tuple(fields["mice"]), tuple(fields["keypoints"])
    if xy.dtype != np.int16 or xy.shape[1:] != (len(mice), len(keypoints), 2):
        raise ValueError("not the counts of this entry")
    return Tracking(
        xy=xy,
        origin=np.array(fields["origin"], np.float64),
        step=fields["step"],
        first_frame=fields["first_frame"],
        mice=mice,
        keypoints=keypoints,
        content_hash=fields["content_hash"],
    )


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file beside `path` that takes its place at the end, or vanishes if the writing fails."""
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f"{_PART}{path.name}-", delete=False
    ) as stream:
        try:
            yield stream
            stream.close()
            Path(stream.name).replace(path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(stream.name).unlink()
            raise
