"""A run folder is one process's: two would mix their lines and their checkpoints.

The file `lock` names its owner, who holds an operating system's lock on it (flock). That lock ends
with its process, killed or not, and holds between the containers of a machine: what is not locked
was left behind, whoever has the process's number now.

Between machines it may not reach: not on Modal's volumes, nor on every network file system. An
owner therefore writes its name anew at every beat, and who finds another machine's name writes its
own over it and waits for three beats: a living owner shows itself by being there again.
"""

import datetime
import json
import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path

from jaxbeh.errors import RunError

if sys.platform != "win32":  # there, only the beat tells
    import fcntl

BEAT_S = 5.0
"""Seconds between two signs of life."""
WATCH_S = 3 * BEAT_S
"""Seconds that a lock from another machine is watched before it is taken over."""

_NAME = "lock"
_MOST = 4096
"""Bytes of a lock that are read."""


@dataclass(frozen=True)
class Owner:
    """Who holds a folder.

    Attributes:
        pid: the process, on its machine or in its container.
        host: the machine's name.
        since: when it took the folder.
    """

    pid: int
    host: str
    since: str

    @classmethod
    def this(cls) -> "Owner":
        """This process, now."""
        since = datetime.datetime.now(datetime.UTC).isoformat()
        return cls(os.getpid(), platform.node(), since)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} (since {self.since[:19]}Z)"


@contextmanager
def held(folder: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold a run folder, made if it is not there; it is removed again if it stays empty.

    Args:
        folder: the run's.
        tell: called with a sentence when a lock is found that a dead process left.

    Raises:
        RunError: another process holds it, or nothing can be written there.
    """
    made = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    path = folder / _NAME
    try:
        folder.mkdir(parents=True, exist_ok=True)
        me = Owner.this()
        stream = _take(path, me, tell)
    except OSError as error:
        raise RunError(
            f"{folder}: cannot be written ({error}); mend that, or choose another folder with --run"
        ) from None
    ended = threading.Event()
    beat = threading.Thread(target=_beat, args=(stream, me, ended), daemon=True)
    beat.start()
    try:
        yield
    finally:
        ended.set()
        beat.join()
        with suppress(OSError):  # the folder may be gone, or no longer writable
            if _is_at(stream, path):
                path.unlink()
        stream.close()
        with suppress(OSError):
            for parent in made:
                parent.rmdir()


def _take(path: Path, me: Owner, tell: Callable[[str], None]) -> FileIO:
    while True:
        stream = _open(path)
        try:
            locked = _lock(stream)
            if not _is_at(stream, path):  # its owner ended between the two
                stream.close()
                continue
            before = _read(stream)
            if locked is False:
                raise RunError(_refusal(path.parent, before))
            _write(stream, me)
            if before is not None:
                if locked is None or before.host != me.host:
                    _watch(path, me, before, tell)
                tell(f"{path}: {before} ended without removing it; it is taken over")
        except BaseException:
            stream.close()
            raise
        return stream


def _watch(path: Path, me: Owner, before: Owner, tell: Callable[[str], None]) -> None:
    """Give an owner that cannot be asked the time to show itself.

    Raises:
        RunError: somebody did.
    """
    tell(f"{path}: is {before}'s. Waiting {WATCH_S:.0f} s for a sign that it lives")
    until = time.monotonic() + WATCH_S
    while time.monotonic() < until:
        time.sleep(BEAT_S / 10)
        with _open(path) as stream:
            found = _read(stream)
        if found != me:
            raise RunError(
                f"{_refusal(path.parent, found)}. It renewed {_NAME} while this command watched; "
                f"`ps -p {found.pid if found else 'PID'}` there shows it"
            )


def _refusal(folder: Path, owner: Owner | None) -> str:
    return (
        f"{folder}: {owner or 'another process'} trains in it. Wait for its end, stop it there "
        f"({f'kill {owner.pid}' if owner else 'kill PID'}), or choose another folder with --run"
    )


def _beat(stream: FileIO, me: Owner, ended: threading.Event) -> None:
    while not ended.wait(BEAT_S):
        with suppress(OSError):  # a full disk, or a network that is away for a while
            _write(stream, me)


def _open(path: Path) -> FileIO:
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise RunError(f"{path}: is a link or no regular file; remove it")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o644)
    return FileIO(descriptor, "r+")


def _lock(stream: FileIO) -> bool | None:
    """Whether the lock was free and is ours now; `None` where nothing can be locked."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # the file system knows no locks
        return None
    return True


def _is_at(stream: FileIO, path: Path) -> bool:
    """Whether the open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _read(stream: FileIO) -> Owner | None:
    """The owner that a lock names; `None` if it names none that can be made out."""
    stream.seek(0)
    with suppress(ValueError, TypeError, RecursionError):
        owner = Owner(**json.loads(stream.read(_MOST)))
        known = [type(value) for value in asdict(owner).values()] == [int, str, str]
        if known and (owner.host + owner.since).isprintable():
            return owner
    return None


def _write(stream: FileIO, owner: Owner) -> None:
    content = json.dumps(asdict(owner)).encode() + b"\n"
    stream.seek(0)
    stream.write(content)
    stream.truncate(len(content))
    os.fsync(stream.fileno())
