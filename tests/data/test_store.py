import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import SEVEN, recording, wander

from jaxbeh.data.scene import scene_labels
from jaxbeh.data.store import Scene, build_store, gather, window_starts, window_table
from jaxbeh.errors import DataError
from jaxbeh.vocabulary import KEYPOINT_SLOTS, ClassMap, SlotTable

CLASSES = ClassMap.build(
    [
        ("background", ()),
        ("social", ("sniff",)),
        ("mating", ("mount",)),
        ("aggressive", ("attack",)),
    ]
)


def scene(*args, **kwargs):
    made = recording(*args, **kwargs)
    return Scene(made, scene_labels(made, CLASSES))


@given(st.integers(1, 2000), st.integers(1, 200), st.integers(1, 200))
def test_windows_hold_every_frame_and_only_the_last_is_padded(frames, length, stride):
    stride = min(stride, length)
    starts = window_starts(frames, length, stride)
    held = np.zeros(frames, int)
    for start in starts:
        held[start : start + length] += 1
    assert held.min() >= 1
    assert (starts[:-1] + length <= frames).all()
    assert starts[-1] < frames
    if stride == length:
        assert held.max() == 1


def pack(scenes, length, stride, slots=None):
    table = window_table([len(item.labels.values) for item in scenes], length, stride)
    return jax.device_put(build_store(scenes, slots or SlotTable.build(SEVEN, {}), table))


def test_gathered_coordinates_are_centimetres_in_named_slots():
    first = wander(60, 1)
    second = wander(40, 2, mice=1, keypoints=2)
    scenes = [
        scene(first, pixels_per_cm=4.0),
        scene(second, video_id="2", mice=(3,), keypoints=("tail_base", "nose"), pixels_per_cm=2.0),
    ]
    store = pack(scenes, 20, 20)
    frames = gather(store, jnp.arange(5), jnp.zeros(5, jnp.int32), 20, 0)
    for slot, name in enumerate(KEYPOINT_SLOTS):
        if name in SEVEN:
            seen = frames.xy[1, :, :2, slot]
            wanted = first[20:40, :, SEVEN.index(name)] / 4.0
            np.testing.assert_allclose(seen, wanted, atol=0.005)
            assert frames.valid[1, :, :2, slot].all()
        else:
            assert not frames.valid[1, :, :, slot].any()
    nose = KEYPOINT_SLOTS.index("nose")
    np.testing.assert_allclose(frames.xy[4, :, 2, nose], second[20:40, 0, 1] / 2.0, atol=0.005)
    assert int(frames.valid[4].sum()) == 20 * 2


def test_unlabelled_missing_and_padded_are_told_apart():
    pixels = wander(25)
    pixels[3, 0, 2] = np.nan
    store = pack(
        [
            scene(
                pixels,
                [("mouse1,mouse2,sniff", 5, 9), ("mouse2,mouse1,attack", 12, 14)],
            )
        ],
        20,
        20,
    )
    frames = gather(store, jnp.asarray([0, 1, -1]), jnp.zeros(3, jnp.int32), 20, 2)
    assert int(frames.mask[0].sum()) == 20
    assert int(frames.mask[1].sum()) == 5
    assert not frames.mask[2].any()
    labels = np.asarray(frames.labels)
    assert list(np.flatnonzero(labels[0] == 1)) == [5, 6, 7, 8]  # stop is exclusive
    assert list(np.flatnonzero(labels[0] == -1)) == [12, 13]  # not whitelisted: unknown
    assert list(np.flatnonzero(labels[1] >= 0)) == [0, 1, 2, 3, 4]
    assert (labels[2] == -1).all()
    assert not frames.valid[0, :2].any()  # before the video's start
    assert not frames.valid[0, 2 + 3, 0, KEYPOINT_SLOTS.index(SEVEN[2])]
    assert not frames.valid[1, 2 + 5 :].any()


def test_the_same_frame_in_two_windows_is_gathered_with_the_same_values():
    store = pack([scene(wander(200))], 50, 25)
    frames = gather(store, jnp.asarray([1, 2]), jnp.zeros(2, jnp.int32), 50, 2)
    np.testing.assert_array_equal(frames.xy[0, 2 + 25 :], frames.xy[1, 2 : 2 + 25])


def test_shifts_stay_inside_the_video():
    store = pack([scene(wander(60))], 50, 25)
    frames = gather(store, jnp.asarray([0, 1, 1]), jnp.asarray([-2, 2, 99]), 50, 0)
    assert list(frames.frame[:, 0]) == [0, 27, 59]


def test_a_video_without_known_keypoints_is_refused_by_name():
    with pytest.raises(DataError, match=r"video 7.*whisker"):
        pack([scene(wander(9, keypoints=1), video_id="7", keypoints=("whisker",))], 5, 5)


def test_the_store_holds_only_points_that_exist():
    store = pack(
        [scene(wander(60)), scene(wander(10, mice=1, keypoints=1), mice=(4,), keypoints=("nose",))],
        20,
        20,
    )
    assert store.points.shape == (60 * 2 * 7 + 10, 2)
    assert store.points.dtype == jnp.int16
    assert store.labels.dtype == jnp.int8


@given(st.lists(st.booleans(), min_size=1, max_size=5), st.integers(0, 99))
def test_points_are_packed_end_to_end_without_the_keypoints_that_have_no_slot(dropping, seed):
    names = (*SEVEN[:3], "tail_midpoint", *SEVEN[3:], "headpiece_topfrontleft")
    scenes = [
        scene(wander(5 + index, seed + index, keypoints=len(kept)), keypoints=kept)
        for index, kept in enumerate(names if drops else SEVEN for drops in dropping)
    ]
    slots = SlotTable.build(SEVEN, {})
    store = build_store(scenes, slots, window_table([5] * len(scenes), 5, 5))
    wanted = []
    for item in scenes:
        tracking = item.recording.tracking
        kept = [index for index, name in enumerate(tracking.keypoints) if name in SEVEN]
        wanted.append(tracking.xy[:, :, kept].reshape(-1, 2))
    assert store.points.dtype == np.int16
    assert np.array_equal(store.points, np.concatenate(wanted))
