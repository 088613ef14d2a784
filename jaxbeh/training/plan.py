"""How an epoch's windows are dealt to steps, and steps to calls of the compiled program."""

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import Array

_ROWS = 8
"""Rows of a batch are a multiple of this, so that 2, 4 or 8 devices share it evenly."""


@dataclass(frozen=True)
class EpochPlan:
    """An epoch in numbers.

    Windows are spread evenly: 1,930 of them in batches of at most 384 make six steps of 321 or 322,
    not five of 384 and one of 10 whose few windows would steer an update and BatchNorm alone.

    Attributes:
        windows: windows of the epoch.
        steps: updates of the epoch.
        rows: rows of a batch; those beyond a step's windows are padding.
        steps_per_call: steps of one call of the compiled program; divides `steps`.
    """

    windows: int
    steps: int
    rows: int
    steps_per_call: int

    @classmethod
    def build(
        cls, windows: int, batch_size: int, longest_call: int, devices: int = 1
    ) -> "EpochPlan":
        """Plan batches of at most `batch_size` windows, calls of at most `longest_call` steps.

        On 3 or 16 devices there are more rows of padding, and the windows of a step are the same.
        """
        steps = -(-windows // batch_size)
        most = -(-windows // steps)
        multiple = math.lcm(_ROWS, devices)
        rows = min(-(-most // multiple) * multiple, max(batch_size, most))
        per_call = next(n for n in range(min(longest_call, steps), 0, -1) if steps % n == 0)
        return cls(windows=windows, steps=steps, rows=rows, steps_per_call=per_call)


def epoch_order(plan: EpochPlan, key: Array) -> Array:
    """Int32 `[steps, rows]` window indices in random order, −1 in padding rows."""
    return deal(plan, jax.random.permutation(key, jnp.arange(plan.windows, dtype=jnp.int32)))


def shard_order(plan: EpochPlan, key: Array, real: Array) -> Array:
    """The same of a shard, whose table bool `[n]` may hold rows that are no windows."""
    drawn = jax.random.bits(key, real.shape, jnp.uint32) >> 1
    shuffled = jnp.argsort(jnp.where(real, drawn, jnp.uint32(2**31)))  # what is none comes last
    return deal(plan, shuffled.astype(jnp.int32), jnp.sum(real, dtype=jnp.int32))


def deal(plan: EpochPlan, windows: Array, count: Array | int | None = None) -> Array:
    """Deal windows to steps in order: int32 `[steps, rows]`, −1 in padding.

    Args:
        plan: of the steps.
        windows: int32 `[n]`.
        count: how many of them, from the first; the plan's by default.
    """
    size, longer = divmod(plan.windows if count is None else count, plan.steps)
    step = jnp.arange(plan.steps, dtype=jnp.int32)[:, None]
    row = jnp.arange(plan.rows, dtype=jnp.int32)[None, :]
    position = step * size + jnp.minimum(step, longer) + row
    real = row < size + (step < longer).astype(jnp.int32)
    return jnp.where(real, windows[jnp.minimum(position, len(windows) - 1)], -1)
