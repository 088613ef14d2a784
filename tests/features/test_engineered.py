import numpy as np
import pytest
from poses import BODY, SLOTS, columns, scene, turned, window

from jaxbeh.features.engineered import KEYPOINTS, LEAST_SPREAD, QUANTITIES, engineered_set
from jaxbeh.features.rolling import STATISTICS

FPS = 30.0
SET = engineered_set(16)
LONGEST = 60


def compute(*mice, start=None, fps=FPS):
    """Columns of a video's frames that have a full history, or of all from `start` on."""
    start = SET.history if start is None else start
    xy, valid = scene(*mice)
    inside = slice(len(xy) - start)
    found = columns(SET, window(SET, xy, valid, start, LONGEST, fps))  # one shape for all tests
    return {name: (values[inside], known[inside]) for name, (values, known) in found.items()}


def still(frames, offset=(0.0, 0.0), angle=0.0):
    return np.stack([turned(np.float64(angle)) + offset] * frames)


def moving(frames, velocity, fps=FPS):
    path = np.arange(frames)[:, None] * np.asarray(velocity) / fps
    return BODY + path[:, None]


def value(found, name):
    values, valid = found[name]
    assert valid.all(), name
    return values


def test_there_are_131_named_features_in_the_documented_order():
    assert len(SET.names) == len(set(SET.names)) == len(SET.heavy_tailed) == 131
    assert SET.names[:23] == QUANTITIES
    assert [len([name for name in SET.names if name.startswith("rolling_" + statistic + ".")])
            for statistic in STATISTICS] == [23] * 4  # fmt: skip
    assert SET.names[23] == f"rolling_mean.{QUANTITIES[0]}"
    assert SET.names[115:] == tuple(f"pca.{i}" for i in range(16))
    kinds = [name.split(".")[0] == "distance" or "body_length" in name for name in QUANTITIES]
    assert sum(kinds) == 6
    assert sum("centroid_" in name and "mouse" in name[:5] for name in QUANTITIES) == 8
    assert sum("heading" in name or "angular" in name for name in QUANTITIES) == 5
    assert sum("spread" in name for name in QUANTITIES) == 4
    assert len(engineered_set(3).names) == len(engineered_set(3).heavy_tailed) == 118


def test_what_it_needs_of_a_video():
    assert SET.history == 11
    assert SET.mice == 2
    assert SET.required == KEYPOINTS
    assert sorted(SET.required) == [
        "ear_left", "ear_right", "hip_left", "hip_right", "neck", "nose", "tail_base"
    ]  # fmt: skip
    assert (SET.projected, SET.components) == (28, 16)


def test_heavy_tailed_are_speeds_and_accelerations_that_are_never_negative():
    heavy = {name for name, flag in zip(SET.names, SET.heavy_tailed, strict=True) if flag}
    speeds = {f"mouse{mouse}.centroid_speed" for mouse in (1, 2)}
    assert heavy == {
        *speeds,
        *(f"rolling_{statistic}.{name}" for statistic in STATISTICS for name in speeds),
        *(
            f"rolling_deviation.mouse{mouse}.{name}"
            for mouse in (1, 2)
            for name in ("centroid_velocity.x", "centroid_velocity.y", "centroid_speed_change")
        ),
    }


