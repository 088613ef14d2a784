"""The figures of a report: known answers, the metric itself, scikit-learn."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from pair_tracks import decodings, noisy, recording, track_lists, triples, true_frames
from sklearn.metrics import average_precision_score

from jaxbeh.errors import DataError
from jaxbeh.inference.bouts import Bouts
from jaxbeh.inference.pairs.counts import recordings_of
from jaxbeh.inference.pairs.decoding import Decoding, decode
from jaxbeh.inference.pairs.figures import DRAWS, fresh_report, held_out_report
from jaxbeh.inference.pairs.honest import honest
from jaxbeh.inference.pairs.probabilities import TrackProbabilities
from jaxbeh.inference.pairs.report import ActionFigures, Bin, Figures, Report
from jaxbeh.inference.scene_bouts import ActionFrequencies
from jaxbeh.inference.submission import solution_table, submission_table
from jaxbeh.metrics.bootstrap import Videos, interval, official_score
from jaxbeh.metrics.mabe import score, score_table, video_counts
from jaxbeh.tasks.pair_tables import report_notes, report_tables

SNIFF, REAR = "mouse1,mouse2,sniff", "mouse1,self,rear"


def videos(labs="aabb", frames=200, seed=0):
    draw = np.random.default_rng(seed)
    found = []
    for number, lab in enumerate(labs):
        starts = draw.integers(0, frames - 40, 3).tolist()
        names = (SNIFF, REAR, SNIFF)
        events = [(name, start, start + 30) for name, start in zip(names, starts, strict=True)]
        found.append(
            recording(frames, f"{number}", lab, whitelist=triples(SNIFF, REAR), events=events)
        )
    return found


def knowing(of):
    """Tracks whose probabilities are the truth."""
    return [
        replace(track, values=true_frames(track).astype(np.float32))
        for item in of
        for track in noisy(item, np.random.default_rng(0))
    ]


def half(tracks):
    return Decoding.constant(ActionFrequencies.build(recordings_of(tracks)), 0.5)


def reported(tracks):
    return fresh_report(tracks, decode(tracks, half(tracks)))


def test_who_knows_the_truth_has_the_best_of_each_figure():
    found = reported(knowing(videos()))
    best = {
        "official_f": 1,
        "low": 1,
        "high": 1,
        "segment_f1": {"0.1": 1, "0.25": 1, "0.5": 1},
        "edit": 1,
        "average_precision": 1,
        "calibration_error": 0,
        "brier": 0,
    }
    assert found.overall.model_dump() == best
    assert [of.model_dump() for of in found.labs.values()] == [best, best]
    assert [of.model_dump() for of in found.actions.values()] == [best | {"edit": None}] * 2
    rear = found.labs_and_actions["a"]["rear"]
    assert (rear.hits, rear.false, rear.missed, rear.frames) == (60, 0, 0, 400)
    assert (rear.bouts, rear.predicted_bouts, rear.seconds) == (2, 2, 6)
    assert [(of.probability, of.share) for of in rear.reliability] == [(0, 0), (1, 1)]
    assert (found.videos, found.frames, found.tuned_f) == (4, 800, None)


def test_who_says_nothing_finds_nothing():
    tracks = [replace(track, values=track.values * 0) for track in knowing(videos())]
    found = reported(tracks)
    assert (found.official_f, found.overall.edit) == (0, 0)
    assert set(found.overall.segment_f1.values()) == {0}
    sniff = found.labs_and_actions["a"]["sniff"]
    share = sum(of.share * of.frames for of in sniff.reliability) / sniff.frames
    assert sniff.calibration_error == sniff.brier == pytest.approx(share)
    assert sniff.average_precision == pytest.approx(share)


def test_a_bout_half_found():
    of = recording(100, whitelist=triples(SNIFF), events=[(SNIFF, 0, 40)])
    values = np.zeros((100, 1), np.float32)
    values[20:60] = 1
    tracks = [TrackProbabilities(of, "mouse1", "mouse2", ("sniff",), values)]
    found = reported(tracks)
    assert found.official_f == 0.5
    assert found.overall.segment_f1 == {"0.1": 1, "0.25": 1, "0.5": 0}
    assert (found.overall.low, found.overall.high) == (None, None)  # of one video
    one = found.labs_and_actions["lab"]["sniff"]
    assert (one.hits, one.false, one.missed) == (20, 20, 20)


@settings(max_examples=40, deadline=None)
@given(track_lists(most=3, frames=30), decodings())
def test_each_figure_is_that_of_its_reference(tracks, decoding):
    bouts = decode(tracks, decoding)
    found = fresh_report(tracks, bouts)
    assert Report.from_json(found.to_json()) == found
    of_place = {}
    for track in tracks:
        for column, action in enumerate(track.actions):
            place = (track.recording.lab_id, action)
            of_place.setdefault(place, []).append(
                (true_frames(track)[:, column], track.values[:, column])
            )
    for (lab, action), parts in of_place.items():
        truth, values = (np.concatenate(side) for side in zip(*parts, strict=True))
        one = found.labs_and_actions[lab][action]
        assert (one.frames, sum(of.frames for of in one.reliability)) == (len(truth), len(truth))
        expected = average_precision_score(truth, values) if truth.any() else None
        assert one.average_precision == (expected and pytest.approx(expected))
        assert one.brier == pytest.approx(np.mean((values - truth) ** 2), abs=1e-6)
    for lab, own in found.labs_and_actions.items():
        there = [of.average_precision for of in own.values() if of.average_precision is not None]
        mean = pytest.approx(np.mean(there)) if there else None
        assert found.labs[lab].average_precision == mean
    solution = solution_table(recordings_of(tracks))
    if solution.empty:
        assert found.official_f is None
        return
    if not len(bouts):
        assert found.official_f == 0
        return
    table = score_table(solution, submission_table(bouts))
    assert found.official_f == pytest.approx(score(solution, submission_table(bouts)), abs=1e-12)
    for row in table.itertuples():
        one = found.labs_and_actions[row.lab_id][row.action]
        assert one.official_f == pytest.approx(row.f, abs=1e-12)
        assert (one.hits, one.false, one.missed) == (row.tp, row.fp, row.fn)
    for lab, rows in table.groupby("lab_id"):
        assert found.labs[lab].official_f == pytest.approx(rows["f"].mean(), abs=1e-12)
    for action, rows in table.groupby("action"):
        assert found.actions[action].official_f == pytest.approx(rows["f"].mean(), abs=1e-12)


def test_the_interval_is_that_of_the_bootstrap():
    draw = np.random.default_rng(0)
    tracks = [track for of in videos("aaabbbb") for track in noisy(of, draw)]
    bouts = decode(tracks, half(tracks))
    found = fresh_report(tracks, bouts)
    counts = video_counts(solution_table(recordings_of(tracks)), submission_table(bouts))
    drawn = Videos.of_counts(counts)
    expected = interval(official_score(counts, drawn), drawn, draws=DRAWS)
    assert found.overall.low == pytest.approx(expected.low, abs=1e-12)
    assert found.overall.high == pytest.approx(expected.high, abs=1e-12)
    rear = found.labs_and_actions["a"]["rear"]
    assert rear.low < rear.official_f < rear.high
    own = [track for track in tracks if track.recording.lab_id == "a"]
    alone = fresh_report(own, decode(own, half(tracks)))
    assert alone.labs_and_actions["a"]["rear"].official_f == rear.official_f
    assert alone.official_f == found.labs["a"].official_f


def test_what_nobody_looked_for_counts_nowhere():
    known = videos("aa")
    # An event of an action that was not looked for here, beside the same probabilities.
    sniffed = replace(known[0], whitelist=triples(SNIFF))
    without = replace(
        sniffed,
        events=replace(
            sniffed.events,
            triples=tuple(t for t in sniffed.events.triples if t.action == "sniff"),
            start=sniffed.events.start[[0, 2]],
            stop=sniffed.events.stop[[0, 2]],
        ),
    )
    reports = []
    for first in (sniffed, without):
        tracks = [t for of in (first, known[1]) for t in noisy(of, np.random.default_rng(3))]
        reports.append(fresh_report(tracks, decode(tracks, half(tracks))))
    assert reports[0] == reports[1]
    assert reports[0].labs_and_actions["a"]["rear"].frames == 200
    assert reports[0].labs_and_actions["a"]["sniff"].frames == 400


def test_what_is_looked_for_and_never_shown_has_no_f_and_is_judged_by_its_probabilities():
    quiet = recording(50, whitelist=triples(SNIFF, REAR), events=[(SNIFF, 0, 10)])
    found = reported(noisy(quiet, np.random.default_rng(0)))
    rear = found.labs_and_actions["lab"]["rear"]
    assert (rear.official_f, rear.average_precision) == (None, None)
    assert rear.calibration_error > 0
    assert found.official_f == found.labs_and_actions["lab"]["sniff"].official_f
    silent = replace(quiet, events=replace(quiet.events, triples=(), start=[], stop=[]))
    found = fresh_report(noisy(silent, np.random.default_rng(0)), Bouts.empty())
    assert (found.official_f, found.overall.low, found.overall.average_precision) == (None,) * 3
    assert found.overall.brier > 0
    assert report_tables(found)[2].rows == []


def test_an_event_of_a_mouse_without_tracking_is_missed():
    back = "mouse3,mouse1,sniff"
    of = recording(50, whitelist=triples(REAR, back), events=[(REAR, 0, 10), (back, 0, 20)])
    tracks = [t for t in noisy(of, np.random.default_rng(0)) if t.agent == "mouse1"]
    found = reported(tracks)
    sniff = found.labs_and_actions["lab"]["sniff"]
    assert (sniff.official_f, sniff.missed, sniff.frames) == (0, 20, 0)
    assert (sniff.average_precision, sniff.calibration_error, sniff.reliability) == (None, None, ())


def test_held_out_figures_are_of_the_honest_bouts():
    draw = np.random.default_rng(0)
    folds = [[t for of in videos("ab", seed=n) for t in noisy(of, draw)] for n in range(3)]
    folds = [
        [
            replace(t, recording=replace(t.recording, video_id=f"{n}{t.recording.video_id}"))
            for t in f
        ]
        for n, f in enumerate(folds)
    ]
    result = honest(folds)
    found = held_out_report(folds, result)
    assert found.official_f == pytest.approx(result.honest)
    assert found.tuned_f == result.tuned
    assert found.decoded_by == "values tuned on the other folds"
    assert "which is no forecast" in " ".join(report_notes(found))
    one = held_out_report(folds[:1], honest(folds[:1]))
    assert one.official_f == one.tuned_f
    assert one.decoded_by == "values tuned on these very videos"
    assert "too high" in " ".join(report_notes(one))


def test_tables_show_the_worst_first():
    draw = np.random.default_rng(0)
    tracks = [track for of in videos("abcdefgh") for track in noisy(of, draw, strength=2.0)]
    labs, actions, places = report_tables(reported(tracks))
    assert [row[0] for row in labs.rows] == ["all labs", *"abcdefgh"]
    for table in (actions, places):
        f = [row[2] for row in table.rows]
        assert f == sorted(f)
    assert len(places.rows) == 10
    assert "worst 10 of 16" in places.title


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "scored: Field required"),
        ("[", "the file: Invalid JSON"),
        ('{"honest_f": 0.5}', "remove it and decoding.json"),
        ("[" * 100_000, "Invalid JSON"),
    ],
)
def test_other_text_is_no_report(text, message):
    with pytest.raises(DataError, match=message):
        Report.from_json(text)


def test_the_page_has_every_field():
    page = (Path(__file__).parents[3] / "docs" / "figures.md").read_text()
    named = set(re.findall(r"`([a-z_0-9]+)`", page))
    fields = {name for of in (Report, Figures, ActionFigures, Bin) for name in of.model_fields}
    assert fields <= named
