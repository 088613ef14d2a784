"""Average precision and calibration against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, brier_score_loss

from jaxbeh.errors import DataError
from jaxbeh.metrics.probabilities import average_precision, average_precisions, calibration

frames = st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=1, max_size=40)


def split(pairs):
    truth, eighths = zip(*pairs, strict=True)
    return np.array(truth), np.array(eighths) / 8


def test_known_answers():
    truth = np.array([True, False, True, False])
    assert average_precision(truth, np.array([0.9, 0.8, 0.7, 0.1])) == (1 + 2 / 3) / 2
    assert average_precision(truth, np.full(4, 0.5)) == 0.5
    assert average_precision(np.zeros(3, bool), np.ones(3)) is None
    one = calibration(truth, np.array([0.0, 0.0, 1.0, 1.0]), bins=2, equal="width")
    assert one.frames.tolist() == [2, 2]
    assert one.share.tolist() == [0.5, 0.5]
    assert (one.error, one.brier) == (0.5, 0.5)


@settings(max_examples=100, deadline=None)
@given(frames.filter(lambda pairs: any(true for true, _ in pairs)))
def test_average_precision_is_that_of_scikit_learn(pairs):
    truth, values = split(pairs)
    expected = average_precision_score(truth, values)
    assert average_precision(truth, values) == pytest.approx(expected, abs=1e-12)


def test_frames_that_nobody_looked_at_count_nowhere():
    rng = np.random.default_rng(0)
    truth, values = rng.random((200, 3)) < 0.3, rng.random((200, 3))
    known = rng.random((200, 3)) < 0.7
    known[:, 2] = ~truth[:, 2]
    found = average_precisions(truth, values, known)
    expected = [
        average_precision_score(truth[known[:, c], c], values[known[:, c], c]) for c in (0, 1)
    ]
    assert found.of_action[:2] == pytest.approx(expected)
    assert found.of_action[2] is None
    assert found.mean == pytest.approx(np.mean(expected))
    other = np.where(known, values, 1 - values)
    assert average_precisions(truth ^ ~known, other, known) == found
    assert average_precisions(truth, values, np.zeros_like(known)).mean is None


@settings(max_examples=100, deadline=None)
@given(frames, st.integers(1, 6), st.sampled_from([("width", "uniform"), ("mass", "quantile")]))
def test_calibration_is_that_of_scikit_learn(pairs, bins, names):
    truth, values = split(pairs)
    found = calibration(truth, values, bins, names[0])
    share, probability = calibration_curve(truth, values, n_bins=bins, strategy=names[1])
    np.testing.assert_allclose(found.share, share, atol=1e-12)
    np.testing.assert_allclose(found.probability, probability, atol=1e-12)
    assert found.frames.sum() == len(truth)
    assert found.brier == pytest.approx(brier_score_loss(truth, values, pos_label=True), abs=1e-12)
    error = np.average(np.abs(share - probability), weights=found.frames)
    assert found.error == pytest.approx(error, abs=1e-12)


@pytest.mark.parametrize("bad", [np.nan, -0.1, 1.5])
def test_refuses_what_is_no_probability(bad):
    with pytest.raises(DataError, match=f"a probability is {bad}"):
        average_precision(np.array([True, False]), np.array([0.5, bad]))
    with pytest.raises(DataError, match=r"\[2\] and \[3\]"):
        calibration(np.array([True, False]), np.ones(3))
    with pytest.raises(DataError, match="0 frames"):
        calibration(np.zeros(0, bool), np.zeros(0))
