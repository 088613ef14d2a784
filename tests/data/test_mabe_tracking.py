"""Long tracking tables → packed counts: places, precision, faults."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mabe_folder import KEYPOINTS, rows, table, walk, write_parquet

from jaxbeh.data.mabe import tracking as tracking_module
from jaxbeh.data.mabe.parquet import FileError
from jaxbeh.data.mabe.quantise import quantise
from jaxbeh.data.mabe.tracking import read_tracking
from jaxbeh.data.recording import MISSING


def read(tmp_path, content, **options):
    return read_tracking(write_parquet(tmp_path / "1.parquet", content, **options))


def close_to(pixels, tracking):
    """Whether a tracking has these pixels `[t, m, k, 2]`, missing points included."""
    expected = np.where(np.isnan(pixels).any(-1, keepdims=True), np.nan, pixels)
    return np.allclose(tracking.pixels(), expected, atol=0.505 * tracking.step, equal_nan=True)


def test_positions_come_back_in_their_slots(tmp_path):
    pixels = walk()
    tracking, findings = read(tmp_path, rows(pixels))
    assert (tracking.mice, tracking.keypoints, tracking.first_frame) == ((1, 2), KEYPOINTS, 0)
    assert tracking.xy.shape == (40, 2, 4, 2)
    assert tracking.xy.dtype == np.int16
    assert close_to(pixels, tracking)
    assert findings == {}


def test_x_and_y_of_a_keypoint_stay_together_whatever_the_order_of_rows(tmp_path):
    pixels = walk()
    content = rows(pixels)
    straight, _ = read(tmp_path, content)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(content.num_rows)
        shuffled, findings = read(tmp_path, content.take(order))
        assert np.array_equal(shuffled.xy, straight.xy)
        assert shuffled.content_hash == straight.content_hash
        assert findings == {}


def test_keypoints_are_placed_by_name_not_by_column_order(tmp_path):
    pixels = walk()
    backwards = tuple(reversed(KEYPOINTS))
    first, _ = read(tmp_path, rows(pixels))
    second, _ = read(tmp_path, rows(pixels[:, :, ::-1], keypoints=backwards))
    assert second.keypoints == KEYPOINTS
    assert second.content_hash == first.content_hash


cell = st.tuples(st.integers(3, 12), st.integers(1, 4), st.sampled_from(["nose", "a", "ünï", ""]))
position = st.one_of(
    st.floats(-500, 500, width=32),
    st.sampled_from([np.nan, np.inf, -np.inf]),
    st.none(),
)


@given(
    content=st.lists(st.tuples(cell, position, position), min_size=1, max_size=60),
    holes=st.sets(st.integers(0, 59), max_size=5),
    group=st.integers(1, 70),
    statistics=st.booleans(),
    wide=st.booleans(),
)
def test_scatter_equals_a_dictionary(tmp_path_factory, content, holes, group, statistics, wide):
    """Against the slowest reading there is: one row after the other into a dictionary."""
    path = tmp_path_factory.getbasetemp() / "scatter.parquet"
    columns = [
        [frame for (frame, _, _), _, _ in content],
        [mouse for (_, mouse, _), _, _ in content],
        [None if row in holes else key[2] for row, (key, _, _) in enumerate(content)],
        [x for _, x, _ in content],
        [y for _, _, y in content],
    ]
    real = pa.float64() if wide else pa.float32()
    written = table(*columns, types={"x": real, "y": real, "bodypart": pa.large_string()})
    write_parquet(path, written, row_group_size=group, write_statistics=statistics)
    expected, missing, placed = {}, 0, 0
    for row, (key, x, y) in enumerate(content):
        if row in holes:
            continue
        placed += 1
        gone = any(value is None or not np.isfinite(value) for value in (x, y))
        missing += gone
        expected[key] = None if gone else (x, y)
    if not any(expected.values()):
        with pytest.raises(FileError, match="no tracked point"):
            read_tracking(path)
        return
    tracking, findings = read_tracking(path)
    assert findings.get("missing", 0) == missing
    assert findings.get("repeated", 0) == placed - len(expected)
    assert findings.get("unplaced", 0) == len(content) - placed
    found = {}
    pixels = tracking.pixels()
    for index in zip(*np.nonzero(tracking.valid), strict=True):
        frame, mouse, keypoint = index
        key = frame + tracking.first_frame, tracking.mice[mouse], tracking.keypoints[keypoint]
        found[key] = pixels[index]
    there = {key: value for key, value in expected.items() if value}
    assert found.keys() == there.keys()
    for key, value in there.items():
        assert np.allclose(found[key], value, atol=0.505 * tracking.step + 1e-4)
    assert set(tracking.mice) == {mouse for _, mouse, _ in there}
    assert set(tracking.keypoints) == {part for _, _, part in there}
    assert tracking.xy.flags.c_contiguous


@given(
    st.lists(
        st.tuples(st.floats(-1e9, 1e9, width=32), st.floats(-1e9, 1e9, width=32)),
        min_size=1,
        max_size=50,
    ),
    st.sampled_from([np.float32, np.float64]),
)
def test_quantisation_is_off_by_half_a_step_at_most(points, dtype):
    xy = np.array(points, dtype).T
    counts, origin, step = quantise(xy)
    assert counts.min() > MISSING
    # The rest is what float32 cannot tell apart.
    rounding = 0.005 if dtype is np.float32 else 1e-9
    assert np.abs(origin + step * counts.astype(np.float64) - xy.T).max() <= (0.5 + rounding) * step


@pytest.mark.parametrize(("low", "high"), [(-9, 9), (0, 56_000), (1e6, 1e6 + 50), (3, 3)])
def test_the_step_follows_the_span(tmp_path, low, high):
    pixels = np.linspace(low, high, 2 * 20 * 4 * 2).reshape(20, 2, 4, 2)
    kinds = {"x": pa.float64(), "y": pa.float64()}
    content = rows(pixels).to_pydict()
    flat = pixels.reshape(-1, 2)
    content = table(
        content["video_frame"], content["mouse_id"], content["bodypart"], *flat.T, types=kinds
    )
    tracking, _ = read(tmp_path, content)
    error = tracking.origin + tracking.step * tracking.xy.astype(np.float64) - pixels
    assert np.abs(error).max() <= max(0.5001 * (high - low) / 65_534, 1e-12)


def test_missing_is_never_a_position(tmp_path):
    pixels = walk()
    pixels[5, 0, 2] = np.nan
    pixels[7, 1, :, 1] = np.nan  # half a position is none
    content = rows(pixels).to_pydict()
    content["x"][4] = float("nan")
    tracking, findings = read(tmp_path, table(*content.values()))
    assert not tracking.valid[5, 0, 2]
    assert not tracking.valid[7, 1].any()
    assert not tracking.valid[0, 1, 0]
    assert (tracking.xy[~tracking.valid] == MISSING).all()
    assert np.isnan(tracking.pixels()[~tracking.valid]).all()
    assert findings == {"missing": 1}


def test_an_absent_row_a_nan_and_a_null_say_the_same(tmp_path):
    pixels = walk(keypoints=3)
    pixels[5, 0, 2] = np.nan
    full = np.where(np.isnan(pixels), 1.0, pixels)
    hashes = set()
    for stand_in in (float("nan"), None, float("inf"), -1e30):
        content = rows(full, keypoints=KEYPOINTS[:3]).to_pydict()
        content["x"][5 * 6 + 2] = stand_in
        tracking, findings = read(tmp_path, table(*content.values()))
        assert findings == {"missing": 1}
        hashes.add(tracking.content_hash)
    absent, _ = read(tmp_path, rows(pixels, keypoints=KEYPOINTS[:3]))
    assert hashes == {absent.content_hash}


def test_numbering_starts_anywhere_and_gaps_are_missing_frames(tmp_path):
    pixels = walk(60)
    pixels[20:30] = np.nan
    tracking, findings = read(tmp_path, rows(pixels, first_frame=500))
    assert (tracking.first_frame, tracking.frames) == (500, 60)
    assert not tracking.valid[20:30].any()
    assert close_to(pixels, tracking)
    assert findings == {"untracked_frames": 10}


def test_mice_are_known_by_id(tmp_path):
    pixels = walk(mice=2)
    tracking, _ = read(tmp_path, rows(pixels, mice=[2, 4]))
    assert tracking.mice == (2, 4)
    assert close_to(pixels, tracking)


def test_a_mouse_and_a_keypoint_without_any_position_are_left_out(tmp_path):
    pixels = walk(mice=3)
    content = rows(pixels).to_pydict()
    for row, key in enumerate(zip(content["mouse_id"], content["bodypart"], strict=True)):
        if key[0] == 2 or key[1] == "nose":
            content["y"][row] = float("nan")
    tracking, _ = read(tmp_path, table(*content.values()))
    assert (tracking.mice, tracking.keypoints) == ((1, 3), ("ear_left", "ear_right", "tail_base"))
    assert close_to(pixels[:, [0, 2]][:, :, [0, 1, 3]], tracking)


def test_mice_and_keypoints_that_come_late_find_their_place(tmp_path, monkeypatch):
    monkeypatch.setattr(tracking_module, "BATCH_ROWS", 7)
    pixels = walk(60, mice=4)
    pixels[:20, [0, 3]] = np.nan
    pixels[:40, 0] = np.nan
    pixels[:30, :, :2] = np.nan
    tracking, findings = read(tmp_path, rows(pixels), row_group_size=11)
    assert (tracking.mice, tracking.keypoints) == ((1, 2, 3, 4), KEYPOINTS)
    assert close_to(pixels, tracking)
    assert findings == {}


def test_the_last_of_repeated_rows_wins_and_is_counted(tmp_path):
    pixels = walk()
    content = rows(pixels)
    changed = pixels.copy()
    changed[3] += 2
    again = rows(changed[3:4], first_frame=3)
    tracking, findings = read(tmp_path, pa.concat_tables([content, again]))
    assert close_to(changed, tracking)
    assert findings == {"repeated": 8}


@pytest.mark.parametrize(
    "types",
    [
        {"video_frame": pa.int64(), "mouse_id": pa.int64()},
        {"video_frame": pa.uint64(), "mouse_id": pa.uint64()},
        {"video_frame": pa.int16(), "mouse_id": pa.uint8()},
        {"bodypart": pa.large_string()},
        {"bodypart": pa.string_view()},
        {"bodypart": pa.dictionary(pa.int8(), pa.string())},
        {"bodypart": pa.dictionary(pa.uint32(), pa.large_string())},
    ],
    ids=str,
)
def test_column_types_that_say_the_same(tmp_path, types):
    pixels = walk().astype(np.float32)
    usual, _ = read(tmp_path, rows(pixels))
    other, findings = read(tmp_path, table(*rows(pixels).to_pydict().values(), types=types))
    assert other.content_hash == usual.content_hash
    assert findings == {}


@pytest.mark.parametrize("types", [{"x": pa.float64(), "y": pa.float64()}, {"y": pa.float64()}])
def test_float64_positions(tmp_path, types):
    pixels = walk()
    tracking, _ = read(tmp_path, table(*rows(pixels).to_pydict().values(), types=types))
    assert close_to(pixels, tracking)
