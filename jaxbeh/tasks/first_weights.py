"""A run of tracks that starts from another one: of recipe v7, or of its pre-training."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jaxbeh.errors import RunError
from jaxbeh.inference.pairs.records import Known
from jaxbeh.models.pair_body import BODY
from jaxbeh.pair_settings import PairConfig, TrackConfig
from jaxbeh.tasks.task import Task
from jaxbeh.training.checkpoints import Leaves, best_of, fill, leaves_of
from jaxbeh.training.run_folder import RunFolder, differences
from jaxbeh.training.state import Snapshot

_KNOWN = "known.json"
_SOURCE = {"params": "average", "average": "average", "batch_stats": "batch_stats"}
"""What of the other run's state each part starts from: the weights that it predicts with."""


def from_run(
    snapshot: Snapshot,
    config: TrackConfig,
    task: Task,
    other: RunFolder,
    tell: Callable[[str], None],
) -> Snapshot:
    """Start from another run's best weights; what stays fresh is told.

    One network of the other run begins all of this one; several begin as many, each its own. Stem,
    exchange and encoder are taken, and heads and labs too if both runs name the same ones.

    Args:
        snapshot: a fresh one, on the host.
        config: of the new run.
        task: likewise.
        other: the other run.
        tell: called with sentences.

    Raises:
        RunError: the other run is of another kind, network or number of networks, or has no
            checkpoint.
        CheckpointError: its weights are of another version of jaxbeh.
    """
    theirs = other.config()
    if not isinstance(theirs, TrackConfig):
        raise RunError(
            f"{other.path} is a run of scene classes, whose network is another one; recipe v7 and "
            f"v7-poses start from runs of each other"
        )
    wrong = differences(theirs.network.model_dump(), config.network.model_dump(), "network.")
    if wrong:
        raise RunError(
            "\n".join(
                [
                    f"{other.path}: its network is another one:",
                    *wrong,
                    "Set the same here, or train it anew with these.",
                ]
            )
        )
    same_names = _names(other) == _names_of(task.files())
    mine = leaves_of(snapshot)
    taken, fresh = _taken(mine, best_of(other, tell).leaves, same_names, other)
    tell(f"First weights: the best of {other.path}; fresh: {', '.join(fresh) or 'nothing'}")
    _tell_of_slots(task, other, tell)
    if isinstance(theirs, PairConfig):
        _tell_of_leaks(task, other, tell)
    return fill(snapshot, mine | taken, other.checkpoints)


def _names(run: RunFolder) -> object:
    """What a run's outputs and labs are called; `None` if they have no names."""
    return _named(run.parsed(_KNOWN, Known.from_json)) if run.has(_KNOWN) else None


def _names_of(files: Mapping[str, str]) -> object:
    return _named(Known.from_json(files[_KNOWN])) if _KNOWN in files else None


def _named(known: Known) -> object:
    return known.vocabulary, known.labs


def _taken(mine: Leaves, theirs: Leaves, heads: bool, other: RunFolder) -> tuple[Leaves, list[str]]:
    """The leaves that start from another run's, and the modules of which none does."""
    taken: Leaves = {}
    fresh: dict[str, None] = {}
    for path, leaf in mine.items():
        _, kind, *rest = path.split(".")
        if not path.startswith("train.") or kind not in _SOURCE:
            continue
        if rest[0] not in BODY and not heads:
            fresh[rest[0]] = None
            continue
        source = ".".join(["train", _SOURCE[kind], *rest])
        if source not in theirs:
            raise RunError(f"{other.path}: its weights lack {source}; train it anew")
        taken[path] = _for_all(theirs[source], len(leaf), other)
    return taken, list(fresh)


def _for_all(leaf: NDArray[Any], members: int, other: RunFolder) -> NDArray[Any]:
    """A leaf `[n, …]` of n networks for this run's members."""
    if len(leaf) not in (1, members):
        raise RunError(
            f"{other.path} has {len(leaf)} networks, this run {members}: give the same numbers "
            f"with --folds and --seeds"
        )
    return np.broadcast_to(leaf, (members, *leaf.shape[1:]))


def _tell_of_slots(task: Task, other: RunFolder, tell: Callable[[str], None]) -> None:
    pairs = zip(task.slots.names, other.slots().names, strict=True)
    moved = [
        f"{ours} (there {theirs})" for ours, theirs in pairs if ours and theirs not in (None, ours)
    ]
    if moved:
        tell(f"Keypoints in slots that hold another one there: {', '.join(moved)}")


def _tell_of_leaks(task: Task, other: RunFolder, tell: Callable[[str], None]) -> None:
    """Of labels that a network has learnt from and is to be judged by."""
    ours, theirs = _folds(task.split()), _folds(other.split())
    known = set(other.split()["train"])
    seen: set[str] = set()
    for fold, held_out in enumerate(ours):
        seen |= held_out & (known - theirs[fold % len(theirs)])
    if seen:
        tell(
            f"Videos held out here that the first weights have learnt from: {len(seen)}; the "
            f"scores will be too good"
        )


def _folds(split: Mapping[str, list[str]]) -> list[set[str]]:
    return [set(ids) for name, ids in split.items() if name.startswith("fold ")]
