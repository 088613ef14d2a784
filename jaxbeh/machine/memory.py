"""How much memory there is to work with."""

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from jaxbeh.finding import CheckFinding, Severity

COMFORTABLE = 4 * 10**9
"""Bytes; reading 60 videos of 50,000 frames and the first updates were measured to take 3.6 GB."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes; `None` where the system does not say.

    Attributes:
        total: of the machine, or the limit of the container or control group if that is lower.
        available: what can be had without moving others out; never more than `total`.
    """

    total: int | None
    available: int | None


def memory() -> Memory:
    """Look at the machine, and at the limits of the control group that this process is in."""
    total = _pages("SC_PHYS_PAGES")
    available = _available() or _pages("SC_AVPHYS_PAGES")
    limit = control_group_limit(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    if limit is not None and total is not None:
        total = min(total, limit)
    if available is not None and total is not None:
        available = min(available, total)
    return Memory(total=total, available=available)


def control_group_limit(groups: Path, mount: Path) -> int | None:
    """The lowest limit, in bytes, of a process's control group and of all that it lies in.

    Args:
        groups: a line a hierarchy, `number:controllers:group`; Linux has it in `/proc`.
        mount: where the groups' files are. A container sees its own group as the root.

    Returns:
        `None` where there is no limit, or no control group.
    """
    try:
        lines = groups.read_text("utf-8", "replace").splitlines()
    except OSError:
        return None
    limits = []
    for line in lines:
        _, controllers, group = (*line.split(":", 2), "", "")[:3]
        if "memory" in controllers.split(","):
            root, name = mount / "memory", "memory.limit_in_bytes"
        elif not controllers:
            root, name = mount, "memory.max"
        else:
            continue
        own = PurePosixPath(group.lstrip("/"))
        limits += [_number(root / above / name) for above in (own, *own.parents)]
    return min((limit for limit in limits if limit is not None), default=None)


def tight_memory(found: Memory) -> list[CheckFinding]:
    """A warning where a collection of usual size may not fit."""
    if found.available is None or found.available >= COMFORTABLE:
        return []
    return [
        CheckFinding(
            check="memory",
            severity=Severity.WARNING,
            file="",
            what=f"{found.available / 1e9:.1f} GB of memory are available",
            remedy="close other programs, or train on part of the collection: 3 million frames of "
            "four mice took 3.6 GB",
        )
    ]


def _pages(name: str) -> int | None:
    try:
        return os.sysconf(name) * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # not on this system
        return None


def _available() -> int | None:
    """Linux counts what it can take back from its file cache, too."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    words = fields.get("MemAvailable", "").split()
    return int(words[0]) * 1024 if words else None


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):  # no such file; "max", which is no limit
        return None
