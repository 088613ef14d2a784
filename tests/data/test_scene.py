"""One class a frame: overlaps, exclusive stops, and unknown instead of background."""

import dataclasses

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from recordings import recording

from jaxbeh.data.scene import UNKNOWN, scene_labels
from jaxbeh.vocabulary import ClassMap

CLASSES = ClassMap.build(
    [
        ("background", ["rest"]),
        ("social", ["sniff"]),
        ("mating", ["mount"]),
        ("aggressive", ["attack"]),
    ]
)
ALL = ("mouse1,mouse2,sniff", "mouse1,mouse2,mount", "mouse1,mouse2,attack")


def labels(events, whitelist=ALL, frames=12):
    pixels = np.zeros((frames, 2, 7, 2))
    return scene_labels(recording(pixels, events, whitelist=whitelist), CLASSES)


def test_frames_from_start_to_before_stop():
    found = labels([("mouse1,mouse2,sniff", 3, 5), ("mouse1,mouse2,attack", 11, 12)])
    assert found.values.tolist() == [0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 3]
    assert found.values.dtype == np.int8
    assert found.looked_for.tolist() == [True] * 4


def test_the_higher_class_wins_in_either_order():
    events = [("mouse1,mouse2,sniff", 0, 6), ("mouse1,mouse2,mount", 4, 8)]
    for order in (events, events[::-1]):
        assert labels(order, frames=9).values.tolist() == [1, 1, 1, 1, 2, 2, 2, 2, 0]


def test_classes_that_nobody_looked_for_are_masked():
    found = labels(
        [], whitelist=["mouse1,mouse2,sniff", "mouse2,mouse1,attack", "mouse1,self,rear"]
    )
    assert found.looked_for.tolist() == [True, True, False, True]
    assert found.teaches


def test_a_video_of_background_actions_alone_teaches_nothing():
    for whitelist in (["mouse1,self,rear"], ["mouse1,self,rest"]):
        found = labels([("mouse1,self,rear", 0, 5)], whitelist=whitelist)
        assert found.looked_for.tolist() == [True, False, False, False]
        assert not found.teaches
        assert (found.values == 0).all()


def test_an_event_not_looked_for_is_unknown_not_background():
    found = labels([("mouse2,mouse1,sniff", 3, 6)], frames=8)
    assert found.values.tolist() == [0, 0, 0, UNKNOWN, UNKNOWN, UNKNOWN, 0, 0]


def test_a_class_not_looked_for_at_all_is_unknown_where_it_was_seen():
    found = labels([("mouse1,mouse2,attack", 1, 3)], whitelist=["mouse1,mouse2,sniff"], frames=4)
    assert found.values.tolist() == [0, UNKNOWN, UNKNOWN, 0]
    assert found.looked_for.tolist() == [True, True, False, False]


def test_a_looked_for_event_of_the_same_or_a_higher_class_settles_a_frame():
    events = [
        ("mouse2,mouse1,mount", 0, 8),
        ("mouse1,mouse2,sniff", 1, 3),
        ("mouse1,mouse2,mount", 3, 5),
        ("mouse1,mouse2,attack", 5, 7),
    ]
    for order in (events, events[::-1]):
        assert labels(order, frames=9).values.tolist() == [-1, -1, -1, 2, 2, 3, 3, -1, 0]


def test_a_background_action_not_looked_for_changes_nothing():
    events = [("mouse1,self,rear", 0, 5), ("mouse1,mouse2,sniff", 2, 3)]
    assert labels(events, frames=5).values.tolist() == [0, 0, 1, 0, 0]


def test_a_video_without_labels_or_whitelist():
    item = recording(np.zeros((5, 2, 7, 2)))
    unlabelled = scene_labels(dataclasses.replace(item, events=None), CLASSES)
    assert (unlabelled.values == UNKNOWN).all()
    assert unlabelled.looked_for.all()
    unsaid = scene_labels(dataclasses.replace(item, events=None, whitelist=None), CLASSES)
    assert unsaid.looked_for.all()
    narrow = recording(np.zeros((5, 2, 7, 2)), whitelist=["mouse1,mouse2,sniff"])
    assert scene_labels(dataclasses.replace(narrow, events=None), CLASSES).looked_for.sum() == 2


triple = st.sampled_from([f"{pair},{action}" for pair in ("mouse1,mouse2", "mouse2,mouse1")
                          for action in ("rest", "sniff", "mount", "attack")])  # fmt: skip


@given(
    events=st.lists(st.tuples(triple, st.integers(0, 11), st.integers(1, 12)), max_size=8),
    whitelist=st.sets(triple, min_size=1),
)
def test_labels_equal_a_frame_by_frame_reading(events, whitelist):
    events = [event for event in events if event[1] < event[2]]
    found = labels(events, whitelist=sorted(whitelist))
    for frame in range(12):
        here = [
            (name, CLASSES.index(name.split(",")[2]))
            for name, start, stop in events
            if start <= frame < stop
        ]
        known = max((index for name, index in here if name in whitelist), default=0)
        unknown = max((index for name, index in here if name not in whitelist), default=0)
        assert found.values[frame] == (UNKNOWN if unknown > known else known)
