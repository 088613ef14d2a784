"""The frames of a run as its loop works with them: all on the devices, or shard after shard."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import jax
import numpy as np
from jax import Array
from numpy.typing import NDArray

from jaxbeh.data.store import FrameStore
from jaxbeh.training.devices import Devices
from jaxbeh.training.fetch import fetch


class Frames(Protocol):
    """The stores of a run. A turn is the training on one shard, of which an epoch has one each."""

    def to_train(self, turn: int) -> Any:
        """The store of a turn, counted from the run's first one."""

    def shard(self, turn: int) -> int:
        """Which of the training shards that is."""

    def to_judge(self) -> Iterator[Any]:
        """The stores of validation, one after another."""

    def with_windows(self, tables: Sequence[NDArray[np.int32]]) -> Iterator[Any]:
        """The training stores, each with a window table of its own in place of what it has."""


class Resident:
    """All frames on the devices from first to last, brought there when they are first asked for.

    Args:
        train: training store, on the host.
        validation: validation store, on the host.
        devices: where to.
        whole: whether each of them holds all frames.
    """

    def __init__(
        self, train: FrameStore, validation: FrameStore, devices: Devices, whole: bool
    ) -> None:
        self._waiting = {"train": train, "validation": validation}
        self._placed: dict[str, FrameStore] = {}
        self._devices = devices
        self._whole = whole

    @property
    def train(self) -> FrameStore:
        """Training store, on the devices."""
        return self._there("train")

    @property
    def validation(self) -> FrameStore:
        """Validation store, on the devices."""
        return self._there("validation")

    def to_train(self, turn: int) -> FrameStore:
        """See `Frames`."""
        del turn
        return self.train

    def shard(self, turn: int) -> int:
        """See `Frames`."""
        del turn
        return 0

    def to_judge(self) -> Iterator[FrameStore]:
        """See `Frames`."""
        yield self.validation

    def with_windows(self, tables: Sequence[NDArray[np.int32]]) -> Iterator[FrameStore]:
        """See `Frames`."""
        (table,) = tables
        yield self.train.replace(windows=self._devices.put(table))  # type: ignore[attr-defined]  # by struct

    def _there(self, side: str) -> FrameStore:
        if side in self._waiting:
            self._placed[side] = self._devices.place(self._waiting.pop(side), self._whole)
        return self._placed[side]


class Rotating:
    """Shards in the host's memory, at most two on the devices: one at work, the next on its way.

    An epoch takes every training shard once, in an order of its own, then the validation shards.

    Args:
        train: training shards, on the host; all of one shape.
        validation: validation shards, likewise.
        seed: what the order of the shards is drawn from.
        devices: where to; their frames are cut over several.
    """

    def __init__(
        self,
        train: Sequence[FrameStore],
        validation: Sequence[FrameStore],
        seed: int,
        devices: Devices,
    ) -> None:
        self._train = tuple(train)
        self._validation = tuple(validation)
        self._seed = seed
        self._devices = devices
        self._epoch = 0
        self._held: dict[int, FrameStore] = {}

    def to_train(self, turn: int) -> FrameStore:
        """See `Frames`; the one after it starts on its way."""
        self._epoch, place = divmod(turn, len(self._train))
        return self._take(self._epoch * self._stops + place)

    def shard(self, turn: int) -> int:
        """See `Frames`."""
        epoch, place = divmod(turn, len(self._train))
        drawn = np.random.default_rng([self._seed, epoch]).permutation(len(self._train))
        return int(drawn[place])

    def to_judge(self) -> Iterator[FrameStore]:
        """See `Frames`; those that come after the epoch trained on last."""
        first = self._epoch * self._stops + len(self._train)
        for place in range(len(self._validation)):
            yield self._take(first + place)

    def with_windows(self, tables: Sequence[NDArray[np.int32]]) -> Iterator[FrameStore]:
        """See `Frames`."""
        self._drop(tuple(self._held))
        for shard, table in zip(self._train, tables, strict=True):
            placed = self._devices.place(shard.replace(windows=table), whole=False)  # type: ignore[attr-defined]  # by struct
            yield placed
            _delete(placed)

    @property
    def _stops(self) -> int:
        return len(self._train) + len(self._validation)

    def _take(self, stop: int) -> FrameStore:
        """The shard of a stop on the way through all epochs, once no other but the next is left."""
        wanted = (stop, stop + 1)
        self._drop(tuple(other for other in self._held if other not in wanted))
        for one in wanted:
            if one not in self._held:
                self._held[one] = self._devices.place(self._shard_at(one), whole=False)
        return self._held[stop]

    def _shard_at(self, stop: int) -> FrameStore:
        epoch, place = divmod(stop, self._stops)
        if place >= len(self._train):
            return self._validation[place - len(self._train)]
        return self._train[self.shard(epoch * len(self._train) + place)]

    def _drop(self, stops: Sequence[int]) -> None:
        for stop in stops:
            _delete(self._held.pop(stop))


def _delete(store: FrameStore) -> None:
    """Free a store's memory, whoever still has it."""
    for leaf in jax.tree.leaves(store):
        leaf.delete()


class Batches:
    """What each call of the training program works on.

    Args:
        store: `turn → ` the training store of it, on the devices.
        deal: `(turn, store) → order [steps, …, rows]` of its windows, on the devices.
        steps: of a turn.
        videos: `(turn, windows) → ids` of their videos, on the host.
    """

    def __init__(
        self,
        store: Callable[[int], Any],
        deal: Callable[[int, Any], Array],
        steps: int,
        videos: Callable[[int, NDArray[np.int32]], list[str]],
    ) -> None:
        self._store = store
        self._deal = deal
        self._steps = steps
        self._videos = videos
        self._turn: int | None = None
        self._now: Any = None

    def at(self, step: int) -> tuple[Any, Array]:
        """The store and its order of windows in which a step of the run lies.

        The step's own batch is row `step % len(order)` of the order.
        """
        turn = step // self._steps
        if turn != self._turn:
            store = self._store(turn)
            self._now = store, self._deal(turn, store)
            self._turn = turn
        store, order = self._now
        return store, order

    def videos(self, step: int) -> list[str]:
        """Ids of the videos of a step's batch."""
        _, order = self.at(step)
        windows = np.asarray(fetch(order))[step % self._steps]
        return self._videos(step // self._steps, windows[windows >= 0])
