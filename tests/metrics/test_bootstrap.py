"""Intervals over videos, against the metric itself on the drawn videos."""

import numpy as np
import pandas as pd
import pytest

from jaxbeh.errors import DataError
from jaxbeh.metrics.bootstrap import (
    Videos,
    difference,
    draw_videos,
    interval,
    lab_counts,
    macro_f1,
    mean_of,
    mean_there,
    official_score,
)
from jaxbeh.metrics.frames import frame_scores
from jaxbeh.metrics.mabe import mean_of_means, pooled_scores


def counts(seed, videos=12):
    rng = np.random.default_rng(seed)
    rows = []
    for video in range(videos):
        lab = "ab"[video % 2]
        for action in ("sniff", "attack", "rear"):
            if action == "sniff" or rng.random() < 0.4:
                rows.append((lab, f"{lab}{video}", action, *rng.integers(0, 50, 3)))
    return pd.DataFrame(rows, columns=["lab_id", "video_id", "action", "tp", "fp", "fn"])


def test_each_draw_is_scored_as_the_metric_scores_its_videos():
    table = counts(0)
    videos = Videos.of_counts(table)
    times = draw_videos(videos, 30, seed=1)
    found = official_score(table, videos)(times)
    for value, drawn in zip(found, times, strict=True):
        often = dict(zip(videos.ids, drawn.astype(int), strict=True))
        again = table.loc[table.index.repeat(table.video_id.map(often))]
        assert value == pytest.approx(mean_of_means(pooled_scores(again)), abs=1e-12)
    assert len(np.unique(found)) > 20


def test_each_action_of_a_draw_is_scored_as_the_metric_does():
    table = counts(2)
    videos = Videos.of_counts(table)
    times = draw_videos(videos, 30, seed=1)
    labs = {lab.lab: (lab.actions, lab.f(times)) for lab in lab_counts(table, videos)}
    missing = 0
    for draw, drawn in enumerate(times):
        often = dict(zip(videos.ids, drawn.astype(int), strict=True))
        again = pooled_scores(table.loc[table.index.repeat(table.video_id.map(often))])
        expected = again.set_index(["lab_id", "action"])["f"]
        for lab, (actions, f) in labs.items():
            for action, value in zip(actions, f[draw], strict=True):
                if (lab, action) in expected.index:
                    assert value == pytest.approx(expected[lab, action], abs=1e-12)
                else:
                    assert np.isnan(value)
                    missing += 1
    assert missing


def test_a_mean_passes_over_what_is_not_there():
    values = np.array([[1.0, np.nan], [3.0, np.nan]])
    np.testing.assert_array_equal(mean_there(values, axis=0), [2, np.nan])
    np.testing.assert_array_equal(mean_there(values, axis=1), [1, 3])


def test_draws_keep_the_size_of_every_lab_and_follow_the_seed():
    videos = Videos(ids=("1", "2", "3", "4"), labs=("a", "b", "b", "b"))
    times = draw_videos(videos, 500, seed=3)
    np.testing.assert_array_equal(times[:, 0], 1)
    np.testing.assert_array_equal(times[:, 1:].sum(axis=1), 3)
    assert times[:, 1:].mean(axis=0) == pytest.approx(1, abs=0.15)
    np.testing.assert_array_equal(times, draw_videos(videos, 500, seed=3))
    assert (times != draw_videos(videos, 500, seed=4)).any()


def test_an_interval_holds_the_score_and_narrows_with_videos():
    few, many = counts(0, videos=12), counts(0, videos=400)
    widths = []
    for table in (few, many):
        videos = Videos.of_counts(table)
        found = interval(official_score(table, videos), videos)
        assert found.value == pytest.approx(mean_of_means(pooled_scores(table)), abs=1e-12)
        assert found.low < found.value < found.high
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 2


def test_a_paired_difference_is_narrower_than_its_parts():
    table = counts(0, videos=40)
    better = table.assign(tp=table.tp + 5)
    videos = Videos.of_counts(table)
    one, other = (
        official_score(better.sample(frac=1, random_state=0), videos),
        official_score(table, videos),
    )
    alone, paired = interval(one, videos), interval(difference(one, other), videos)
    assert paired.low > 0
    assert paired.high - paired.low < (alone.high - alone.low) / 2
    same = interval(difference(other, other), videos)
    assert (same.low, same.value, same.high) == (0, 0, 0)
    seeds = mean_of([one, other, other])
    times = draw_videos(videos, 5, 0)
    np.testing.assert_allclose(seeds(times), (one(times) + 2 * other(times)) / 3)


def test_macro_f1_is_that_of_frames():
    rng = np.random.default_rng(0)
    confusions = rng.integers(0, 9, (6, 3, 3))
    confusions[1:, 2] = 0  # only the first video shows the third class
    times = draw_videos(Videos(ids=tuple("123456"), labs=("a",) * 6), 40, seed=0)
    found = macro_f1(confusions)(times)
    for value, drawn in zip(found, times.astype(int), strict=True):
        again = np.einsum("v,vtp->tp", drawn, confusions)
        assert value == pytest.approx(frame_scores(again).macro_f1, abs=1e-12)
    with pytest.raises(DataError, match="no labelled frame"):
        macro_f1(np.zeros((2, 3, 3), np.int64))


def test_refusals():
    table = counts(0)
    videos = Videos.of_counts(table)
    with pytest.raises(DataError, match="of 12 videos and not of the 10"):
        official_score(table, Videos(ids=videos.ids[:10], labs=videos.labs[:10]))
    with pytest.raises(DataError, match=r"are 12, 0 and 0\.95"):
        interval(official_score(table, videos), videos, draws=0)
