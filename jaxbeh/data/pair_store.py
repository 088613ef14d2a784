"""The frames of pairs on the device, and windows of them on one grid of time for all videos."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array
from numpy.typing import NDArray

from jaxbeh.data.recording import MISSING, Recording
from jaxbeh.data.store import pack, starts_of, window_starts
from jaxbeh.data.tracks import ActionVocabulary, Track
from jaxbeh.errors import DataError
from jaxbeh.vocabulary import KEYPOINT_SLOTS, MOUSE_SLOTS, SlotTable

GRID_HZ = 30.0
"""Frames a second of every window; a video's own frames are interpolated."""

NO_LAB = 0
"""The lab of a window that says none; labs trained on count from 1."""


@struct.dataclass
class PairStore:
    """Videos packed end to end, the tracks in them, and windows cut from the tracks.

    The first eight are as in `FrameStore`.

    Attributes:
        points: int16 `[p, 2]`.
        point_offset: int32 `[v]`.
        width: int32 `[v]`.
        frames: int32 `[v]`.
        columns: int32 `[v, s]`.
        scale: float32 `[v]`, centimetres a count.
        origin: float32 `[v, 2]`, centimetres.
        fps: float32 `[v]`.
        tracks: int32 `[k, 4]`: video, mouse slot of the agent, of the other (−1: none), lab.
        known: bool `[k, c]`, actions that were looked for in a track.
        bits: uint32 `[n, w]`, actions of each track's frames, as `action_bits` sets them.
        bits_offset: int32 `[k]`, where a track's bits start.
        windows: int32 `[n, 3]`: track, its frame at or before the window's start, and the start's
            place on the grid.
        phase: float32 `[n]`, frames from there to the window's start, 0 ≤ phase < 1.
    """

    points: Array
    point_offset: Array
    width: Array
    frames: Array
    columns: Array
    scale: Array
    origin: Array
    fps: Array
    tracks: Array
    known: Array
    bits: Array
    bits_offset: Array
    windows: Array
    phase: Array


@struct.dataclass
class PairFrames:
    """A batch of windows of pairs.

    Attributes:
        xy: float32 `[b, t, 2, k, 2]`, centimetres from the arena's centre, the agent first; 0 where
            invalid.
        valid: bool `[b, t, 2, k]`.
        mask: bool `[b, t]`, false past the video's end, or in a row that is no window.
        lab: int32 `[b]`.
        known: bool `[b, c]`, actions that were looked for.
        seen: bool `[b, t, c]`, actions annotated; false where not known.
    """

    xy: Array
    valid: Array
    mask: Array
    lab: Array
    known: Array
    seen: Array


def grid_frames(recording: Recording) -> int:
    """Places of the grid from a recording's first frame to its last."""
    return int((recording.tracking.frames - 1) * GRID_HZ / recording.fps + 1e-9) + 1


