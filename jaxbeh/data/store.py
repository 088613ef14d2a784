"""The frame store: all frames of a split on the device once, packed; windows gathered by index."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array, lax
from jax.sharding import Mesh, PartitionSpec
from numpy.typing import NDArray

from jaxbeh.data.recording import MISSING, Recording
from jaxbeh.data.scene import UNKNOWN, Labels
from jaxbeh.errors import DataError
from jaxbeh.vocabulary import KEYPOINT_SLOTS, MOUSE_SLOTS, SlotTable

WINDOWS = "window"
"""The axis of the devices, along which the windows of a batch are shared out."""


@struct.dataclass
class FrameStore:
    """Videos packed end to end, each by its own points, and the windows cut from them.

    A point is one keypoint of one mouse in one frame. Video v's frame i holds `width[v]` points
    from `point_offset[v] + i · width[v]` on; slot s finds its point at column `columns[v, s]`.

    Attributes:
        points: int16 `[p, 2]`, counts; centimetre = origin + scale · count; `MISSING` if untracked.
        labels: int8 `[n]`, one class a frame, `UNKNOWN` where not known.
        point_offset: int32 `[v]`.
        width: int32 `[v]`.
        frame_offset: int32 `[v]`, where a video's labels start.
        frames: int32 `[v]`, length of each video.
        columns: int32 `[v, s]`, s = mouse slot · 18 + keypoint slot; −1 where there is none.
        scale: float32 `[v]`, centimetres a count.
        origin: float32 `[v, 2]`, centimetres from the arena's centre at count 0.
        fps: float32 `[v]`.
        looked_for: bool `[v, c]`, the classes that can be told apart in a video.
        windows: int32 `[n, 4]`: video, start frame, agent, target (−1, −1: the whole scene); a row
            of −1 is no window.
        mesh: the devices over which points and labels are cut into equal blocks, padded at the end;
            `None` where each device holds them whole.
    """

    points: Array
    labels: Array
    point_offset: Array
    width: Array
    frame_offset: Array
    frames: Array
    columns: Array
    scale: Array
    origin: Array
    fps: Array
    looked_for: Array
    windows: Array
    mesh: Mesh | None = struct.field(pytree_node=False, default=None)  # type: ignore[no-untyped-call]  # by flax


@struct.dataclass
class Frames:
    """A batch of windows with the `h` frames before each, as features need them.

    Attributes:
        xy: float32 `[b, h+t, m, k, 2]`, centimetres from the arena's centre; 0 where invalid.
        valid: bool `[b, h+t, m, k]`.
        frame: int32 `[b, h+t]`, frame index in its video; negative before the video's start.
        fps: float32 `[b]`.
        mask: bool `[b, t]`, false in padding: past the video's end, or a row that is no window.
        labels: int8 `[b, t]`, `UNKNOWN` where not known or padded.
        looked_for: bool `[b, c]`.
    """

    xy: Array
    valid: Array
    frame: Array
    fps: Array
    mask: Array
    labels: Array
    looked_for: Array


@dataclass(frozen=True, eq=False)
class Scene:
    """A recording with its scene labels, ready for the store."""

    recording: Recording
    labels: Labels


def window_starts(frames: int, length: int, stride: int) -> NDArray[np.int32]:
    """Starts of the windows of one video: every frame is in one, only the last may be padded."""
    count = 1 + max(0, -(-(frames - length) // stride))
    return np.arange(count, dtype=np.int32) * np.int32(stride)


def window_table(frames: Sequence[int], length: int, stride: int) -> NDArray[np.int32]:
    """Int32 `[n, 4]` windows of whole scenes over videos of the given lengths, in video order."""
    tables = []
    for video, count in enumerate(frames):
        starts = window_starts(count, length, stride)
        table = np.full((len(starts), 4), -1, np.int32)
        table[:, 0], table[:, 1] = video, starts
        tables.append(table)
    return np.concatenate(tables)


def build_store(
    scenes: Sequence[Scene], slots: SlotTable, windows: NDArray[np.int32]
) -> FrameStore:
    """Pack videos on the host (numpy leaves); `jax.device_put` brings the store to the device.

    Args:
        scenes: the videos, in the order that `windows` counts them.
        slots: the run's keypoint slots.
        windows: int32 `[n, 4]`, as `window_table` makes them.

    Raises:
        DataError: a video has no known keypoint, or the store outgrows 32-bit indices.
    """
    leaves = pack([scene.recording for scene in scenes], slots)
    leaves |= {
        "labels": np.concatenate([scene.labels.values for scene in scenes]),
        "frame_offset": starts_of(leaves["frames"]),
        "looked_for": np.stack([scene.labels.looked_for for scene in scenes]),
        "windows": windows,
    }
    return FrameStore(**leaves)


def pack(recordings: Sequence[Recording], slots: SlotTable) -> dict[str, Any]:
    """The points of videos end to end, and where each finds its own; as `FrameStore` names them.

    Raises:
        DataError: a video has no known keypoint, or the points outgrow 32-bit indices.
    """
    chosen, columns, widths = [], [], []
    for recording in recordings:
        tracking = recording.tracking
        try:
            of_slot, _ = slots.columns(tracking.keypoints)
        except DataError as error:
            raise DataError(f"video {recording.video_id}: {error}") from None
        kept = sorted(column for column in of_slot if column >= 0)
        table = np.full((MOUSE_SLOTS, len(KEYPOINT_SLOTS)), -1, np.int32)
        for row, mouse in enumerate(tracking.mice):
            for slot, column in enumerate(of_slot):
                if column >= 0:
                    table[mouse - 1, slot] = row * len(kept) + kept.index(column)
        chosen.append(kept)
        columns.append(table.reshape(-1))
        widths.append(len(tracking.mice) * len(kept))
    frames = np.array([recording.tracking.frames for recording in recordings], np.int64)
    point_counts = frames * np.array(widths, np.int64)
    if point_counts.sum() >= 2**31 or frames.sum() >= 2**31:
        raise DataError(
            f"{point_counts.sum():,} points do not fit one frame store of 2,147,483,647; "
            f"train on fewer videos"
        )
    per_cm = np.array([recording.pixels_per_cm for recording in recordings])
    return {
        "points": _packed(recordings, chosen, int(point_counts.sum())),
        "point_offset": starts_of(point_counts),
        "width": np.array(widths, np.int32),
        "frames": frames.astype(np.int32),
        "columns": np.stack(columns),
        "scale": np.array([r.tracking.step for r in recordings] / per_cm, np.float32),
        "origin": np.array(
            [(r.tracking.origin - r.centre) / r.pixels_per_cm for r in recordings], np.float32
        ),
        "fps": np.array([recording.fps for recording in recordings], np.float32),
    }


def starts_of(lengths: NDArray[np.integer]) -> NDArray[np.int32]:
    """Where each of some stretches starts that lie end to end."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)[:-1]]).astype(np.int32)


