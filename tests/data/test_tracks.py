"""Tracks, vocabulary and the bits of annotated frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import recording, wander

from jaxbeh.data.tracks import ActionVocabulary, Track, action_bits, entry_frames, tracks_of
from jaxbeh.errors import DataError
from jaxbeh.vocabulary import Triple

WHITELIST = ("mouse1,mouse2,sniff", "mouse1,self,rear", "mouse2,self,rear", "mouse1,self,dig")


def triples(*texts):
    return [Triple.parse(text) for text in texts]


def test_a_vocabulary_has_actions_alone_before_those_to_others():
    found = ActionVocabulary.build(triples(*WHITELIST, "mouse1,mouse2,rear"))
    assert (found.alone, found.pair) == (("dig", "rear"), ("rear", "sniff"))
    assert [found.name(entry) for entry in range(len(found))] == ["dig", "rear", "rear", "sniff"]
    assert found.index(Triple("mouse4", "self", "rear")) == 1
    assert found.index(Triple("mouse4", "mouse1", "rear")) == 2
    assert found.index(Triple("mouse1", "self", "sniff")) is None
    assert ActionVocabulary.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    "value", [{}, {"alone": [], "pair": "ab"}, {"alone": ["b", "a"], "pair": []}, {"alone": [1]}]
)
def test_a_vocabulary_of_another_kind_is_refused(value):
    with pytest.raises(DataError, match="not a vocabulary"):
        ActionVocabulary.from_json(value)


def test_the_tracks_of_a_video_are_those_that_were_looked_for():
    made = recording(wander(10, mice=3), mice=(1, 2, 4), whitelist=WHITELIST)
    vocabulary = ActionVocabulary.build(made.whitelist)
    looked_for = triples(*WHITELIST, "mouse4,mouse2,sniff", "mouse3,self,dig", "mouse1,self,run")
    assert tracks_of(7, made, looked_for, vocabulary) == [
        Track(7, 1, 2, "self", (0, 1)),
        Track(7, 1, 2, "mouse2", (2,)),
        Track(7, 2, 1, "self", (1,)),
        Track(7, 4, 2, "mouse2", (2,)),
    ]


def test_a_mouse_by_itself_has_no_other():
    made = recording(wander(10, mice=1), mice=(3,), whitelist=("mouse3,self,rear",))
    vocabulary = ActionVocabulary.build(made.whitelist)
    assert tracks_of(0, made, made.whitelist, vocabulary) == [Track(0, 3, 0, "self", (0,))]


def test_bits_are_set_where_looked_for_actions_were_seen():
    events = [
        ("mouse1,self,rear", 2, 5),
        ("mouse1,self,dig", 4, 6),
        ("mouse2,self,rear", 0, 9),
        ("mouse1,mouse2,sniff", 0, 9),
        ("mouse1,self,run", 0, 9),
    ]
    made = recording(wander(10), events, whitelist=WHITELIST)
    vocabulary = ActionVocabulary.build([*made.whitelist, Triple("mouse1", "self", "run")])
    track = Track(0, 1, 2, "self", (0, 1))
    bits = action_bits(made, track, vocabulary)
    assert bits[:, 0].tolist() == [0, 0, 2, 2, 3, 1, 0, 0, 0, 0]
    assert entry_frames([track], [bits], 4).tolist() == [[2, 10], [3, 10], [0, 0], [0, 0]]


@given(st.integers(1, 100), st.data())
def test_every_entry_has_a_bit_of_its_own(actions, data):
    names = [f"a{index:03}" for index in range(actions)]
    whitelist = tuple(f"mouse1,self,{name}" for name in names)
    entry = data.draw(st.integers(0, actions - 1))
    made = recording(wander(4), [(whitelist[entry], 1, 3)], whitelist=whitelist)
    vocabulary = ActionVocabulary.build(made.whitelist)
    bits = action_bits(made, Track(0, 1, 2, "self", tuple(range(actions))), vocabulary)
    seen = [[int(row[e // 32]) >> e % 32 & 1 for e in range(actions)] for row in bits]
    expected = np.zeros((4, actions), int)
    expected[1:3, entry] = 1
    assert seen == expected.tolist()
