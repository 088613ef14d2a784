"""Numbers of things and paths, as messages of every layer say them."""

import shlex
from pathlib import Path


def how_many(number: int, thing: str) -> str:
    """A number of things: `1 video`, `2,000 videos`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def quoted(path: Path) -> str:
    """A path as a shell takes it, for commands to copy."""
    return shlex.quote(str(path))
