import numpy as np
import pytest
from pair_tracks import recording, triples

from jaxbeh.errors import DataError
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


def test_a_whitelist_of_one_pair_leaves_out_the_other():
    one = recording(whitelist=triples("mouse1,mouse2,sniff"))
    with pytest.raises(DataError, match="video v, mouse2 → mouse1: 'sniff' was not looked for"):
        TrackProbabilities(one, "mouse2", "mouse1", ("sniff",), HALF)
