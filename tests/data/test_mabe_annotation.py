"""Events: half-open, on the tracked frames, nothing changed or dropped silently."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mabe_folder import EVENT_COLUMNS, annotation, write_parquet

from jaxbeh.data.mabe.annotation import event_factor, place_events, read_annotation
from jaxbeh.data.mabe.parquet import FileError, MissingFileError
from jaxbeh.data.report import ReadingReport
from jaxbeh.settings.run import EventScale
from jaxbeh.vocabulary import Triple

SNIFF = Triple("mouse1", "mouse2", "sniff")


def read(tmp_path, events):
    content = events if isinstance(events, pa.Table) else annotation(events)
    return read_annotation(write_parquet(tmp_path / "1.parquet", content))


def place(tmp_path, events, first_frame=0, frames=100, factor=1.0):
    report = ReadingReport()
    placed = place_events(read(tmp_path, events), first_frame, frames, factor, report, "1")
    spans = list(zip(placed.start.tolist(), placed.stop.tolist(), strict=True))
    return placed, spans, {finding.what: finding.count for finding in report.findings()}


def test_who_does_what_to_whom(tmp_path):
    events = [(1, 2, "sniff", 3, 9), (2, 1, "attack", 0, 100), (2, 2, "rear", 5, 6)]
    placed, spans, findings = place(tmp_path, events)
    assert placed.triples == (SNIFF, ("mouse2", "mouse1", "attack"), ("mouse2", "self", "rear"))
    assert spans == [(3, 9), (0, 100), (5, 6)]
    assert placed.start.dtype == placed.stop.dtype == np.int64
    assert findings == {}


def test_frames_become_indices_of_the_tracking(tmp_path):
    _, spans, findings = place(tmp_path, [(1, 2, "sniff", 503, 509)], first_frame=500)
    assert spans == [(3, 9)]
    assert findings == {}


def test_events_beyond_the_tracked_frames_are_clipped_or_dropped_and_counted(tmp_path):
    events = [
        (1, 2, "sniff", 490, 503),
        (1, 2, "sniff", 599, 1000),
        (1, 2, "sniff", 0, 2**31 - 1),
        (1, 2, "sniff", 400, 500),
        (1, 2, "sniff", 600, 700),
        (1, 2, "sniff", 500, 600),
    ]
    _, spans, findings = place(tmp_path, events, first_frame=500)
    assert spans == [(0, 3), (99, 100), (0, 100), (0, 100)]
    assert findings == {
        "events that reach beyond the tracked frames": 3,
        "events outside the tracked frames": 2,
    }


def test_events_without_frames_are_dropped_and_counted(tmp_path):
    events = [(1, 2, "sniff", 5, 5), (1, 2, "sniff", 9, 3), (1, 2, "sniff", 3, 4)]
    _, spans, findings = place(tmp_path, events)
    assert spans == [(3, 4)]
    assert findings == {"events that stop before they start, or at once": 2}


def test_mice_that_cannot_be_are_dropped_and_counted(tmp_path):
    events = [
        (0, 2, "sniff", 1, 2),
        (1, 5, "sniff", 1, 2),
        (-1, -1, "rear", 1, 2),
        (4, 3, "sniff", 1, 2),
    ]
    placed, _, findings = place(tmp_path, events)
    assert placed.triples == (("mouse4", "mouse3", "sniff"),)
    assert findings == {"events of a mouse id outside 1 to 4": 3}


def test_empty_fields_are_dropped_and_counted(tmp_path):
    events = [
        (None, 2, "sniff", 1, 2),
        (1, None, "sniff", 1, 2),
        (1, 2, None, 1, 2),
        (1, 2, " ", 1, 2),
        (1, 2, "sniff", None, 2),
        (1, 2, "sniff", 1, None),
        (1, 2, " sniff ", 1, 2),
    ]
    placed, _, findings = place(tmp_path, events)
    assert placed.triples == (SNIFF,)
    assert findings == {"events with an empty field": 6}


def test_events_scaled_from_another_frame_rate(tmp_path):
    _, spans, findings = place(
        tmp_path, [(1, 2, "sniff", 30, 60), (1, 2, "sniff", 60, 66)], factor=25 / 30
    )
    assert spans == [(25, 50), (50, 55)]  # they met, and still meet
    assert findings == {"events annotated at another frame rate (data.event_scale)": 2}


def test_scaled_halves_go_to_the_even_frame(tmp_path):
    events = [(1, 2, "sniff", 1, 5), (1, 2, "sniff", 3, 7), (1, 2, "sniff", 2, 3)]
    _, spans, _ = place(tmp_path, events, factor=0.5)
    assert spans == [(0, 2), (2, 4), (1, 2)]


def test_frame_numbers_are_scaled_before_the_first_frame_is_subtracted(tmp_path):
    _, spans, _ = place(tmp_path, [(1, 2, "sniff", 1030, 1060)], first_frame=500, factor=0.5)
    assert spans == [(15, 30)]


def test_events_scaled_to_nothing_are_counted(tmp_path):
    _, spans, findings = place(tmp_path, [(1, 2, "sniff", 10, 11)], factor=0.1)
    assert spans == []
    assert findings["events that stop before they start, or at once"] == 1


@pytest.mark.parametrize(
    ("lab", "fps", "factor"),
    [("Snail", 25.0, 0.5), ("Snail", 25.009, 0.5), ("Snail", 25.02, 1), ("Other", 25.0, 1)],
)
def test_only_the_named_lab_and_rate_is_scaled(lab, fps, factor):
    scales = [
        EventScale(lab="Snail", fps=25.0, factor=0.5),
        EventScale(lab="Snail", fps=30.0, factor=9.0),
    ]
    assert event_factor(scales, lab, fps) == factor


@pytest.mark.parametrize("kind", [pa.int8(), pa.null(), pa.string()], ids=str)
def test_a_file_without_rows_says_that_nothing_happened(tmp_path, kind):
    content = pa.table({name: pa.array([], kind) for name in EVENT_COLUMNS})
    placed, spans, findings = place(tmp_path, content)
    assert (placed.triples, spans, findings) == ((), [], {})
    assert placed.start.dtype == np.int64


@pytest.mark.parametrize("column", EVENT_COLUMNS)
def test_a_missing_or_mistyped_column_is_named(tmp_path, column):
    content = annotation([(1, 2, "sniff", 3, 9)])
    with pytest.raises(FileError, match=f"no column '{column}'"):
        read(tmp_path, content.drop_columns([column]))
    index = EVENT_COLUMNS.index(column)
    with pytest.raises(FileError, match=f"double in column '{column}'"):
        read(tmp_path, content.set_column(index, column, pa.array([1.0])))


def test_missing_and_truncated_files(tmp_path):
    with pytest.raises(MissingFileError, match="there is no annotation file"):
        read_annotation(tmp_path / "none.parquet")
    path = write_parquet(tmp_path / "1.parquet", annotation([(1, 2, "sniff", 3, 9)]))
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(FileError, match="cannot be read"):
        read_annotation(path)


frame = st.integers(-(2**63), 2**63 - 1) | st.integers(-50, 250)


@given(
    spans=st.lists(st.tuples(frame, frame), max_size=20),
    first=st.integers(0, 100),
    frames=st.integers(1, 120),
    factor=st.sampled_from([1.0, 25 / 30, 0.5, 3.0, 1e-9, 1e30]),
)
def test_placed_events_fit_and_none_is_lost_uncounted(
    tmp_path_factory, spans, first, frames, factor
):
    content = pa.table(
        {
            "agent_id": pa.array([1] * len(spans), pa.int8()),
            "target_id": pa.array([2] * len(spans), pa.int8()),
            "action": pa.array(["sniff"] * len(spans), pa.string()),
            "start_frame": pa.array([start for start, _ in spans], pa.int64()),
            "stop_frame": pa.array([stop for _, stop in spans], pa.int64()),
        }
    )
    path = write_parquet(tmp_path_factory.getbasetemp() / "events.parquet", content)
    report = ReadingReport()
    placed = place_events(read_annotation(path), first, frames, factor, report, "1")
    assert (placed.start >= 0).all()
    assert (placed.start < placed.stop).all()
    assert (placed.stop <= frames).all()
    dropped = sum(item.count for item in report.findings() if item.then == "dropped")
    assert len(placed.triples) == len(placed.start) == len(spans) - dropped
