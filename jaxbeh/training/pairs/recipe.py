"""The fixed part of v7's programs, and the way from gathered pairs to logits."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from jaxbeh.data.pair_store import GRID_HZ, NO_LAB, PairFrames, PairStore, gather_pairs
from jaxbeh.features.mirroring import counterparts, mirror_points
from jaxbeh.features.normaliser import Normaliser
from jaxbeh.features.pairwise import pairwise
from jaxbeh.models.inputs import PairInputs
from jaxbeh.models.pair_network import PairNetwork
from jaxbeh.settings.pairs import PairAugmentationSettings, PairConfig, TrackConfig
from jaxbeh.training.pairs.augmentation import augment
from jaxbeh.training.pairs.loss import pair_loss
from jaxbeh.training.recipe import precision
from jaxbeh.vocabulary import SlotTable


@dataclass(frozen=True)
class TrackRecipe(ABC):
    """What the programs of tracks are built from, whatever is learnt of them.

    Attributes:
        model: `(PairInputs, train) → [b, t, c]`.
        mirrored: where the mirror image of each keypoint slot stands.
        length: t, places of the grid.
        jitter: training windows start up to this share of a stride off, in places of the grid.
        augmentation: what training windows are changed by.
        average: decay of the running mean of weights.
        skip_nonfinite: updates of a member that are not finite change nothing of it.
    """

    model: nn.Module
    mirrored: tuple[int, ...]
    length: int
    jitter: int
    augmentation: PairAugmentationSettings
    average: float
    skip_nonfinite: bool

    @property
    def statistics(self) -> Normaliser | None:
        """Shapes and dtypes of the statistics that `lesson` takes, if it needs any."""
        return None

    @abstractmethod
    def lesson(
        self, store: PairStore, windows: Array, key: Array, statistics: Normaliser | None
    ) -> tuple[PairInputs, Any]:
        """What the model is shown of a batch of training windows, and what `missed` takes."""

    @abstractmethod
    def missed(self, said: Array, wanted: Any, weights: Array) -> tuple[Array, Array]:
        """Sum of losses of what the model says, and sum of their weights, float32 scalars.

        Args:
            said: by the model.
            wanted: as `lesson` gives it.
            weights: float32 `[c]`, what a frame of each action weighs for the member.
        """


def windows_of(config: TrackConfig, slots: SlotTable) -> dict[str, Any]:
    """What a recipe has of its config and keypoints whatever is learnt, by the fields' names."""
    return {
        "mirrored": counterparts(slots.names),
        "length": config.window.length,
        "jitter": config.window.train_stride // 2,
        "augmentation": config.augmentation,
        "average": config.average,
        "skip_nonfinite": config.training.skip_nonfinite,
    }


@dataclass(frozen=True)
class PairRecipe(TrackRecipe):
    """Logits of actions.

    Attributes:
        loss: `softmax` or `bce`.
    """

    loss: str

    @classmethod
    def from_config(
        cls,
        config: PairConfig,
        slots: SlotTable,
        actions: tuple[int, int],
        labs: int,
    ) -> "PairRecipe":
        """The recipe that a config describes, for the names of the data.

        Args:
            config: the run's settings.
            slots: its keypoints.
            actions: how many entries of the vocabulary are of a mouse alone, and to another.
            labs: how many are trained on.
        """
        dtype = precision(config.training)
        return cls(
            model=PairNetwork.from_settings(config.network, *actions, labs, dtype),
            loss=config.loss.name,
            **windows_of(config, slots),
        )

    def lesson(
        self, store: PairStore, windows: Array, key: Array, statistics: Normaliser | None
    ) -> tuple[PairInputs, PairFrames]:
        """See `TrackRecipe`; the features are scaled by constants."""
        del statistics
        frames = training_frames(self, store, windows, key)
        return inputs_of(frames), frames

    def missed(self, said: Array, wanted: PairFrames, weights: Array) -> tuple[Array, Array]:
        """See `pair_loss`."""
        return pair_loss(self.loss, said, wanted.seen, wanted.known, wanted.mask, weights)


def inputs_of(frames: PairFrames) -> PairInputs:
    """The features of gathered pairs."""
    found = pairwise(frames.xy, frames.valid, GRID_HZ)
    return PairInputs(own=found.own, relation=found.relation, mask=frames.mask, lab=frames.lab)


def training_frames(
    recipe: TrackRecipe, store: PairStore, windows: Array, key: Array
) -> PairFrames:
    """Windows moved and stretched in time, their bodies changed, some without their lab."""
    settings = recipe.augmentation
    shift_key, stretch_key, lab_key, body_key = jax.random.split(key, 4)
    shape = windows.shape
    moved = jax.random.uniform(shift_key, shape, jnp.float32, -recipe.jitter, recipe.jitter)
    video = store.tracks[store.windows[jnp.maximum(windows, 0), 0], 0]
    shift = jnp.round(moved * store.fps[video] / jnp.float32(GRID_HZ)).astype(jnp.int32)
    widest = math.log(settings.time_stretch)
    stretch = jnp.exp(jax.random.uniform(stretch_key, shape, jnp.float32, -1.0, 1.0) * widest)
    frames = gather_pairs(store, windows, shift, stretch, recipe.length)
    nameless = jax.random.bernoulli(lab_key, settings.lab_dropout, shape)
    xy, valid = augment(body_key, frames.xy, frames.valid, settings, GRID_HZ, recipe.mirrored)
    return frames.replace(  # type: ignore[attr-defined,no-any-return]  # by struct
        xy=xy, valid=valid, lab=jnp.where(nameless, NO_LAB, frames.lab)
    )


def unchanged_frames(recipe: TrackRecipe, store: PairStore, windows: Array) -> PairFrames:
    """Windows where the table says, as they were recorded."""
    still = jnp.ones(windows.shape, jnp.float32)
    return gather_pairs(store, windows, jnp.zeros_like(windows), still, recipe.length)


def with_labs_learnt(frames: PairFrames, learnt: Array) -> PairFrames:
    """The same windows for a member; those of labs that it never trained on do not say their lab.

    Args:
        frames: windows.
        learnt: bool `[1 + l]`, as `labs_learnt` gives it for the member.
    """
    lab = jnp.where(learnt[frames.lab], frames.lab, NO_LAB)
    return frames.replace(lab=lab)  # type: ignore[attr-defined,no-any-return]  # by struct


def predict_logits(recipe: PairRecipe, variables: Any, frames: PairFrames) -> Array:
    """Float32 logits `[b, t, c]` without augmentation or dropout."""
    logits: Array = recipe.model.apply(variables, inputs_of(frames), train=False)  # type: ignore[assignment]  # Any
    return logits


def in_a_mirror(recipe: PairRecipe, frames: PairFrames) -> PairFrames:
    """The same windows as a mirror shows them."""
    xy, valid = mirror_points(frames.xy, frames.valid, recipe.mirrored)
    return frames.replace(xy=xy, valid=valid)  # type: ignore[attr-defined,no-any-return]  # by struct
