"""Checkpoints: Orbax behind one small class, every leaf under our own hash.

What the class adds to Orbax, and why:

- No checksum of the content is stored, and a file with a flipped bit is restored without a word: a
  sha256 over all leaves is stored with them and compared on restore, and one over that, the score
  and the step: another score would choose, and delete, other steps; and so would a copy of a step
  under a higher number, which would be gone on from at every start.
- A kill while an old step is cleaned up leaves it listed and unrestorable, unless it is renamed
  first (`todelete_subdir`); that folder is never emptied by Orbax, so we empty it.
- Orbax forgets the scores when it opens a folder, and keeps every step without one for good: we
  read them from our own record, and say ourselves what is kept.
- Of several processes all would write: only the first opens a folder, and Orbax is told so.
- Any folder with a number for a name counts as a step: what cannot be restored is set aside under
  a name that says so, and the step before it is taken.
- What Orbax notes beside a step keeps the whole folder from being opened when it is damaged. Nobody
  needs it, so it is removed first; and reading goes without Orbax.
"""

import hashlib
import logging
import math
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
import orbax.checkpoint as ocp
from numpy.typing import NDArray

from jaxbeh.errors import CheckpointError, RunError
from jaxbeh.training.leaves_file import (
    UNREADABLE,
    UNWRITABLE,
    Leaves,
    LeavesHandler,
    LeavesSave,
    read_leaves,
)
from jaxbeh.training.run_folder import RunFolder

T = TypeVar("T")
_DELETED, _NOTES, _ASIDE = "deleted", "_CHECKPOINT_METADATA", "damaged-"
_LATEST = 2
"""Kept beside the best: the latest, and the one before it should the latest be damaged."""

NOT_VALIDATED = -1.0
"""The score of a checkpoint made in the middle of an epoch; it is never the best."""


def leaves_of(tree: object) -> Leaves:
    """A pytree's leaves by their path, as host arrays."""
    flat, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf)
        for path, leaf in flat
    }


def content_hash(leaves: Mapping[str, NDArray[Any]]) -> str:
    """Sha256 over path, dtype, shape and bytes of every leaf, in the order of their paths."""
    digest = hashlib.sha256()
    for path in sorted(leaves):
        leaf = leaves[path]
        digest.update(f"{path}|{leaf.dtype.str}|{leaf.shape}|".encode())
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()


def fill(template: T, leaves: Mapping[str, NDArray[Any]], source: Path) -> T:
    """Put restored leaves into the place of a template's leaves.

    Raises:
        CheckpointError: a leaf is missing or left over, or has another shape or dtype.
    """
    flat, structure = jax.tree_util.tree_flatten_with_path(template)
    wanted = {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in flat}
    wrong = [f"{path} is missing" for path in wanted.keys() - leaves.keys()]
    wrong += [f"{path} is unknown here" for path in leaves.keys() - wanted.keys()]
    for path in wanted.keys() & leaves.keys():
        expected, found = wanted[path], leaves[path]
        if expected.shape != found.shape or expected.dtype != found.dtype:
            wrong.append(
                f"{path} is {found.dtype}{list(found.shape)}, expected "
                f"{expected.dtype}{list(expected.shape)}"
            )
    if wrong:
        raise CheckpointError(
            f"{source}: its content does not fit this run's model and optimiser "
            f"({'; '.join(sorted(wrong)[:5])}{'; …' if len(wrong) > 5 else ''}); "
            f"it was written by other settings or another version. Train in another folder (--run)"
        )
    filled: T = jax.tree_util.tree_unflatten(structure, [leaves[path] for path in wanted])
    return filled


@dataclass(frozen=True)
class Restored:
    """An intact checkpoint: its step, score, leaves, and their hash."""

    step: int
    score: float
    leaves: Leaves
    sha256: str


@dataclass(frozen=True)
class _Keep:
    """Orbax's question which steps stay: the latest two, and the best."""

    scores: Mapping[int, float]

    def should_preserve(self, checkpoints: Sequence[Any], *, context: object) -> list[bool]:
        del context
        steps = [checkpoint.step for checkpoint in checkpoints]
        kept = _kept(steps, self.scores)
        return [step in kept for step in steps]


