"""The scores that systems are compared by, on outcomes whose scores are known."""

import numpy as np
import pytest
from judging import Judge, Outcome, truth_of
from recordings import recording, wander
from systems import decoded

from jaxbeh.config import load_config
from jaxbeh.data.report import ReadingReport
from jaxbeh.inference.bouts import Bouts
from jaxbeh.inference.pairs.probabilities import TrackProbabilities
from jaxbeh.metrics.bootstrap import difference, interval
from jaxbeh.training.pairs.dataset import build_pair_dataset
from jaxbeh.vocabulary import ClassMap, Triple

CLASSES = ClassMap.build([("background", ()), ("social", ("sniff",)), ("mating", ("mount",))])


def dataset_of(videos):
    config = load_config("v7", ["members.folds=2"])
    return build_pair_dataset(videos, config, ReadingReport())


def video(number, events, whitelist, lab="a", frames=200):
    return recording(
        wander(frames, seed=number),
        events,
        video_id=str(number),
        lab_id=lab,
        whitelist=whitelist,
    )


@pytest.fixture(scope="module")
def dataset():
    """Two labs that look for other actions, in both directions or one, or alone."""
    sniff, back = "mouse1,mouse2,sniff", "mouse2,mouse1,sniff"
    mount, rear = "mouse1,mouse2,mount", "mouse1,self,rear"
    own = [(sniff, 20, 60), (back, 100, 140), (rear, 30, 70), (sniff, 150, 180)]
    other = [(mount, 10, 80), (mount, 120, 130)]
    return dataset_of(
        [video(number, own, [sniff, back, rear]) for number in (0, 1)]
        + [video(number, other, [mount], lab="b") for number in (2, 3)]
    )


def said(dataset, values_of):
    """Folds of tracks with probabilities made from the truth."""
    folds = [[] for _ in range(dataset.folds)]
    for track, fold in zip(dataset.tracks, dataset.track_fold, strict=True):
        names = tuple(dataset.vocabulary.name(entry) for entry in track.actions)
        values = values_of(truth_of(dataset, track)).astype(np.float32)
        of = dataset.recordings[track.video]
        folds[fold].append(
            TrackProbabilities(of, f"mouse{track.agent}", track.target, names, values)
        )
    return folds


def once(judge, outcome):
    """The three scores of all videos once."""
    return [
        score(np.ones((1, len(judge.drawn(name).ids))))[0]
        for name in ("actions", "official", "scene")
        for score in [getattr(judge, name)(outcome)]
    ]


def test_who_knows_the_truth_has_1_everywhere(dataset):
    outcome = decoded(said(dataset, lambda truth: truth))
    judge = Judge(dataset, CLASSES)
    assert once(judge, outcome) == [1, 1, 1]
    assert outcome.tuned_f == 1
    assert set(judge.segments(outcome).values()) == {1}
    assert judge.probabilities(outcome) == {
        "mean_average_precision": 1,
        "calibration_error": 0,
        "brier": 0,
    }


def test_who_says_nothing_has_none_alone(dataset):
    outcome = Outcome(Bouts.empty())
    # Of 1,600 pair-frames (three tracks in two videos, one in two) 300 + 160 show an action.
    none = 2 * 1140 / (1140 + 1600)
    background = 2 * (2 * 90 + 2 * 120) / (2 * 90 + 2 * 120 + 800)
    expected = [none / 4, 0, background / 3]
    assert once(Judge(dataset, CLASSES), outcome) == pytest.approx(expected)
    assert set(Judge(dataset, CLASSES).segments(outcome).values()) == {0}


def test_half_right_is_half():
    sniff = "mouse1,mouse2,sniff"
    dataset = dataset_of([video(number, [(sniff, 0, 100)], [sniff]) for number in (0, 1)])
    bouts = [
        Bouts.of_recording(of, [Triple.parse(sniff)], np.array([50]), np.array([150]), np.ones(1))
        for of in dataset.recordings
    ]
    judge = Judge(dataset, CLASSES)
    assert once(judge, Outcome(Bouts.concatenate(bouts))) == [0.5, 0.5, 0.5]
    assert judge.segments(Outcome(Bouts.concatenate(bouts)))["segment_f1_0.25"] == 1
    assert judge.segments(Outcome(Bouts.concatenate(bouts)))["segment_f1_0.5"] == 0


def test_classes_that_a_system_says_are_taken_as_they_are(dataset):
    judge = Judge(dataset, CLASSES)
    background = {item.video_id: np.zeros(200, np.int8) for item in dataset.recordings}
    perfect = decoded(said(dataset, lambda truth: truth))
    blind = Outcome(perfect.bouts, scenes=background)
    assert once(judge, blind)[2] == once(judge, Outcome(Bouts.empty()))[2]


def test_the_difference_to_itself_is_nothing_and_to_noise_is_seen(dataset):
    judge = Judge(dataset, CLASSES)
    perfect = judge.actions(decoded(said(dataset, lambda truth: truth)))
    draw = np.random.default_rng(0)
    noise = judge.actions(decoded(said(dataset, lambda truth: draw.uniform(size=truth.shape))))
    same = interval(difference(perfect, perfect), judge.videos, draws=50)
    assert (same.low, same.value, same.high) == (0, 0, 0)
    assert interval(difference(perfect, noise), judge.videos, draws=50).low > 0.2
