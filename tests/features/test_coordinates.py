import numpy as np
from poses import BODY, scene, window

from jaxbeh.features.coordinates import COORDINATES
from jaxbeh.features.motion import MOTION


def test_there_are_144_named_coordinates_x_and_y_of_one_keypoint_side_by_side():
    assert len(COORDINATES.names) == len(set(COORDINATES.names)) == 144
    assert COORDINATES.names[:3] == ("mouse1.nose.x", "mouse1.nose.y", "mouse1.ear_left.x")
    assert COORDINATES.names[36] == "mouse2.nose.x"
    assert COORDINATES.history == 0
    assert not any(COORDINATES.heavy_tailed)


def test_a_coordinate_stands_under_its_name_and_is_zero_where_missing():
    mouse = np.stack([np.add(BODY, (3.0, 5.0))] * 4)
    mouse[2, 0] = np.nan
    found = window(COORDINATES, *scene(mouse), 0, 4, 30.0)
    nose = COORDINATES.names.index("mouse1.nose.x")
    np.testing.assert_array_equal(
        found.flat[0, :, nose : nose + 2], [[11, 5], [11, 5], [0, 0], [11, 5]]
    )
    np.testing.assert_array_equal(found.flat_valid[0, :, nose], [True, True, False, True])
    assert found.flat.shape == found.flat_valid.shape == (1, 4, 144)
    assert int(found.flat_valid.sum()) == 4 * 14 - 2


def test_motion_begins_with_the_same_coordinates():
    xy, valid = scene(np.stack([BODY] * 6), np.stack([BODY + 9] * 6))
    alone, within = (window(features, xy, valid, 1, 5, 30.0) for features in (COORDINATES, MOTION))
    np.testing.assert_array_equal(alone.flat, within.flat[..., :144])
    np.testing.assert_array_equal(alone.flat_valid, within.flat_valid[..., :144])
    np.testing.assert_array_equal(alone.points, within.points)
    np.testing.assert_array_equal(alone.points_valid, within.points_valid)
    assert MOTION.names[:144] == COORDINATES.names
