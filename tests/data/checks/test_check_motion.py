"""Missing keypoints, identity swaps, teleports: found where they were put, silent elsewhere."""

import numpy as np
import pytest
from cases import SCALE, case, mice
from hypothesis import given
from hypothesis import strategies as st

from jaxbeh.data.checks import case as case_module
from jaxbeh.data.checks.missing import missing_keypoints
from jaxbeh.data.checks.swaps import identity_swaps
from jaxbeh.data.checks.teleports import teleports
from jaxbeh.finding import Severity


def exchange(centimetres, frame):
    swapped = centimetres.copy()
    swapped[frame:] = swapped[frame:, ::-1]
    return swapped


@pytest.mark.parametrize("check", [missing_keypoints, identity_swaps, teleports])
def test_mice_that_walk_are_in_order(check):
    assert check(case()) == []
    assert check(case(mice(count=1))) == []


# Missing


def test_a_keypoint_missing_in_more_than_half_is_named_with_its_mouse():
    seen = mice(frames=100)
    seen[:51, 1, 2] = np.nan
    seen[:50, 0, 3] = np.nan  # exactly half is not more than half
    (found,) = missing_keypoints(case(seen))
    assert "nose of mouse2 in 51%" in found.what
    assert "mouse1" not in found.what
    assert (found.severity, found.file, found.count) == (Severity.WARNING, "7.parquet", 51)


def test_a_mouse_that_is_hardly_there_is_one_thing_not_four():
    seen = mice(frames=100)
    seen[10:, 1] = np.nan
    (found,) = missing_keypoints(case(seen))
    assert "mouse2 as a whole in 90%" in found.what
    assert "nose" not in found.what


# Swaps


@given(frame=st.integers(1, 599))
def test_a_swap_is_found_at_its_frame_and_is_no_teleport(frame):
    swapped = case(exchange(mice(), frame))
    (found,) = identity_swaps(swapped)
    assert found.count == 1
    assert f"frame {frame} (" in found.what
    assert teleports(swapped) == []


def test_swaps_are_found_in_every_block_once(monkeypatch):
    monkeypatch.setattr(case_module, "_BLOCK", 50)
    frames = [49, 50, 51, 100, 333]
    seen = mice()
    for frame in frames:
        seen = exchange(seen, frame)
    (found,) = identity_swaps(case(seen))
    assert found.count == len(frames)
    assert "frame 49 (0:00:01), frame 50 (0:00:01), frame 51 (0:00:01), …" in found.what


def test_a_swap_while_one_mouse_is_hidden_is_found_behind_the_gap():
    seen = exchange(mice(), 300)
    seen[298:302, 0] = np.nan
    (found,) = identity_swaps(case(seen))
    assert "frame 302 (" in found.what


def test_a_swap_of_mice_that_lie_on_each_other_head_to_tail_is_found():
    seen = mice(count=1)
    other = seen[:, :, [0, 1, 3, 2]]  # nose where the other's tail base is
    (found,) = identity_swaps(case(exchange(np.concatenate([seen, other], axis=1), 200)))
    assert "frame 200 (" in found.what


def test_a_mouse_that_runs_to_the_others_place_is_no_swap():
    seen = mice()
    seen[300:, 0] = seen[299, 1] + seen[300:, 0] - seen[300, 0]
    assert identity_swaps(case(seen)) == []


def test_ears_alone_that_cross_by_a_head_are_no_swap():
    """They are 2 cm apart, which is no body length: a centimetre is no leap."""
    ears = mice(count=1)[:, :, :2]
    crossing = np.concatenate([ears, np.add(ears, [1.5, 0])], axis=1)
    keypoints = ["ear_left", "ear_right"]
    assert identity_swaps(case(exchange(crossing, 300), keypoints=keypoints)) == []
    apart = np.concatenate([ears, np.add(ears, [15, 0])], axis=1)
    assert len(identity_swaps(case(exchange(apart, 300), keypoints=keypoints))) == 1


def test_without_any_length_nothing_is_said():
    alone = case(mice()[:, :, :1], keypoints=["nose"], scale=None)
    assert identity_swaps(alone) == []
    assert teleports(alone) == []


# Teleports


def test_a_mouse_that_jumps_there_and_back_is_told_with_its_moments():
    seen = mice()
    seen[120, 1] += 100
    (found,) = teleports(case(seen))
    assert found.check == "teleports"
    assert found.count == 2
    assert "frame 120 (0:00:04), frame 121 (0:00:04)" in found.what


def test_jumps_are_noted_when_rare_and_warned_of_when_frequent():
    few, many = mice(frames=3000), mice(frames=3000)
    few[1000:, 0] += 40
    many[1000::500, 0] += 40
    assert teleports(case(few))[0].severity == Severity.NOTE
    assert teleports(case(many))[0].severity == Severity.WARNING


@pytest.mark.parametrize(("fps", "jump"), [(10, 35.0), (30, 11.5), (120, 4.0)])
def test_a_sprint_is_no_jump_at_any_frame_rate(fps, jump):
    """13 km/h, less the walk that is in it already; at 120 fps the tremor of a tracker."""
    seen = mice()
    seen[300:, 0, :, 0] += jump * 0.98
    assert teleports(case(seen, fps=fps)) == []
    seen[300:, 0, :, 0] += jump * 0.3
    assert len(teleports(case(seen, fps=fps))) == 1


def test_a_single_keypoint_that_often_jumps_is_named():
    seen = mice()
    seen[::40, 1, 3] += 30
    (found,) = teleports(case(seen))
    assert found.check == "jumping-keypoints"
    assert "tail_base of mouse2 in 4.8% of its steps" in found.what
    assert "mouse1" not in found.what
    seen[::40, 1, 3] -= 30
    seen[300, 1, 3] += 30
    assert teleports(case(seen)) == []


def test_gaps_are_no_jumps():
    seen = mice()
    seen[100:400] = np.nan
    seen[400:, 0] += 50
    assert teleports(case(seen)) == []


@given(
    offset=st.floats(-50, 50),
    turn=st.floats(0, 6.28),
)
def test_findings_do_not_depend_on_where_the_camera_stands(offset, turn):
    seen = exchange(mice(), 250)
    seen[400, 0] += 60
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    straight, moved = case(seen), case(seen @ rotation.T + offset)
    assert moved.pixels_per_cm == SCALE
    for check in (identity_swaps, teleports):
        assert [one.count for one in check(moved)] == [one.count for one in check(straight)] != []
