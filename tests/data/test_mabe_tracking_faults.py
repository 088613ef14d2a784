"""Tracking files with faults: refused with a reason, or mended and counted; never a traceback."""

import numpy as np
import pyarrow as pa
import pytest
from mabe_folder import KEYPOINTS, rows, table, walk, write_parquet

from jaxbeh.data.mabe import stray
from jaxbeh.data.mabe.parquet import FileError, MissingFileError
from jaxbeh.data.mabe.tracking import read_tracking


def read(tmp_path, content, **options):
    return read_tracking(write_parquet(tmp_path / "1.parquet", content, **options))


@pytest.mark.parametrize(
    "types",
    [
        {"video_frame": pa.float64()},
        {"video_frame": pa.string()},
        {"mouse_id": pa.float32()},
        {"mouse_id": pa.string()},
        {"bodypart": pa.binary()},
        {"x": pa.string()},
        {"y": pa.int32()},
    ],
    ids=str,
)
def test_a_column_of_another_type_is_named(tmp_path, types):
    ((column, kind),) = types.items()
    content = table([0, 1], [1, 1], ["nose", "nose"], [1, 2], [1, 2], types=types)
    with pytest.raises(FileError) as caught:
        read(tmp_path, content)
    assert str(tmp_path / "1.parquet") in str(caught.value)
    assert f"{kind} in column '{column}'" in str(caught.value)
    assert str(tmp_path) not in caught.value.reason


@pytest.mark.parametrize("column", ["video_frame", "mouse_id", "bodypart", "x", "y"])
def test_a_missing_column_is_named(tmp_path, column):
    with pytest.raises(FileError, match=f"no column '{column}'"):
        read(tmp_path, rows(walk()).drop_columns([column]))


def test_a_column_that_is_there_twice_is_refused(tmp_path):
    content = rows(walk(4))
    with pytest.raises(FileError, match="2 columns 'x'"):
        read(tmp_path, content.append_column("x", content["y"]))


def test_other_columns_do_not_disturb(tmp_path):
    content = rows(walk())
    nested = pa.array([{"a": "z", "b": "y"}] * content.num_rows)
    plain, _ = read(tmp_path, content)
    tracking, _ = read(tmp_path, content.add_column(0, "more", nested))
    assert tracking.content_hash == plain.content_hash


def one_point(frame=0, mouse=1):
    many = 10
    return table(
        [*range(many), frame], [1] * many + [mouse], ["nose"] * (many + 1), [1] * 11, [1] * 11,
        types={"video_frame": pa.int64(), "mouse_id": pa.int64()},
    )  # fmt: skip


