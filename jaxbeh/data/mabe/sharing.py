"""Reading tracking files with other processes: each its share, after which each has all of them."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.cache import fields_of, tracking_of
from jaxbeh.data.mabe.parquet import FileError
from jaxbeh.data.recording import Tracking


@dataclass(frozen=True)
class Read:
    """What a tracking file gave.

    Attributes:
        tracking: its points, or why there are none.
        findings: what was met in it, by name.
        unwritable: why it could not be kept in the cache, if so.
    """

    tracking: Tracking | FileError
    findings: Mapping[str, int]
    unwritable: str = ""


class Peers(Protocol):
    """The processes that read together, as this module needs them."""

    @property
    def index(self) -> int:
        """Which of them this is."""

    @property
    def count(self) -> int:
        """How many there are."""

    def require_same(self, what: str, value: str) -> None:
        """Refuse a value that is not the same in all of them."""

    def gather(self, mine: bytes) -> Sequence[NDArray[np.uint8]]:
        """Every process's bytes, in their order."""


def share_out(sizes: Sequence[int], parts: int) -> list[list[int]]:
    """Deal files to processes: each file once, the largest first to whoever has the least yet.

    Args:
        sizes: bytes of each file.
        parts: number of processes.

    Returns:
        Ascending indices into `sizes`, one list a process.
    """
    shares: list[list[int]] = [[] for _ in range(parts)]
    loads = [0] * parts
    for index in sorted(range(len(sizes)), key=lambda index: (-sizes[index], index)):
        least = min(range(parts), key=lambda part: (loads[part], len(shares[part])))
        shares[least].append(index)
        loads[least] += sizes[index]
    return [sorted(share) for share in shares]


def read_together(
    files: Sequence[Path], read: Callable[[Sequence[Path]], Iterable[Read]], peers: Peers
) -> list[Read]:
    """Read a share of the files, and have the others' from them.

    Each host holds all trackings in memory at the end, and its own share once more on the way.

    Args:
        files: all of them, in the same order in every process.
        read: reads some.
        peers: the processes.

    Raises:
        JaxbehError: the processes do not see the same files, or one of them failed.
    """
    sizes = [_size(file) for file in files]
    seen = [
        f"{file.parent.name}/{file.name} {size}" for file, size in zip(files, sizes, strict=True)
    ]
    peers.require_same("the tracking files and their sizes", "\n".join(seen))
    shares = share_out(sizes, peers.count)
    mine = list(read([files[index] for index in shares[peers.index]]))
    parts = [
        mine if part == peers.index else _unpack(found, [files[index] for index in shares[part]])
        for part, found in enumerate(peers.gather(_pack(mine)))
    ]
    of_index = {
        index: item
        for share, part in zip(shares, parts, strict=True)
        for index, item in zip(share, part, strict=True)
    }
    return [of_index[index] for index in range(len(files))]


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0  # reading says what is wrong with it


_LENGTH = 8
"""Bytes of the number that says how long the JSON behind it is."""


def _pack(items: Sequence[Read]) -> bytes:
    """The length of some JSON, the JSON with an entry a file, then all counts end to end."""
    entries, counts = [], []
    for item in items:
        entry: dict[str, Any] = {"findings": dict(item.findings), "unwritable": item.unwritable}
        if isinstance(item.tracking, FileError):
            entry["reason"] = item.tracking.reason
        else:
            entry |= {"shape": item.tracking.xy.shape, **fields_of(item.tracking)}
            counts.append(np.ascontiguousarray(item.tracking.xy).data.cast("B"))
        entries.append(entry)
    text = json.dumps(entries).encode()
    text += b" " * (len(text) % 2)  # counts start evenly
    return b"".join([len(text).to_bytes(_LENGTH, "little"), text, *counts])


def _unpack(packed: NDArray[np.uint8], files: Sequence[Path]) -> list[Read]:
    start = _LENGTH + int.from_bytes(packed[:_LENGTH].tobytes(), "little")
    entries = json.loads(packed[_LENGTH:start].tobytes())
    items = []
    for file, entry in zip(files, entries, strict=True):
        tracking: Tracking | FileError
        if "reason" in entry:
            tracking = FileError(file, entry["reason"])
        else:
            stop = start + int(np.prod(entry["shape"])) * np.dtype(np.int16).itemsize
            counts = packed[start:stop].view(np.int16).reshape(entry["shape"])
            tracking, start = tracking_of(counts, entry), stop
        items.append(Read(tracking, entry["findings"], entry["unwritable"]))
    return items
