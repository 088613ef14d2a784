"""Pair features: known answers, the symmetries of the arena, what is missing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from dyads import RATE, between, compiled, features, own, placed, slot, wandering
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbeh.features.mirroring import counterparts, mirror_points, mirror_table
from jaxbeh.features.pairwise import OWN, RELATION, mirror, pairwise
from jaxbeh.vocabulary import KEYPOINT_SLOTS

SEEDS = st.integers(0, 2**20)
SLOTS = st.sets(st.integers(0, 17), min_size=1)


def log(value, small=1.0):
    return 0.5 * np.sign(value) * np.log1p(np.abs(value) / small)


def dyad(one, other):
    """A window of two mice `[t, 18, 2]` that are seen throughout."""
    xy = np.stack([one, other], 1)[None]
    return xy.astype(np.float32), np.ones(xy.shape[:-1], bool)


def walk(frames=9, speed=(12.0, 0.0), start=(0.0, 0.0), angle=0.0):
    path = np.array(start) + np.arange(frames)[:, None] / RATE * np.array(speed)
    return placed(path, np.full(frames, angle))


def test_names_are_distinct_and_of_the_size_of_what_they_name():
    found = features(*wandering(0))
    assert found.own.shape == (2, 20, 2, len(OWN))
    assert found.relation.shape == (2, 20, len(RELATION))
    assert found.own.dtype == found.relation.dtype == jnp.float32
    assert len(set(OWN)) == len(OWN) <= 110
    assert len(set(RELATION)) == len(RELATION) <= 130


@settings(max_examples=60)
@given(SEEDS, SLOTS, st.floats(-4, 4), st.floats(-30, 30), st.floats(-30, 30))
def test_nothing_changes_when_the_arena_is_moved_and_turned(seed, slots, angle, east, north):
    """Whichever slots a lab fills, with a fifth of the keypoints missing."""
    xy, valid = wandering(seed, slots=slots)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    moved = np.where(valid[..., None], xy @ turn + [east, north], 0)
    one, two = features(xy, valid), features(moved, valid)
    np.testing.assert_allclose(one.own, two.own, atol=1e-4)
    np.testing.assert_allclose(one.relation, two.relation, atol=1e-4)


@settings(max_examples=60)
@given(SEEDS, SLOTS)
def test_a_mirrored_arena_mirrors_the_features(seed, slots):
    xy, valid = map(jnp.asarray, wandering(seed, slots=slots))
    one, two = features(*mirror_points(xy, valid)), mirror(features(xy, valid))
    np.testing.assert_allclose(one.own, two.own, atol=1e-4)
    np.testing.assert_allclose(one.relation, two.relation, atol=1e-4)


def test_a_mirror_changes_something_and_twice_nothing():
    found = features(*wandering(3))
    assert np.abs(mirror(found).own - found.own).max() > 0.5
    assert np.abs(mirror(found).relation - found.relation).max() > 0.5
    twice = mirror(mirror(found))
    np.testing.assert_array_equal(twice.own, found.own)
    np.testing.assert_array_equal(twice.relation, found.relation)


def test_the_mirrors_table_by_name():
    order, sign = mirror_table(OWN)
    change = {name: (OWN[at], s) for name, at, s in zip(OWN, order, sign, strict=True)}
    assert change["ear_left.across"] == ("ear_right.across", -1)
    assert change["hip_right.along"] == ("hip_left.along", 1)
    assert change["body.turning"] == ("body.turning", -1)
    assert change["body.turning_valid"] == ("body.turning_valid", 1)


def test_lent_slots_are_mirrored_by_their_own_names():
    names = ["paw_right", None, "stripe", "paw_left", "left_eye"]
    assert counterparts(names) == (3, 1, 2, 0, 4)
    xy = jnp.arange(10.0).reshape(5, 2)
    found, valid = mirror_points(xy, jnp.arange(5) > 0, counterparts(names))
    np.testing.assert_array_equal(found, [[-6, 7], [-2, 3], [-4, 5], [-0.0, 1], [-8, 9]])
    np.testing.assert_array_equal(valid, [True, True, True, False, True])


@pytest.mark.parametrize("angle", [0.0, 2.5])
def test_a_walk_towards_a_mouse_that_stands(angle):
    """12 cm/s towards the other, 20 cm ahead and 3 to the left of the agent at first."""
    ahead = np.array([np.cos(angle), np.sin(angle)])
    left = np.array([-ahead[1], ahead[0]])
    stands = walk(speed=(0, 0), start=20 * ahead + 3 * left, angle=angle + np.pi / 2)
    found = features(*dyad(walk(speed=12 * ahead, angle=angle), stands))
    middle = slice(2, -2)
    for name, wanted in {
        "nose.along": 4 / 3,
        "ear_left.across": 0.7 / 3,
        "ear_left.valid": 1,
        "hindpaw_left.speed": log(12),
        "front.along": 4 / 3,
        "back.along": -4 / 3,
        "centre.velocity.along": log(12),
        "front.velocity.across": 0,
        "centre.speed": log(12),
        "centre.acceleration.along": 0,
        "body.turning": 0,
        "body.length": 8 / 3,
        "axis.valid": 1,
    }.items():
        np.testing.assert_allclose(own(found, 0, name)[middle], wanted, atol=2e-4, err_msg=name)
    assert np.all(own(found, 1, "nose.speed") == 0)
    behind = 20 - 12 * np.arange(9) / RATE
    for name, wanted in {
        "centre.along": behind / 10,
        "centre.across": 0.3,
        "nose.across": 0.7,
        "tail_base.from_agents_front": log(np.hypot(behind - 4, 3 - 4)),
        "nose.from_others_front": log(np.hypot(behind - 4, 7)),
        "distance.back_to_front": log(np.hypot(behind + 4, 7)),
        "heading.cos": 0,
        "heading.sin": 1,
        "bearing_of_other.along": (behind - 4) / np.sqrt((behind - 4) ** 2 + 9 + 1),
        "bearing_of_agent.across": behind / np.sqrt(behind**2 + 49 + 1),
        "centre.velocity.along": -log(12),
        "approach.of_agent": log(12 * behind / np.sqrt(behind**2 + 9 + 1)),
        "approach.of_other": 0,
    }.items():
        wanted = np.broadcast_to(wanted, 9)[middle]
        np.testing.assert_allclose(between(found, name)[middle], wanted, atol=2e-4, err_msg=name)


def test_distances_to_the_nearest():
    """The other's nose touches the agent's left side from 2 cm: (0, 1.2) against (0, 3.2)."""
    one, other = walk(3, (0, 0)), walk(3, (0, 0), start=(0, 7.2), angle=-np.pi / 2)
    found = features(*dyad(one, other))
    np.testing.assert_allclose(between(found, "distance.nearest"), log(2), atol=1e-5)
    np.testing.assert_allclose(between(found, "distance.from_others_front"), log(2), atol=1e-5)
    front = log(np.hypot(4, 3.2))
    np.testing.assert_allclose(between(found, "distance.from_agents_front"), front, atol=0.05)


def test_turning_and_acceleration():
    """2 rad/s around a standing centre; the front runs a circle of 4 cm."""
    time = np.arange(9) / RATE
    turns = placed(np.zeros((9, 2)), 3 + 2 * time)
    speeds_up = placed(np.stack([0 * time, 100 * time**2], -1), np.full(9, np.pi / 2))
    found = features(*dyad(turns, speeds_up))
    middle = slice(2, -2)
    np.testing.assert_allclose(own(found, 0, "body.turning")[middle], log(2), atol=1e-4)
    np.testing.assert_allclose(own(found, 0, "front.velocity.across")[middle], log(8), atol=2e-3)
    inwards = own(found, 0, "front.acceleration.along")[middle]
    np.testing.assert_allclose(inwards, -log(16, 50), atol=2e-3)
    faster = own(found, 1, "centre.acceleration.along")[middle]
    np.testing.assert_allclose(faster, log(200, 50), atol=1e-3)


def test_there_is_no_rate_at_the_edges_of_a_window():
    found = features(*dyad(walk(), walk()))
    moving, pushed = (
        own(found, 0, f"centre.{name}_valid") for name in ("velocity", "acceleration")
    )
    np.testing.assert_array_equal(moving, [0, 1, 1, 1, 1, 1, 1, 1, 0])
    np.testing.assert_array_equal(pushed, [0, 0, 1, 1, 1, 1, 1, 0, 0])
    np.testing.assert_array_equal(own(found, 0, "body.turning_valid"), moving)
    np.testing.assert_array_equal(between(found, "centre.velocity_valid"), moving)
    np.testing.assert_array_equal(own(found, 0, "nose.speed") > 0, moving)


def test_a_frame_sees_two_frames_either_way():
    xy, valid = wandering(5, windows=1, missing=0.0)
    far = np.abs(np.arange(20) - 9) > 2
    other = np.where(far[:, None, None, None], xy[:, ::-1] + 3, xy)
    one, two = features(xy, valid), features(other, valid)
    np.testing.assert_array_equal(one.own[:, 9], two.own[:, 9])
    np.testing.assert_array_equal(one.relation[:, 9], two.relation[:, 9])
    assert np.abs(one.own[:, 11] - two.own[:, 11]).max() > 0.1


def test_an_anchor_that_falls_back_does_not_move_by_it():
    """The nose is there in every third frame, the head always."""
    xy, valid = dyad(walk(21), walk(21))
    valid[:, ~(np.arange(21) % 3 == 0), :, slot("nose")] = False
    found = features(xy, valid)
    speed, front = own(found, 0, "front.velocity.along"), own(found, 0, "front.along")
    np.testing.assert_allclose(speed[1:-1], log(12), atol=2e-4)
    np.testing.assert_allclose(front, np.where(valid[0, :, 0, 0], 4, 3.2) / 3, atol=1e-4)


def test_a_direction_is_held_where_a_frame_has_none():
    xy, valid = dyad(walk(angle=1.0, speed=(0, 0)), walk(start=(9, 0)))
    seen = np.isin(np.arange(9), [2, 3, 6])
    valid[0, ~seen, 0] &= np.arange(18) == slot("body_center")
    found = features(xy, valid)
    np.testing.assert_array_equal(own(found, 0, "axis.valid"), seen)
    np.testing.assert_array_equal(own(found, 0, "axis.held_valid"), 1)
    np.testing.assert_allclose(between(found, "heading.cos"), np.cos(1.0), atol=1e-5)
    np.testing.assert_allclose(between(found, "heading.sin"), -np.sin(1.0), atol=1e-5)


@pytest.mark.parametrize("names", [["body_center"], ["lateral_left", "lateral_right"]])
def test_a_body_that_never_points_somewhere_has_distances_only(names):
    xy, valid = dyad(walk(), walk(start=(9, 0)))
    valid[:, :, 0] &= np.isin(KEYPOINT_SLOTS, names)
    found = features(xy, valid)
    assert not own(found, 0, "axis.held_valid").any()
    assert not own(found, 0, "centre.velocity.along").any()
    assert not between(found, "nose.along").any()
    np.testing.assert_allclose(own(found, 0, "centre.speed")[1:-1], log(12), atol=2e-4)
    np.testing.assert_allclose(between(found, "distance.centre_to_centre"), log(9), atol=1e-4)


@settings(max_examples=15)
@given(SEEDS, st.integers(0, 20))
def test_what_stands_where_nothing_is_valid_changes_nothing(seed, length):
    """Also in padding, which makes a window no other than it is alone."""
    xy, valid = wandering(seed)
    valid[:, length:] = False
    one = features(xy, valid)
    two = features(np.where(valid[..., None], xy, np.nan), valid)
    for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(left, right)
        assert np.isfinite(left).all()
        assert np.abs(left).max() <= 5
        assert not left[:, length:].any()


def test_an_other_that_is_not_there_is_zeros():
    xy, valid = wandering(1)
    valid[:, :, 1] = False
    found = features(xy, valid)
    assert not found.own[:, :, 1].any()
    assert not found.relation.any()
    assert found.own[:, :, 0].any()


@compiled
@jax.grad
def slope(xy, valid):
    found = pairwise(xy, valid, RATE)
    return jnp.sum(found.own**2) + jnp.sum(found.relation**2)


@pytest.mark.parametrize("case", ["all", "nothing", "one place", "touching"])
def test_gradients_are_finite(case):
    xy, valid = map(jnp.asarray, wandering(2))
    if case == "nothing":
        valid = jnp.zeros_like(valid)
    if case == "one place":
        xy = jnp.zeros_like(xy)
    if case == "touching":
        xy = jnp.round(xy, 0)
    found = slope(xy, valid)
    assert np.isfinite(found).all()
    assert found.any() == (case in ("all", "touching"))
