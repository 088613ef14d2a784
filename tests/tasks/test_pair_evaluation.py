"""What is averaged is decoded by values of its own."""

import json
import weakref
from dataclasses import replace

import pytest
from recordings import recording, wander

from jaxbeh.data.report import ReadingReport
from jaxbeh.errors import RunError
from jaxbeh.inference.pairs.averaging import average
from jaxbeh.inference.pairs.decoding import Decoding
from jaxbeh.inference.pairs.honest import honest
from jaxbeh.inference.pairs.mean_decoding import Mean, MeanDecoding
from jaxbeh.inference.pairs.records import Known
from jaxbeh.inference.pairs.trained import Trained
from jaxbeh.inference.scene_bouts import ActionFrequencies
from jaxbeh.tasks.pair_evaluation import PairEvaluator
from jaxbeh.tasks.pairs import PairTask
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.vocabulary import SlotTable
from tests.training.pairs.tiny_pairs import drawn_predictor, tiny_config, tiny_videos


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Videos, and a run that was never trained, its folder and itself."""
    task = PairTask.prepare(tiny_videos(4), tiny_config(), ReadingReport())
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    (folder.path / "split.json").write_text(json.dumps(task.split()))
    run = Trained(
        predictor=drawn_predictor(task.config, task.dataset),
        known=Known.from_json(task.files()["known.json"]),
        frequencies=ActionFrequencies.from_json(task.files()["actions.json"]),
        weights="a" * 64,
    )
    return task.dataset, folder, run


def evaluator(folder, run, told, runs=2, tta=False):
    first = Decoding.constant(run.frequencies, 1.0)
    fitted = runs == 1 and not tta
    return PairEvaluator((folder,) * runs, (run,) * runs, first, fitted, tta, told.append)


@pytest.mark.parametrize(("runs", "tta"), [(2, False), (1, True)])
def test_videos_are_decoded_by_what_was_tuned_on_those_held_out(made, runs, tta):
    dataset, folder, run = made
    videos, told = dataset.recordings, []
    before = evaluator(folder, run, told, runs, tta)
    scored, after = before.score_held_out(videos)
    folds = [[videos[at] for at in range(4) if dataset.fold[at] == fold] for fold in (0, 1)]
    found = honest(run.predict_held_out(folds, tta, 4 if tta else 2), run.frequencies)
    assert after.decoding == found.decoding != before.decoding
    mean = Mean.of(["a" * 64] * runs, tta)
    kept = MeanDecoding.from_json(mean, scored.files[mean.file])
    assert (kept.decoding, kept.videos) == (found.decoding, 4)
    assert scored.figures["tuned_f"] == pytest.approx(found.tuned)
    assert len(told) == 1
    bouts, fallback = after.bouts(videos)
    assert len(bouts) > 1
    assert not fallback
    assert len(told) == 1


def test_the_first_runs_values_are_told_of_where_nothing_was_tuned(made):
    dataset, folder, run = made
    told = []
    _, fallback = evaluator(folder, run, told).bouts(dataset.recordings)
    assert fallback  # by thresholds of 1 nothing is found
    assert f"Thresholds are those of {folder.path}" in told[0]
    told.clear()
    evaluator(folder, run, told, runs=1).bouts(dataset.recordings)
    assert not told


def test_runs_that_held_out_by_other_folds_are_averaged_by_track(made, tmp_path):
    dataset, folder, run = made
    videos, told = dataset.recordings, []
    split = folder.split()
    split |= {"fold 1": split["fold 2"], "fold 2": split["fold 1"]}
    (tmp_path / "split.json").write_text(json.dumps(split))
    both = replace(evaluator(folder, run, told), folders=(folder, RunFolder(tmp_path)))
    scored, after = both.score_held_out(videos)
    folds = [[videos[at] for at in range(4) if dataset.fold[at] == fold] for fold in (0, 1)]
    own, other = run.predict_held_out(folds), run.predict_held_out(folds[::-1])[::-1]
    found = honest([list(average(pair)) for pair in zip(own, other, strict=True)], run.frequencies)
    assert after.decoding == found.decoding
    assert scored.figures["tuned_f"] == pytest.approx(found.tuned)


class Counted:
    """A run, and how many tracks that it predicted there were at once at most."""

    def __init__(self, run, alive, peaks):
        self.run, self.alive, self.peaks = run, alive, peaks

    def triples(self, recording):
        return self.run.triples(recording)

    def predict(self, *words):
        for track in self.run.predict(*words):
            self.alive.add(track)
            self.peaks.append(len(self.alive))
            yield track
            del track


def test_more_videos_need_no_more_tracks_at_once(made):
    _, folder, run = made
    peaks = []
    for count in (3, 6):
        alive, seen, told = weakref.WeakSet(), [], []
        runs = tuple(Counted(run, alive, seen) for _ in range(3))
        replace(evaluator(folder, run, told), folders=(folder,) * 3, runs=runs).bouts(
            tiny_videos(count)
        )
        assert len(seen) == 3 * 2 * count
        peaks.append(max(seen))
    assert peaks[0] == peaks[1] <= 4


def with_slots(run, *names):
    return replace(run, predictor=replace(run.predictor, slots=SlotTable.build(names, {})))


@pytest.mark.parametrize("labelled", [False, True])
def test_a_video_must_have_a_keypoint_that_each_run_knows(made, labelled):
    _, folder, run = made
    video = recording(
        wander(60, keypoints=2),
        keypoints=("nose", "whisker"),
        video_id="new",
        whitelist=["mouse1,mouse2,sniff"],
    )
    both = evaluator(folder, run, [])
    for runs, known in (
        ((run, run), True),
        ((run, with_slots(run, "nose", "tail_base")), True),
        ((run, with_slots(run, "tail_base")), False),
        ((with_slots(run, "tail_base"), run), False),
    ):
        report = ReadingReport()
        found = replace(both, runs=runs).usable([video], report, labelled)
        assert found == ([video] if known else [])
        left_out = [one for one in report.findings() if one.then == "left out"]
        assert [one.what.startswith("none of its keypoints (nose") for one in left_out] == (
            [] if known else [True]
        )
        dropped = [one for one in report.findings() if one.then == "dropped"]
        assert all(one.count == 1 for one in dropped)


@pytest.mark.parametrize("labelled", [False, True])
def test_a_lab_without_an_event_is_told_of(made, labelled):
    dataset, folder, run = made
    video = dataset.recordings[0]
    one = evaluator(folder, run, [], runs=1)
    silent = replace(run, frequencies=ActionFrequencies({**run.frequencies.labs, video.lab_id: {}}))
    for trained, said in ((run, []), (silent, ["no bout is predicted"])):
        report = ReadingReport()
        assert replace(one, runs=(trained,)).usable([video], report, labelled) == [video]
        assert [found.then for found in report.findings()] == said
    decoding = Decoding.constant(silent.frequencies, 1e-6)
    quiet = replace(one, runs=(silent,), decoding=decoding)
    assert not {video.video_id} & set(quiet.bouts(dataset.recordings)[0].table["video_id"])
    bouts, fallback = quiet.bouts([video])
    assert len(bouts) == 0
    assert not fallback


def test_a_lab_that_shows_nothing_is_named_before_training():
    videos = [
        replace(video, events=recording(wander(5)).events) if video.lab_id == "a" else video
        for video in tiny_videos(4)
    ]
    task = PairTask.prepare(videos, tiny_config(), ReadingReport())
    assert any(note.startswith("Labs without an event") and " a. " in note for note in task.notes())
    task = PairTask.prepare(tiny_videos(4), tiny_config(), ReadingReport())
    assert not task.notes()


def test_runs_of_other_actions_are_refused_before_anything_is_predicted(made, tmp_path):
    dataset, folder, run = made
    told = []
    fewer = replace(run.known.vocabulary, pair=("mount",))
    other = replace(run, known=replace(run.known, vocabulary=fewer))
    (tmp_path / "split.json").write_text((folder.path / "split.json").read_text())
    more, less = (folder, run), (RunFolder(tmp_path), other)
    said = f"{folder.path} predicts 'mouse1,mouse2,sniff' there and {tmp_path} does not, one of 1"
    for order in ((more, less), (less, more)):
        folders, runs = zip(*order, strict=True)
        both = replace(evaluator(folder, run, told), folders=folders, runs=runs)
        for predicts in (both.bouts, both.score, both.score_held_out):
            told.clear()
            with pytest.raises(RunError, match=said):
                predicts(dataset.recordings)
            assert not [text for text in told if text.startswith("Predicting")]
