"""Parts of a frame store, each of whole videos, and one shape that all of them fill."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import jax
import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.store import FrameStore, Scene, starts_of


@dataclass(frozen=True)
class Room:
    """Sizes that each of several stores fits in, so that one compiled program serves them all.

    Attributes:
        points: of a store.
        frames: of a store.
        videos: of a store.
        windows: of a store.
    """

    points: int
    frames: int
    videos: int
    windows: int

    @classmethod
    def of(cls, groups: Sequence[tuple[Sequence[Scene], NDArray[np.int32]]]) -> Self:
        """The room that the largest of some groups of videos, with their windows, needs."""
        sizes = [
            (
                sum(scene.recording.tracking.xy[..., 0].size for scene in group),
                sum(scene.recording.tracking.frames for scene in group),
                len(group),
                len(windows),
            )
            for group, windows in groups
        ]
        return cls(*np.max(sizes, axis=0, initial=1).tolist())

    @classmethod
    def of_parts(cls, sizes: NDArray[np.int64], parts: Sequence[NDArray[np.intp]]) -> Self:
        """The room that the largest of some parts needs, from the videos' `sizes_of`."""
        return cls(*np.max([sizes[part].sum(axis=0) for part in parts], axis=0).tolist())

    def rounded(self) -> Self:
        """Powers of two, so that another collection may find the program compiled."""
        sizes = dataclasses.astuple(self)
        return type(self)(*(1 << max(0, size - 1).bit_length() for size in sizes))

    def fill(self, store: FrameStore) -> FrameStore:
        """The store with its arrays lengthened, by rows that are no windows and by zeros."""
        changed: dict[str, Any] = {}
        for name, values in _arrays(store).items():
            behind = self._length(name) - len(values)
            wide = [(0, behind)] + [(0, 0)] * (values.ndim - 1)
            changed[name] = np.pad(values, wide, constant_values=-1 if name == "windows" else 0)
        return dataclasses.replace(store, **changed)

    def shapes(self, like: FrameStore) -> FrameStore:
        """Shapes and dtypes of a filled store with the rows of another."""
        changed: dict[str, Any] = {
            name: jax.ShapeDtypeStruct((self._length(name), *values.shape[1:]), values.dtype)
            for name, values in _arrays(like).items()
        }
        return dataclasses.replace(like, **changed)

    def nbytes(self, like: FrameStore, blocks: int = 1) -> int:
        """Bytes that a filled store takes on a device.

        Args:
            like: a store with such rows.
            blocks: how many devices its points and labels are cut over.
        """
        total = 0
        for name, values in _arrays(like).items():
            row = values.dtype.itemsize * int(np.prod(values.shape[1:]))
            cut = blocks if name in ("points", "labels") else 1
            total += row * -(-self._length(name) // cut)
        return total

    def _length(self, name: str) -> int:
        sizes = {"points": self.points, "labels": self.frames, "windows": self.windows}
        return sizes.get(name, self.videos)


def _arrays(store: FrameStore) -> dict[str, NDArray[Any]]:
    return {name: values for name, values in vars(store).items() if name != "mesh"}


def sizes_of(store: FrameStore) -> NDArray[np.int64]:
    """Int64 `[v, 4]`: points, frames, 1 and windows of each video, as `Room` has them."""
    frames, width = (np.asarray(values, np.int64) for values in (store.frames, store.width))
    windows = np.bincount(np.asarray(store.windows)[:, 0], minlength=len(frames))
    return np.stack([frames * width, frames, np.ones_like(frames), windows], axis=1)


def share_out(sizes: NDArray[np.int64], shards: int) -> tuple[NDArray[np.intp], ...]:
    """Deal videos to shards that are alike in each of the sizes `[v, s]`; from the sizes alone.

    The largest first, each to the shard that is then the least full. In a shard the videos keep
    their order.
    """
    shares = sizes / np.maximum(sizes.sum(axis=0), 1)
    held = np.zeros((shards, sizes.shape[1]))
    shard_of = np.empty(len(sizes), np.intp)
    for video in np.argsort(-shares.max(axis=1), kind="stable"):
        shard = np.argmin((held + shares[video]).max(axis=1))
        held[shard] += shares[video]
        shard_of[video] = shard
    return tuple(np.flatnonzero(shard_of == shard) for shard in range(shards))


def part_of(store: FrameStore, videos: NDArray[np.intp]) -> FrameStore:
    """The store of some of its videos and their windows (on the host)."""
    arrays = _arrays(store)
    changed: dict[str, Any] = {
        name: values[videos]
        for name, values in arrays.items()
        if name not in ("points", "labels", "windows")
    }
    lengths = {"points": arrays["frames"] * arrays["width"], "labels": arrays["frames"]}
    offsets = {"points": "point_offset", "labels": "frame_offset"}
    for name, offset in offsets.items():
        starts, stops = arrays[offset], arrays[offset] + lengths[name]
        pieces = [arrays[name][starts[video] : stops[video]] for video in videos]
        changed[name] = np.concatenate(pieces)
        changed[offset] = starts_of(lengths[name][videos])
    place = np.full(len(arrays["frames"]), -1, np.int32)
    place[videos] = np.arange(len(videos), dtype=np.int32)
    windows = arrays["windows"][place[arrays["windows"][:, 0]] >= 0].copy()
    windows[:, 0] = place[windows[:, 0]]
    return dataclasses.replace(store, windows=windows, **changed)
