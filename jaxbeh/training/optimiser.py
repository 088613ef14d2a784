"""The rules by which gradients become updates."""

import optax

from jaxbeh.settings.run import AdamSettings, OptimizerSettings


def build(settings: OptimizerSettings, rate: optax.Schedule) -> optax.GradientTransformation:
    """The optimiser that settings describe; its updates are proportional to the rate."""
    if isinstance(settings, AdamSettings):
        return optax.adam(rate)
    return optax.chain(
        optax.clip_by_global_norm(settings.clip_norm),
        optax.adamw(rate, weight_decay=settings.weight_decay),
    )
