import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pair_tracks import (
    decoding,
    decodings,
    made,
    noisy,
    recording,
    recordings,
    thresholds,
    track,
    track_lists,
)

from jaxbeh.errors import DataError
from jaxbeh.inference.pairs.decoding import (
    NONE,
    Decoding,
    Thresholds,
    choose,
    decode,
    merge,
    most_likely_bout,
    predict_pairs,
    smooth,
)
from jaxbeh.inference.scene_bouts import ActionFrequencies
from jaxbeh.inference.submission import check_submission, submission_table
from jaxbeh.vocabulary import Triple

HALVES = decoding(pair={"attack": 0.5, "sniff": 0.5})


def frames_of(bouts, action):
    return {
        (row.video_id, row.agent_id, row.target_id, frame)
        for row in bouts.table.itertuples()
        if row.action == action
        for frame in range(row.start_frame, row.stop_frame)
    }


# Known answers.


def test_a_run_at_or_above_its_threshold_is_a_bout_with_the_mean_probability():
    of = recording(6, first_frame=100, fps=10.0)
    found = decode([track(of, sniff=[0.4, 0.5, 0.9, 0.4, 0.6, 0.6])], HALVES)
    assert made(found) == [
        ("mouse1", "mouse2", "sniff", 101, 103),
        ("mouse1", "mouse2", "sniff", 104, 106),
    ]
    np.testing.assert_allclose(found.table["score"], [0.7, 0.6], rtol=1e-6)
    np.testing.assert_allclose(found.table["start_s"], [10.1, 10.4])


def test_the_highest_multiple_of_its_threshold_wins_not_the_highest_probability():
    values = decoding(pair={"attack": 0.1, "sniff": 0.5})
    found = decode([track(sniff=[0.9, 0.9, 0.4], attack=[0.15, 0.3, 0.05])], values)
    assert made(found) == [
        ("mouse1", "mouse2", "sniff", 0, 1),
        ("mouse1", "mouse2", "attack", 1, 2),
    ]


def test_equal_multiples_go_to_the_first_by_name_in_any_order():
    assert made(decode([track(sniff=[1.0], attack=[1.0])], HALVES))[0][2] == "attack"
    assert made(decode([track(attack=[1.0], sniff=[1.0])], HALVES))[0][2] == "attack"


def test_an_action_without_a_threshold_is_never_written():
    found = decode([track(sniff=[0.6, 0.2], mount=[1.0, 1.0])], HALVES)
    assert made(found) == [("mouse1", "mouse2", "sniff", 0, 1)]


def test_alone_and_pair_have_thresholds_of_their_own():
    both = [track(sniff=[0.5]), track(target="self", sniff=[0.5])]
    assert made(decode(both, decoding(pair={"sniff": 0.6}, alone={"sniff": 0.4}))) == [
        ("mouse1", "self", "sniff", 0, 1)
    ]


def test_a_lab_never_trained_on_takes_the_pooled_values():
    values = Decoding(
        labs={"a": Thresholds(alone={}, pair={"sniff": 0.9})},
        pooled=Thresholds(alone={}, pair={"sniff": 0.3}),
    )
    tracks = [track(recording(1, video=lab, lab=lab), sniff=[0.5]) for lab in ("a", "b")]
    assert made(decode(tracks, values)) == [("mouse1", "mouse2", "sniff", 0, 1)]
    assert decode(tracks, values).table["video_id"].tolist() == ["b"]


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        (0.0, [(0, 2), (3, 4), (6, 7)]),
        (0.1, [(0, 4), (6, 7)]),
        (0.19, [(0, 4), (6, 7)]),
        (0.2, [(0, 7)]),
    ],
)
def test_gaps_are_closed_by_seconds(gap, expected):
    values = decoding(pair={"sniff": 0.5}, gap=gap)
    found = decode([track(sniff=[0.9, 0.9, 0.3, 0.9, 0.1, 0.1, 0.9])], values)
    assert [row[3:] for row in made(found)] == expected


def test_a_gap_with_another_action_stays():
    values = decoding(pair={"sniff": 0.5, "attack": 0.5}, gap=1.0)
    found = decode([track(sniff=[0.9, 0, 0, 0.9], attack=[0, 0.9, 0, 0])], values)
    assert [row[2:] for row in made(found)] == [("sniff", 0, 1), ("attack", 1, 2), ("sniff", 3, 4)]


def test_the_score_of_a_closed_gap_counts_its_frames():
    found = decode([track(sniff=[0.9, 0.3, 0.6])], decoding(pair={"sniff": 0.5}, gap=0.1))
    np.testing.assert_allclose(found.table["score"], [0.6], rtol=1e-6)


def test_short_bouts_go_after_gaps_are_closed():
    row = [0.9, 0.1, 0.9, 0.1, 0.1, 0.1, 0.9, 0.9, 0.1, 0.1, 0.1, 0.9]
    values = decoding(pair={"sniff": 0.5}, gap=0.1, shortest=0.3)
    assert [bout[3:] for bout in made(decode([track(sniff=row)], values))] == [(0, 3)]
    values = decoding(pair={"sniff": 0.5}, shortest=0.2)
    assert [bout[3:] for bout in made(decode([track(sniff=row)], values))] == [(6, 8)]


