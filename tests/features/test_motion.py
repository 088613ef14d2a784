import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbeh.features.motion import MOTION
from jaxbeh.vocabulary import KEYPOINT_SLOTS

FPS = 25.0
POINT = KEYPOINT_SLOTS.index("nose")


def compute(path, valid=None, first=0, fps=FPS):
    """Features of one moving nose; `path` `[h+t, 2]` in centimetres, history included."""
    time = len(path)
    xy = np.zeros((1, time, 4, 18, 2), np.float32)
    shown = np.zeros((1, time, 4, 18), bool)
    xy[0, :, 0, POINT] = path
    shown[0, :, 0, POINT] = True if valid is None else valid
    xy[~shown] = 0
    frame = np.arange(first - MOTION.history, first - MOTION.history + time, dtype=np.int32)[None]
    shown &= (frame >= 0)[..., None, None]
    found = jax.jit(MOTION.compute)(
        jnp.asarray(xy), jnp.asarray(shown), jnp.asarray(frame), jnp.full((1,), fps, jnp.float32)
    )
    return {
        name: (found.flat[0, :, i], found.flat_valid[0, :, i])
        for i, name in enumerate(MOTION.names)
    }


def line(speed, time, fps=FPS):
    """A straight path at `speed` cm/s along (3, 4)/5."""
    return np.outer(np.arange(time) * speed / fps, [0.6, 0.8])


def test_there_are_288_named_features_in_the_documented_order():
    assert len(MOTION.names) == len(set(MOTION.names)) == 288
    assert MOTION.names[:2] == ("mouse1.nose.x", "mouse1.nose.y")
    assert MOTION.names[144] == "mouse1.nose.speed"
    assert MOTION.names[216] == "mouse1.nose.acceleration"
    assert sum(MOTION.heavy_tailed) == 144
    assert not any(MOTION.heavy_tailed[:144])


@pytest.mark.parametrize("fps", [10.0, 25.0, 120.0])
def test_constant_velocity_has_its_speed_and_no_acceleration(fps):
    found = compute(line(12.0, 20, fps), first=50, fps=fps)
    np.testing.assert_allclose(found["mouse1.nose.speed"][0], 12.0, rtol=1e-4)
    np.testing.assert_allclose(found["mouse1.nose.acceleration"][0], 0.0, atol=0.05)


def test_constant_acceleration_is_found():
    time = np.arange(30) / FPS
    path = np.stack([0.5 * 40.0 * time**2, np.zeros(30)], axis=-1)
    found = compute(path, first=10)
    np.testing.assert_allclose(found["mouse1.nose.acceleration"][0], 40.0, rtol=1e-2)


def test_speeds_are_of_one_keypoint_and_never_of_two():
    # The original laid coordinates out as all x, then all y, and paired different keypoints.
    found = compute(line(12.0, 20), first=50)
    moving = {
        name for name, (value, valid) in found.items() if name.endswith("speed") and valid.any()
    }
    assert moving == {"mouse1.nose.speed"}


def test_the_first_frame_of_a_video_repeats_its_second():
    path = np.concatenate([np.full((2, 2), 999.0), line(12.0, 10)])
    found = compute(path, first=0)
    speed, valid = found["mouse1.nose.speed"]
    assert valid.all()
    np.testing.assert_allclose(speed, 12.0, rtol=1e-4)
    np.testing.assert_allclose(found["mouse1.nose.acceleration"][0], 0.0, atol=0.05)


def test_no_step_into_or_out_of_a_missing_frame_makes_a_speed():
    valid = np.ones(22, bool)
    valid[10] = False  # frame 8 of the window
    found = compute(line(12.0, 22), valid=valid, first=50)
    moving, changing = found["mouse1.nose.speed"][1], found["mouse1.nose.acceleration"][1]
    assert [i for i in range(20) if not moving[i]] == [8, 9]
    assert [i for i in range(20) if not changing[i]] == [8, 9, 10]
    np.testing.assert_allclose(found["mouse1.nose.speed"][0][moving], 12.0, rtol=1e-4)
    assert float(jnp.max(found["mouse1.nose.acceleration"][0])) < 1.0


def test_an_invalid_value_is_zero():
    found = compute(line(12.0, 22), valid=np.zeros(22, bool), first=50)
    assert all(not np.any(np.asarray(value)) for value, _ in found.values())
