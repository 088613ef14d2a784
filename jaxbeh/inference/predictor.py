"""Probabilities for whole videos: overlapping windows, averaged."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from jax import Array
from numpy.typing import NDArray

from jaxbeh.data.shards import Room
from jaxbeh.data.store import FrameStore, Scene, build_store, gather, window_table
from jaxbeh.features.normaliser import Normaliser
from jaxbeh.training.checkpoints import fill
from jaxbeh.training.fetch import fetch
from jaxbeh.training.leaves_file import Leaves
from jaxbeh.training.loss import log_probabilities
from jaxbeh.training.programs import init_state, predict_logits
from jaxbeh.training.recipe import Recipe
from jaxbeh.training.state import TrainState
from jaxbeh.vocabulary import SlotTable

T = TypeVar("T")

_FRAMES_AT_ONCE = 2**20
"""Videos are predicted in groups of at most this many frames, longer ones each by itself."""

_BATCH = 2048
"""Windows of a batch, at most."""


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
        two. A class that was not looked for in a video has probability 0 there. All videos, of any
        length, go through one compiled program.
        """
        length = self.recipe.length
        groups = [
            (group, window_table([_frames(scene) for scene in group], length, max(1, length // 2)))
            for group in in_groups(scenes, _frames, _FRAMES_AT_ONCE)
        ]
        room = Room.of(groups).rounded()
        rows = min(_BATCH, room.windows)
        for group, windows in groups:
            store = jax.device_put(room.fill(build_store(group, self.slots, windows)))
            classes = store.looked_for.shape[1]
            found = Sums(
                total=jnp.zeros((room.frames, classes), jnp.float32),
                count=jnp.zeros((room.frames,), jnp.float32),
            )
            for first in range(0, len(windows), rows):
                index = np.arange(first, first + rows, dtype=np.int32)
                index = np.where(index < len(windows), index, np.int32(-1))
                found = self._add(self.state, store, self.normaliser, found, jnp.asarray(index))
            total, count = fetch((found.total, found.count))
            frames = [_frames(scene) for scene in group]
            mean = total[: sum(frames)] / count[: sum(frames), None]
            yield from zip(group, np.split(mean, np.cumsum(frames)[:-1]), strict=True)

    @cached_property
    def _add(self) -> Callable[..., "Sums"]:
        return jax.jit(partial(add_probabilities, self.recipe), donate_argnums=3)


@struct.dataclass
class Sums:
    """Probabilities summed over the windows of a group that were predicted so far.

    Attributes:
        total: float32 `[n, c]`.
        count: float32 `[n]`, windows that held a frame.
    """

    total: Array
    count: Array


def add_probabilities(
    recipe: Recipe,
    state: TrainState,
    store: FrameStore,
    normaliser: Normaliser,
    sums: Sums,
    windows: Array,
) -> Sums:
    """Add what a batch of windows, int32 `[b]` rows of the store's table or −1, says of frames."""
    history = recipe.features.history
    found = gather(store, windows, jnp.zeros_like(windows), recipe.length, history)
    logits = predict_logits(recipe, state, found, normaliser)
    values = jnp.exp(log_probabilities(logits, found.looked_for))
    video = store.windows[jnp.maximum(windows, 0), 0]
    index = store.frame_offset[video][:, None] + found.frame[:, history:]
    index = jnp.where(found.mask, index, sums.count.shape[0])  # out of bounds: dropped
    return Sums(
        total=sums.total.at[index].add(values, mode="drop"),
        count=sums.count.at[index].add(1.0, mode="drop"),
    )


def _frames(scene: Scene) -> int:
    return scene.recording.tracking.frames


def in_groups(items: Iterable[T], size: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """Items in order, in groups whose sizes add up to `most` at most; larger ones by themselves."""
    group: list[T] = []
    held = 0
    for item in items:
        own = size(item)
        if group and held + own > most:
            yield group
            group, held = [], 0
        group.append(item)
        held += own
    if group:
        yield group
