"""Where the frames of a run go, by what they and a step take and what the devices have."""

import math
from dataclasses import dataclass

import jax
import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.shards import Room, part_of, share_out, sizes_of
from jaxbeh.data.store import FrameStore, nbytes
from jaxbeh.errors import RunError
from jaxbeh.training.devices import Devices
from jaxbeh.training.frames import Frames, Resident, Rotating

_AT_ONCE = 2
"""Shards on the devices: the one at work and the next."""


@dataclass(frozen=True, eq=False)
class Side:
    """The frames of one side of the split, on the host, and how they are divided.

    Attributes:
        store: all of them.
        parts: the videos of each shard.
    """

    store: FrameStore
    parts: tuple[NDArray[np.intp], ...]

    @classmethod
    def divided(cls, store: FrameStore, shards: int) -> "Side":
        """Into so many shards, by the store alone.

        Raises:
            RunError: there are fewer videos.
        """
        if not 1 <= shards <= len(store.frames):
            raise RunError(
                f"the run's run.json has {len(store.frames)} videos in {shards} shards, which no "
                f"run writes; restore the file"
            )
        return cls(store, share_out(sizes_of(store), shards))

    @property
    def room(self) -> Room:
        """What every shard fits in."""
        return Room.of_parts(sizes_of(self.store), self.parts)

    @property
    def windows(self) -> list[int]:
        """Windows of each shard."""
        found = sizes_of(self.store)[:, 3]
        return [int(found[part].sum()) for part in self.parts]

    def filled(self) -> list[FrameStore]:
        """The shards, all of one shape."""
        room = self.room
        return [room.fill(part_of(self.store, part)) for part in self.parts]


@dataclass(frozen=True, eq=False)
class Layout:
    """How the frames of both sides are held; in one shard of either, all stay on the devices.

    Attributes:
        devices: where.
        train: training frames.
        validation: validation frames.
        whole: whether each device holds whole what is there, and not a block of its frames.
    """

    devices: Devices
    train: Side
    validation: Side
    whole: bool

    @property
    def shards(self) -> tuple[int, int]:
        """How many the two sides have."""
        return len(self.train.parts), len(self.validation.parts)

    @property
    def rotates(self) -> bool:
        """Whether shards take turns on the devices."""
        return self.shards != (1, 1)

    @property
    def nbytes(self) -> int:
        """Bytes of frames on a device at a time."""
        blocks = 1 if self.whole else self.devices.count
        sides = [side.room.nbytes(side.store, blocks) for side in (self.train, self.validation)]
        return _AT_ONCE * max(sides) if self.rotates else sum(sides)

    def shapes(self, side: Side) -> FrameStore:
        """Shapes and placements of what a program works on at a time, of one side."""
        return self.devices.store_shapes(side.room.shapes(side.store), self.whole)

    def frames(self, seed: int) -> Frames:
        """What the loop has the frames from; nothing is copied to the devices yet."""
        if self.rotates:
            return Rotating(self.train.filled(), self.validation.filled(), seed, self.devices)
        return Resident(self.train.store, self.validation.store, self.devices, self.whole)

    def in_words(self) -> str:
        """What is on a device."""
        total = size(sum(nbytes(side.store) for side in (self.train, self.validation)))
        if self.rotates:
            return (
                f"all frames take {total}, too much at once: they come from the host's memory, to "
                f"be trained on in {self.shards[0]} shards and judged in {self.shards[1]}, "
                f"{_AT_ONCE} on the device at a time"
            )
        if not self.whole:
            return (
                f"all frames take {total}, too much for one device: cut into {self.devices.count} "
                f"blocks of {size(self.nbytes)}"
            )
        return f"all frames take {total}{', whole on each' if self.devices.count > 1 else ''}"


