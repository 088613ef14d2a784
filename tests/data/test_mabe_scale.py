"""Units and centres: measured, or from the animals' own bodies."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mabe_folder import rows, walk, write_parquet

from jaxbeh.data.mabe import scale
from jaxbeh.data.mabe.scale import centre, pixels_per_cm
from jaxbeh.data.mabe.stray import farthest_apart
from jaxbeh.data.mabe.tracking import read_tracking
from jaxbeh.data.mabe.videos import VideoRow
from jaxbeh.data.report import ReadingReport
from jaxbeh.errors import DataError
from jaxbeh.settings.run import DataSettings

NAMES = ("belly", "nose", "tail_base")


def row(pixels_per_cm=None, size=None):
    return VideoRow("1", "Lab", 30.0, pixels_per_cm, size, None)


@pytest.fixture
def pack(tmp_path):
    def make(pixels, keypoints=NAMES):
        return read_tracking(
            write_parquet(tmp_path / "1.parquet", rows(pixels, keypoints=keypoints))
        )[0]

    return make


def body(lengths, nose_to_tail):
    """One mouse `[t, 1, 3, 2]`: the belly `lengths` from the nose, the tail base nearer."""
    pixels = np.zeros((len(lengths), 1, 3, 2)) + 200
    pixels[:, 0, 0, 0] += lengths
    pixels[:, 0, 2, 1] += nose_to_tail
    return pixels


def measured(tracking, settings=None, **known):
    report = ReadingReport()
    found = pixels_per_cm(row(**known), tracking, settings or DataSettings(), report)
    return found, [(finding.what, finding.then) for finding in report.findings()]


def test_a_known_scale_is_taken(pack):
    assert measured(pack(walk(keypoints=3)), pixels_per_cm=7.5) == (7.5, [])


def test_nose_to_tail_base_is_taken_as_the_assumed_length(pack):
    found, findings = measured(pack(body([90] * 10, [10, 20, 20, 20, 99, 20, 20, 20, 20, 1])))
    assert found == pytest.approx(20 / 9, rel=1e-3)
    assert findings == [
        (
            "no pixels per centimetre: nose to tail base",
            "taken as 9 cm long (data.assumed_body_length_cm)",
        )
    ]


def test_the_assumed_length_is_a_setting(pack):
    tracking = pack(body([90] * 10, [20] * 10))
    found, _ = measured(tracking, DataSettings(assumed_body_length_cm=5.0))
    assert found == pytest.approx(4, rel=1e-3)


def test_names_go_through_the_aliases(pack):
    tracking = pack(body([90] * 10, [20] * 10), keypoints=("belly", "snout", "tail_root"))
    aliases = {"snout": "nose", "tail_root": "tail_base"}
    found, _ = measured(tracking, DataSettings(aliases=aliases))
    assert found == pytest.approx(20 / 9, rel=1e-3)
    other, findings = measured(tracking)
    assert other == pytest.approx(np.hypot(90, 20) / 9, rel=1e-3)
    assert "longest distance" in findings[0][0]


def test_without_both_ends_together_the_longest_distance_is_taken(pack):
    pixels = body([40, 60, 80], [20] * 3)
    pixels[:, 0, 2] = np.nan
    found, findings = measured(pack(pixels))
    assert found == pytest.approx(60 / 9, rel=1e-3)
    assert "longest distance" in findings[0][0]


def test_all_mice_count(pack):
    pixels = np.concatenate([body([1] * 9, [20] * 9), body([1] * 9, [40] * 9) + 300], axis=1)
    pixels[:4, 0] = np.nan
    found, _ = measured(pack(pixels))
    assert found == pytest.approx(40 / 9, rel=1e-3)


def test_a_video_that_cannot_be_measured_is_refused_with_the_remedy(pack):
    single = walk(mice=2, keypoints=1)
    with pytest.raises(DataError, match="fill pix_per_cm_approx"):
        measured(pack(single, keypoints=["nose"]))
    assert measured(pack(single, keypoints=["nose"]), pixels_per_cm=3.0)[0] == 3.0
    with pytest.raises(DataError, match="fill pix_per_cm_approx"):
        measured(pack(np.zeros((5, 1, 3, 2)) + 7))


def test_the_middle_of_a_known_picture(pack):
    assert centre(row(size=(800.0, 600.0)), pack(walk(keypoints=3))).tolist() == [400, 300]


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_the_median_position_elsewhere(tmp_path_factory, frames, seed):
    pixels = walk(frames, seed=seed)
    pixels[np.random.default_rng(seed).random(pixels.shape[:3]) < 0.3] = np.nan
    pixels[0, 0] = 400
    path = tmp_path_factory.getbasetemp() / "centre.parquet"
    tracking, _ = read_tracking(write_parquet(path, rows(pixels)))
    expected = np.nanmedian(pixels.reshape(-1, 2), axis=0)
    assert np.abs(centre(row(), tracking) - expected).max() <= tracking.step


def test_long_videos_in_blocks_give_the_same(pack, monkeypatch):
    tracking = pack(walk(300, keypoints=3))
    whole = measured(tracking)[0], centre(row(), tracking).tolist()
    monkeypatch.setattr(scale, "_BLOCK", 7)
    assert (measured(tracking)[0], centre(row(), tracking).tolist()) == whole


def test_farthest_apart_by_hand():
    nan = np.nan
    x = np.array([[0, 3, 1], [0, nan, 5], [nan, nan, 5], [nan, nan, nan], [2, 2, 2]])
    lengths = farthest_apart(np.stack([x, np.where(np.isnan(x), nan, x * 4 / 3)]))
    assert lengths == pytest.approx([5, 25 / 3, 0])
