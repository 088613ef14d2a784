"""The fixed part of the pre-training's programs: windows shown in part, and what is missing."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxbeh.data.pair_store import GRID_HZ, PairFrames, PairStore
from jaxbeh.features.normaliser import Normaliser
from jaxbeh.models.inputs import PairInputs
from jaxbeh.models.pose_network import PoseNetwork
from jaxbeh.settings.pairs import HidingSettings, PoseConfig
from jaxbeh.training.pairs.recipe import TrackRecipe, inputs_of, training_frames, windows_of
from jaxbeh.training.poses.hiding import FEATURES, hidden, huber, measured
from jaxbeh.training.recipe import precision
from jaxbeh.vocabulary import SlotTable


class Hidden(NamedTuple):
    """What is to be predicted of a batch of windows.

    Attributes:
        true: float32 `[b, t, n]`, standardised features of the true windows.
        counted: bool `[b, t, n]`, those that are known and not shown.
    """

    true: Array
    counted: Array


@dataclass(frozen=True)
class PoseRecipe(TrackRecipe):
    """Features of two bodies where they are hidden.

    Attributes:
        hiding: how much is hidden.
    """

    hiding: HidingSettings

    @classmethod
    def from_config(cls, config: PoseConfig, slots: SlotTable) -> "PoseRecipe":
        """The recipe that a config describes, for the run's keypoints."""
        dtype = precision(config.training)
        return cls(
            model=PoseNetwork.from_settings(config.network, FEATURES, dtype),
            hiding=config.hiding,
            **windows_of(config, slots),
        )

    @property
    def statistics(self) -> Normaliser:
        """See `TrackRecipe`: mean and deviation of each feature over what is trained on."""
        leaf: Any = jax.ShapeDtypeStruct((FEATURES,), np.float32)
        return Normaliser(mean=leaf, deviation=leaf)

    def lesson(
        self, store: PairStore, windows: Array, key: Array, statistics: Normaliser | None
    ) -> tuple[PairInputs, Hidden]:
        """See `TrackRecipe`."""
        assert statistics is not None
        frames_key, hiding_key = jax.random.split(key)
        index = jnp.arange(windows.shape[0], dtype=jnp.uint32)
        keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(hiding_key, index)
        return shown_in_part(
            self, training_frames(self, store, windows, frames_key), keys, statistics
        )

    def missed(self, said: Array, wanted: Hidden, weights: Array) -> tuple[Array, Array]:
        """See `huber`; there are no actions to weigh."""
        del weights
        return huber(said, wanted.true, wanted.counted)


def shown_in_part(
    recipe: PoseRecipe, frames: PairFrames, keys: Array, statistics: Normaliser
) -> tuple[PairInputs, Hidden]:
    """Windows of which each hides by a key of its own, and what they hide."""
    length, keypoints = frames.valid.shape[1], frames.valid.shape[3]
    gone = hidden(keys, recipe.hiding, length, keypoints, GRID_HZ)
    shown = inputs_of(frames.replace(valid=frames.valid & ~gone))  # type: ignore[attr-defined]  # by struct
    true = measured(inputs_of(frames))
    counted = (true != 0) & (measured(shown) == 0)
    return shown, Hidden((true - statistics.mean) / statistics.deviation, counted)
