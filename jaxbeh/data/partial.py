"""A folder that is written beside its place, and what a killed process left of such folders."""

import glob
import os
import shutil
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from jaxbeh.errors import DataError

if sys.platform != "win32":  # nothing is locked there, and what a killed process left stays
    import fcntl

_LOCK = ".writing"
"""A file in the folder, locked by its writer; the lock ends with the process, killed or not."""


@dataclass(frozen=True)
class PartialFolder:
    """A folder `.NAME.partial-…` beside NAME, which it becomes by one rename.

    Attributes:
        path: where to write.
        lock: descriptor of the locked file; `None` where nothing can be locked.
    """

    path: Path
    lock: int | None

    @classmethod
    def make(cls, target: Path) -> Self:
        """Make one for `target`, and remove those that dead writers of `target` left behind.

        Raises:
            OSError: it cannot be made.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        prefix = f".{target.name}.partial-"
        for left in target.parent.glob(f"{glob.escape(prefix)}*"):
            if _is_abandoned(left):
                shutil.rmtree(left, ignore_errors=True)
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
        path.chmod(0o755)  # mkdtemp gives 0700
        return cls(path, _locked(path))

    def rename(self, target: Path) -> None:
        """Become `target`, which is not there.

        Raises:
            OSError: it cannot.
        """
        (self.path / _LOCK).unlink(missing_ok=True)
        self.path.rename(target)

    def remove(self) -> None:
        """Remove what is still there under the partial name, and let go of the lock."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self.lock is not None:
            os.close(self.lock)


def refuse_occupied(folder: Path) -> None:
    """Raise a `DataError` if `folder` is anything but absent or an empty folder."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        raise DataError(
            f"{folder} exists and is not an empty folder; name another, or remove it first"
        )


def _locked(path: Path) -> int | None:
    """Lock a folder: its file gets its name once it is locked, so that nobody takes it before."""
    if sys.platform == "win32":
        return None
    unnamed = path / f"{_LOCK}-"
    descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # a disk without locks
        os.close(descriptor)
        unnamed.unlink()
        return None
    unnamed.rename(path / _LOCK)
    return descriptor


def _is_abandoned(path: Path) -> bool:
    """Whether a writer once held the folder's lock and none does now."""
    if sys.platform == "win32":
        return False
    with suppress(OSError):
        descriptor = os.open(path / _LOCK, os.O_RDWR)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(descriptor)
        return True
    return False