@pytest.mark.parametrize(
    ("fps", "radius", "gap", "shortest"), [(30.0, 3, 6, 6), (25.0, 2, 5, 5), (5.0, 0, 1, 1)]
)
def test_seconds_are_frames_of_each_recording(fps, radius, gap, shortest):
    values = decoding(smoothing=0.2, gap=0.2, shortest=0.2)
    assert values.radius(fps) == radius
    assert values.gap_frames(fps) == gap
    assert values.shortest_frames(fps) == shortest


def test_smoothing_is_a_mean_of_the_frames_there_are():
    values = np.array([[0.0, 1.0], [0.3, 1.0], [0.6, 1.0], [0.9, 0.0]], np.float32)
    expected = [[0.15, 1.0], [0.3, 1.0], [0.6, 2 / 3], [0.75, 0.5]]
    np.testing.assert_allclose(smooth(values, 1), expected, rtol=1e-6)
    np.testing.assert_allclose(smooth(values, 9), np.tile([0.45, 0.75], (4, 1)), rtol=1e-6)
    assert smooth(values, 0) is values


def test_smoothing_decides_and_the_score_is_the_models_own():
    row = [0.2, 0.2, 0.8, 0.2, 0.8, 0.8]
    found = decode([track(sniff=row)], decoding(pair={"sniff": 0.5}, smoothing=0.2))
    assert [bout[3:] for bout in made(found)] == [(3, 6)]
    np.testing.assert_allclose(found.table["score"], [0.6], rtol=1e-6)


def test_no_track_and_a_track_twice():
    assert len(decode([], HALVES)) == 0
    with pytest.raises(DataError, match="video v, mouse1 → mouse2 is there twice"):
        decode([track(sniff=[0.9]), track(sniff=[0.9])], HALVES)


# Never an empty submission.


def test_the_most_likely_stretch_stands_in_for_no_bout():
    tracks = [
        track(recording(5, video="1"), sniff=[0.1, 0.2, 0.4, 0.3, 0.1]),
        track(recording(5, video="2"), sniff=[0.1, 0.1, 0.3, 0.1, 0.1]),
    ]
    found = predict_pairs(tracks, HALVES)
    assert found.fallback
    assert made(found.bouts) == [("mouse1", "mouse2", "sniff", 1, 4)]
    np.testing.assert_allclose(found.bouts.table["score"], [0.3], rtol=1e-6)
    assert len(decode(tracks, HALVES)) == 0


def test_most_likely_is_measured_in_thresholds():
    values = decoding(pair={"attack": 0.2, "sniff": 0.9})
    found = most_likely_bout(track(sniff=[0.7, 0.7], attack=[0.0, 0.19], mount=[1, 1]), values)
    assert made(found) == [("mouse1", "mouse2", "attack", 1, 2)]


def test_nothing_that_may_be_written_is_no_fallback():
    for tracks in ([], [track(mount=[1.0])], [track(sniff=[0.0])]):
        found = predict_pairs(tracks, HALVES)
        assert not found.fallback
        assert len(found.bouts) == 0


# Properties.


@given(track_lists(), decodings())
def test_a_submission_of_any_bouts_is_one_the_competition_takes(tracks, values):
    """One action a frame and pair, bouts with frames and within the video, no row for naught."""
    bouts = predict_pairs(tracks, values).bouts
    videos = {one.recording.video_id: one.recording for one in tracks}
    if len(bouts):
        check_submission(submission_table(bouts), list(videos.values()))
    assert bouts.table["score"].between(0, 1).all()


@given(track_lists(), decodings(), st.randoms(use_true_random=False))
def test_the_order_of_tracks_does_not_matter(tracks, values, random):
    other = random.sample(tracks, len(tracks))
    one, two = predict_pairs(tracks, values), predict_pairs(other, values)
    assert one.fallback == two.fallback
    assert one.bouts.table.equals(two.bouts.table)


@given(recordings(labs=("lab",)), thresholds(), st.floats(1, 10), st.integers(0, 2**32 - 1))
def test_a_higher_threshold_adds_no_frame_where_there_is_one_action(found, low, factor, seed):
    draw = np.random.default_rng(seed)
    tracks = [
        one for of in found for one in noisy(of, draw) if one.kind == "pair" and len(one.actions)
    ]
    for action, threshold in low.pair.items():
        frames = [
            frames_of(decode(tracks, decoding(pair={action: value})), action)
            for value in (threshold, min(1.0, threshold * factor))
        ]
        assert frames[1] <= frames[0]


