import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pair_tracks import (
    decodings,
    noisy,
    recording,
    recordings,
    track,
    track_lists,
    triples,
    true_frames,
)

from jaxbeh.errors import DataError
from jaxbeh.inference.bouts import Bouts
from jaxbeh.inference.pairs.counts import (
    GRID,
    Group,
    decoded_score,
    labs_of,
    recordings_of,
    score_bouts,
)
from jaxbeh.inference.pairs.decoding import Decoding, choose, decode
from jaxbeh.inference.pairs.tuning import SHRINKAGE, tune
from jaxbeh.inference.scene_bouts import ActionFrequencies
from jaxbeh.inference.submission import solution_table, submission_table
from jaxbeh.metrics.mabe import mean_of_means, score
from jaxbeh.vocabulary import Triple

SNIFF = Triple("mouse1", "mouse2", "sniff")


def official(tracks, values):
    """The score of a decoded table by the metric itself; it refuses an empty one, which has 0."""
    bouts = decode(tracks, values)
    solution = solution_table(recordings_of(tracks))
    return score(solution, submission_table(bouts)) if len(bouts) else 0.0


def seen(tracks):
    return ActionFrequencies.build(recordings_of(tracks))


def log_odds(probability):
    return math.log(probability / (1 - probability))


# The objective is the official score.


@settings(max_examples=40)
@given(track_lists(), decodings())
def test_the_count_of_frames_is_the_official_score(tracks, values):
    assume(len(solution_table(recordings_of(tracks))))
    counted = decoded_score(labs_of(tracks, values), values)
    assert counted == pytest.approx(official(tracks, values), abs=1e-12)


def test_events_without_a_track_are_missed():
    of = recording(4, events=[("mouse1,mouse2,sniff", 0, 2), ("mouse2,mouse1,attack", 0, 2)])
    tracks = [track(of, sniff=[0.9, 0.9, 0.1, 0.1])]
    values = Decoding.constant(seen(tracks))
    assert decoded_score(labs_of(tracks, values), values) == 0.5
    assert official(tracks, values) == 0.5


def test_videos_without_an_event_are_not_scored():
    """As in the competition, whose solution has no row of them."""
    shown = recording(2, video="1", events=[("mouse1,mouse2,sniff", 0, 1)])
    tracks = [track(shown, sniff=[0.9, 0.1]), track(recording(2, video="2"), sniff=[0.9, 0.9])]
    values = Decoding.constant(seen(tracks))
    assert decoded_score(labs_of(tracks, values), values) == 1.0
    assert official(tracks, values) == 1.0


def test_a_predicted_action_that_the_lab_does_not_show_adds_a_zero():
    of = recording(2, events=[("mouse1,mouse2,sniff", 0, 1)])
    tracks = [track(of, sniff=[0.9, 0.1], attack=[0.1, 0.9])]
    values = Decoding.constant(
        ActionFrequencies({"lab": {SNIFF: 1, Triple("mouse1", "mouse2", "attack"): 1}})
    )
    assert decoded_score(labs_of(tracks, values), values) == 0.5
    assert official(tracks, values) == 0.5


def test_no_bout_at_all_scores_nothing():
    of = recording(2, video="no v", events=[("mouse1,mouse2,sniff", 0, 1)])
    table = score_bouts([of], Bouts.empty())
    assert table[["tp", "fp", "fn"]].to_numpy().tolist() == [[0, 0, 1]]
    assert mean_of_means(table) == 0.0


