"""The mean of several predictions, in step, however many tracks there are."""

import weakref
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pair_tracks import recording, track, track_lists

from jaxbeh.errors import DataError
from jaxbeh.inference.pairs import averaging


def average(predictions):
    return list(averaging.average(predictions))


def test_the_mean_of_three_predictions():
    first = [track(sniff=[0.0, 0.5], attack=[0.3, 0.5]), track(target="self", rear=[1.0, 0.0])]
    second = [track(target="self", rear=[0.5, 0.0]), track(sniff=[0.3, 0.5], attack=[0.3, 0.2])]
    third = [track(sniff=[0.6, 0.5], attack=[0.3, 0.2]), track(target="self", rear=[0.0, 0.0])]
    mean = average([first, second, third])
    assert [one.key for one in mean] == [one.key for one in first]
    np.testing.assert_allclose(mean[0].values, [[0.3, 0.3], [0.5, 0.3]], rtol=1e-6)
    np.testing.assert_allclose(mean[1].values, [[0.5], [0.0]], rtol=1e-6)
    assert mean[0].recording is first[0].recording


@given(track_lists(), st.integers(1, 4))
def test_copies_of_a_prediction_average_to_itself(tracks, copies):
    for mean, own in zip(average([tracks] * copies), tracks, strict=True):
        assert mean.values.dtype == np.float32
        np.testing.assert_array_equal(mean.values, own.values)


@given(track_lists(most=3), st.integers(1, 4), st.randoms(use_true_random=False))
def test_the_mean_is_that_of_all_in_float64_in_any_order(tracks, count, random):
    drawn = [
        [replace(one, values=one.values * np.float32(1 - number / 7)) for one in tracks]
        for number in range(count)
    ]
    mixed = [drawn[0], *(random.sample(prediction, len(tracks)) for prediction in drawn[1:])]
    for column, mean in enumerate(average(mixed)):
        total = np.sum([prediction[column].values for prediction in drawn], 0, np.float64)
        assert mean.key == tracks[column].key
        np.testing.assert_array_equal(mean.values, (total / count).astype(np.float32))


def test_tracks_are_asked_for_as_they_are_wanted_and_none_is_kept():
    alive = weakref.WeakSet()
    made = []

    def prediction(number, count=50):
        for video in range(count):
            made.append((number, video))
            one = track(recording(2, str(video)), sniff=[0.5, 0.5])
            alive.add(one)
            yield one
            del one

    mean = averaging.average([prediction(number) for number in range(3)])
    assert made == []
    for video, _ in enumerate(mean):
        assert made[-3:] == [(0, video), (1, video), (2, video)]
        assert len(made) == 3 * (video + 1)
        assert len(alive) <= 3
    assert video == 49


def test_different_tracks_are_refused():
    own = [track(sniff=[0.5], attack=[0.5])]
    longer = [track(sniff=[0.5, 0.5], attack=[0.5, 0.5])]
    with pytest.raises(DataError, match="no predictions"):
        average([])
    with pytest.raises(DataError, match="prediction 2: video v, mouse1 → mouse2 is there twice"):
        average([own, own + own])
    with pytest.raises(DataError, match="in prediction 1 and not in prediction 3; average"):
        average([own, own, []])
    with pytest.raises(DataError, match="in prediction 2 and not in prediction 1; average"):
        average([[], own])
    with pytest.raises(DataError, match="is of sniff, attack, prediction 2 of attack, sniff"):
        average([own, [track(attack=[0.5], sniff=[0.5])]])
    with pytest.raises(DataError, match="has 1 frames, prediction 2 2"):
        average([own, longer])
