import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbeh.data.recording import Recording, Tracking
from jaxbeh.errors import DataError
from jaxbeh.inference.bouts import BOUT_COLUMNS, Bouts, runs
from jaxbeh.vocabulary import Triple

SNIFF = Triple("mouse1", "mouse2", "sniff")
REAR = Triple("mouse2", "self", "rear")


def recording(frames=50, first_frame=10, fps=25.0):
    tracking = Tracking(
        xy=np.zeros((frames, 2, 1, 2), np.int16),
        origin=np.zeros(2),
        step=1.0,
        first_frame=first_frame,
        mice=(1, 2),
        keypoints=("nose",),
        content_hash="",
    )
    return Recording(
        video_id="007",
        lab_id="lab",
        tracking=tracking,
        fps=fps,
        pixels_per_cm=10.0,
        centre=np.zeros(2),
        whitelist=None,
        events=None,
    )


def bouts(*spans, **options):
    start, stop = np.array(spans, np.int64).reshape(-1, 2).T
    return Bouts.of_recording(
        recording(**options), [SNIFF] * len(spans), start, stop, np.full(len(spans), 0.5)
    )


def test_runs_known_answer():
    start, stop, classes = runs(np.array([0, 0, 2, 2, 2, 1, 0]))
    assert (start.tolist(), stop.tolist()) == ([0, 2, 5, 6], [2, 5, 6, 7])
    assert classes.tolist() == [0, 2, 1, 0]


def test_runs_of_nothing_and_of_one():
    assert [part.tolist() for part in runs(np.zeros(0, np.int8))] == [[], [], []]
    assert [part.tolist() for part in runs(np.array([3], np.uint8))] == [[0], [1], [3]]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-2, 2), max_size=40))
def test_runs_cover_everything_once_and_are_maximal(values):
    start, stop, classes = runs(np.array(values, np.int32))
    assert (start.dtype, stop.dtype, classes.dtype) == (np.int64, np.int64, np.int32)
    rebuilt = [c for a, b, c in zip(start, stop, classes, strict=True) for _ in range(a, b)]
    assert rebuilt == values
    assert (start < stop).all()
    assert (classes[1:] != classes[:-1]).all()


def test_frames_are_the_files_and_seconds_are_frame_over_fps():
    made = Bouts.of_recording(
        recording(), [SNIFF, REAR], np.array([0, 5]), np.array([5, 50]), np.array([0.25, 1.0])
    )
    assert len(made) == 2
    assert made.table.to_dict("records") == [
        {"video_id": "007", "agent_id": "mouse1", "target_id": "mouse2", "action": "sniff",
         "start_frame": 10, "stop_frame": 15, "start_s": 0.4, "stop_s": 0.6, "score": 0.25},
        {"video_id": "007", "agent_id": "mouse2", "target_id": "self", "action": "rear",
         "start_frame": 15, "stop_frame": 60, "start_s": 0.6, "stop_s": 2.4, "score": 1.0},
    ]  # fmt: skip
    assert list(made.table.columns) == list(BOUT_COLUMNS)


def test_empty_keeps_its_types():
    for empty in (Bouts.empty(), bouts(), Bouts.concatenate([]), Bouts.concatenate([bouts()])):
        assert len(empty) == 0
        assert empty.table["start_frame"].dtype == np.int64
        assert empty.table["score"].dtype == np.float64


def test_concatenate_keeps_the_order_and_numbers_anew():
    joined = Bouts.concatenate([bouts((5, 6), (0, 2)), Bouts.empty(), bouts((1, 3))])
    assert joined.table.index.tolist() == [0, 1, 2]
    assert joined.table["start_frame"].tolist() == [15, 10, 11]


@pytest.mark.parametrize("span", [(3, 3), (4, 3)])
def test_refuses_a_bout_without_a_frame(span):
    with pytest.raises(DataError, match="bout 1 of video 007 has no frame"):
        bouts((0, 2), span)


def test_refuses_other_columns_and_change():
    with pytest.raises(DataError, match=r"start_s.*this one has video_id"):
        Bouts(pd.DataFrame({"video_id": ["1"]}))
    with pytest.raises(dataclasses.FrozenInstanceError):
        bouts((0, 1)).table = pd.DataFrame()