@settings(max_examples=60)
@given(recordings(labs=("lab",)), st.integers(0, 2**32 - 1))
def test_a_curve_counts_what_every_threshold_would_give(found, seed):
    draw = np.random.default_rng(seed)
    tracks = [one for of in found for one in noisy(of, draw) if one.kind == "pair"]
    assume(tracks)
    names = sorted({action for one in tracks for action in one.actions})
    group = Group(tracks, names, "pair")
    # All frames side by side, made again by hand.
    values = np.zeros((len(names), sum(len(one.values) for one in tracks)), np.float32)
    truth = np.zeros(values.shape, bool)
    begin = 0
    for one in tracks:
        end = begin + len(one.values)
        rows = [names.index(action) for action in one.actions]
        values[rows, begin:end] = one.values.T
        for row, true in zip(rows, true_frames(one).T, strict=True):
            truth[row, begin:end] = true
        begin = end
    thresholds = draw.uniform(0.01, 0.9, len(names)).astype(np.float32)
    row = int(draw.integers(len(names)))
    hits, predicted = group.curves(row, thresholds)
    for place in range(0, len(GRID), 7):
        thresholds[row] = GRID[place]
        choice = choose(values, thresholds)
        for other in range(len(names)):
            assert predicted[other, place] == np.sum(choice == other)
            assert hits[other, place] == np.sum((choice == other) & truth[other])


# What is found.


def test_the_grid_has_a_half_and_ascends():
    assert GRID[56] == 0.5
    assert (np.diff(GRID) > 0).all()
    np.testing.assert_allclose(GRID[[0, -1]], [0.000911, 0.999089], atol=1e-6)


def test_a_threshold_is_the_middle_of_those_that_part_true_from_false():
    """Between log-odds −2.94 and −1.39 lie twelve places, −2.875 … −1.5; the seventh is −2.125."""
    of = recording(400, events=[("mouse1,mouse2,sniff", 100, 300)])
    inside = (np.arange(400) >= 100) & (np.arange(400) < 300)
    found = tune([track(of, sniff=np.where(inside, 0.2, 0.05))], ActionFrequencies.build([of]))
    assert found.score == 1.0
    assert log_odds(found.decoding.labs["lab"].pair["sniff"]) == pytest.approx(-2.125)
    assert found.decoding.pooled == found.decoding.labs["lab"]
    times = found.decoding.smoothing, found.decoding.gap, found.decoding.shortest
    assert times == (0.0, 0.0, 0.0)


def test_rivals_are_weighed_against_each_other():
    """Each alone would be best at a low threshold; together they have to part the frames."""
    frames = np.arange(600)
    of = recording(
        600, events=[("mouse1,mouse2,sniff", 0, 200), ("mouse1,mouse2,attack", 200, 400)]
    )
    sniff = np.select([frames < 200, frames < 400], [0.8, 0.7], 0.01)
    attack = np.select([frames < 200, frames < 400], [0.1, 0.2], 0.01)
    tracks = [track(of, sniff=sniff, attack=attack)]
    assert official(tracks, Decoding.constant(seen(tracks), 0.1)) == pytest.approx(1 / 3)
    assert tune(tracks, seen(tracks)).score == 1.0


def test_holes_are_closed_and_flashes_dropped_where_that_pays():
    frames = np.arange(600)
    of = recording(600, fps=30.0, events=[("mouse1,mouse2,sniff", 200, 400)])
    inside = (frames >= 200) & (frames < 400)
    # Every fifth frame inside is as sure not to be, and every tenth outside as sure to be, one.
    sniff = np.where(inside, frames % 5 > 0, frames % 10 == 3) * 0.9
    tracks = [track(of, sniff=sniff)]
    start = official(tracks, Decoding.constant(seen(tracks)))
    assert start == pytest.approx(2 * 160 / (160 + 40 + 200))
    found = tune(tracks, seen(tracks))
    assert found.score > 0.97
    assert max(found.decoding.smoothing, found.decoding.gap, found.decoding.shortest) > 0


@settings(max_examples=12)
@given(track_lists(strength=1.0))
def test_tuning_never_loses_and_says_what_the_metric_says(tracks):
    assume(len(solution_table(recordings_of(tracks))))
    found = tune(tracks, seen(tracks))
    assert found.score == pytest.approx(official(tracks, found.decoding), abs=1e-12)
    assert found.score >= official(tracks, Decoding.constant(seen(tracks))) - 1e-12
    again = tune(list(reversed(tracks)), seen(tracks))
    assert again == found
    assert Decoding.from_json(found.decoding.to_json()) == found.decoding


# Labs that show little.


