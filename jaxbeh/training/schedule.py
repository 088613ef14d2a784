"""The learning rate: over the steps of a run, and after epochs that brought nothing."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
import optax
from jax.typing import ArrayLike

from jaxbeh.settings.run import (
    OptimizerSettings,
    PlateauSettings,
    ScheduleSettings,
    WarmupCosineSettings,
)
from jaxbeh.training.state import LoopState


@dataclass(frozen=True)
class Schedule:
    """How the rate goes: rate of a step · the loop's `rate_scale`.

    Attributes:
        rate: step → rate.
        cool: the loop's state after an epoch → the same, its `rate_scale` lowered if it is time.
    """

    rate: optax.Schedule
    cool: Callable[[LoopState], LoopState]


def on_host(course: Schedule) -> Callable[[int], float]:
    """Step → rate, computed beside the devices at any time."""
    host = jax.local_devices(backend="cpu")[0]

    def rate(step: int) -> float:
        with jax.default_device(host), jax.transfer_guard("allow"):
            return float(course.rate(np.int32(step)))

    return rate


def build(
    optimizer: OptimizerSettings, settings: ScheduleSettings, steps_per_epoch: int, epochs: int
) -> Schedule:
    """The schedule that settings describe."""
    peak = optimizer.learning_rate
    if isinstance(settings, WarmupCosineSettings):
        return Schedule(_warmup_cosine(peak, settings, steps_per_epoch, epochs), _as_it_is)
    if isinstance(settings, PlateauSettings):
        return Schedule(optax.constant_schedule(peak), lambda loop: _plateau(settings, peak, loop))
    return Schedule(optax.constant_schedule(peak), _as_it_is)


def _warmup_cosine(
    peak: float, settings: WarmupCosineSettings, steps_per_epoch: int, epochs: int
) -> optax.Schedule:
    """A linear warm-up, then a cosine that reaches its floor with the run's last step.

    Warm-up is the smaller of `warmup_epochs` and a third of the run's steps, so that a run of one
    or two epochs works. It starts one stair above zero: a first update of nothing is no update.
    """
    total = steps_per_epoch * epochs
    warmup = max(1, min(round(settings.warmup_epochs * steps_per_epoch), total // 3))
    schedule = optax.warmup_cosine_decay_schedule(
        init_value=peak / warmup,
        peak_value=peak,
        warmup_steps=warmup,
        decay_steps=max(total, warmup + 1),
        end_value=settings.final_learning_rate,
    )

    def rate(step: ArrayLike) -> ArrayLike:
        # optax mixes integer counts with Python floats, which strict promotion refuses.
        with jax.numpy_dtype_promotion("standard"):
            return schedule(step)  # type: ignore[no-any-return]  # optax is untyped

    return rate


def _as_it_is(loop: LoopState) -> LoopState:
    return loop


def _plateau(settings: PlateauSettings, peak: float, loop: LoopState) -> LoopState:
    """Lower the rate after `patience` epochs without a better score, and count anew."""
    if loop.stalled < settings.patience:
        return loop
    scale = max(float(loop.rate_scale) * settings.factor, settings.floor / peak)
    return loop.replace(rate_scale=np.float32(scale), stalled=np.int32(0))  # type: ignore[attr-defined,no-any-return]  # by struct
