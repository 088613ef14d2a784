"""Windows of pairs on one grid of time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from recordings import SEVEN, recording, wander

from jaxbeh.data.pair_store import (
    GRID_HZ,
    build_pair_store,
    gather_pairs,
    grid_frames,
    pair_windows,
)
from jaxbeh.data.tracks import ActionVocabulary, action_bits, tracks_of
from jaxbeh.vocabulary import KEYPOINT_SLOTS, SlotTable

WHITELIST = ("mouse1,mouse2,sniff", "mouse2,self,rear")
SLOT = [KEYPOINT_SLOTS.index(name) for name in SEVEN]


def made_of(videos, length, stride, labs=("lab",)):
    vocabulary = ActionVocabulary.build([triple for item in videos for triple in item.whitelist])
    tracks = [
        track
        for index, item in enumerate(videos)
        for track in tracks_of(index, item, item.whitelist, vocabulary)
    ]
    windows = pair_windows(videos, tracks, length, stride)
    slots = SlotTable.build(SEVEN, {})
    bits = [action_bits(videos[track.video], track, vocabulary) for track in tracks]
    store = build_pair_store(videos, tracks, slots, vocabulary, labs, windows, bits)
    return tracks, jax.device_put(store)


def cut(store, rows, length, shift=0, stretch=1.0):
    rows = jnp.asarray(rows, jnp.int32)
    moved = jnp.full(rows.shape, shift, jnp.int32)
    return gather_pairs(store, rows, moved, jnp.full(rows.shape, stretch, jnp.float32), length)


def test_at_the_grids_own_rate_windows_hold_the_videos_frames():
    pixels = wander(20)
    pixels[3, 0, 2] = np.nan
    video = recording(pixels, [("mouse1,mouse2,sniff", 4, 9)], whitelist=WHITELIST)
    tracks, store = made_of([video], 8, 8)
    assert [track.target for track in tracks] == ["mouse2", "self"]
    found = cut(store, [0, 1, 2, 3, -1], 8)
    assert found.mask.sum(axis=1).tolist() == [8, 8, 4, 8, 0]
    own = video.tracking.pixels()
    for row, start in enumerate((0, 8)):
        for body, mouse in enumerate((0, 1)):
            expected = np.nan_to_num(own[start : start + 8, mouse])
            np.testing.assert_allclose(found.xy[row, :, body][:, SLOT], expected, atol=1e-5)
    assert not found.valid[0, 3, 0, SLOT[2]]
    assert found.valid[0].sum() == 8 * 2 * 7 - 1
    assert found.seen[0, :, 1].tolist() == [False] * 4 + [True] * 4
    assert found.seen[1, :, 1].tolist() == [True] + [False] * 7
    assert found.known.tolist() == [[False, True]] * 3 + [[True, False], [False, False]]
    # Of the second mouse's own actions, the first is the other.
    np.testing.assert_allclose(found.xy[3, :, 0][:, SLOT], own[:8, 1], atol=1e-5)
    np.testing.assert_allclose(found.xy[3, :, 1][:, SLOT][4:], own[4:8, 0], atol=1e-5)


@pytest.mark.parametrize("fps", [10.0, 25.0, 29.97, 30.0, 50.0, 120.0])
def test_other_rates_are_interpolated_by_seconds(fps):
    """On a straight line, interpolation is exact: position = 3 cm/s · seconds."""
    frames = 200
    line = np.zeros((frames, 1, 7, 2))
    line[:, 0, :, 0] = (np.arange(frames) * 3 / fps)[:, None]
    events = [("mouse1,self,rear", 50, 100)]
    video = recording(line, events, fps=fps, mice=(1,), whitelist=("mouse1,self,rear",))
    _, store = made_of([video], 16, 16)
    count = len(store.windows)
    found = cut(store, np.arange(count), 16)
    assert int(found.mask.sum()) == grid_frames(video)
    seconds = (np.arange(count * 16) / GRID_HZ)[: grid_frames(video)]
    place = np.asarray(found.xy[:, :, 0, SLOT[0], 0]).reshape(-1)[: len(seconds)]
    np.testing.assert_allclose(place, 3 * seconds, atol=0.011)  # a count is 0.01 cm
    rears = np.asarray(found.seen[..., 0]).reshape(-1)[: len(seconds)]
    nearest = np.floor(seconds * fps + 0.5)
    expected = (nearest >= 50) & (nearest < 100)
    # Half-way between two frames, rounding may choose either.
    clear = np.abs(seconds * fps % 1 - 0.5) > 0.01
    assert (rears == expected)[clear].all()


def test_a_window_may_run_faster_and_start_off_its_place():
    line = np.zeros((60, 1, 7, 2))
    line[:, 0, :, 0] = np.arange(60)[:, None]
    video = recording(line, mice=(1,), whitelist=("mouse1,self,rear",))
    _, store = made_of([video], 8, 8)
    found = cut(store, [1], 8, shift=3, stretch=1.5)
    np.testing.assert_allclose(found.xy[0, :, 0, SLOT[0], 0], 11 + 1.5 * np.arange(8), atol=0.01)
    assert not cut(store, [0], 8, shift=-5).xy[0, 0, 0, SLOT[0], 0]
    assert cut(store, [7], 8, shift=500).mask.tolist() == [[True] + [False] * 7]


def test_what_one_of_two_frames_lacks_is_missing_between_them():
    pixels = wander(10, mice=1)
    pixels[4] = np.nan
    video = recording(pixels, fps=15.0, mice=(1,), whitelist=("mouse1,self,rear",))
    _, store = made_of([video], 20, 20)
    valid = cut(store, [0], 20).valid[0, :, 0, SLOT[0]]
    assert np.flatnonzero(~np.asarray(valid)).tolist() == [7, 8, 9, 19]


def test_a_lab_that_was_not_trained_on_has_no_number():
    videos = [recording(wander(5), whitelist=WHITELIST, lab_id=lab, video_id=lab) for lab in "bca"]
    _, store = made_of(videos, 4, 4, labs=("a", "b"))
    assert cut(store, [0, 4, 8], 4).lab.tolist() == [2, 0, 1]
