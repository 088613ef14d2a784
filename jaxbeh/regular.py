"""Opening what others wrote: regular files only, and small ones of text, whole."""

import errno
import os
from pathlib import Path

MOST_TEXT = 64 << 20
"""Bytes; the largest text that is read whole is the split of a collection of millions of videos."""


def require_regular(path: Path) -> None:
    """Refuse what is there and is no file: a pipe would be waited for, a device may never end.

    Raises:
        OSError: it is a folder, a pipe, a socket or a device. What is not there is not refused:
            opening it says so.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "is no regular file", str(path))


def read_text(path: Path, encoding: str = "utf-8", most: int = MOST_TEXT) -> str:
    """The text of a file of settings or of a record.

    Raises:
        OSError: there is no such file, it is no regular one, it is larger than `most` bytes, or
            cannot be read.
        UnicodeDecodeError: it is no such text.
    """
    require_regular(path)
    with path.open("rb") as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"has more than {most:,} bytes", str(path))
    return content.decode(encoding)