def _kept(steps: Sequence[int], scores: Mapping[int, float]) -> set[int]:
    """The latest of steps, and the best of those whose score is known."""
    known = [step for step in steps if step in scores]
    return {*sorted(steps)[-_LATEST:], *_best_first(known, scores)[:1]}


def _best_first(steps: Iterable[int], scores: Mapping[int, float]) -> list[int]:
    """By score, the earliest of equals first; before all, a step whose score cannot be read."""
    return sorted(steps, key=lambda step: (-scores.get(step, math.inf), step))


def _seal(step: int, record: Mapping[str, str]) -> str:
    text = f"{step} {record['sha256']} {record['score']}"
    return hashlib.sha256(text.encode()).hexdigest()


def _sealed(step: int, record: Mapping[str, str]) -> tuple[str, float]:
    """Hash and score that a step was written with.

    Raises:
        UNREADABLE: they are missing or changed, or another step's.
    """
    expected = _seal(step, record)
    if record.get("seal", expected) != expected:  # runs begun before there were seals have none
        raise ValueError("its record was changed, or is another step's")
    return record["sha256"], float(record["score"])


class Checkpoints:
    """The checkpoints of one run: the latest two and the best.

    Args:
        folder: where they are kept; made if absent, unless `read_only`.
        tell: called with a sentence when a damaged checkpoint is passed over.
        read_only: look, and change nothing (another process may be training).
    """

    def __init__(self, folder: Path, tell: Callable[[str], None], read_only: bool = False) -> None:
        logging.getLogger("absl").setLevel(logging.CRITICAL)  # what fails is raised, too
        self._folder = folder.resolve()
        self._tell = tell
        self._read_only = read_only
        self._scores: dict[int, float] = {}
        self._passed_over: set[int] = set()
        if not read_only:
            self._manager = self._open()
        for step in self.steps():
            score = self._score(step)
            if score is not None:
                self._scores[step] = score

    def steps(self) -> list[int]:
        """Those that are whole on the disk, in order; damaged ones among them.

        Raises:
            CheckpointError: the folder is not there, or cannot be looked into.
        """
        try:
            names = [path.name for path in self._folder.iterdir() if path.is_dir()]
        except OSError as error:
            raise self._closed(error) from error
        return sorted(int(name) for name in names if name.isdecimal() and str(int(name)) == name)

    def save(self, step: int, leaves: Leaves, score: float, sha256: str | None = None) -> None:
        """Start writing a checkpoint and return; the one before it is waited for first.

        Args:
            step: updates made; a step that is there already is left as it is.
            leaves: host arrays that nobody changes any more.
            score: the validation score, or `NOT_VALIDATED`.
            sha256: the leaves' `content_hash`, if it is known already.

        Raises:
            CheckpointError: the one before it could not be written, or this one cannot.
        """
        self.wait()
        if not self._folder.is_dir():  # Orbax would make one anew, of which no run can go on
            raise self._unwritten(FileNotFoundError("the folder was removed or moved"))
        if step in self._manager.all_steps():
            return
        record = {"sha256": sha256 or content_hash(leaves), "score": repr(float(score))}
        record["seal"] = _seal(step, record)
        try:
            self._scores[step] = score
            self._manager.save(step, args=LeavesSave(leaves, record))
        except UNWRITABLE as error:
            raise self._unwritten(error) from error

    def wait(self) -> None:
        """Return once all is written; drop what Orbax set apart for deletion.

        Raises:
            CheckpointError: a write failed, for example on a full disk. Older ones stay intact.
        """
        try:
            self._manager.wait_until_finished()
        except UNWRITABLE as error:
            raise self._unwritten(error) from error
        self._empty_deleted()

    def close(self) -> None:
        """Wait, remove what a kill kept from being removed, and let go of the folder."""
        self.wait()
        known = [step for step in self._manager.all_steps() if step in self._scores]
        for step in set(known) - _kept(known, self._scores):
            self._manager.delete(step)
        self._empty_deleted()
        self._manager.close()

    def latest(self) -> Restored | None:
        """The newest intact checkpoint, or `None` where there is none at all.

        Raises:
            CheckpointError: there are checkpoints and none is intact.
        """
        return self._first_intact(self.steps()[::-1])

    def best(self) -> Restored | None:
        """The intact checkpoint with the highest score, the earliest of equals.

        Raises:
            CheckpointError: there are checkpoints and none is intact.
        """
        return self._first_intact(_best_first(self.steps(), self._scores))

    def copy_best(self, target: Path) -> Restored | None:
        """Copy the best intact checkpoint, alone, to a folder that is not there.

        Returns:
            What was copied, or `None` where there is no checkpoint at all.

        Raises:
            CheckpointError: there are checkpoints and none is intact, or the copy is not.
            OSError: it cannot be copied.
        """
        found = self.best()
        if found is None:
            return None
        shutil.copytree(self._folder / str(found.step), target / str(found.step))
        copied = Checkpoints(target, self._tell, read_only=True).best()
        if copied is None or copied.sha256 != found.sha256:
            raise CheckpointError(
                f"{target}: the copy of {self._folder / str(found.step)} has another content; "
                f"give the same command again once nothing writes there"
            )
        return copied

    def _first_intact(self, steps: list[int]) -> Restored | None:
        for step in steps:
            restored = self._restore(step)
            if restored is not None:
                return restored
        if steps or any(self._folder.glob(f"{_ASIDE}*")):
            raise CheckpointError(
                f"{self._folder}: no checkpoint is intact. Remove the folder to start again from "
                f"the first epoch"
            )
        return None

    def _restore(self, step: int) -> Restored | None:
        try:
            leaves, record = read_leaves(self._folder / str(step))
            expected, score = _sealed(step, record)
        except UNREADABLE as error:
            self._set_aside(step, f"cannot be read ({type(error).__name__}: {error})")
            return None
        found = content_hash(leaves)
        if found != expected:
            self._set_aside(step, "does not have the content it was written with")
            return None
        return Restored(step, score, leaves, found)

    def _score(self, step: int) -> float | None:
        try:
            _, record = read_leaves(self._folder / str(step), record_only=True)
            return _sealed(step, record)[1]
        except UNREADABLE:
            return None  # tried first, since it may be the best, and then named with its fault

    def _set_aside(self, step: int, fault: str) -> None:
        path = self._folder / str(step)
        if self._read_only:
            if step not in self._passed_over:
                self._tell(f"checkpoint {path} {fault}; it is passed over")
            self._passed_over.add(step)
            return
        self._manager.close()
        number = 0
        while (aside := self._folder / f"{_ASIDE}{step}-{number}").exists():
            number += 1
        path.rename(aside)
        self._tell(f"checkpoint {path} {fault}; it is kept as {aside.name} and passed over")
        self._manager = self._open()

    def _open(self) -> ocp.CheckpointManager:
        options = ocp.CheckpointManagerOptions(
            preservation_policy=_Keep(self._scores),
            todelete_subdir=_DELETED,
            create=False,
            async_options=ocp.AsyncOptions(create_directories_asynchronously=False),
            multiprocessing_options=ocp.options.MultiprocessingOptions(active_processes={0}),
        )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._empty_deleted()
            for path in self._folder.glob("*.orbax-checkpoint-tmp*"):  # half-written at a kill
                shutil.rmtree(path, ignore_errors=True)
            for path in self._folder.glob(f"*/{_NOTES}"):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            return ocp.CheckpointManager(
                self._folder, options=options, item_handlers=LeavesHandler()
            )
        except (OSError, ValueError) as error:
            raise self._closed(error) from error

    def _empty_deleted(self) -> None:
        shutil.rmtree(self._folder / _DELETED, ignore_errors=True)

    def _closed(self, error: Exception) -> CheckpointError:
        return CheckpointError(
            f"{self._folder}: cannot be opened ({error}); mend its permissions or put it back, and "
            f"give the same command again"
        )

    def _unwritten(self, error: Exception) -> CheckpointError:
        return CheckpointError(
            f"{self._folder}: a checkpoint could not be written ({error}). Older ones are as they "
            f"were; make room, mend the permissions or put the folder back, and give the same "
            f"command again"
        )


def best_of(run: RunFolder, tell: Callable[[str], None]) -> Restored:
    """The best intact checkpoint of a run, to predict from; nothing is changed in its folder.

    Raises:
        RunError: there is none.
    """
    restored = None
    if run.checkpoints.is_dir():
        restored = Checkpoints(run.checkpoints, tell, read_only=True).best()
    if restored is None:
        raise RunError(f"{run.path}: has no checkpoint yet; train it for an epoch at least")
    return restored
