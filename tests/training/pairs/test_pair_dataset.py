"""From recordings to tracks and folds."""

import dataclasses
import json

import pytest
from recordings import recording, wander

from jaxbeh.config import load_config
from jaxbeh.data.report import ReadingReport
from jaxbeh.errors import DataError, RunError
from jaxbeh.training.pairs.dataset import build_pair_dataset

V7 = load_config("v7")


def with_members(**changes):
    return V7.model_copy(update={"members": V7.members.model_copy(update=changes)})


def videos(count=6, labs="ab"):
    return [
        recording(
            wander(30, seed=index),
            [("mouse1,mouse2,sniff", 3, 9), ("mouse1,mouse2,mount", 9, 11)],
            video_id=str(index),
            lab_id=labs[index % len(labs)],
        )
        for index in range(count)
    ]


def test_every_video_is_held_out_once():
    made = build_pair_dataset(videos(), with_members(folds=3), ReadingReport())
    split = made.split()
    assert split["train"] == split["validation"] == [str(index) for index in range(6)]
    assert sorted(split["fold 1"] + split["fold 2"] + split["fold 3"]) == split["train"]
    assert made.vocabulary.pair == ("attack", "mount", "sniff")
    assert made.entry_frames.tolist() == [[0, 180], [12, 180], [36, 180]]
    assert made.frames_trained_on(1).tolist() == [[0, 120], [8, 120], [24, 120]]
    assert made.labs == ("a", "b")
    assert made.lab_fold == (-1, -1)
    assert made.track_fold.tolist() == made.fold.tolist()


def test_one_fold_is_a_split(tmp_path):
    file = tmp_path / "split.json"
    file.write_text(json.dumps({"train": ["0", "1", "5"], "validation": ["2", "4"]}))
    config = with_members(folds=1)
    config = config.model_copy(
        update={"data": config.data.model_copy(update={"split_file": str(file)})}
    )
    made = build_pair_dataset(videos(), config, ReadingReport())
    assert made.split()["validation"] == made.split()["fold 1"] == ["2", "4"]
    assert made.split()["train"] == ["0", "1", "5"]  # nobody trains on what the file leaves out
    assert [item.video_id for item in made.recordings] == ["0", "1", "2", "4", "5"]
    assert {track.video for track in made.tracks} == set(range(5))
    with pytest.raises(RunError, match="give --folds 1"):
        build_pair_dataset(
            videos(), config.model_copy(update={"members": V7.members}), ReadingReport()
        )


def test_a_split_file_may_name_videos_that_teach_nothing(tmp_path):
    file = tmp_path / "split.json"
    config = with_members(folds=1)
    data = config.data.model_copy(update={"split_file": str(file)})
    config = config.model_copy(update={"data": data})
    lonely = recording(wander(30, mice=1), mice=(1,), video_id="x")
    file.write_text(json.dumps({"train": ["0", "1", "x"], "validation": ["2"]}))
    report = ReadingReport()
    made = build_pair_dataset([*videos(3), lonely], config, report)
    assert made.split()["train"] == ["0", "1"]
    assert made.split()["validation"] == ["2"]
    assert [(item.what, item.videos) for item in report.findings()] == [
        ("no action was looked for in a tracked mouse", ("x",))
    ]
    file.write_text(json.dumps({"train": ["0", "1", "2"], "validation": ["x"]}))
    with pytest.raises(RunError, match="no video is left on one side of the split"):
        build_pair_dataset([*videos(3), lonely], config, ReadingReport())
    file.write_text(json.dumps({"train": ["0", "1"], "validation": ["2", "no such video"]}))
    with pytest.raises(DataError, match="remove it"):
        build_pair_dataset(videos(3), config, ReadingReport())


def test_a_fold_may_be_a_lab():
    made = build_pair_dataset(videos(labs="cab"), with_members(hold_out="labs"), ReadingReport())
    assert made.folds == 3
    assert made.fold.tolist() == [2, 0, 1, 2, 0, 1]
    assert made.lab_fold == (0, 1, 2)
    with pytest.raises(DataError, match="needs two"):
        build_pair_dataset(videos(labs="a"), with_members(hold_out="labs"), ReadingReport())


def test_a_lab_of_one_video_is_not_learnt_by_who_holds_it_out():
    made = build_pair_dataset(videos(labs="aaaaab"), with_members(folds=3), ReadingReport())
    assert made.lab_fold == (-1, made.fold[5])


def test_folds_that_leave_nothing_to_tune_on_are_refused_before_training(tmp_path):
    resting = [
        recording(wander(30, seed=index), video_id=str(index), lab_id="a") for index in range(3)
    ]
    only = dataclasses.replace(videos(1)[0], video_id="9")
    with pytest.raises(DataError, match=r"none of the 2 videos outside fold \d shows an action"):
        build_pair_dataset([*resting, only], with_members(folds=2), ReadingReport())
    with pytest.raises(DataError, match="outside fold 1 shows an action that was looked for"):
        build_pair_dataset(resting, with_members(folds=2), ReadingReport())
    file = tmp_path / "split.json"
    file.write_text(json.dumps({"train": ["9", "0"], "validation": ["1", "2"]}))
    config = with_members(folds=1)
    data = config.data.model_copy(update={"split_file": str(file)})
    with pytest.raises(DataError, match="none of the 2 videos held out shows an action"):
        build_pair_dataset(
            [*resting, only], config.model_copy(update={"data": data}), ReadingReport()
        )


def test_videos_that_teach_nothing_are_told_of():
    lonely = recording(wander(30, mice=1), mice=(1,), video_id="x")
    unlabelled = dataclasses.replace(recording(wander(30), video_id="y"), events=None)
    report = ReadingReport()
    made = build_pair_dataset([*videos(), lonely, unlabelled], with_members(folds=2), report)
    assert len(made.recordings) == 6
    assert [(item.what, item.videos) for item in report.findings()] == [
        ("no action was looked for in a tracked mouse", ("x",))
    ]
    with pytest.raises(RunError, match="none of the 1 labelled"):
        build_pair_dataset([lonely], with_members(folds=2), ReadingReport())
