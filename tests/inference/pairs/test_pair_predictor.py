"""What members say of tracks, by weights as they are drawn."""

import dataclasses
import functools

import numpy as np

from jaxbeh.data.report import ReadingReport
from jaxbeh.training.pairs.dataset import build_pair_dataset
from tests.training.pairs.tiny_pairs import drawn_predictor, tiny_config, tiny_videos

DATASET = build_pair_dataset(tiny_videos(2), tiny_config(), ReadingReport())
"""Each fold is one of the two labs."""


@functools.cache
def predictor():
    return drawn_predictor(tiny_config(), DATASET)


def said(by, recordings=DATASET.recordings):
    return [track.values for track in by.predict(recordings, DATASET.tracks)]


def test_the_mean_is_that_of_the_members():
    by, members = predictor(), predictor().members
    alone = [
        said(by.of_members((members.fold == fold) & (members.seed == seed)))
        for fold in (0, 1)
        for seed in (0, 1)
    ]
    for together, *each in zip(said(by), *alone, strict=True):
        np.testing.assert_allclose(together, np.mean(each, axis=0), rtol=0, atol=1e-6)


def test_a_lab_that_a_member_never_trained_on_is_an_unknown_one_to_it():
    assert sorted(DATASET.lab_fold) == [0, 1]
    strangers = [dataclasses.replace(item, lab_id="z") for item in DATASET.recordings]
    for fold in (0, 1):
        own = predictor().of_members(predictor().members.fold == fold)
        for known, unknown, held_out in zip(
            said(own), said(own, strangers), DATASET.track_fold, strict=True
        ):
            assert np.array_equal(known, unknown) == (held_out == fold)
