"""Which videos a run can use, and what is said of the others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import SEVEN, recording, wander
from tiny import collection, settings

from jaxbeh.data.report import ReadingReport
from jaxbeh.data.scene import UNKNOWN, Labels
from jaxbeh.data.store import Scene, window_table
from jaxbeh.errors import RunError
from jaxbeh.training.dataset import build_dataset, content, labelled_store
from jaxbeh.vocabulary import SlotTable

ENGINEERED = "features.name=engineered"
EVENTS = [("mouse1,mouse2,sniff", 5, 20), ("mouse1,mouse2,mount", 30, 40)]


def built(recordings, *overrides):
    report = ReadingReport()
    dataset = build_dataset(recordings, settings(*overrides), report)
    return dataset, {finding.what: finding for finding in report.findings()}


def without(name, video_id, seed=0):
    keypoints = tuple("whisker" if keypoint == name else keypoint for keypoint in SEVEN)
    return recording(wander(90, seed=seed), EVENTS, video_id=video_id, keypoints=keypoints)


def test_videos_without_the_keypoints_that_features_need_are_left_out_with_the_list():
    odd = [
        without("neck", "odd"),
        recording(wander(90, mice=1), EVENTS[:0], video_id="alone", mice=(1,)),
    ]
    dataset, findings = built([*collection(), *odd], ENGINEERED)
    used = {scene.recording.video_id for scene in (*dataset.train, *dataset.validation)}
    assert used == {"0", "1", "2", "3", "4"}
    said = {what.partition("; ")[2]: finding for what, finding in findings.items()}
    assert said["lacking: neck"].videos == ("odd",)
    assert said["lacking: mouse 2"].videos == ("alone",)
    assert all("nose, ear_left, ear_right, neck" in what for what in findings)
    assert said["lacking: neck"].then == "left out"
    motion, _ = built([*collection(), *odd])
    assert len(motion.train) + len(motion.validation) == 7


def test_an_alias_gives_features_what_they_need():
    odd = [without("neck", str(number), seed=number) for number in range(9)]
    dataset, _ = built(odd, ENGINEERED, "data.aliases={whisker: neck}")
    assert dataset.train


def test_features_that_fit_no_video_are_refused_with_both_sides():
    one = [
        recording(wander(90, seed=number, mice=1), [], video_id=str(number), mice=(1,))
        for number in range(4)
    ]
    with pytest.raises(RunError) as refused:
        built(one, ENGINEERED)
    for part in ("features.name=engineered", "of mice 1 to 2", "0, for one, lacks mouse 2"):
        assert part in str(refused.value)


def test_the_content_of_a_side_is_known_again():
    dataset, _ = built(collection())
    train, validation = content(dataset.train), content(dataset.validation)
    assert len(train) == len(dataset.train)
    assert not set(train) & set(validation)


@given(st.data(), st.integers(1, 12), st.integers(1, 12))
def test_windows_without_a_labelled_frame_are_left_out(data, length, stride):
    stride = min(stride, length)
    frames = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=4))
    side = []
    for video, count in enumerate(frames):
        known = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
        values = np.where(known, 1, UNKNOWN).astype(np.int8)
        labels = Labels(values=values, looked_for=np.ones(2, bool))
        side.append(Scene(recording(wander(count), video_id=str(video)), labels))
    table = window_table(frames, length, stride)
    wanted = [
        row.tolist()
        for row in table
        if (side[row[0]].labels.values[row[1] : row[1] + length] != UNKNOWN).any()
    ]
    slots = SlotTable.build(SEVEN, {})
    if wanted:
        assert labelled_store(side, slots, length, stride).windows.tolist() == wanted
    else:
        with pytest.raises(RunError, match="have no labelled frame"):
            labelled_store(side, slots, length, stride)
