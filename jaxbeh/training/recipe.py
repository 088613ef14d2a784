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
from jaxbeh.features.motion import MOTION
from jaxbeh.features.normaliser import Normaliser, normalise
from jaxbeh.features.projection import complete
from jaxbeh.models import Inputs
from jaxbeh.models.random_bits import nearly_normal
from jaxbeh.settings.run import SceneConfig, TrainingSettings
from jaxbeh.training.fused_motion import fused_motion, runs_here


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
        mesh: devices that share the windows, as kernels must be told; `None` for one device.
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
    mesh: Mesh | None = None

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
            mesh=mesh,
        )


def precision(settings: TrainingSettings) -> DTypeLike:
    """The dtype of products and activations; `auto` goes by the device that JAX computes on."""
    chosen = settings.precision
    if chosen == "auto":
        chosen = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    dtype: DTypeLike = jnp.dtype(chosen)
    return dtype


def model_inputs(
    recipe: Recipe, normaliser: Normaliser, frames: Frames, noise: Array | None = None
) -> Inputs:
    """Compute and standardise the features of gathered windows.

    Args:
        recipe: with the features, and the noise's standard deviation.
        normaliser: statistics of the training frames.
        frames: the windows.
        noise: key of Gaussian noise on the standardised inputs; missing values stay 0. (On
            coordinates it would drown the accelerations: 0.1 cm at 30 fps is 220 cm/s².)
    """
    features = recipe.features
    found = features.compute(frames.xy, frames.valid, frames.frame, frames.fps)
    drawn = None if noise is None else (recipe.noise, jax.random.key_data(noise))
    # Windows are mixed in float32.
    dtype = jnp.float32 if recipe.mixup else recipe.precision
    if features is MOTION and runs_here():
        flat = fused_motion(frames, normaliser, drawn, dtype, recipe.mesh)
    else:
        flat, valid = complete(features, normaliser.projection, found)
        flat = normalise(features, normaliser, flat, valid)
        if drawn is not None:
            deviation, seed = drawn
            flat = flat + jnp.where(valid, deviation * nearly_normal(seed, flat.shape), 0.0)
        flat = flat.astype(dtype)
    return Inputs(flat=flat, points=found.points, points_valid=found.points_valid, mask=frames.mask)
