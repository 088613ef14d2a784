"""Segment F1 and the edit score: known answers and the rules read literally."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbeh.errors import DataError
from jaxbeh.metrics.segments import OVERLAPS, Segments, edit_distance, pooled, segment_scores


def segments(*rows):
    table = np.array(rows, np.int64).reshape(-1, 3)
    return Segments(action=table[:, 0], start=table[:, 1], stop=table[:, 2])


def test_a_perfect_prediction_and_none():
    truth = segments((1, 0, 10), (2, 10, 30), (1, 40, 50))
    same = segment_scores(truth, truth)
    assert (same.f1, same.edit) == ((1.0, 1.0, 1.0), 1.0)
    nothing = segment_scores(truth, segments())
    assert (nothing.f1, nothing.edit) == ((0.0, 0.0, 0.0), 0.0)
    empty = segment_scores(segments(), segments())
    assert (empty.f1, empty.edit, empty.tracks) == ((None, None, None), None, 0)


def test_an_overlap_that_equals_the_bound_is_enough():
    truth = segments((1, 0, 10))
    for frames, hits in ((1, (1, 0, 0)), (2, (1, 0, 0)), (3, (1, 1, 0)), (5, (1, 1, 1))):
        assert segment_scores(truth, segments((1, 0, frames))).hits == hits
    assert segment_scores(segments((1, 0, 4)), segments((1, 0, 1))).hits == (1, 1, 0)
    assert segment_scores(segments((1, 0, 11)), segments((1, 0, 1))).hits == (0, 0, 0)


def test_of_two_predictions_of_one_bout_one_is_false():
    found = segment_scores(segments((1, 0, 10)), segments((1, 0, 5), (1, 5, 10)))
    assert found.hits == (1, 1, 1)
    assert found.f1 == (2 / 3, 2 / 3, 2 / 3)
    assert found.edit == 0.5


def test_of_equal_overlaps_the_first_is_taken_and_no_other_action_counts():
    truth = segments((1, 0, 4), (1, 4, 8))
    assert segment_scores(truth, segments((1, 2, 6), (1, 0, 4))).hits == (1, 1, 1)
    assert segment_scores(truth, segments((2, 0, 8))).hits == (0, 0, 0)


def test_tracks_are_pooled_by_segments_and_edit_scores_by_tracks():
    long = segment_scores(segments(*((1, n, n + 1) for n in range(9))), segments())
    short = segment_scores(segments((1, 0, 5)), segments((1, 0, 5)))
    silent = segment_scores(segments(), segments())
    both = pooled([long, short, silent])
    assert both.f1 == (2 / 11,) * 3
    assert (both.edit, both.tracks) == (0.5, 2)
    assert pooled([]).f1 == (None, None, None)


def test_runs_of_frames_are_cut_where_nobody_knows():
    actions = np.array([0, 1, 1, 1, 2, 2, 0, 2])
    known = np.array([1, 1, 0, 1, 1, 1, 1, 0], bool)
    found = Segments.of_frames(actions, 0, known)
    assert list(zip(found.action, found.start, found.stop, strict=True)) == [
        (1, 1, 2), (1, 3, 4), (2, 4, 6),
    ]  # fmt: skip
    assert len(Segments.of_frames(actions[:0], 0, known[:0]).action) == 0


def test_runs_of_each_action_by_itself_may_overlap():
    frames = np.array([[1, 0], [1, 1], [0, 1], [1, 0]], bool)
    found = Segments.of_each(frames)
    assert list(zip(found.action, found.start, found.stop, strict=True)) == [
        (0, 0, 2), (1, 1, 3), (0, 3, 4),
    ]  # fmt: skip
    assert len(Segments.of_each(frames[:0]).action) == 0
    alone = [Segments.of_frames(row.astype(int), 0, row | ~row) for row in frames.T]
    assert len(found.action) == sum(len(one.action) for one in alone)


def test_refuses_segments_without_a_frame_or_a_column():
    with pytest.raises(DataError, match="segment 1 has no frame: 5 … 5"):
        segments((1, 0, 1), (1, 5, 5))
    with pytest.raises(DataError, match="there are 1, 2 and 2"):
        Segments(action=np.ones(1, int), start=np.zeros(2, int), stop=np.ones(2, int))


labels = st.lists(st.integers(0, 3), max_size=9)
rows = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(1, 6)).map(
        lambda row: (row[0], row[1], row[1] + row[2])
    ),
    max_size=7,
)


@settings(max_examples=80, deadline=None)
@given(labels, labels)
def test_the_distance_is_that_of_the_recursion(first, second):
    @functools.cache
    def distance(i, j):
        if not i or not j:
            return i + j
        changed = distance(i - 1, j - 1) + (first[i - 1] != second[j - 1])
        return min(changed, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    found = edit_distance(np.array(first, int), np.array(second, int))
    assert found == distance(len(first), len(second))


@settings(max_examples=80, deadline=None)
@given(rows, rows)
def test_hits_are_those_of_sets_of_frames(true, predicted):
    true, predicted = (
        sorted(table, key=lambda r: (r[1], r[2], r[0])) for table in (true, predicted)
    )
    expected = []
    for bound in OVERLAPS:
        free, hits = [True] * len(true), 0
        for action, start, stop in predicted:
            frames, best, at = set(range(start, stop)), 0, None
            for n, (other, begin, end) in enumerate(true):
                there = set(range(begin, end))
                overlap = len(frames & there) / len(frames | there) * (action == other)
                if overlap > best:
                    best, at = overlap, n
            if at is not None and best >= bound and free[at]:
                free[at] = False
                hits += 1
        expected.append(hits)
    assert segment_scores(segments(*true), segments(*predicted)).hits == tuple(expected)
