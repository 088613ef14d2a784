import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pair_tracks import recording, track, track_lists, triples

from jaxbeh.errors import DataError
from jaxbeh.inference.pairs.averaging import average
from jaxbeh.inference.pairs.probabilities import TrackProbabilities

HALF = np.full((10, 1), 0.5, np.float32)


def test_a_track_knows_its_kind_and_key():
    pair = TrackProbabilities(recording(), "mouse1", "mouse2", ("sniff",), HALF)
    alone = TrackProbabilities(recording(), "mouse2", "self", ("rear",), HALF)
    assert (pair.kind, alone.kind) == ("pair", "alone")
    assert alone.key == ("v", "mouse2", "self")


@pytest.mark.parametrize(
    ("agent", "target", "actions", "message"),
    [
        ("1", "mouse2", ("sniff",), "write mouse1 for the agent"),
        ("mouse1", "2", ("sniff",), "write mouse1 for the agent"),
        ("mouse1", "mouse1", ("sniff",), "for itself, self"),
        ("mouse1", "mouse2", (), "the actions are none"),
        ("mouse1", "mouse2", ("sniff", "sniff"), "each once"),
        ("mouse1", "mouse2", ("rear",), "'rear' was not looked for"),
    ],
)
def test_wrong_names_are_refused(agent, target, actions, message):
    values = np.zeros((10, len(actions)), np.float32)
    with pytest.raises(DataError, match=message):
        TrackProbabilities(recording(), agent, target, actions, values)


def test_where_nobody_says_any_action_of_tracked_mice_goes():
    open_minded = recording(whitelist=None, events=None)
    assert TrackProbabilities(open_minded, "mouse1", "mouse2", ("dance",), HALF).values is HALF
    with pytest.raises(DataError, match="mouse3 is not tracked"):
        TrackProbabilities(open_minded, "mouse1", "mouse3", ("dance",), HALF)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (HALF.astype(np.float64), "float64"),
        (HALF[:9], r"\[9, 1\]; give float32 \[10 frames, 1 actions\]"),
        (np.repeat(HALF, 2, axis=1), r"\[10, 2\]"),
        (np.where(np.arange(10)[:, None] == 4, np.float32(np.nan), HALF), "frame index 4 is nan"),
        (np.where(np.arange(10)[:, None] == 4, np.float32(1.1), HALF), "frame index 4 is 1.1"),
        (np.where(np.arange(10)[:, None] == 4, np.float32(-0.1), HALF), "frame index 4 is -0.1"),
    ],
)
def test_wrong_values_are_refused(values, message):
    with pytest.raises(DataError, match=message):
        TrackProbabilities(recording(), "mouse1", "mouse2", ("sniff",), values)


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


def test_different_tracks_are_refused():
    own = [track(sniff=[0.5], attack=[0.5])]
    longer = [track(sniff=[0.5, 0.5], attack=[0.5, 0.5])]
    with pytest.raises(DataError, match="no predictions"):
        average([])
    with pytest.raises(DataError, match="prediction 2: video v, mouse1 → mouse2 is there twice"):
        average([own, own + own])
    with pytest.raises(DataError, match="in prediction 1 and not in prediction 3, one of 1 such"):
        average([own, own, []])
    with pytest.raises(DataError, match="in prediction 2 and not in prediction 1"):
        average([[], own])
    with pytest.raises(DataError, match="is of sniff, attack, prediction 2 of attack, sniff"):
        average([own, [track(attack=[0.5], sniff=[0.5])]])
    with pytest.raises(DataError, match="has 1 frames, prediction 2 2"):
        average([own, longer])


def test_a_whitelist_of_one_pair_leaves_out_the_other():
    one = recording(whitelist=triples("mouse1,mouse2,sniff"))
    with pytest.raises(DataError, match="video v, mouse2 → mouse1: 'sniff' was not looked for"):
        TrackProbabilities(one, "mouse2", "mouse1", ("sniff",), HALF)