@given(track_lists(), decodings())
def test_bouts_are_those_of_the_rule_read_literally(tracks, values):
    """Frame by frame, without arrays."""
    expected = set()
    for one in tracks:
        of, fps = one.recording, one.recording.fps
        known = values.of_lab(of.lab_id).of(one.kind)
        smoothed = smooth(one.values, round(values.smoothing * fps / 2))
        chosen = []
        for frame in range(len(smoothed)):
            best, winner = np.float32(0), None
            for action in sorted(set(one.actions) & set(known)):
                probability = smoothed[frame, one.actions.index(action)]
                multiple = probability / np.float32(known[action])
                if probability >= np.float32(known[action]) and multiple > best:
                    best, winner = multiple, action
            chosen.append(winner)
        bouts = []  # [action, start, stop]
        for frame, action in enumerate(chosen):
            if action is None:
                continue
            if bouts and bouts[-1][0] == action:
                gap = frame - bouts[-1][2]
                if gap == 0 or gap / fps <= values.gap + 1e-9:
                    bouts[-1][2] = frame + 1
                    continue
            bouts.append([action, frame, frame + 1])
        first = of.tracking.first_frame
        expected |= {
            (of.video_id, one.agent, one.target, action, start + first, stop + first)
            for action, start, stop in bouts
            if (stop - start) / fps >= values.shortest - 1e-9
        }
    table = decode(tracks, values).table.drop(columns=["start_s", "stop_s", "score"])
    assert set(table.itertuples(index=False, name=None)) == expected
    assert len(table) == len(expected)


@given(st.integers(1, 5), st.integers(0, 30), st.integers(0, 2**32 - 1))
def test_the_choice_is_the_highest_multiple_of_at_least_one(actions, frames, seed):
    draw = np.random.default_rng(seed)
    # Quarters and powers of two divide exactly, so ties are common and exact.
    values = draw.integers(0, 5, (actions, frames)).astype(np.float32) / 4
    limits = 2.0 ** -draw.integers(0, 4, actions).astype(np.float32)
    for frame, found in enumerate(choose(values, limits)):
        multiples = values[:, frame] / limits
        assert found == (multiples.argmax() if multiples.max() >= 1 else NONE)


@given(st.floats(1e-6, 1), st.integers(-2, 2))
def test_a_frame_reaches_its_threshold_exactly_when_it_is_not_below(threshold, steps):
    limit = np.float32(threshold)
    probability = limit
    for _ in range(abs(steps)):
        probability = np.nextafter(probability, np.float32(np.sign(steps) * 2))
    found = choose(np.array([[probability]]), np.array([limit]))
    assert (found[0] == 0) == (probability >= limit)


def test_merging_nothing():
    nothing = np.zeros(0, np.int64)
    assert [len(part) for part in merge(nothing, nothing, nothing, 3, 3)] == [0, 0, 0]


# The values.


def test_constant_values_have_what_the_training_videos_show():
    sniff, rear = Triple("mouse1", "mouse2", "sniff"), Triple("mouse1", "self", "rear")
    values = Decoding.constant(ActionFrequencies({"a": {sniff: 9}, "b": {rear: 1}, "c": {}}), 0.3)
    assert values.of_lab("a") == Thresholds(alone={}, pair={"sniff": 0.3})
    assert values.of_lab("b") == Thresholds(alone={"rear": 0.3}, pair={})
    assert values.of_lab("c") == Thresholds(alone={}, pair={})
    assert values.of_lab("new") == Thresholds(alone={"rear": 0.3}, pair={"sniff": 0.3})


@given(decodings())
def test_values_are_read_back_as_they_were_written(values):
    assert Decoding.from_json(values.to_json()) == values


GOOD = json.loads(decoding(pair={"sniff": 0.5}).to_json())


@pytest.mark.parametrize(
    ("damaged", "where"),
    [
        ("", "the file"),
        ("[]", "the file"),
        (decoding().to_json()[:-5], "the file"),
        ("[" * 100_000, "the file"),
        (json.dumps({**GOOD, "gap": -0.1}), "gap"),
        (json.dumps({**GOOD, "gap": float("nan")}), "gap"),
        (json.dumps({**GOOD, "gap": 10**400}), "gap"),
        (json.dumps({**GOOD, "shortest": "0.1"}), "shortest"),
        (json.dumps({**GOOD, "smoothing": True}), "smoothing"),
        (json.dumps({**GOOD, "smoothing": 3601}), "smoothing"),
        (json.dumps({**GOOD, "more": 1}), "more"),
        (json.dumps({key: value for key, value in GOOD.items() if key != "pooled"}), "pooled"),
        (json.dumps({**GOOD, "labs": []}), "labs"),
        (json.dumps({**GOOD, "labs": {"a": {"pair": {}}}}), "labs.a.alone"),
        (json.dumps({**GOOD, "pooled": {"alone": {}, "pair": {"sniff": 0}}}), "pooled.pair.sniff"),
        (json.dumps({**GOOD, "pooled": {"alone": {}, "pair": {"sniff": 2}}}), "pooled.pair.sniff"),
    ],
)
def test_damaged_values_are_refused(damaged, where):
    with pytest.raises(DataError, match=f"values of the decoding: {where}: .*restore the file"):
        Decoding.from_json(damaged)
