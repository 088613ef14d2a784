"""What a checkpoint holds: one file of named arrays and a record, and how Orbax comes to write it.

Orbax decides when a checkpoint is begun, when it counts and when it goes; a handler writes what is
in it. Orbax's own handler of arrays writes a tree of small files by way of TensorStore, and each
save and each restore through it leaves memory that is never given back: a run of days grows by it
(`tests/faults/test_soak.py`). This handler writes one file in the safetensors format, on a thread.
"""

import os
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orbax.checkpoint as ocp
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from jaxbeh.regular import require_regular

Leaves = dict[str, NDArray[Any]]

_ITEM, _NAME = "default", "leaves.safetensors"
"""Orbax's folder for the one thing that a step holds; the file in it."""

UNWRITABLE = (OSError, ValueError, SafetensorError)
"""What saving raises, for example on a full disk."""

UNREADABLE = (*UNWRITABLE, KeyError, TypeError, AttributeError)
"""What restoring raises for content that is missing, cut off or foreign."""


class LeavesHandler(ocp.AsyncCheckpointHandler):  # type: ignore[misc]  # Orbax comes without types
    """Writes `LeavesSave` to a step's folder, for Orbax."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "leaves")

    async def async_save(self, directory: Path, args: "LeavesSave") -> list[Future[None]]:
        """Begin to write, and say what to wait for."""
        return [self._thread.submit(_write, Path(directory) / _NAME, args.leaves, args.record)]

    def save(self, directory: Path, args: "LeavesSave") -> None:
        """Write, and return when all of it is on the disk."""
        _write(Path(directory) / _NAME, args.leaves, args.record)

    def restore(self, directory: Path, args: "LeavesRestore") -> tuple[Leaves, dict[str, str]]:
        """Leaves and record."""
        del args
        return _read(Path(directory) / _NAME, record_only=False)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()


@ocp.args.register_with_handler(LeavesHandler, for_save=True)
@dataclass
class LeavesSave(ocp.args.CheckpointArgs):  # type: ignore[misc]  # Orbax comes without types
    """Host arrays that nobody changes any more, by name; and texts by name."""

    leaves: Leaves
    record: dict[str, str]


@ocp.args.register_with_handler(LeavesHandler, for_restore=True)
@dataclass
class LeavesRestore(ocp.args.CheckpointArgs):  # type: ignore[misc]  # Orbax comes without types
    """Nothing to say; Orbax wants one."""


def read_leaves(step_folder: Path, record_only: bool = False) -> tuple[Leaves, dict[str, str]]:
    """Leaves, or none of them where the record is enough, and record of a step that Orbax wrote.

    Raises:
        UNREADABLE: there are none, or they are damaged.
    """
    return _read(step_folder / _ITEM / _NAME, record_only)


def _read(path: Path, record_only: bool) -> tuple[Leaves, dict[str, str]]:
    require_regular(path)
    with safe_open(path, framework="numpy") as stream:
        names = [] if record_only else stream.keys()
        return {name: stream.get_tensor(name) for name in names}, stream.metadata() or {}


def _write(path: Path, leaves: Leaves, record: dict[str, str]) -> None:
    save_file({name: np.asarray(leaf, order="C") for name, leaf in leaves.items()}, path, record)
    with path.open("r+b") as stream:  # Windows writes through only what is open for writing
        os.fsync(stream.fileno())