@pytest.mark.parametrize("statistics", [True, False])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (one_point(frame=-1), "video_frame -1 is negative"),
        (
            one_point(frame=2**62),
            "frames 0 to 4611686018427387904, 1 mice and 1 body parts are far more than",
        ),
        (one_point(frame=2_000_000_000), "correct the frame numbers or the names"),
        (one_point(mouse=5), "mouse_id 5 is outside 1 to 4"),
        (one_point(mouse=0), "mouse_id 0 is outside 1 to 4"),
        (one_point(mouse=-(2**62)), "is outside 1 to 4"),
        (table([], [], [], [], []), "has no rows"),
        (table([1], [1], ["nose"], [np.nan], [1.0]), "every position is missing"),
        (table([None], [1], ["nose"], [1.0], [1.0]), "every position is missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_impossible_content_is_refused(tmp_path, content, message, statistics):
    with pytest.raises(FileError, match=message):
        read(tmp_path, content, write_statistics=statistics)


def test_a_sparse_long_recording_is_not_refused(tmp_path):
    content = table([0, 5_000_000], [1, 1], ["nose"] * 2, [1, 2], [1, 2])
    tracking, findings = read(tmp_path, content)
    assert tracking.frames == 5_000_001
    assert findings == {"untracked_frames": 4_999_999}


def test_a_missing_file_a_folder_and_a_file_of_another_kind(tmp_path):
    with pytest.raises(MissingFileError, match="there is no tracking file"):
        read_tracking(tmp_path / "none.parquet")
    for path, content in (
        (tmp_path / "empty.parquet", b""),
        (tmp_path / "text.parquet", b"a,b\n1,2\n"),
    ):
        path.write_bytes(content)
        with pytest.raises(FileError, match="cannot be read") as caught:
            read_tracking(path)
        assert "\n" not in str(caught.value)
        assert str(path) not in caught.value.reason
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(FileError, match="cannot be read"):
        read_tracking(tmp_path / "folder.parquet")
    with pytest.raises(FileError, match="cannot be read"):
        read_tracking(tmp_path / ("x" * 300 + ".parquet"))


def test_a_truncated_file_is_refused(tmp_path):
    whole = write_parquet(tmp_path / "whole.parquet", rows(walk(300))).read_bytes()
    path = tmp_path / "part.parquet"
    for length in np.linspace(1, len(whole) - 1, 20).astype(int):
        path.write_bytes(whole[:length])
        with pytest.raises(FileError, match="cannot be read"):
            read_tracking(path)


def test_damage_never_ends_in_a_traceback(tmp_path):
    whole = bytearray(write_parquet(tmp_path / "whole.parquet", rows(walk(200))).read_bytes())
    draw = np.random.default_rng(1)
    path = tmp_path / "damaged.parquet"
    outcomes = set()
    for trial in range(300):
        damaged = whole.copy()
        # Every other one in the footer, where the worst faults of a reader lie.
        for place in draw.integers(len(whole) - 1500 if trial % 2 else 0, len(whole), 4):
            damaged[place] = int(draw.integers(256))
        path.write_bytes(damaged)
        try:
            read_tracking(path)
            outcomes.add("read")
        except FileError:
            outcomes.add("refused")
    assert "refused" in outcomes


def test_damage_is_seen_where_the_file_has_checksums(tmp_path):
    path = write_parquet(tmp_path / "1.parquet", rows(walk(200)), write_page_checksum=True)
    read_tracking(path)
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(FileError, match="cannot be read"):
        read_tracking(path)


def test_points_where_no_mouse_can_be_are_tracking_failures(tmp_path):
    pixels = walk(200)
    clean, _ = read(tmp_path, rows(pixels))
    spoilt = pixels.copy()
    spoilt[17, 1, 2] = [1e7, 0]
    spoilt[18, 0, 1] = [300, -9e8]
    tracking, findings = read(tmp_path, rows(spoilt))
    assert findings == {"stray": 2}
    assert not tracking.valid[17, 1, 2]
    assert not tracking.valid[18, 0, 1]
    assert tracking.step == pytest.approx(clean.step, rel=0.1)


def test_a_mouse_far_from_the_others_is_no_tracking_failure(tmp_path):
    pixels = walk(200)
    pixels[:, 1] += 40 * 60 / 2  # body lengths of about 61 pixels
    _, findings = read(tmp_path, rows(pixels))
    assert findings == {}


def test_without_two_keypoints_together_nothing_is_taken_for_stray(tmp_path):
    content = table([0, 1, 2], [1, 1, 1], ["nose"] * 3, [0, 1, 1e8], [0, 0, 0])
    tracking, findings = read(tmp_path, content)
    assert findings == {}
    assert tracking.valid.all()


def test_coinciding_keypoints_do_not_make_all_else_stray(tmp_path):
    pixels = np.broadcast_to(np.arange(30.0)[:, None, None, None], (30, 1, 3, 2))
    _, findings = read(tmp_path, rows(pixels, keypoints=KEYPOINTS[:3]))
    assert findings == {}


def test_a_body_length_seen_only_now_and_then_still_protects_the_step(tmp_path, monkeypatch):
    """Sampled frames hold single keypoints only; the few with two are found all the same."""
    monkeypatch.setattr(stray, "_SAMPLE", 64)
    pixels = walk(1000, mice=1, keypoints=2)
    pixels[:, :, 1] = np.nan
    pixels[777, :, 1] = pixels[777, :, 0] + 10
    pixels[5, 0, 0] = 1e8
    _, findings = read(tmp_path, rows(pixels, keypoints=KEYPOINTS[:2]))
    assert findings == {"stray": 1, "untracked_frames": 1}
