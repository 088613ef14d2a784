"""Making the videos of a collection in several processes, each of which writes its own files."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from jaxbeh.data.writer import Entry, Split, Video, write_video
from jaxbeh.errors import DataError


class Source(Protocol):
    """What a collection's videos come from; it is sent to the processes that make them."""

    def count(self, split: Split) -> int:
        """Number of videos of a split."""

    def video(self, split: Split, index: int) -> Video:
        """Make one of them, the same in any process."""


@dataclass(frozen=True)
class _Task:
    source: Source
    split: Split
    index: int
    root: Path

    def __call__(self) -> Entry:
        return write_video(self.root, self.source.video(self.split, self.index), self.split)


def write_videos(
    source: Source, wanted: Iterable[tuple[Split, int]], root: Path, processes: int
) -> Iterator[Entry]:
    """Make videos and write their files under `root`; each video is in one process's memory only.

    Args:
        source: of the videos.
        wanted: which of them.
        root: of the collection.
        processes: how many work at a time; with 1, this one does, and no other is started.

    Yields:
        What the tables say of each, in the order wanted.

    Raises:
        DataError: a video cannot be made or written, or a process was ended.
    """
    tasks = [_Task(source, split, index, root) for split, index in wanted]
    if processes == 1:
        yield from (task() for task in tasks)
        return
    with _pool(processes) as pool:
        try:
            yield from pool.map(_Task.__call__, tasks)
        except BrokenProcessPool:
            raise DataError(
                f"{root}: a process that makes videos was ended from outside, as where memory "
                f"runs out; each of {processes} takes up to 2 GB"
            ) from None


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end at once when this one leaves, be it by a kill, and leave nobody behind.

    They are started afresh, not forked: the caller may have threads.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    pool = ProcessPoolExecutor(processes, context, _follow, (theirs,))
    try:
        yield pool
    finally:
        ours.close()
        pool.shutdown(cancel_futures=True)
        theirs.close()


def _follow(starter: Connection) -> None:
    """End this process as soon as the one that started it closes its end of a pipe, or is dead."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the starter sees to it

    def wait() -> None:
        try:
            starter.recv_bytes()
        except EOFError:
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
