"""AdamW under a global-norm clip, its rate warmed up linearly and then cooled along a cosine."""

import jax
import optax
from jax.typing import ArrayLike

from jaxbeh.config import OptimizerSettings, ScheduleSettings


def learning_rate(
    optimizer: OptimizerSettings,
    schedule_settings: ScheduleSettings,
    steps_per_epoch: int,
    epochs: int,
) -> optax.Schedule:
    """The rate of each step; the cosine reaches its floor with the run's last step.

    Warm-up is the smaller of `warmup_epochs` and a third of the run's steps, so that a run of one
    or two epochs works. It starts one stair above zero: a first update of nothing is no update.
    """
    total = steps_per_epoch * epochs
    warmup = max(1, min(round(schedule_settings.warmup_epochs * steps_per_epoch), total // 3))
    schedule = optax.warmup_cosine_decay_schedule(
        init_value=optimizer.learning_rate / warmup,
        peak_value=optimizer.learning_rate,
        warmup_steps=warmup,
        decay_steps=max(total, warmup + 1),
        end_value=schedule_settings.final_learning_rate,
    )

    def rate(step: ArrayLike) -> ArrayLike:
        # optax mixes integer counts with Python floats, which strict promotion refuses.
        with jax.numpy_dtype_promotion("standard"):
            return schedule(step)  # type: ignore[no-any-return]  # optax is untyped

    return rate


def build(settings: OptimizerSettings, rate: optax.Schedule) -> optax.GradientTransformation:
    """The optimiser that settings describe."""
    return optax.chain(
        optax.clip_by_global_norm(settings.clip_norm),
        optax.adamw(rate, weight_decay=settings.weight_decay),
    )