def parted(lab, true, false, seconds):
    """One track of a lab that does a thing a quarter of the time; two probabilities."""
    frames = 10 * seconds
    of = recording(
        4 * frames, video=lab, lab=lab, fps=10.0, events=[("mouse1,mouse2,sniff", 0, frames)]
    )
    return track(of, sniff=np.where(np.arange(4 * frames) < frames, true, false))


def test_a_labs_threshold_is_drawn_towards_the_pooled_one_by_its_seconds():
    """By hand: log-odds 0.5 … 2.125 part the frames of two labs, −3.875 … −1.5 those of the third.

    The middles are 1.375 and −2.625. The first keeps two labs' F of 1 and the third's of 0; the
    second one of 1 and two of 0.4.
    """
    tracks = [parted("a", 0.9, 0.6, 90), parted("b", 0.9, 0.6, 2), parted("c", 0.2, 0.02, 20)]
    found = tune(tracks, seen(tracks)).decoding
    assert log_odds(found.pooled.pair["sniff"]) == pytest.approx(1.375)
    assert log_odds(found.labs["a"].pair["sniff"]) == pytest.approx(1.375)
    assert log_odds(found.labs["b"].pair["sniff"]) == pytest.approx(1.375)
    assert SHRINKAGE == 5
    assert log_odds(found.labs["c"].pair["sniff"]) == pytest.approx(1.375 - 4 * 20 / (20 + 5))


def test_a_lab_without_a_frame_of_an_action_takes_the_pooled_threshold():
    shows = parted("shows", 0.2, 0.05, 30)
    other = recording(40, video="2", lab="other", events=[("mouse1,mouse2,attack", 0, 20)])
    tracks = [shows, track(other, attack=np.repeat([0.9, 0.1], 20), sniff=np.full(40, 0.01))]
    attack = Triple("mouse1", "mouse2", "attack")
    mount = Triple("mouse1", "mouse2", "mount")
    found = tune(
        tracks, ActionFrequencies({"shows": {SNIFF: 9}, "other": {SNIFF: 9, attack: 9, mount: 9}})
    ).decoding
    assert found.labs["other"].pair["sniff"] == found.pooled.pair["sniff"] < 0.2
    assert found.labs["other"].pair["mount"] == found.pooled.pair["mount"] == 0.5
    assert set(found.labs["shows"].pair) == {"sniff"}  # what it never shows is never written
    assert set(found.pooled.pair) == {"attack", "mount", "sniff"}


def test_a_lab_never_trained_on_is_decoded_with_the_pooled_values():
    tracks = [parted("known", 0.4, 0.1, 30), parted("new", 0.2, 0.05, 30)]
    found = tune(tracks, ActionFrequencies({"known": {SNIFF: 300}}))
    assert set(found.decoding.labs) == {"known"}
    assert 0.1 < found.decoding.pooled.pair["sniff"] <= 0.2
    assert found.score == 1.0 == official(tracks, found.decoding)


# What cannot be tuned on.


def test_tracks_that_cannot_be_tuned_on_are_refused():
    nobody = recording(1, whitelist=None, events=None)
    with pytest.raises(DataError, match="video v of lab lab has no labels"):
        tune([track(nobody, sniff=[0.5])], ActionFrequencies({}))
    with pytest.raises(DataError, match="none of the 1 videos shows an action"):
        tune([track(sniff=[0.5])], ActionFrequencies({}))
    one = track(recording(1, events=[("mouse1,mouse2,sniff", 0, 1)]), sniff=[0.5])
    with pytest.raises(DataError, match="video v, mouse1 → mouse2 is there twice"):
        tune([one, one], ActionFrequencies({}))


def test_an_event_that_was_not_looked_for_is_no_truth():
    of = recording(
        2,
        whitelist=triples("mouse1,mouse2,sniff"),
        events=[("mouse1,mouse2,sniff", 0, 1), ("mouse1,mouse2,attack", 0, 2)],
    )
    found = tune([track(of, sniff=[0.6, 0.4])], ActionFrequencies.build([of]))
    assert found.score == 1.0
    assert set(found.decoding.pooled.pair) == {"sniff"}
