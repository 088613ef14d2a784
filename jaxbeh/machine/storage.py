"""The folders that jaxbeh writes to: whether it may, how much room there is, what lies there."""

import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from jaxbeh.finding import CheckFinding, Severity

RUN_BYTES = 500_000_000
"""A run's checkpoints: three of v6's 36 MB, one more while it is written, and its tables."""
CACHE_BYTES = 3_000_000_000
"""The packed tracking of the whole challenge takes up to 2.5 GB."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder that is written to.

    Attributes:
        name: what it is for: `runs`, `cache` or `programs`.
        path: the folder; it need not be there yet.
        free: bytes on its disk, `None` where that cannot be said.
        needed: bytes that it should have free.
        fault: why it cannot be written; empty where it can.
        files: how many there are in it.
        size: bytes that they take.
    """

    name: str
    path: Path
    free: int | None
    needed: int
    fault: str
    files: int
    size: int


def look_at(name: str, path: Path, needed: int) -> Place:
    """Write a file there and remove it; where the folder is not there yet, in the one above."""
    there = path.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    fault, free = "", None
    try:
        with tempfile.TemporaryFile(dir=there) as stream:
            stream.write(b"jaxbeh")
            stream.flush()
        free = shutil.disk_usage(there).free
    except OSError as error:
        fault = f"{there}: {error.strerror or error}"
    files, size = _content(path)
    return Place(
        name=name, path=path, free=free, needed=needed, fault=fault, files=files, size=size
    )


def places(runs: Path, cache: Path, programs: Path) -> list[Place]:
    """The folder of runs, the cache of read data, and JAX's cache of compiled programs."""
    return [
        look_at("runs", runs, RUN_BYTES),
        look_at("cache", cache, CACHE_BYTES),
        look_at("programs", programs, RUN_BYTES),
    ]


_WITHOUT = {
    "runs": (
        Severity.ERROR,
        "no run can be kept",
        "change into a folder that you may write, or name one with --run",
    ),
    "cache": (
        Severity.WARNING,
        "data is read afresh every time",
        "mend the folder's permissions, or name another with XDG_CACHE_HOME",
    ),
    "programs": (
        Severity.WARNING,
        "every start compiles again",
        "mend the folder's permissions, or name another with JAX_COMPILATION_CACHE_DIR",
    ),
}
"""How bad it is that a place cannot be written, what follows, and what to do."""


def trouble(found: Iterable[Place]) -> list[CheckFinding]:
    """Places that cannot be written, and disks that are nearly full."""
    findings = []
    for place in found:
        severity, follows, remedy = _WITHOUT[place.name]
        if place.fault:
            findings.append(
                CheckFinding(
                    check="write-access",
                    severity=severity,
                    file=str(place.path),
                    what=f"{place.name} cannot be written ({place.fault}): {follows}",
                    remedy=remedy,
                )
            )
        elif place.free is not None and place.free < place.needed:
            findings.append(
                CheckFinding(
                    check="disk-space",
                    severity=Severity.WARNING,
                    file=str(place.path),
                    what=f"{place.free / 1e9:.2f} GB are free for {place.name}; "
                    f"{place.needed / 1e9:g} GB may be needed",
                    remedy="make room, or use another disk (--run, XDG_CACHE_HOME)",
                )
            )
    return findings


def _content(folder: Path) -> tuple[int, int]:
    files = size = 0
    try:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                files += 1
                size += path.stat().st_size
    except OSError:  # a folder that may not be read, or a file that another process removes
        pass
    return files, size
