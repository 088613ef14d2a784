"""The fixed part of a compiled program, and the way from gathered frames to a model's inputs."""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from jaxbeh import models
from jaxbeh.config import Config
from jaxbeh.data.store import Frames
from jaxbeh.features import FEATURE_SETS, FeatureSet
from jaxbeh.features.normaliser import Normaliser, normalise
from jaxbeh.models import Inputs


@dataclass(frozen=True)
class Recipe:
    """What a run's programs are built from; all of it is known before the first step.

    Attributes:
        model: `(Inputs, train) → logits [b, t, c]`.
        features: the inputs' features.
        length: t, frames a window.
        jitter: training windows start up to this many frames off.
        noise: standard deviation of the noise on standardised training inputs.
        class_weights: c weights.
    """

    model: nn.Module
    features: FeatureSet
    length: int
    jitter: int
    noise: float
    class_weights: tuple[float, ...]

    @classmethod
    def from_config(cls, config: Config) -> "Recipe":
        """The recipe that a config describes."""
        classes = len(config.classes)
        return cls(
            model=models.build(config.model, classes),
            features=FEATURE_SETS[config.features],
            length=config.window.length,
            jitter=config.augmentation.jitter,
            noise=config.augmentation.noise,
            class_weights=config.loss.class_weights or (1.0,) * classes,
        )


def model_inputs(
    features: FeatureSet,
    normaliser: Normaliser,
    frames: Frames,
    noise: tuple[float, Array] | None = None,
) -> Inputs:
    """Compute and standardise the features of gathered windows.

    Args:
        features: which.
        normaliser: statistics of the training frames.
        frames: the windows.
        noise: standard deviation and key of Gaussian noise on the standardised inputs; missing
            values stay 0. (On coordinates it would drown the accelerations: 0.1 cm at 30 fps is
            220 cm/s².)
    """
    found = features.compute(frames.xy, frames.valid, frames.frame, frames.fps)
    flat = normalise(features, normaliser, found.flat, found.flat_valid)
    if noise is not None:
        deviation, key = noise
        drawn = deviation * jax.random.normal(key, flat.shape, flat.dtype)
        flat = flat + jnp.where(found.flat_valid, drawn, 0.0)
    return Inputs(flat=flat, points=found.points, points_valid=found.points_valid, mask=frames.mask)
