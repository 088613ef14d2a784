"""The MABe layout: files, columns, types, and what happens when writing stops half-way."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from jaxbeh.data.writer import (
    SOLUTION_COLUMNS,
    SUBMISSION_COLUMNS,
    VIDEO_COLUMNS,
    CollectionWriter,
    Event,
    MouseDescription,
    Video,
    annotation_table,
    tracking_table,
    write_collection,
)
from jaxbeh.errors import DataError
from jaxbeh.vocabulary import Triple

SNIFF = Triple("mouse1", "mouse2", "sniff")
REAR = Triple("mouse2", "self", "rear")


def points(frames: int = 3, mice: int = 2, names: int = 2) -> NDArray[np.float32]:
    """Coordinates that are all different."""
    return np.arange(frames * mice * names * 2, dtype=np.float32).reshape(frames, mice, names, 2)


def small_video(video_id: int = 1, **changes: object) -> Video:
    values: dict[str, object] = {
        "video_id": video_id,
        "lab_id": "Lab",
        "xy": points(),
        "keypoints": ("tail_base", "nose"),
        "fps": 30.0,
        "pixels_per_cm": 10.0,
        "size_px": (640, 480),
        "arena_cm": (40.0, 30.0),
        "mice": (MouseDescription(strain="B6", sex="male"), MouseDescription()),
        "whitelist": (SNIFF, REAR),
        "events": (Event(SNIFF, 0, 2), Event(REAR, 1, 3)),
    }
    return Video(**{**values, **changes})


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_tracking_is_long_sorted_and_typed() -> None:
    table = tracking_table(small_video(first_frame=7))
    assert table.schema.types == [pa.int32(), pa.int8(), pa.string(), pa.float32(), pa.float32()]
    assert table.column_names == ["video_frame", "mouse_id", "bodypart", "x", "y"]
    rows = table.to_pylist()
    assert len(rows) == 3 * 2 * 2
    keys = [(row["video_frame"], row["mouse_id"], row["bodypart"]) for row in rows]
    assert keys == sorted(keys)
    assert keys[0] == (7, 1, "nose")
    # nose is the second name, so its x is the third number of the first frame and mouse.
    assert (rows[0]["x"], rows[0]["y"]) == (2.0, 3.0)


def test_untracked_points_have_no_rows() -> None:
    xy = points()
    xy[1, 0, 0, 1] = np.nan  # half a point is no point
    xy[2] = np.nan
    table = tracking_table(small_video(xy=xy))
    assert table.num_rows == 4 + 3
    assert not np.isnan(table["x"].to_numpy()).any()
    assert set(table["video_frame"].to_pylist()) == {0, 1}


def test_untracked_points_as_rows_of_nan() -> None:
    xy = points()
    xy[1, 0, 0, 1] = np.nan
    xy[2] = np.nan
    table = tracking_table(small_video(xy=xy, nan_rows=True))
    assert table.num_rows == 4 + 4
    assert table["x"].null_count == 0
    missing = np.isnan(table["x"].to_numpy())
    assert missing.sum() == 1
    assert np.array_equal(missing, np.isnan(table["y"].to_numpy()))


@settings(max_examples=30, deadline=None)
@given(
    frames=st.integers(1, 6),
    mice=st.integers(1, 4),
    names=st.integers(1, 5),
    seed=st.integers(0, 1000),
    nan_rows=st.booleans(),
)
def test_tracking_gives_back_every_point(
    frames: int, mice: int, names: int, seed: int, nan_rows: bool
) -> None:
    rng = np.random.default_rng(seed)
    xy = rng.normal(size=(frames, mice, names, 2)).astype(np.float32)
    xy[rng.random(xy.shape[:3]) < 0.3] = np.nan
    keypoints = [f"part_{rank}" for rank in rng.permutation(names)]
    video = small_video(
        xy=xy, keypoints=keypoints, mouse_ids=range(1, mice + 1), mice=(), nan_rows=nan_rows
    )
    back = np.full_like(xy, np.nan)
    for row in tracking_table(video).to_pylist():
        at = row["video_frame"], row["mouse_id"] - 1, keypoints.index(row["bodypart"])
        back[at] = row["x"], row["y"]
    assert np.array_equal(back, xy, equal_nan=True)


def test_annotations_have_integer_ids_and_self_actions_name_the_agent_twice() -> None:
    table = annotation_table([Event(SNIFF, 0, 2), Event(REAR, 1, 3)])
    assert table.schema.types == [pa.int8(), pa.int8(), pa.string(), pa.int32(), pa.int32()]
    assert table.to_pylist() == [
        {"agent_id": 1, "target_id": 2, "action": "sniff", "start_frame": 0, "stop_frame": 2},
        {"agent_id": 2, "target_id": 2, "action": "rear", "start_frame": 1, "stop_frame": 3},
    ]
    assert annotation_table([]).num_rows == 0


def test_collection_layout(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "mice"
    unknown = small_video(2, fps=None, whitelist=None, events=None, mice=(), size_px=None)
    write_collection(folder, [small_video(), unknown], [small_video(3)])

    found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert found == [
        "sample_submission.csv",
        "solution.csv",
        "test.csv",
        "test_tracking/Lab/3.parquet",
        "train.csv",
        "train_annotation/Lab/1.parquet",
        "train_tracking/Lab/1.parquet",
        "train_tracking/Lab/2.parquet",
    ]
    assert [path.name for path in folder.parent.iterdir()] == ["mice"]

    assert len(VIDEO_COLUMNS) == 38
    full, bare = rows_of(folder / "train.csv")
    assert tuple(full) == VIDEO_COLUMNS
    assert full["frames_per_second"] == "30.0"
    assert full["video_duration_sec"] == "0.1"
    assert (full["mouse1_strain"], full["mouse1_sex"], full["mouse3_strain"]) == ("B6", "male", "")
    assert json.loads(full["body_parts_tracked"]) == ["nose", "tail_base"]
    assert json.loads(full["behaviors_labeled"]) == ["mouse1,mouse2,sniff", "mouse2,self,rear"]
    assert (bare["frames_per_second"], bare["behaviors_labeled"]) == ("", "")
    assert (bare["video_width_pix"], bare["video_duration_sec"]) == ("", "")

    solution = rows_of(folder / "solution.csv")
    assert tuple(solution[0]) == SOLUTION_COLUMNS
    assert [row["target_id"] for row in solution] == ["mouse2", "self"]
    assert solution[1] == {
        "video_id": "3",
        "agent_id": "mouse2",
        "target_id": "self",
        "action": "rear",
        "start_frame": "1",
        "stop_frame": "3",
        "lab_id": "Lab",
        "behaviors_labeled": '["mouse1,mouse2,sniff", "mouse2,self,rear"]',
    }
    sample = rows_of(folder / "sample_submission.csv")
    assert tuple(sample[0]) == SUBMISSION_COLUMNS
    assert list(sample[0].values()) == ["0", "3", "mouse1", "mouse2", "sniff", "0", "1"]


def test_an_empty_annotation_file_says_absent_and_none_says_unknown(tmp_path: Path) -> None:
    write_collection(tmp_path / "c", [small_video(1, events=()), small_video(2, events=None)])
    annotations = tmp_path / "c" / "train_annotation" / "Lab"
    assert [path.name for path in annotations.iterdir()] == ["1.parquet"]
    assert pq.read_table(annotations / "1.parquet").num_rows == 0
    assert not (tmp_path / "c" / "test.csv").exists()


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    folder.mkdir()
    write_collection(folder, [small_video()])
    assert (folder / "train.csv").is_file()


def test_an_occupied_folder_is_refused_and_kept(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    folder.mkdir()
    (folder / "mine.txt").write_text("keep")
    with pytest.raises(DataError, match="is not an empty folder; name another, or remove it"):
        write_collection(folder, [small_video()])
    assert (folder / "mine.txt").read_text() == "keep"
    with pytest.raises(DataError, match="not an empty folder"):
        write_collection(folder / "mine.txt", [small_video()])


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be made"):
        write_collection(tmp_path / "file" / "c", [small_video()])


def test_nothing_is_left_of_a_collection_that_failed(tmp_path: Path) -> None:
    def interrupted() -> Iterator[Video]:
        yield small_video()
        assert not (tmp_path / "c").exists()
        assert len(list(tmp_path.rglob("1.parquet"))) == 2
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_collection(tmp_path / "c", interrupted())
    assert list(tmp_path.iterdir()) == []


def test_the_first_of_two_writers_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "c"

    def slow() -> Iterator[Video]:
        yield small_video(1)
        write_collection(folder, [small_video(2)])

    with pytest.raises(DataError, match="not an empty folder"):
        write_collection(folder, slow())
    assert [row["video_id"] for row in rows_of(folder / "train.csv")] == ["2"]
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"xy": points(mice=1)}, r"xy is float32 \[3, 1, 2, 2\].* need float32 \[t, 2, 2, 2\]"),
        ({"xy": points().astype(np.float64)}, "xy is float64"),
        ({"keypoints": ("nose", "nose")}, "named twice"),
        ({"mouse_ids": (2, 1)}, "not ascending numbers from 1 to 4"),
        ({"mouse_ids": (1, 5)}, "not ascending numbers from 1 to 4"),
        ({"mice": (MouseDescription(),)}, "1 descriptions for 2 mice"),
        ({"lab_id": "../Lab"}, "cannot name a folder"),
        ({"lab_id": ".."}, "cannot name a folder"),
    ],
)
def test_videos_whose_parts_do_not_fit_are_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        write_collection(tmp_path / "c", [small_video(**changes)])
    assert list(tmp_path.iterdir()) == []


def test_ids_are_unique_over_both_splits(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="video 1 is added twice"):
        write_collection(tmp_path / "c", [small_video(1)], [small_video(1)])


def test_videos_are_taken_only_inside_the_block(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="inside its `with` block"):
        CollectionWriter(tmp_path / "c").add(small_video(), "train")