def _packed(
    recordings: Sequence[Recording], chosen: Sequence[Sequence[int]], points: int
) -> NDArray[np.int16]:
    """Int16 `[points, 2]`, the chosen keypoints of all videos, each copied once to its place."""
    packed, start = np.empty((points, 2), np.int16), 0
    for recording, keypoints in zip(recordings, chosen, strict=True):
        xy = recording.tracking.xy
        shape = (*xy.shape[:2], len(keypoints), 2)
        stop = start + shape[0] * shape[1] * shape[2]
        block = packed[start:stop].reshape(shape)
        if len(keypoints) == xy.shape[2]:
            block[...] = xy
        else:
            np.take(xy, keypoints, axis=2, out=block, mode="clip")  # "raise" would copy twice
        start = stop
    return packed


def gather(store: FrameStore, index: Array, shift: Array, length: int, history: int) -> Frames:
    """Cut windows out of the store.

    Args:
        store: on the device.
        index: int32 `[b]`, rows of `store.windows`; −1 gives a row that is all padding.
        shift: int32 `[b]`, frames by which a window starts off its place, kept inside the video.
        length: t, frames of a window.
        history: h, frames before it.
    """
    window = store.windows[jnp.maximum(index, 0)]
    real = (index >= 0) & (window[:, 0] >= 0)
    video = jnp.maximum(window[:, 0], 0)
    frames = store.frames[video][:, None]
    start = jnp.clip(window[:, 1] + shift, 0, frames[:, 0] - 1)
    frame = start[:, None] + jnp.arange(-history, length, dtype=jnp.int32)
    exists = (frame >= 0) & (frame < frames)
    inside = jnp.clip(frame, 0, frames - 1)
    column = store.columns[video][:, None, :]
    row = store.point_offset[video][:, None] + inside * store.width[video][:, None]
    counts = _look_up(store.points, row[:, :, None] + jnp.maximum(column, 0), store.mesh)
    valid = exists[:, :, None] & (column >= 0) & (counts[..., 0] != MISSING)
    xy = counts.astype(jnp.float32) * store.scale[video][:, None, None, None]
    xy = jnp.where(valid[..., None], xy + store.origin[video][:, None, None, :], 0.0)
    mask = exists[:, history:] & real[:, None]
    place = store.frame_offset[video][:, None] + inside[:, history:]
    labels = _look_up(store.labels, place, store.mesh)
    slots = (MOUSE_SLOTS, len(KEYPOINT_SLOTS))
    return Frames(
        xy=xy.reshape(*frame.shape, *slots, 2),
        valid=valid.reshape(*frame.shape, *slots),
        frame=frame,
        fps=store.fps[video],
        mask=mask,
        labels=jnp.where(mask, labels, jnp.int8(UNKNOWN)),
        looked_for=store.looked_for[video],
    )


def _look_up(values: Array, index: Array, mesh: Mesh | None) -> Array:
    """`values[index]`, where the values may be cut into blocks over the devices.

    Each device looks up what its block holds of all windows, 0 for the rest; summed, and each
    device keeping its own windows, that is the whole.
    """
    if mesh is None:
        return values[index]

    def of_block(block: Array, index: Array) -> Array:
        own = index - lax.axis_index(WINDOWS) * block.shape[0]
        held = (own >= 0) & (own < block.shape[0])
        found = block[jnp.where(held, own, 0)]
        held = held.reshape(*held.shape, *(1,) * (found.ndim - held.ndim))
        found = jnp.where(held, found, jnp.zeros((), found.dtype))
        own_windows: Array = lax.psum_scatter(found, WINDOWS, scatter_dimension=0, tiled=True)
        return own_windows

    by_window, whole = PartitionSpec(WINDOWS), PartitionSpec()
    look_up = jax.shard_map(of_block, mesh=mesh, in_specs=(by_window, whole), out_specs=by_window)
    found: Array = look_up(values, index)
    return found


def nbytes(store: FrameStore) -> int:
    """Bytes that the store takes on a device."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(store))
