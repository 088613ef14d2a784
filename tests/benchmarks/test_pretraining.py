"""How labels are left out to see what pre-training brings."""

import numpy as np
import pytest
from pretraining import cut, dataset_of, labelled_part, repeated

from jaxbeh.config import load_config
from tests.recordings import recording, wander

CONFIG = load_config("v7", ["window={length: 32, train_stride: 32}", "members.folds=1"])


def videos(count=6, frames=300):
    return [
        recording(
            wander(frames, seed=index),
            [("mouse1,mouse2,sniff", 10, 100), ("mouse1,mouse2,mount", 150, 160)],
            video_id=str(index),
            lab_id="ab"[index % 2],
            fps=[30.0, 15.0][index % 2],
        )
        for index in range(count)
    ]


def test_a_stretch_is_a_video_of_its_own():
    (whole,) = videos(1)
    part = cut(whole, 90, 155)
    np.testing.assert_array_equal(part.tracking.xy, whole.tracking.xy[90:155])
    assert part.tracking.first_frame == 90
    events = part.events
    found = [
        (triple.action, start, stop)
        for triple, start, stop in zip(events.triples, events.start, events.stop, strict=True)
    ]
    assert found == [("sniff", 0, 10), ("mount", 60, 65)]
    assert part.video_id != whole.video_id
    assert part.tracking.content_hash != whole.tracking.content_hash
    assert cut(whole, 100, 150).events.triples == ()


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5])
def test_the_share_of_each_lab_is_reached_and_hardly_passed(share):
    kept = labelled_part(videos(), share, 2.0, seed=1)
    ids = [item.video_id for item in kept]
    assert len(set(ids)) == len(ids)
    for lab, step in (("a", 60), ("b", 30)):
        frames = sum(item.tracking.frames for item in kept if item.lab_id == lab)
        assert max(share * 900, 1) <= frames <= share * 900 + step
    again = labelled_part(videos(), share, 2.0, seed=1)
    assert [item.video_id for item in again] == ids
    other = labelled_part(videos(), share, 2.0, seed=2)
    assert [item.video_id for item in other] != ids


def test_all_labels_are_whole_videos():
    assert [item.video_id for item in labelled_part(videos(), 1.0, 2.0, 0)] == list("012345")


def test_no_frequency_is_taken_from_what_is_held_out(tmp_path):
    held_out, *rest = videos()
    made = dataset_of(rest, [held_out], CONFIG, tmp_path / "split.json")
    assert made.split()["validation"] == ["0"]
    mount = made.vocabulary.pair.index("mount")
    assert made.frames_trained_on(0)[mount].tolist() == [50, 1500]


def test_few_labels_are_dealt_more_often(tmp_path):
    held_out, *rest = videos()
    kept = [cut(item, 0, 40) for item in rest]
    made = dataset_of(kept, [held_out], CONFIG, tmp_path / "split.json")
    training = CONFIG.training.model_copy(update={"epochs": 2, "batch_size": 4})
    config = CONFIG.model_copy(update={"training": training})
    dealt = repeated(made, kept, config, updates=20)
    assert len(dealt) % len(kept) == 0
    again = dataset_of(dealt, [held_out], config, tmp_path / "split.json")
    assert len(again.recordings) == len(dealt) + 1
    windows = sum(2 if item.fps == 30 else 3 for item in kept)  # of 40 and of 79 places
    assert len(dealt) // len(kept) == -(-20 * 4 // (2 * windows))
    assert repeated(made, kept, config, updates=1) == kept
