"""Running a command that finds a folder read-only, as inputs of a Kaggle notebook are."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOUNT = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'


@contextmanager
def read_only(folder: Path) -> Iterator[list[str]]:
    """Words to put before a command, which then finds the folder read-only.

    Modes do not hold root back: it gets a read-only mount in a name space of its own.
    """
    words = ["unshare", "--map-root-user", "--mount", "bash", "-c", MOUNT, str(folder)]
    if shutil.which("unshare") and not subprocess.run([*words, "true"], check=False).returncode:
        yield words
        return
    assert os.geteuid(), "root that may not mount cannot be held back from writing"
    folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in folders:
        path.chmod(0o500)
    yield []
    for path in folders:
        path.chmod(0o700)
