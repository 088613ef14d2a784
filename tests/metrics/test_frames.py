import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import accuracy_score, f1_score

from jaxbeh.errors import DataError
from jaxbeh.metrics.frames import frame_scores

matrices = st.integers(2, 5).flatmap(
    lambda c: arrays(np.int64, (c, c), elements=st.integers(0, 12)).filter(lambda m: m.sum() > 0)
)


def as_frames(confusion):
    cells = [
        (row, column, count) for (row, column), count in np.ndenumerate(confusion) if count > 0
    ]
    truth = np.repeat([row for row, _, _ in cells], [count for _, _, count in cells])
    prediction = np.repeat([column for _, column, _ in cells], [count for _, _, count in cells])
    return truth, prediction


def test_known_answer():
    scores = frame_scores(np.array([[8, 2, 0], [1, 4, 0], [0, 0, 0]]))
    assert scores.f1 == (16 / 19, 8 / 11, None)
    assert scores.macro_f1 == pytest.approx((16 / 19 + 8 / 11) / 2)
    assert (scores.classes_counted, scores.accuracy, scores.frames) == (2, 12 / 15, 15)


def test_wrong_frames_of_a_class_that_is_never_true_cost_the_true_class():
    scores = frame_scores(np.array([[5, 5], [0, 0]]))
    assert scores.f1 == (10 / 15, None)
    assert scores.macro_f1 == 10 / 15


def test_a_class_never_predicted_is_zero_and_counts():
    scores = frame_scores(np.array([[5, 0], [3, 0]]))
    assert scores.f1[1] == 0.0
    assert scores.classes_counted == 2


@settings(max_examples=60, deadline=None)
@given(matrices)
def test_equals_scikit_learn_over_the_present_classes(confusion):
    truth, prediction = as_frames(confusion)
    present = np.unique(truth)
    scores = frame_scores(confusion)
    theirs = f1_score(truth, prediction, labels=present, average=None, zero_division=0)
    np.testing.assert_allclose([scores.f1[c] for c in present], theirs, rtol=1e-12)
    assert scores.macro_f1 == pytest.approx(theirs.mean(), rel=1e-12)
    assert scores.classes_counted == len(present)
    assert scores.accuracy == pytest.approx(accuracy_score(truth, prediction))
    assert all(value is None for c, value in enumerate(scores.f1) if c not in present)


@settings(max_examples=60, deadline=None)
@given(matrices, st.data())
def test_one_more_wrong_frame_scores_lower(confusion, data):
    right = np.flatnonzero(np.diag(confusion))
    if not len(right):
        return
    true = data.draw(st.sampled_from(list(right)))
    other = data.draw(st.sampled_from([c for c in range(len(confusion)) if c != true]))
    worse = confusion.copy()
    worse[true, true] -= 1
    worse[true, other] += 1
    assert frame_scores(worse).macro_f1 < frame_scores(confusion).macro_f1
    assert frame_scores(worse).accuracy < frame_scores(confusion).accuracy


@settings(max_examples=30, deadline=None)
@given(matrices)
def test_perfect_and_renamed(confusion):
    assert frame_scores(np.diag(confusion.sum(axis=1))).macro_f1 == 1.0
    order = np.arange(len(confusion))[::-1]
    assert frame_scores(confusion[order][:, order]).macro_f1 == pytest.approx(
        frame_scores(confusion).macro_f1
    )


def test_counts_of_a_small_type_do_not_wrap():
    scores = frame_scores(np.array([[120, 120], [120, 120]], np.int8))
    assert scores.frames == 480


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.zeros((3, 3), np.int64), "not one frame"),
        (np.zeros((2, 3), np.int64), r"\[2, 3\]"),
        (np.zeros((0, 0), np.int64), "not one frame"),
        (np.ones((2, 2)), "float64"),
        (np.array([[3, -1], [0, 2]]), "-1"),
        (np.ones(4, np.int64), r"\[4\]"),
    ],
)
def test_refuses(matrix, message):
    with pytest.raises(DataError, match=message):
        frame_scores(matrix)


def test_frozen():
    scores = frame_scores(np.eye(2, dtype=np.int64))
    with pytest.raises(dataclasses.FrozenInstanceError):
        scores.macro_f1 = 1.0