@dataclass(frozen=True)
class Budget:
    """Bytes of a device.

    Attributes:
        frames: that are there at a time.
        step: that a training step takes beside them.
        available: that JAX may take; endless where nothing says.
    """

    frames: int
    step: int
    available: float

    def __str__(self) -> str:
        there = "as much as there is" if math.isinf(self.available) else size(self.available)
        return (
            f"Memory of a device: {size(self.frames)} for frames, {size(self.step)} for a step, of "
            f"{there} available"
        )


def resident(devices: Devices, train: FrameStore, validation: FrameStore, whole: bool) -> Layout:
    """All frames on the devices."""
    return Layout(devices, Side.divided(train, 1), Side.divided(validation, 1), whole)


def in_shards(
    devices: Devices, train: FrameStore, validation: FrameStore, shards: tuple[int, int]
) -> Layout:
    """So many shards of either side, cut over the devices where there are several."""
    train_side, validation_side = map(Side.divided, (train, validation), shards)
    return Layout(devices, train_side, validation_side, devices.count == 1)


def choose(
    devices: Devices, train: FrameStore, validation: FrameStore, step: int, batch_size: int
) -> Layout:
    """The first that fits of: all on each device, all in blocks, the fewest shards by turns.

    Args:
        devices: where.
        train: training frames, on the host.
        validation: validation frames, on the host.
        step: bytes that a step takes of a device beside them.
        batch_size: of the settings.

    Raises:
        RunError: none fits; with the numbers and what helps.
    """
    for whole in (True, False) if devices.count > 1 else (True,):
        layout = resident(devices, train, validation, whole)
        if devices.has_room(layout.nbytes + step):
            return layout
    blocks = devices.count

    def smallest(store: FrameStore) -> int:
        return _AT_ONCE * Side.divided(store, len(store.frames)).room.nbytes(store, blocks)

    def fewest(store: FrameStore, batch_size: int | None) -> int | None:
        for shards in range(1, len(store.frames) + 1):
            side = Side.divided(store, shards)
            every_step_has_windows = batch_size is None or min(side.windows) >= -(
                -max(side.windows) // batch_size
            )
            if every_step_has_windows and devices.has_room(
                _AT_ONCE * side.room.nbytes(store, blocks) + step
            ):
                return shards
        return None

    if devices.has_room(max(smallest(train), smallest(validation)) + step):
        shards = fewest(train, batch_size), fewest(validation, None)
        if shards[0] is not None and shards[1] is not None:
            return in_shards(devices, train, validation, (shards[0], shards[1]))
    held = nbytes(train) + nbytes(validation)
    single = max(smallest(train), smallest(validation))
    raise RunError(
        f"training does not fit: of {size(devices.memory)} that are available on a device, a step "
        f"takes {size(step)} and the frames take {size(held)}"
        f"{f' (cut over {blocks} devices)' if blocks > 1 else ''}; by turns, two shards of one "
        f"video each take {size(single)}. {remedies()}"
    )


def require_room(devices: Devices, budget: Budget, networks: int = 1) -> None:
    """Refuse what does not fit, where so many networks are trained together.

    Raises:
        RunError: with the numbers and what helps.
    """
    if not devices.has_room(budget.frames + budget.step):
        raise RunError(f"training does not fit. {budget}. {remedies(networks)}")


def remedies(networks: int = 1) -> str:
    """What helps where memory is short."""
    cpu = jax.default_backend() == "cpu"
    words = "Choose a smaller training.batch_size, train on fewer videos or on more devices"
    if networks > 1:
        fewer = f"Give fewer --folds or --seeds, of which {networks} networks are"
        # On a CPU networks take turns, and one more adds little.
        words = f"{words}. {fewer}" if cpu else f"{fewer}. {words}"
    if cpu:
        return f"{words}, or close other programs"
    return (
        f"{words}, or let JAX take more of the memory than three quarters: "
        f"XLA_PYTHON_CLIENT_MEM_FRACTION=0.95"
    )


def size(count: float) -> str:
    """Bytes in words, three digits of them."""
    scale, unit = (1e9, "GB") if count >= 1e9 else (1e6, "MB")
    return f"{count / scale:.3g} {unit}"
