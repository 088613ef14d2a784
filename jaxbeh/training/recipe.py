"""The fixed part of a compiled program, and the way from gathered frames to a model's inputs."""

from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh
from jax.typing import DTypeLike

from jaxbeh import features as feature_sets
from jaxbeh import models
from jaxbeh.data.store import Frames
from jaxbeh.features import FeatureSet
from jaxbeh.features.normaliser import Normaliser, normalise
from jaxbeh.features.projection import complete
from jaxbeh.models import Inputs
from jaxbeh.models.random_bits import nearly_normal
from jaxbeh.settings.run import SceneConfig, TrainingSettings


@dataclass(frozen=True)
class Recipe:
    """What a run's programs are built from; all of it is known before the first step.

    Attributes:
        model: `(Inputs, train) → logits [b, t, c]`.
        features: the inputs' features.
        length: t, frames a window.
        jitter: training windows start up to this many frames off.
        noise: standard deviation of the noise on standardised training inputs.
        mixup: windows are mixed by shares from Beta(mixup, mixup); 0 mixes none.
        class_weights: c weights.
        label_smoothing: share of a training target that is spread over the classes looked for.
        skip_nonfinite: updates that are not finite change nothing.
        precision: the dtype of the model's products and activations.
    """

    model: nn.Module
    features: FeatureSet
    length: int
    jitter: int
    noise: float
    mixup: float
    class_weights: tuple[float, ...]
    label_smoothing: float
    skip_nonfinite: bool
    precision: DTypeLike

    @classmethod
    def from_config(cls, config: SceneConfig, mesh: Mesh | None = None) -> "Recipe":
        """The recipe that a config describes, for the devices of a mesh or for one."""
        classes = len(config.classes)
        dtype = precision(config.training)
        return cls(
            model=models.build(config.model, classes, dtype, mesh),
            features=feature_sets.build(config.features),
            length=config.window.length,
            jitter=config.augmentation.jitter,
            noise=config.augmentation.noise,
            mixup=config.augmentation.mixup,
            class_weights=config.loss.class_weights or (1.0,) * classes,
            label_smoothing=config.loss.label_smoothing,
            skip_nonfinite=config.training.skip_nonfinite,
            precision=dtype,
        )


def precision(settings: TrainingSettings) -> DTypeLike:
    """The dtype of products and activations; `auto` goes by the device that JAX computes on."""
    chosen = settings.precision
    if chosen == "auto":
        chosen = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    dtype: DTypeLike = jnp.dtype(chosen)
    return dtype


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
    flat, valid = complete(features, normaliser.projection, found)
    flat = normalise(features, normaliser, flat, valid)
    if noise is not None:
        deviation, key = noise
        drawn = deviation * nearly_normal(jax.random.key_data(key), flat.shape)
        flat = flat + jnp.where(valid, drawn, 0.0)
    return Inputs(flat=flat, points=found.points, points_valid=found.points_valid, mask=frames.mask)
