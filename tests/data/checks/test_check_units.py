"""Frame rate and scale: missing, impossible, or contradicted; silent where they fit."""

import numpy as np
import pytest
from cases import case, mice

from jaxbeh.data.checks.units import frame_rate, scale
from jaxbeh.finding import Severity


def names(findings):
    return [finding.check for finding in findings]


def test_what_fits_is_not_told():
    whole = case(cells={"video_duration_sec": "20", "arena_width_cm": "35", "arena_height_cm": ""})
    assert frame_rate(whole) == []
    assert scale(whole) == []


def test_a_missing_frame_rate_names_the_table_and_the_default():
    (found,) = frame_rate(case(fps=None))
    assert found.check == "fps-missing"
    assert (found.file, found.severity) == ("train.csv", Severity.WARNING)
    assert "taken as 30" in found.what


@pytest.mark.parametrize("fps", [0.033, 4.9, 1001, 30_000])
def test_an_impossible_frame_rate(fps):
    assert names(frame_rate(case(fps=fps))) == ["fps-implausible"]


@pytest.mark.parametrize(("fps", "severity"), [(1e-320, "error"), (0.9, "error"), (1, "warning"),
                                              (1e5, "warning"), (1e300, "error")])  # fmt: skip
def test_one_that_no_video_has_is_an_error(fps, severity):
    (found,) = frame_rate(case(fps=fps))
    assert (found.severity, "left out" in found.what) == (severity, severity == "error")


@pytest.mark.parametrize("fps", [10, 24.36, 25, 29.97, 60.01, 120.02])
def test_frame_rates_of_real_labs_are_plausible(fps):
    assert frame_rate(case(fps=fps)) == []


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        ("20.0", []),
        ("19.5", []),  # 600 frames at 30: rounded or a few lost
        ("40", []),  # tracked only in part
        ("16.67", ["fps-contradicted"]),  # 36 a second
        ("", []),
        ("nan", []),
        ("-3", []),
        ("a while", []),
    ],
)
def test_frames_that_the_duration_has_no_time_for(duration, expected):
    assert names(frame_rate(case(cells={"video_duration_sec": duration}))) == expected


def test_a_contradicted_frame_rate_says_what_the_duration_makes_it():
    (found,) = frame_rate(case(fps=25, cells={"video_duration_sec": "20"}))
    assert "30 frames a second" in found.what


def test_a_missing_scale_is_a_note_with_what_is_taken():
    (found,) = scale(case(scale=None))
    assert (found.check, found.severity) == ("scale-missing", Severity.NOTE)
    assert "nose to tail base: 10 units a cm" in found.what


def test_a_scale_that_cannot_be_measured_is_an_error():
    (found,) = scale(case(mice()[:, :, :1], keypoints=["nose"], scale=None))
    assert (found.check, found.severity) == ("scale-missing", Severity.ERROR)
    assert "left out" in found.what


@pytest.mark.parametrize("factor", [0.5, 2.8])
def test_mice_of_an_impossible_length_contradict_the_scale(factor):
    """Here the mice are 9 cm at 10 pixels a centimetre."""
    (found,) = scale(case(scale=10 * factor))
    assert found.check == "scale-contradicted"
    assert f"{9 / factor:.1f} cm" in found.what


@pytest.mark.parametrize("factor", [0.7, 1.0, 2.0])
def test_pups_and_stretched_mice_do_not(factor):
    assert scale(case(scale=10 * factor)) == []


def test_without_nose_and_tail_the_limits_are_wider():
    ears = case(mice()[:, :, :2], keypoints=["ear_left", "ear_right"])
    assert scale(ears) == []  # 2 cm apart
    far = case(mice()[:, :, :2], keypoints=["ear_left", "ear_right"], scale=0.5)
    assert names(scale(far)) == ["scale-contradicted"]


def test_ground_that_the_arena_does_not_have():
    (found,) = scale(case(cells={"arena_width_cm": "12", "arena_height_cm": "10"}))
    assert "in an arena of 12 cm" in found.what
    seen = mice()
    seen[17] += 400  # one frame is no ground covered
    assert scale(case(seen, cells={"arena_width_cm": "35"})) == []


def test_missing_points_cover_no_ground():
    seen = mice()
    seen[::3] = np.nan
    assert scale(case(seen, cells={"arena_width_cm": "35"})) == []
