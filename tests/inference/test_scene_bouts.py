import json
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from jaxbeh.errors import DataError
from jaxbeh.inference.scene_bouts import (
    ActionFrequencies,
    most_likely_bout,
    predict_scenes,
    scene_bouts,
)
from jaxbeh.inference.submission import check_submission, solution_table, submission_table
from jaxbeh.metrics.mabe import score
from jaxbeh.vocabulary import ClassMap, Triple
from tests.recordings import motionless

CLASSES = ClassMap.build(
    [
        ("background", ()),
        ("social", ("sniff", "approach")),
        ("mating", ("mount",)),
        ("aggressive", ("attack", "chase")),
    ]
)


def triples(*texts):
    return frozenset(Triple.parse(text) for text in texts)


ALL = triples(
    "mouse1,mouse2,sniff", "mouse2,mouse1,sniff", "mouse1,mouse2,attack", "mouse1,self,rear"
)


recording = partial(motionless, whitelist=ALL)


def frequencies(**labs):
    return ActionFrequencies(
        {
            lab: {Triple.parse(text): count for text, count in frames.items()}
            for lab, frames in labs.items()
        }
    )


def sure(*classes, probability=0.7):
    rest = (1 - probability) / 3
    return np.where(np.arange(4) == np.array(classes)[:, None], probability, rest).astype(
        np.float32
    )


USUAL = frequencies(lab={"mouse1,mouse2,sniff": 50, "mouse1,mouse2,attack": 5})


def made(bouts):
    columns = ["agent_id", "target_id", "action", "start_frame", "stop_frame"]
    return [tuple(row) for row in bouts.table[columns].itertuples(index=False)]


# Bouts of one video.


def test_runs_become_bouts_with_the_mean_probability():
    probabilities = sure(0, 1, 1, 3, 3, 0, 0, 1, 0, 0)
    probabilities[2, 1] = 0.9
    found = scene_bouts(recording(first_frame=100), probabilities, CLASSES, USUAL)
    assert made(found) == [
        ("mouse1", "mouse2", "sniff", 101, 103),
        ("mouse1", "mouse2", "attack", 103, 105),
        ("mouse1", "mouse2", "sniff", 107, 108),
    ]
    np.testing.assert_allclose(found.table["score"], [0.8, 0.7, 0.7], rtol=1e-6)


def test_a_class_not_looked_for_gives_way_to_the_next_most_probable():
    probabilities = sure(2, 2, 2, 2)
    probabilities[:2, 1] = 0.2
    found = scene_bouts(recording(4), probabilities, CLASSES, USUAL)
    assert made(found) == [("mouse1", "mouse2", "sniff", 0, 2)]
    assert found.table["score"].tolist() == pytest.approx([0.2])


def test_the_action_most_frequent_in_the_lab_then_its_most_frequent_pair():
    whitelist = triples("mouse1,mouse2,sniff", "mouse1,mouse2,approach", "mouse2,mouse1,approach")
    seen = frequencies(
        lab={
            "mouse1,mouse2,sniff": 50,
            "mouse1,mouse2,approach": 20,
            "mouse2,mouse1,approach": 31,
            "mouse3,mouse1,approach": 99,
        },
        other={"mouse1,mouse2,sniff": 10_000},
    )
    found = scene_bouts(recording(1, whitelist=whitelist), sure(1), CLASSES, seen)
    assert made(found) == [("mouse2", "mouse1", "approach", 0, 1)]


def test_ties_go_to_the_first_in_sorted_order():
    whitelist = triples("mouse2,mouse1,sniff", "mouse1,mouse2,sniff", "mouse2,mouse1,approach")
    seen = frequencies(lab={"mouse3,mouse4,sniff": 5, "mouse3,mouse4,approach": 5})
    found = scene_bouts(recording(1, whitelist=whitelist), sure(1), CLASSES, seen)
    assert made(found) == [("mouse2", "mouse1", "approach", 0, 1)]
    whitelist -= triples("mouse2,mouse1,approach")
    found = scene_bouts(recording(1, whitelist=whitelist), sure(1), CLASSES, seen)
    assert made(found) == [("mouse1", "mouse2", "sniff", 0, 1)]


