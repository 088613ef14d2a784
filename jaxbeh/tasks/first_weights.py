"""A run of tracks that starts from another one: of recipe v7, or of its pre-training."""

from collections.abc import Callable, Mapping

import numpy as np

from jaxbeh.errors import RunError
from jaxbeh.inference.pairs.records import Known
from jaxbeh.models.pair_body import BODY
from jaxbeh.settings.pairs import TrackConfig
from jaxbeh.settings.run import Config
from jaxbeh.tasks.task import Task
from jaxbeh.training.checkpoints import best_of, fill, leaves_of
from jaxbeh.training.leaves_file import Leaves
from jaxbeh.training.run_folder import RunFolder, differences
from jaxbeh.training.state import Snapshot

_KNOWN = "known.json"
_SOURCE = {"params": "average", "average": "average", "batch_stats": "batch_stats"}
"""What of the other run's state each part starts from: the weights that it predicts with."""


def require_fitting(config: Config, other: RunFolder) -> None:
    """Refuse to start from a run of another kind or network, before anything is read.

    Raises:
        RunError: with the differences; or the folder is no run.
    """
    theirs = other.config()
    ours_of_tracks, theirs_of_tracks = (isinstance(one, TrackConfig) for one in (config, theirs))
    if ours_of_tracks != theirs_of_tracks:
        raise RunError(
            f"{other.path} is a run of {theirs.task}, and this one is of {config.task}, which have "
            f"other networks. Runs of scene classes start from each other, and so do those of "
            f"v7 and v7-poses"
        )
    if not isinstance(config, TrackConfig) or not isinstance(theirs, TrackConfig):
        return
    wrong = differences(theirs.network.model_dump(), config.network.model_dump(), "network.")
    if wrong:
        remedy = "Set the same here, or train it anew with these."
        raise RunError("\n".join([f"{other.path}: its network is another one:", *wrong, remedy]))


def from_run(
    snapshot: Snapshot, task: Task, other: RunFolder, tell: Callable[[str], None]
) -> Snapshot:
    """Start from the best weights of another run of tracks; what stays fresh is told.

    One network of the other run begins all of this one; several begin as many, each its own. Stem,
    exchange and encoder are taken, and heads and labs too if both runs name the same ones.

    Args:
        snapshot: a fresh one, on the host.
        task: of the new run.
        other: the other run, which fits (`require_fitting`).
        tell: called with sentences.

    Raises:
        RunError: the other run has several networks of other folds or seeds, or no checkpoint.
        CheckpointError: its weights are of another version of jaxbeh.
    """
    theirs = other.parsed(_KNOWN, Known.from_json) if other.has(_KNOWN) else None
    ours = Known.from_json(task.files()[_KNOWN]) if _KNOWN in task.files() else None
    _require_as_many(other, _members(theirs), _members(ours))
    same_names = _names(theirs) == _names(ours)
    mine = leaves_of(snapshot)
    taken, fresh = _taken(mine, best_of(other, tell).leaves, same_names, other)
    tell(f"First weights: the best of {other.path}; fresh: {', '.join(fresh) or 'nothing'}")
    _tell_of_slots(task, other, tell)
    if other.config().labelled:
        _tell_of_leaks(task, other, tell)
    return fill(snapshot, mine | taken, other.checkpoints)


def _names(known: Known | None) -> object:
    """What a run's outputs and labs are called; `None` if they have no names."""
    return (known.vocabulary, known.labs) if known else None


def _members(known: Known | None) -> tuple[int, int]:
    """Folds and seeds; pre-training is one network."""
    return (known.folds, known.seeds) if known else (1, 1)


def _require_as_many(other: RunFolder, theirs: tuple[int, int], ours: tuple[int, int]) -> None:
    if theirs not in ((1, 1), ours):
        raise RunError(
            f"{other.path} has networks of {theirs[0]} folds and {theirs[1]} seeds, this run of "
            f"{ours[0]} and {ours[1]}: give the same numbers with --folds and --seeds"
        )


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
        taken[path] = np.broadcast_to(theirs[source], (len(leaf), *theirs[source].shape[1:]))
    return taken, list(fresh)


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
