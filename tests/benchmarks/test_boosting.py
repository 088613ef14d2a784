"""The baseline that v7 is compared with."""

import boosting
import numpy as np
import pytest
from judging import Judge, Outcome
from recordings import SEVEN, recording
from systems import decoded
from threadpoolctl import threadpool_limits

from jaxbeh.config import load_config
from jaxbeh.data.report import ReadingReport
from jaxbeh.inference.bouts import Bouts
from jaxbeh.training.pairs.dataset import build_pair_dataset
from jaxbeh.vocabulary import ClassMap

CLASSES = ClassMap.build([("background", ()), ("social", ("sniff",))])
BODY = np.array([(-1, 1), (-1, -1), (-6, 1), (-6, -1), (-2, 0), (0, 0), (-8, 0)], np.float64)
"""Points of `SEVEN`, nose at the origin, cm."""


def visits(number, lab="a", frames=400):
    """Mouse 2 is near mouse 1 in some bouts, which are annotated, and far otherwise; one turns."""
    draw = np.random.default_rng(number)
    near = np.repeat(draw.random(frames // 40) < 0.4, 40)
    near[:40], near[40:80] = True, False
    angle = np.cumsum(draw.normal(0, 0.02, frames))
    turn = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], -1)
    body = np.einsum("tij,kj->tki", turn.reshape(-1, 2, 2), BODY)
    apart = np.where(near, 4.0, 25.0)[:, None, None] * np.array([1.0, 0.0])
    pixels = np.stack([body, body + apart], axis=1) + draw.normal(0, 0.1, (frames, 2, 7, 2))
    edges = np.diff(near.astype(int), prepend=0, append=0)
    bouts = zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True)
    events = [
        (triple, int(start), int(stop))
        for start, stop in bouts
        for triple in ("mouse1,mouse2,sniff", "mouse2,self,rear")
    ]
    whitelist = ["mouse1,mouse2,sniff", "mouse2,self,rear"]
    return recording(
        pixels, events, str(number), 25.0, 1.0, whitelist,
        keypoints=SEVEN, lab_id=lab,
    )  # fmt: skip


@pytest.mark.parametrize("hold_out", ["videos", "labs"])
def test_it_learns_what_can_be_told_apart(hold_out):
    config = load_config("v7", ["members.folds=2", f"members.hold_out={hold_out}"])
    videos = [visits(number, "ab"[number % 2]) for number in range(4)]
    dataset = build_pair_dataset(videos, config, ReadingReport())
    settings = boosting.Boosting(most_frames=600, trees=10, bins=8)
    with threadpool_limits(1):  # threads that wait for each other on busy cores take most time
        (folds,) = boosting.predict_held_out(dataset, settings, seeds=1)
    assert [len(fold) for fold in folds] == [4, 4]
    outcome = decoded(folds)
    judge = Judge(dataset, CLASSES)
    all_videos = np.ones((1, 4))
    assert judge.scene(outcome)(all_videos)[0] > 0.95
    assert judge.scene(Outcome(Bouts.empty()))(all_videos)[0] < 0.5  # what chance has
    assert judge.actions(outcome)(all_videos)[0] > 0.95
    assert judge.probabilities(outcome)["mean_average_precision"] > 0.95


def test_several_processes_say_what_one_says(long, monkeypatch):
    if not long:
        pytest.skip("only with --long: two processes import everything")
    config = load_config("v7", ["members.folds=2"])
    videos = [visits(number, "ab"[number % 2]) for number in range(4)]
    dataset = build_pair_dataset(videos, config, ReadingReport())
    said = []
    for cores in (1, 4):
        monkeypatch.setattr(boosting, "cpu_count", lambda cores=cores: cores)
        found = boosting.predict_held_out(dataset, boosting.Boosting(600, 4, 8), seeds=2)
        said.append([track.values for seed in found for fold in seed for track in fold])
    assert len(said[0]) == 16
    for one, other in zip(*said, strict=True):
        np.testing.assert_array_equal(one, other)


def test_features_do_not_change_when_the_arena_is_moved_and_turned():
    keypoints = {name: slot for slot, name in enumerate(SEVEN)}
    draw = np.random.default_rng(1)
    xy = draw.normal(0, 5, (80, 2, 7, 2)).cumsum(axis=0)
    xy[10:20, 0, 3] = np.nan
    cosine, sine = np.cos(1.1), np.sin(1.1)
    turned = xy @ np.array([[cosine, sine], [-sine, cosine]]) + np.array([30.0, -12.0])
    here, there = (boosting._features(points, keypoints) for points in (xy, turned))
    np.testing.assert_array_equal(np.isnan(here), np.isnan(there))
    np.testing.assert_allclose(here, there, rtol=1e-3, atol=1e-3)
    assert np.isnan(here[10:20]).any()
    assert not np.isnan(here[40:60]).any()


@pytest.mark.parametrize("width", [1, 5, 61])
def test_rolling_statistics_are_those_of_the_frames_around(width):
    draw = np.random.default_rng(2)
    values = 1e3 + draw.normal(size=(40, 3))
    values[draw.random(values.shape) < 0.2] = np.nan
    values[:, 2] = np.nan
    mean, deviation = boosting._rolling(values, width)
    for place in range(40):
        around = values[max(place - width // 2, 0) : place + width // 2 + 1, :2]
        for column in range(2):
            known = around[~np.isnan(around[:, column]), column]
            found = mean[place, column], deviation[place, column]
            expected = (known.mean(), known.std()) if len(known) else (np.nan, np.nan)
            np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.isnan(mean[:, 2]).all()
    assert np.isnan(deviation[:, 2]).all()