def test_distances_of_a_known_scene():
    # The second mouse looks along y from (20, 0): its nose is at (20, 8).
    found = compute(still(12), still(12, (20.0, 0.0), np.pi / 2))
    centre = np.mean([8, 6.5, 6.5, 5.5, 1.5, 1.5, 0])
    expected = {
        "distance.centroid_to_centroid.mouse1_mouse2": np.hypot(20 - centre, centre),
        "distance.head_to_head.mouse1_mouse2": np.hypot(13, 7),
        "distance.head_to_tail.mouse1_mouse2": 13,
        "distance.head_to_tail.mouse2_mouse1": np.hypot(20, 7),
        "mouse1.body_length": 8,
        "mouse2.body_length": 8,
        "relative_heading.mouse1_mouse2": np.pi / 2,
    }
    for name, distance in expected.items():
        np.testing.assert_allclose(value(found, name), distance, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("fps", [25.0, 120.0])
def test_constant_velocity_has_its_speed_and_no_change(fps):
    found = compute(moving(30, (6.0, -8.0), fps), moving(30, (0.0, 3.0), fps), fps=fps)
    for name, expected in {
        "mouse1.centroid_speed": 10.0,
        "mouse1.centroid_velocity.x": 6.0,
        "mouse1.centroid_velocity.y": -8.0,
        "mouse2.centroid_speed": 3.0,
        "rolling_mean.mouse1.centroid_speed": 10.0,
        "rolling_maximum.mouse2.centroid_velocity.y": 3.0,
    }.items():
        np.testing.assert_allclose(value(found, name), expected, rtol=1e-4, err_msg=name)
    np.testing.assert_allclose(value(found, "mouse1.centroid_speed_change"), 0.0, atol=0.05)
    np.testing.assert_allclose(
        value(found, "rolling_deviation.mouse1.centroid_speed"), 0.0, atol=0.01
    )
    np.testing.assert_allclose(value(found, "mouse1.angular_velocity"), 0.0, atol=1e-3)


def test_a_growing_speed_has_its_rate_and_a_falling_one_a_negative_rate():
    time = np.arange(40) / FPS
    faster = BODY + np.stack([20.0 * time**2, 0 * time], -1)[:, None]
    slower = BODY + np.stack([60 * time - 20.0 * time**2, 0 * time], -1)[:, None]
    found = compute(faster, slower)
    np.testing.assert_allclose(value(found, "mouse1.centroid_speed_change"), 40.0, rtol=2e-3)
    np.testing.assert_allclose(value(found, "mouse2.centroid_speed_change"), -40.0, rtol=2e-3)


@pytest.mark.parametrize("speed", [5.0, -5.0])
def test_a_turning_mouse_has_its_angular_velocity_also_across_pi(speed):
    angle = np.arange(60) * speed / FPS  # more than one full turn
    found = compute(turned(angle), turned(angle + 2.0))
    heading = value(found, "mouse1.heading")
    assert np.abs(heading).max() <= np.float32(np.pi)
    assert np.abs(np.diff(heading)).max() > 6  # it does cross ±π
    np.testing.assert_allclose(
        np.exp(1j * heading), np.exp(1j * angle[SET.history :]), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(value(found, "mouse1.angular_velocity"), speed, rtol=1e-4)
    np.testing.assert_allclose(value(found, "relative_heading.mouse1_mouse2"), 2.0, rtol=1e-5)
    np.testing.assert_allclose(
        value(found, "rolling_mean.mouse2.angular_velocity"), speed, rtol=1e-4
    )


def test_a_rigid_translation_changes_no_feature_of_a_frame():
    draw = np.random.default_rng(1)
    mice = [turned(draw.normal(0, 1, 20).cumsum()) + draw.normal(0, 9, 2) for _ in range(2)]
    here, there = compute(*mice), compute(*(np.add(mouse, (-7.0, 4.0)) for mouse in mice))
    for name in here:
        np.testing.assert_array_equal(here[name][1], there[name][1])
        np.testing.assert_allclose(
            here[name][0], there[name][0], rtol=1e-4, atol=0.02, err_msg=name
        )


def test_mice_that_mirror_each_other_have_equal_features():
    # Nose to nose, 4 cm apart, the mirror's axis being y.
    found = compute(still(12, (-10.0, 0.0)), still(12, (10.0, 0.0), np.pi))
    for name in ("body_length", "spread_product", "spread_ratio", "centroid_speed"):
        np.testing.assert_allclose(
            value(found, f"mouse1.{name}"), value(found, f"mouse2.{name}"), rtol=1e-5, atol=1e-5
        )
    np.testing.assert_allclose(
        value(found, "distance.head_to_tail.mouse1_mouse2"),
        value(found, "distance.head_to_tail.mouse2_mouse1"),
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        np.abs(value(found, "relative_heading.mouse1_mouse2")), np.pi, rtol=1e-6
    )
    np.testing.assert_allclose(value(found, "distance.head_to_head.mouse1_mouse2"), 6.0, rtol=1e-5)


def test_the_shape_is_the_spread_along_the_axes():
    found = compute(still(12), still(12, angle=np.pi / 2))
    wide, high = BODY.std(axis=0)
    np.testing.assert_allclose(value(found, "mouse1.spread_product"), wide * high, rtol=1e-5)
    np.testing.assert_allclose(value(found, "mouse1.spread_ratio"), wide / high, rtol=1e-5)
    np.testing.assert_allclose(value(found, "mouse2.spread_product"), wide * high, rtol=1e-5)
    np.testing.assert_allclose(value(found, "mouse2.spread_ratio"), high / wide, rtol=1e-5)


def test_a_spread_takes_two_points_and_a_row_of_them_divides_by_the_least():
    one, row = still(12), still(12)
    one[:, 1:] = np.nan
    row[:, [1, 2, 4, 5]] = np.nan  # nose, neck and tail base stand in a row along x
    found = compute(one, row)
    for name in ("spread_product", "spread_ratio"):
        assert not found[f"mouse1.{name}"][1].any()
    np.testing.assert_allclose(
        value(found, "mouse2.spread_ratio"), np.std([8, 5.5, 0]) / LEAST_SPREAD, rtol=1e-5
    )
    np.testing.assert_allclose(value(found, "mouse2.spread_product"), 0.0, atol=1e-6)


def test_a_point_that_comes_or_goes_moves_nothing():
    mouse = moving(40, (12.0, 0.0))
    mouse[20:25, KEYPOINTS.index("nose")] = np.nan
    mouse[30:35, KEYPOINTS.index("tail_base")] = np.nan
    found = compute(mouse, still(40))
    np.testing.assert_allclose(value(found, "mouse1.centroid_speed"), 12.0, rtol=1e-4)
    np.testing.assert_allclose(value(found, "mouse1.centroid_speed_change"), 0.0, atol=0.05)


def test_no_step_into_or_out_of_a_missing_frame_makes_a_velocity():
    mouse = moving(40, (12.0, 0.0))
    mouse[20] = np.nan
    found = compute(mouse, still(40))

    def missing(name):
        return [int(i) + SET.history for i in np.flatnonzero(~found[name][1])]

    assert missing("mouse1.centroid_speed") == [20, 21]
    assert missing("mouse1.angular_velocity") == [20, 21]
    assert missing("mouse1.centroid_speed_change") == [20, 21, 22]
    assert missing("mouse1.body_length") == [20]
    assert missing("distance.head_to_tail.mouse2_mouse1") == [20]
    assert missing("mouse2.centroid_speed") == []
    assert missing("rolling_mean.mouse1.centroid_speed") == []
    np.testing.assert_allclose(
        value(found, "rolling_maximum.mouse1.centroid_speed"), 12.0, rtol=1e-4
    )


def test_the_head_is_what_is_seen_of_nose_and_ears_and_a_heading_takes_two_places():
    mouse, other = still(12), still(12, (20.0, 0.0))
    mouse[:, [KEYPOINTS.index("ear_left"), KEYPOINTS.index("ear_right")]] = np.nan
    other[:, KEYPOINTS.index("nose")] = other[:, KEYPOINTS.index("tail_base")]
    found = compute(mouse, other)
    np.testing.assert_allclose(value(found, "distance.head_to_tail.mouse1_mouse2"), 12.0)
    assert not found["mouse2.heading"][1].any()
    assert not found["relative_heading.mouse1_mouse2"][1].any()
    np.testing.assert_array_equal(value(found, "mouse2.body_length"), 0.0)


def test_a_videos_first_frame_repeats_its_second_and_statistics_grow_from_one_frame():
    found = compute(moving(12, (12.0, 0.0)), still(12, (0.0, 30.0)), start=0)
    np.testing.assert_allclose(value(found, "mouse1.centroid_speed"), 12.0, rtol=1e-4)
    np.testing.assert_allclose(value(found, "mouse1.angular_velocity"), 0.0, atol=1e-4)
    along = moving(12, (12.0, 0.0)).mean(axis=1) - still(12, (0.0, 30.0)).mean(axis=1)
    apart = np.hypot(*along.T)
    name = "distance.centroid_to_centroid.mouse1_mouse2"
    for frame in range(12):
        seen = apart[max(0, frame - 9) : frame + 1]
        for statistic, expected in zip(
            STATISTICS, (seen.mean(), seen.std(), seen.min(), seen.max()), strict=True
        ):
            np.testing.assert_allclose(
                value(found, f"rolling_{statistic}.{name}")[frame], expected, rtol=1e-3, atol=1e-5
            )


def test_only_the_seven_keypoints_of_the_first_two_mice_count():
    xy, valid = scene(still(14), still(14, (9.0, 9.0)))
    before = window(SET, xy, valid, 11, LONGEST, FPS)
    draw = np.random.default_rng(2)
    others = np.ones(xy.shape[1:3], bool)
    others[:2, SLOTS] = False
    xy[:, others], valid[:, others] = draw.normal(0, 50, (14, others.sum(), 2)), True
    after = window(SET, xy, valid, 11, LONGEST, FPS)
    np.testing.assert_array_equal(before.flat, after.flat)
    np.testing.assert_array_equal(before.flat_valid, after.flat_valid)
    np.testing.assert_array_equal(after.points[0, :3], xy[11:])
    np.testing.assert_array_equal(after.points_valid[0, :3], valid[11:])


def test_the_coordinates_to_project_are_those_of_the_seven_by_name():
    found = window(SET, *scene(still(12), still(12, (20.0, 1.0))), 11, LONGEST, FPS)
    places = np.asarray(found.flat[0, 0, 115:]).reshape(2, 7, 2)
    np.testing.assert_allclose(places, [BODY, np.add(BODY, (20.0, 1.0))])
