"""Folds of videos."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import recording, wander

from jaxbeh.data.folds import fold_of_video, lab_folds
from jaxbeh.data.report import ReadingReport
from jaxbeh.errors import DataError


def videos(labs, animals=None, contents=None, frames=None):
    made = []
    for index, lab in enumerate(labs):
        content = contents[index] if contents else index
        length = frames[index] if frames else 8
        item = recording(wander(length, seed=content), video_id=str(index), lab_id=lab)
        own = tuple(animals[index]) if animals else ()
        made.append(dataclasses.replace(item, animals=own))
    return made


def test_equal_tracking_and_the_same_animal_stay_together():
    made = videos("aaaaaa", animals=["x", "xy", "y", "", "z", ""], contents=[0, 1, 2, 3, 4, 3])
    found = fold_of_video(made, 3, 0, ReadingReport())
    assert len({found[0], found[1], found[2]}) == 1
    assert found[3] == found[5]
    assert sorted(set(found)) == [0, 1, 2]


def test_an_animals_name_means_nothing_in_another_lab():
    assert len(set(fold_of_video(videos("ab", animals=["1", "1"]), 2, 0, ReadingReport()))) == 2


def test_animals_that_all_videos_of_a_lab_share_say_nothing():
    report = ReadingReport()
    made = videos("aaabb", animals=["1", "1", "12", "1", "2"])
    assert set(fold_of_video(made, 3, 0, report)) == {0, 1, 2}
    assert [(item.then, item.videos) for item in report.findings()] == [
        ("identities not used for the folds", ("0", "1", "2"))
    ]


def test_labs_are_spread_over_the_folds():
    found = fold_of_video(videos("aaaaaabbbbbbccc"), 3, 1, ReadingReport())
    for lab, each in (("a", 2), ("b", 2), ("c", 1)):
        folds = [fold for fold, own in zip(found, "aaaaaabbbbbbccc", strict=True) if own == lab]
        assert np.bincount(folds, minlength=3).tolist() == [each] * 3


def test_a_tracking_that_two_labs_annotated_counts_for_both():
    made = videos("cabb", contents=[0, 1, 1, 2], frames=[40, 8, 8, 8])
    c, a, b, other_b = fold_of_video(made, 2, 0, ReadingReport())
    assert a == b != other_b == c


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), min_size=4, max_size=12),
    st.integers(2, 4),
    st.randoms(use_true_random=False),
)
def test_folds_follow_from_the_videos_and_the_seed_alone(parts, folds, shuffle):
    made = videos([lab for lab, _ in parts], contents=[content for _, content in parts])
    if len({content for _, content in parts}) < folds:
        with pytest.raises(DataError, match="too few for"):
            fold_of_video(made, folds, 3, ReadingReport())
        return
    first = fold_of_video(made, folds, 3, ReadingReport())
    found = {item.video_id: fold for item, fold in zip(made, first, strict=True)}
    assert set(found.values()) == set(range(folds))
    shuffle.shuffle(made)
    again = fold_of_video(made, folds, 3, ReadingReport())
    assert {item.video_id: fold for item, fold in zip(made, again, strict=True)} == found


def test_leaving_labs_out():
    assert lab_folds(videos("bab")) == [1, 0, 1]
    with pytest.raises(DataError, match="needs two"):
        lab_folds(videos("bb"))


def test_labs_that_share_a_tracking_are_left_out_together():
    assert lab_folds(videos("cabd", contents=[0, 1, 0, 2])) == [1, 0, 1, 2]
    with pytest.raises(DataError, match="lab a, b, which share trackings; leaving a lab out needs"):
        lab_folds(videos("aab", contents=[0, 1, 0]))
