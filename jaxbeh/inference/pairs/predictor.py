"""Probabilities for the tracks of whole videos: overlapping windows and members, averaged."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from numpy.typing import NDArray

from jaxbeh.data.pair_store import (
    GRID_HZ,
    PairFrames,
    PairStore,
    build_pair_store,
    grid_frames,
    pair_windows,
)
from jaxbeh.data.recording import Recording
from jaxbeh.data.tracks import ActionVocabulary, Track
from jaxbeh.inference.pairs.probabilities import TrackProbabilities
from jaxbeh.inference.predictor import Sums, in_groups
from jaxbeh.training.checkpoints import fill
from jaxbeh.training.fetch import fetch
from jaxbeh.training.leaves_file import Leaves
from jaxbeh.training.pairs.loss import probabilities
from jaxbeh.training.pairs.members import Members, each_member, labs_learnt
from jaxbeh.training.pairs.programs import init_members
from jaxbeh.training.pairs.recipe import (
    PairRecipe,
    in_a_mirror,
    predict_logits,
    unchanged_frames,
    with_labs_learnt,
)
from jaxbeh.vocabulary import SlotTable

_PLACES_AT_ONCE = 2**19
"""Tracks are predicted in groups of at most this many places of the grid, longer ones by itself."""

_BATCH = 64
"""Windows of a batch, of each member."""


@dataclass(frozen=True)
class PairPredictor:
    """Trained members that predict tracks.

    Attributes:
        recipe: the model.
        slots: the run's keypoint slots.
        vocabulary: the run's c actions.
        labs: those trained on.
        learnt: bool `[m, 1 + l]`, which of them each member has trained on (`labs_learnt`).
        members: m of them.
        variables: averaged parameters and BatchNorm statistics, stacked along a first axis m.
    """

    recipe: PairRecipe
    slots: SlotTable
    vocabulary: ActionVocabulary
    labs: tuple[str, ...]
    learnt: NDArray[np.bool_]
    members: Members
    variables: Any

    @classmethod
    def restore(
        cls,
        recipe: PairRecipe,
        slots: SlotTable,
        vocabulary: ActionVocabulary,
        labs: Sequence[str],
        lab_fold: Sequence[int],
        members: Members,
        leaves: Leaves,
        source: Path,
    ) -> Self:
        """From a checkpoint's leaves; what only training needs is left where it is.

        `lab_fold` says of each lab which fold holds out all its videos, −1 where none does.

        Raises:
            CheckpointError: the leaves do not fit the model.
        """
        needed = ("train.average.", "train.batch_stats.")
        kept = {path: leaf for path, leaf in leaves.items() if path.startswith(needed)}
        state = jax.eval_shape(
            partial(init_members, recipe, optax.identity(), members), jax.random.key(0)
        )
        full = fill(
            {"train": {"average": state.average, "batch_stats": state.batch_stats}}, kept, source
        )
        variables = {
            "params": full["train"]["average"],
            "batch_stats": full["train"]["batch_stats"],
        }
        learnt = labs_learnt(members, lab_fold)
        return cls(recipe, slots, vocabulary, tuple(labs), learnt, members, variables)

    def of_members(self, chosen: NDArray[np.bool_]) -> Self:
        """The same with some of the members."""
        return dataclasses.replace(
            self,
            learnt=self.learnt[chosen],
            members=Members(fold=self.members.fold[chosen], seed=self.members.seed[chosen]),
            variables=jax.tree.map(lambda leaf: np.asarray(leaf)[chosen], self.variables),
        )

    def predict(
        self,
        recordings: Sequence[Recording],
        tracks: Sequence[Track],
        mirror: bool = False,
        overlap: int = 2,
    ) -> Iterator[TrackProbabilities]:
        """Yield every track's probabilities at its video's own frames, the mean over all members.

        All tracks, of any length, go through one compiled program.

        Args:
            recordings: the videos.
            tracks: what to predict in them.
            mirror: whether to take the mean with what is said of the mirror image.
            overlap: windows that hold a place of the grid, but for a track's first and last ones.
        """
        length = self.recipe.length
        groups = []

        def places_of(track: Track) -> int:
            return grid_frames(recordings[track.video])

        for group in in_groups(tracks, places_of, _PLACES_AT_ONCE):
            videos = sorted({track.video for track in group})
            own = [recordings[video] for video in videos]
            moved = [track._replace(video=videos.index(track.video)) for track in group]
            groups.append((own, moved, pair_windows(own, moved, length, max(1, length // overlap))))
        room = PairRoom.of(groups)
        variables, learnt = jax.device_put((self.variables, self.learnt))
        for own, moved, windows in groups:
            store = build_pair_store(
                own, moved, self.slots, self.vocabulary, self.labs, windows, bits=None
            )
            places = [grid_frames(own[track.video]) for track in moved]
            place = np.concatenate([[0], np.cumsum(places)])[:-1]
            starts = place[windows[0][:, 0]].astype(np.int32) + windows[0][:, 2]
            at = jnp.asarray(_lengthened(starts, room.windows))
            held = jax.device_put(room.fill(store))
            sums = Sums(
                total=jnp.zeros((room.places, len(self.vocabulary)), jnp.float32),
                count=jnp.zeros((room.places,), jnp.float32),
            )
            for first in range(0, len(windows[0]), _BATCH):
                index = np.arange(first, first + _BATCH, dtype=np.int32)
                index = np.where(index < len(windows[0]), index, np.int32(-1))
                batch = jnp.asarray(index)
                sums = _add(self.recipe, mirror, variables, learnt, held, at, sums, batch)
            total, count = fetch((sums.total, sums.count))
            mean = np.asarray(total) / np.maximum(np.asarray(count), 1.0)[:, None]
            for track, start, size in zip(moved, place.tolist(), places, strict=True):
                yield self._on_own_frames(own[track.video], track, mean[start : start + size])

    def _on_own_frames(
        self, recording: Recording, track: Track, grid: NDArray[np.float32]
    ) -> TrackProbabilities:
        place = np.arange(recording.tracking.frames) * (GRID_HZ / recording.fps)
        low = np.minimum(np.floor(place + 1e-6).astype(np.int64), len(grid) - 1)
        high = np.minimum(low + 1, len(grid) - 1)
        share = np.clip(place - low, 0.0, 1.0).astype(np.float32)[:, None]
        values = grid[:, list(track.actions)]
        return TrackProbabilities(
            recording=recording,
            agent=f"mouse{track.agent}",
            target=track.target,
            actions=tuple(self.vocabulary.name(entry) for entry in track.actions),
            values=(1 - share) * values[low] + share * values[high],
        )


def add_pair_probabilities(
    recipe: PairRecipe,
    mirror: bool,
    variables: Any,
    learnt: Array,
    store: PairStore,
    at: Array,
    sums: Sums,
    windows: Array,
) -> Sums:
    """Add what the members say of a batch of windows, int32 `[b]` rows of the table or −1.

    Args:
        recipe: the model.
        mirror: whether to take the mean with what is said of the mirror image.
        variables: of the members, stacked.
        learnt: bool `[m, 1 + l]`, labs that each has trained on.
        store: with the windows.
        at: int32 `[n]`, where each window starts in `sums`.
        sums: so far, a row a place of the grid.
        windows: the batch.
    """
    frames = unchanged_frames(recipe, store, windows)

    def of_member(seen: PairFrames, one: Any, own: Array) -> Array:
        logits = predict_logits(recipe, one, with_labs_learnt(seen, own))
        return probabilities(recipe.loss, logits, frames.known)

    views = [frames, in_a_mirror(recipe, frames)] if mirror else [frames]
    found = jnp.mean(
        jnp.stack([each_member(partial(of_member, seen), variables, learnt) for seen in views]),
        axis=(0, 1),
    )
    index = at[jnp.maximum(windows, 0)][:, None] + jnp.arange(recipe.length, dtype=jnp.int32)
    index = jnp.where(frames.mask, index, sums.count.shape[0])  # out of bounds: dropped
    return Sums(
        total=sums.total.at[index].add(found, mode="drop"),
        count=sums.count.at[index].add(1.0, mode="drop"),
    )


_add = jax.jit(add_pair_probabilities, static_argnums=(0, 1), donate_argnums=6)
"""Compiled once for a recipe, whichever members predict."""


@dataclass(frozen=True)
class PairRoom:
    """Sizes that every group of tracks fits in, powers of two, so that one program serves all."""

    points: int
    videos: int
    tracks: int
    windows: int
    places: int

    @classmethod
    def of(cls, groups: Sequence[tuple[Sequence[Recording], Sequence[Track], Any]]) -> Self:
        """The room that the largest of some groups needs."""

        def largest(sizes: Sequence[int]) -> int:
            return 1 << max(0, max(sizes, default=1) - 1).bit_length()

        return cls(
            points=largest([sum(r.tracking.xy[..., 0].size for r in own) for own, _, _ in groups]),
            videos=largest([len(own) for own, _, _ in groups]),
            tracks=largest([len(moved) for _, moved, _ in groups]),
            windows=largest([len(windows[0]) for _, _, windows in groups]),
            places=largest(
                [sum(grid_frames(own[t.video]) for t in moved) for own, moved, _ in groups]
            ),
        )

    def fill(self, store: PairStore) -> PairStore:
        """The store with its arrays lengthened by zeros (on the host)."""
        sizes = {"points": self.points, "windows": self.windows, "phase": self.windows}
        sizes |= dict.fromkeys(("tracks", "known", "bits_offset"), self.tracks)
        sizes |= {"bits": len(store.bits)}
        changed: dict[str, Any] = {
            name: _lengthened(values, sizes.get(name, self.videos))
            for name, values in vars(store).items()
        }
        return dataclasses.replace(store, **changed)


def _lengthened(values: NDArray[Any], size: int) -> NDArray[Any]:
    return np.pad(values, [(0, size - len(values))] + [(0, 0)] * (values.ndim - 1))