def pair_windows(
    recordings: Sequence[Recording], tracks: Sequence[Track], length: int, stride: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """`windows` and `phase` of a store; every place of the grid is in a window of its track."""
    rows, phases = [], []
    for index, track in enumerate(tracks):
        recording = recordings[track.video]
        grid = window_starts(grid_frames(recording), length, stride)
        place = grid * (recording.fps / GRID_HZ)
        frame = np.minimum(np.floor(place + 1e-6), recording.tracking.frames - 1).astype(np.int32)
        rows.append(np.stack([np.full_like(grid, index), frame, grid], axis=1))
        phases.append(np.clip(place - frame, 0.0, None).astype(np.float32))
    return np.concatenate(rows), np.concatenate(phases)


def build_pair_store(
    recordings: Sequence[Recording],
    tracks: Sequence[Track],
    slots: SlotTable,
    vocabulary: ActionVocabulary,
    labs: Sequence[str],
    windows: tuple[NDArray[np.int32], NDArray[np.float32]],
    bits: Sequence[NDArray[np.uint32]] | None,
) -> PairStore:
    """Pack on the host (numpy leaves).

    Args:
        recordings: the videos, as `tracks` counts them.
        tracks: as `windows` counts them.
        slots: the run's keypoint slots.
        vocabulary: the c actions.
        labs: those trained on; another one is `NO_LAB`.
        windows: as `pair_windows` makes them.
        bits: what was annotated in each track (`action_bits`); `None` for a store without labels.

    Raises:
        DataError: a video has no known keypoint, or points or labels outgrow 32-bit indices.
    """
    known = np.zeros((len(tracks), len(vocabulary)), np.bool_)
    table = np.empty((len(tracks), 4), np.int32)
    number = {lab: 1 + index for index, lab in enumerate(labs)}
    for row, track in enumerate(tracks):
        known[row, list(track.actions)] = True
        lab = number.get(recordings[track.video].lab_id, NO_LAB)
        table[row] = (track.video, track.agent - 1, track.other - 1, lab)
    if bits is None:
        bits = [np.zeros((0, -(-len(vocabulary) // 32)), np.uint32)] * len(tracks)
    lengths = np.array([len(words) for words in bits], np.int64)
    if lengths.sum() >= 2**31:
        raise DataError(f"{lengths.sum():,} frames of tracks are too many; train on fewer videos")
    leaves: dict[str, Any] = pack(recordings, slots) | {
        "tracks": table,
        "known": known,
        "bits": np.concatenate(bits),
        "bits_offset": starts_of(lengths),
        "windows": windows[0],
        "phase": windows[1],
    }
    return PairStore(**leaves)


def gather_pairs(
    store: PairStore, index: Array, shift: Array, stretch: Array, length: int
) -> PairFrames:
    """Cut windows of pairs out of the store.

    Args:
        store: on the device.
        index: int32 `[b]`, rows of `store.windows`; −1 gives a row that is all padding.
        shift: int32 `[b]`, frames of the video by which a window starts off its place.
        stretch: float32 `[b]`, how many times faster than recorded a window runs.
        length: t, places of the grid.
    """
    window = store.windows[jnp.maximum(index, 0)]
    track = store.tracks[window[:, 0]]
    video = track[:, 0]
    frames = store.frames[video][:, None]
    start = jnp.clip(window[:, 1] + shift, 0, frames[:, 0] - 1)
    pace = store.fps[video] * stretch / jnp.float32(GRID_HZ)
    phase = store.phase[jnp.maximum(index, 0)]
    offset = phase[:, None] + pace[:, None] * jnp.arange(length, dtype=jnp.float32)
    # What rounding leaves of a whole frame is none.
    whole = jnp.floor(offset + 1e-3)
    part = jnp.maximum(offset - whole, 0.0)
    part = jnp.where(part < 2e-3, 0.0, part)
    first = start[:, None] + whole.astype(jnp.int32)
    mask = (first + (part > 0).astype(jnp.int32) < frames) & (index >= 0)[:, None]
    first = jnp.minimum(first, frames - 1)
    second = jnp.minimum(first + 1, frames - 1)
    nearest = jnp.where(part < 0.5, first, second)
    column = _columns_of(store, video, track[:, 1:3])
    one, one_valid = _points(store, video, first, column)
    two, two_valid = _points(store, video, second, column)
    part = part[:, :, None, None]
    valid = one_valid & (two_valid | (part == 0)) & mask[:, :, None, None]
    share = part[..., None]
    xy = jnp.where(share == 0, one, (1.0 - share) * one + share * two)
    known = store.known[window[:, 0]] & (index >= 0)[:, None]
    words: Array = jnp.zeros((*nearest.shape, store.bits.shape[1]), jnp.uint32)
    if store.bits.shape[0]:
        words = store.bits[store.bits_offset[window[:, 0]][:, None] + nearest]
    return PairFrames(
        xy=jnp.where(valid[..., None], xy, 0.0),
        valid=valid,
        mask=mask,
        lab=track[:, 3],
        known=known,
        seen=_spread(words, known.shape[-1]) & known[:, None] & mask[..., None],
    )


def _columns_of(store: PairStore, video: Array, mice: Array) -> Array:
    """Int32 `[b, 2, k]`: where a video's frame holds the points of two mice, −1 where it lacks."""
    table = store.columns[video].reshape(-1, MOUSE_SLOTS, len(KEYPOINT_SLOTS))
    found = jnp.take_along_axis(table, jnp.maximum(mice, 0)[:, :, None], axis=1)
    return jnp.where(mice[:, :, None] >= 0, found, -1)


def _points(store: PairStore, video: Array, frame: Array, column: Array) -> tuple[Array, Array]:
    """Centimetres `[b, t, 2, k, 2]` and validity `[b, t, 2, k]` of frames of videos."""
    row = store.point_offset[video][:, None] + frame * store.width[video][:, None]
    counts = store.points[row[:, :, None, None] + jnp.maximum(column, 0)[:, None]]
    valid = (column >= 0)[:, None] & (counts[..., 0] != MISSING)
    scale, origin = store.scale[video], store.origin[video]
    xy = counts.astype(jnp.float32) * scale[:, None, None, None, None]
    return xy + origin[:, None, None, None, :], valid


def _spread(words: Array, entries: int) -> Array:
    """Bool `[…, c]` from the bits of uint32 `[…, w]`."""
    entry = np.arange(entries)
    shifted = words[..., entry // 32] >> jnp.asarray(entry % 32, jnp.uint32)
    spread: Array = (shifted & jnp.uint32(1)).astype(jnp.bool_)
    return spread
