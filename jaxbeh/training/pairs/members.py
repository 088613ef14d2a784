"""The networks that a run trains together, one a fold and seed, and the windows of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from numpy.typing import NDArray

from jaxbeh.training.plan import EpochPlan

T = TypeVar("T")


@dataclass(frozen=True)
class Members:
    """Which networks.

    Attributes:
        fold: int32 `[m]`, the fold that a member does not see.
        seed: int32 `[m]`, which of the draws it is.
    """

    fold: NDArray[np.int32]
    seed: NDArray[np.int32]

    @classmethod
    def all(cls, folds: int, seeds: int) -> "Members":
        """One for each fold and seed, seed by seed."""
        seed, fold = np.divmod(np.arange(folds * seeds, dtype=np.int32), np.int32(folds))
        return cls(fold=fold, seed=seed)

    @property
    def count(self) -> int:
        """M."""
        return len(self.fold)

    def keys(self, root: Array, stream: int) -> Array:
        """`[m]` keys that follow from the run's key, the member and a stream of randomness.

        A member has the same key whichever others are trained beside it.
        """
        of_stream = jax.random.fold_in(root, stream)
        name = jnp.asarray(self.seed * 4096 + self.fold)
        return jax.vmap(lambda one: jax.random.fold_in(of_stream, one))(name)


def each_member(function: Callable[..., T], *stacked: Any) -> T:
    """What a function makes of each member.

    An accelerator needs all members at once to be busy. A CPU is busy with one: there they take
    turns, and the activations of one are in memory at a time.

    Args:
        function: of one member's own part of `stacked`.
        stacked: pytrees whose leaves have members along their first axis, m.

    Returns:
        What the function returns, stacked likewise; the same in turns as together, to rounding.
    """
    form = in_turns if jax.default_backend() == "cpu" else together
    return form(function, *stacked)


def in_turns(function: Callable[..., T], *stacked: Any) -> T:
    """See `each_member`: one after another."""
    made: T = lax.map(lambda own: function(*own), stacked)
    return made


def together(function: Callable[..., T], *stacked: Any) -> T:
    """See `each_member`: all at once."""
    made: T = jax.vmap(function)(*stacked)
    return made


def labs_learnt(members: Members, lab_fold: Sequence[int]) -> NDArray[np.bool_]:
    """Which labs each member trains on: bool `[m, 1 + l]`, true for the entry of no lab, 0.

    Args:
        members: m of them.
        lab_fold: of each of l labs the fold that holds out all its videos, −1 where none does.
    """
    of_no_lab = np.ones((members.count, 1), np.bool_)
    held_out = np.array(lab_fold, np.int32) == members.fold[:, None]
    return np.concatenate([of_no_lab, ~held_out], axis=1)


def plan_members(
    trained: NDArray[np.bool_], members: int, batch_size: int, longest_call: int, devices: int = 1
) -> EpochPlan:
    """An epoch in numbers, the same for all members; its rows are those of one member.

    Members of larger folds have fewer windows to train on: an epoch takes the mean number. A member
    with fewer sees some twice, one with more leaves some out, others each time.

    Args:
        trained: bool `[folds, n]`, windows that a fold's members see.
        members: m, of the run.
        batch_size: windows of a batch of one member, at most.
        longest_call: steps of a call, at most.
        devices: share a batch evenly: it gets some windows more if need be.
    """
    mean = max(1, round(trained.sum() / len(trained)))
    steps = -(-mean // batch_size)
    rows = -(-mean // (steps * devices)) * devices
    per_call = next(n for n in range(min(longest_call, steps), 0, -1) if steps % n == 0)
    return EpochPlan(
        windows=steps * rows * members, steps=steps, rows=rows, steps_per_call=per_call
    )


def member_order(plan: EpochPlan, trained: Array, key: Array) -> Array:
    """Int32 `[steps, rows]`: a random order of a member's windows, begun anew if it is too short.

    Args:
        plan: of the epoch.
        trained: bool `[n]`, the windows that it sees.
        key: of the member and epoch.
    """
    drawn = jax.random.bits(key, trained.shape, jnp.uint32) >> 1
    # Held-out windows come last.
    shuffled = jnp.argsort(jnp.where(trained, drawn, jnp.uint32(2**31)))
    place = jnp.arange(plan.steps * plan.rows, dtype=jnp.int32)
    chosen = shuffled[place % jnp.maximum(jnp.sum(trained, dtype=jnp.int32), 1)]
    return chosen.astype(jnp.int32).reshape(plan.steps, plan.rows)