def test_an_action_the_lab_never_shows_is_not_written():
    seen = frequencies(lab={"mouse1,mouse2,sniff": 5}, other={"mouse1,mouse2,attack": 9})
    assert made(scene_bouts(recording(2), sure(3, 1), CLASSES, seen)) == [
        ("mouse1", "mouse2", "sniff", 1, 2)
    ]
    assert len(scene_bouts(recording(2), sure(3, 1), CLASSES, frequencies(lab={}))) == 0


def test_a_lab_never_trained_on_uses_all_labs_together():
    seen = frequencies(
        a={"mouse1,mouse2,sniff": 5}, b={"mouse2,mouse1,sniff": 3}, c={"mouse2,mouse1,sniff": 3}
    )
    found = scene_bouts(recording(1, lab="new"), sure(1), CLASSES, seen)
    assert made(found) == [("mouse2", "mouse1", "sniff", 0, 1)]


def test_without_a_whitelist_the_labs_own_triples_stand_for_it():
    seen = frequencies(
        lab={"mouse1,mouse3,sniff": 50, "mouse2,mouse1,approach": 2},
        other={"mouse1,mouse2,attack": 9},
    )
    probabilities = sure(1, 3)
    own = recording(2, whitelist=None)
    assert made(scene_bouts(own, probabilities, CLASSES, seen)) == [
        ("mouse2", "mouse1", "approach", 0, 1)
    ]  # attack is no choice there, and sniff's third mouse is not tracked
    new = recording(2, whitelist=None, lab="new")
    assert [row[2] for row in made(scene_bouts(new, probabilities, CLASSES, seen))] == [
        "approach",
        "attack",
    ]


def test_nothing_to_write():
    assert len(scene_bouts(recording(3), sure(0, 0, 0), CLASSES, USUAL)) == 0
    rear = recording(3, whitelist=triples("mouse1,self,rear"))
    assert len(scene_bouts(rear, sure(1, 2, 3), CLASSES, USUAL)) == 0
    nothing = np.zeros((0, 4), np.float32)
    assert len(scene_bouts(recording(0), nothing, CLASSES, USUAL)) == 0
    assert len(most_likely_bout(recording(0), nothing, CLASSES, USUAL)) == 0


@pytest.mark.parametrize("function", [scene_bouts, most_likely_bout])
def test_refuses_unusable_probabilities(function):
    with pytest.raises(DataError, match=r"video v: probabilities are \[3, 4\] for 10 frames of 4"):
        function(recording(10), sure(1, 1, 1), CLASSES, USUAL)
    broken = sure(1, 1, 1)
    broken[1, 2] = np.nan
    with pytest.raises(DataError, match=r"frame index 1.*nan.*train again"):
        function(recording(3), broken, CLASSES, USUAL)


# The way out when nothing was found.


def test_the_most_likely_stretch_is_where_the_peak_is_down_to_its_half():
    probabilities = np.zeros((8, 4), np.float32)
    probabilities[:, 1] = [0.3, 0.0, 0.2, 0.2, 0.4, 0.25, 0.19, 0.3]
    probabilities[:, 3] = 0.1
    probabilities[6, 2] = 0.45  # mating was not looked for
    found = most_likely_bout(recording(8), probabilities, CLASSES, USUAL)
    assert made(found) == [("mouse1", "mouse2", "sniff", 2, 6)]
    assert found.table["score"].tolist() == pytest.approx([1.05 / 4])


def test_no_stretch_where_nothing_is_probable_at_all():
    assert len(most_likely_bout(recording(3), sure(0, 0, 0, probability=1.0), CLASSES, USUAL)) == 0


def test_all_videos_together_fall_back_on_one_bout_and_say_so():
    quiet = sure(0, 0, 0)
    livelier = quiet.copy()
    livelier[1, 3] = 0.3
    videos = [(recording(3, video=name), quiet) for name in "abc"]
    videos[1] = (videos[1][0], livelier)
    result = predict_scenes(iter(videos), CLASSES, USUAL)
    assert result.fallback
    assert result.bouts.table["video_id"].tolist() == ["b"]
    assert made(result.bouts) == [("mouse1", "mouse2", "attack", 1, 2)]


def test_one_real_bout_anywhere_and_there_is_no_fallback():
    videos = [(recording(2, video="a"), sure(0, 0)), (recording(2, video="b"), sure(0, 1))]
    for order in (videos, videos[::-1]):
        result = predict_scenes(order, CLASSES, USUAL)
        assert not result.fallback
        assert result.bouts.table["video_id"].tolist() == ["b"]


