"""Probabilities for whole videos: overlapping windows, averaged."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array, lax
from numpy.typing import NDArray

from jaxbeh.data.store import FrameStore, Scene, build_store, gather, window_table
from jaxbeh.features.normaliser import Normaliser
from jaxbeh.training.checkpoints import Leaves, fill
from jaxbeh.training.fetch import fetch
from jaxbeh.training.loss import log_probabilities
from jaxbeh.training.plan import EpochPlan, deal
from jaxbeh.training.programs import init_state, predict_logits
from jaxbeh.training.recipe import Recipe
from jaxbeh.training.state import TrainState
from jaxbeh.vocabulary import SlotTable

_FRAMES_AT_ONCE = 4_000_000
"""Videos are predicted in groups of at most this many frames, or one by one beyond it."""

_BATCH = 384


@dataclass(frozen=True)
class Predictor:
    """A trained model that predicts videos.

    Attributes:
        recipe: the model and its features.
        slots: the run's keypoint slots.
        state: parameters and BatchNorm statistics.
        normaliser: statistics of the training frames.
    """

    recipe: Recipe
    slots: SlotTable
    state: TrainState
    normaliser: Normaliser

    @classmethod
    def restore(cls, recipe: Recipe, slots: SlotTable, leaves: Leaves, source: Path) -> Self:
        """From a checkpoint's leaves; optimiser and loop state are left where they are.

        Raises:
            CheckpointError: the leaves do not fit the model.
        """
        needed = ("train.params.", "train.batch_stats.", "normaliser.", "train.step")
        kept = {path: leaf for path, leaf in leaves.items() if path.startswith(needed)}
        template = {
            "train": jax.eval_shape(
                partial(init_state, recipe, optax.identity()), jax.random.key(0)
            ),
            "normaliser": Normaliser.template(recipe.features),
        }
        full: dict[str, Any] = fill(template, kept, source)
        return cls(recipe, slots, full["train"], full["normaliser"])

    def predict(self, scenes: Sequence[Scene]) -> Iterator[tuple[Scene, NDArray[np.float32]]]:
        """Yield every video with its probabilities `[t, c]`; a frame's sum to 1.

        Windows overlap by half, so that all but a video's first and last frames are the mean of
        two. A class that was not looked for in a video has probability 0 there.
        """
        length = self.recipe.length
        for group in _groups(scenes):
            frames = [scene.recording.tracking.frames for scene in group]
            windows = window_table(frames, length, max(1, length // 2))
            store = build_store(group, self.slots, windows)
            plan = EpochPlan.build(len(windows), _BATCH, longest_call=1)
            program = jax.jit(partial(probabilities, self.recipe, plan))
            found = fetch(program(self.state, jax.device_put(store), self.normaliser))
            yield from zip(group, np.split(found, np.cumsum(frames)[:-1]), strict=True)


def probabilities(
    recipe: Recipe,
    plan: EpochPlan,
    state: TrainState,
    store: FrameStore,
    normaliser: Normaliser,
) -> Array:
    """Float32 `[n, c]` for all frames of a store: the mean over the windows that hold a frame."""
    frames, classes = store.labels.shape[0], store.looked_for.shape[1]

    def body(carry: tuple[Array, Array], windows: Array) -> tuple[tuple[Array, Array], None]:
        total, count = carry
        found = gather(
            store, windows, jnp.zeros_like(windows), recipe.length, recipe.features.history
        )
        logits = predict_logits(recipe, state, found, normaliser)
        values = jnp.exp(log_probabilities(logits, found.looked_for))
        video = store.windows[jnp.maximum(windows, 0), 0]
        index = store.frame_offset[video][:, None] + found.frame[:, recipe.features.history :]
        index = jnp.where(found.mask, index, frames)  # out of bounds: dropped
        total = total.at[index].add(values, mode="drop")
        count = count.at[index].add(1.0, mode="drop")
        return (total, count), None

    nothing = (jnp.zeros((frames, classes), jnp.float32), jnp.zeros((frames,), jnp.float32))
    order = deal(plan, jnp.arange(plan.windows, dtype=jnp.int32))
    (total, count), _ = lax.scan(body, nothing, order)
    return total / count[:, None]


def _groups(scenes: Sequence[Scene]) -> Iterator[list[Scene]]:
    group: list[Scene] = []
    held = 0
    for scene in scenes:
        frames = scene.recording.tracking.frames
        if group and held + frames > _FRAMES_AT_ONCE:
            yield group
            group, held = [], 0
        group.append(scene)
        held += frames
    if group:
        yield group
