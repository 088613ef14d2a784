"""Pre-training: what it trains on, what it never looks at, stopped and continued."""

import dataclasses
import json

import numpy as np
import pytest
from tiny_poses import pose_config, run

from jaxbeh.data.report import ReadingReport
from jaxbeh.errors import RunError
from jaxbeh.training.poses.dataset import build_pose_dataset
from tests.recordings import motionless, recording, wander
from tests.training.pairs.tiny_pairs import tiny_videos
from tests.training.tiny import StopAfter


def unlabelled(videos):
    return [dataclasses.replace(item, events=None, whitelist=None) for item in videos]


def lines(whole):
    return [{key: line[key] for key in line if key != "seconds"} for line in whole.folder.metrics()]


def test_each_mouse_is_the_agent_of_every_other():
    trio = recording(wander(40, seed=8, mice=3), video_id="trio", mice=(1, 2, 4))
    single = recording(wander(40, seed=9, mice=1), video_id="single", mice=(3,))
    videos = [*unlabelled(tiny_videos(2)), trio, single]
    made = build_pose_dataset(videos, pose_config(), ReadingReport())
    pairs = [(track.video, track.agent, track.other) for track in made.tracks]
    assert pairs[:4] == [(0, 1, 2), (0, 2, 1), (1, 1, 2), (1, 2, 1)]
    assert pairs[4:10] == [(2, 1, 2), (2, 1, 4), (2, 2, 1), (2, 2, 4), (2, 4, 1), (2, 4, 2)]
    assert pairs[10:] == [(3, 3, 0)]
    assert (len(made.vocabulary), made.labs) == (0, ())
    split = made.split()
    assert sorted(split["train"] + split["validation"]) == ["0", "1", "single", "trio"]
    assert len(split["validation"]) == 1


def test_what_a_split_file_leaves_out_is_not_learnt_from(tmp_path):
    file = tmp_path / "split.json"
    file.write_text(json.dumps({"train": ["0", "1"], "validation": ["3"]}))
    config = pose_config(f"data.split_file={file}")
    made = build_pose_dataset(unlabelled(tiny_videos()), config, ReadingReport())
    assert [item.video_id for item in made.recordings] == ["0", "1", "3"]
    assert {side: made.split()[side] for side in ("train", "validation")} == {
        "train": ["0", "1"],
        "validation": ["3"],
    }


def test_a_collection_without_a_known_keypoint_is_refused():
    odd = dataclasses.replace(
        motionless(),
        tracking=dataclasses.replace(motionless().tracking, keypoints=("tail_midpoint",)),
    )
    report = ReadingReport()
    with pytest.raises(RunError, match="none of the 1 videos has a known keypoint"):
        build_pose_dataset([odd], pose_config(), report)
    assert report.findings()[0].then == "left out"


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    return run(
        pose_config(), unlabelled(tiny_videos()), tmp_path_factory.mktemp("run") / "straight"
    )


def test_only_windows_of_the_training_side_are_trained_on(straight):
    dataset = build_pose_dataset(tiny_videos(), pose_config(), ReadingReport())
    data, order = straight.batches.at(0)
    track = np.asarray(data.store.windows)[:, 0]
    held_out = dataset.track_fold[track] == 0
    order, judged = np.asarray(order), np.asarray(data.judged)
    assert not held_out[order].any()
    assert set(track[order].ravel()) == set(np.flatnonzero(dataset.track_fold != 0))
    assert held_out[judged[judged >= 0]].all()


def test_it_learns_to_say_what_is_hidden(straight):
    losses = [line["train_loss"] for line in lines(straight)]
    assert losses[-1] < 0.95 * losses[0]
    assert lines(straight)[-1]["val_explained"] > 0


def test_stopped_and_continued_to_the_same_bits(straight, tmp_path):
    stop = StopAfter(2 * straight.plan.steps)
    videos = unlabelled(tiny_videos())
    half = run(pose_config(), videos, tmp_path / "run", stop=stop)
    assert [line["epoch"] for line in lines(half)] == [1, 2]
    whole = run(pose_config(), videos, tmp_path / "run")
    assert len(lines(whole)[-1]["state_sha256"]) == 64
    assert json.dumps(lines(whole)) == json.dumps(lines(straight))


def test_labels_change_nothing(straight, tmp_path):
    labelled = run(pose_config(), tiny_videos(), tmp_path / "labelled")
    assert lines(labelled)[-1]["state_sha256"] == lines(straight)[-1]["state_sha256"]