def test_nothing_may_be_written_at_all():
    for videos in ([], [(recording(1, whitelist=frozenset()), sure(1))]):
        result = predict_scenes(videos, CLASSES, USUAL)
        assert len(result.bouts) == 0
        assert not result.fallback


# Frequencies.


def test_frequencies_count_frames_once_and_only_what_was_looked_for():
    events = [
        ("mouse1,mouse2,sniff", 0, 6),
        ("mouse1,mouse2,sniff", 4, 8),
        ("mouse1,mouse2,sniff", 9, 10),
        ("mouse2,mouse1,attack", 0, 9),
    ]
    counted = ActionFrequencies.build(
        [
            recording(events=events),
            recording(events=[("mouse1,mouse2,sniff", 0, 3), ("mouse1,self,rear", 1, 2)]),
            recording(events=[], lab="silent"),
            recording(lab="unlabelled"),
        ]
    )
    assert counted == frequencies(lab={"mouse1,mouse2,sniff": 12, "mouse1,self,rear": 1}, silent={})
    assert not counted.of_lab("silent")
    assert counted.of_lab("unlabelled") == counted.of_lab("lab")


def test_frequencies_survive_their_file():
    seen = frequencies(lab={"mouse1,mouse2,sniff": 5, "mouse1,self,é=1": 2}, silent={})
    with_comma = ActionFrequencies({"x": {Triple("mouse1", "self", "a,b"): 1}})
    for one in (seen, with_comma, ActionFrequencies({})):
        assert ActionFrequencies.from_json(one.to_json()) == one


@pytest.mark.parametrize(
    "value",
    [
        [],
        3,
        {"lab": 3},
        {"lab": [["mouse1", "mouse2", "sniff"]]},
        {"lab": [["mouse1", "mouse2", "sniff", 0]]},
        {"lab": [["mouse1", "mouse2", "sniff", True]]},
        {"lab": [["mouse1", "mouse2", "sniff", 2.5]]},
        {"lab": [["1", "mouse2", "sniff", 2]]},
        {"lab": [["mouse1", "mouse1", "rear", 2]]},
        {"lab": [["mouse1", "self", "", 2]]},
        {"lab": [["mouse1", "self", "rear", 2], ["mouse1", "self", "rear", 2]]},
    ],
)
def test_frequencies_refuse_another_file(value):
    with pytest.raises(DataError, match="action frequencies"):
        ActionFrequencies.from_json(json.dumps(value))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000])
def test_frequencies_refuse_what_is_not_json(text):
    with pytest.raises(DataError, match="not JSON"):
        ActionFrequencies.from_json(text)


# Whatever the model says, the table is valid.

frames_of = st.integers(1, 25)
probabilities_of = frames_of.flatmap(
    lambda t: arrays(np.float32, (t, 4), elements=st.floats(0, 1, width=32))
)
possible = [
    Triple(f"mouse{a}", target, action)
    for a in (1, 2)
    for target in (f"mouse{3 - a}", "self")
    for action in ("sniff", "approach", "mount", "attack", "rear")
]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(probabilities_of, st.none() | st.frozensets(st.sampled_from(possible))),
        min_size=1,
        max_size=3,
    ),
    st.dictionaries(
        st.sampled_from(["lab", "other"]),
        st.dictionaries(st.sampled_from(possible), st.integers(1, 50)),
    ),
)
def test_the_submission_is_always_valid(videos, labs):
    recordings = [
        recording(len(probabilities), video=str(number), whitelist=whitelist, first_frame=number)
        for number, (probabilities, whitelist) in enumerate(videos)
    ]
    result = predict_scenes(
        zip(recordings, [probabilities for probabilities, _ in videos], strict=True),
        CLASSES,
        ActionFrequencies(labs),
    )
    table = submission_table(result.bouts)
    if len(table):
        check_submission(table, recordings)
    else:
        with pytest.raises(DataError, match="no bout"):
            check_submission(table, recordings)


def test_perfect_probabilities_score_one():
    labelled = recording(
        20,
        first_frame=7,
        events=[("mouse1,mouse2,sniff", 2, 9), ("mouse1,mouse2,attack", 12, 15)],
    )
    truth = np.zeros(20, int)
    truth[2:9], truth[12:15] = 1, 3
    seen = ActionFrequencies.build([labelled])
    table = submission_table(scene_bouts(labelled, sure(*truth), CLASSES, seen))
    assert score(solution_table([labelled]), table) == 1.0
