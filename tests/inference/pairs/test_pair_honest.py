from dataclasses import replace

import numpy as np
import pytest
from pair_tracks import noisy, recording, triples

from jaxbeh.errors import DataError
from jaxbeh.inference.bouts import Bouts
from jaxbeh.inference.pairs.counts import recordings_of
from jaxbeh.inference.pairs.decoding import decode
from jaxbeh.inference.pairs.honest import honest
from jaxbeh.inference.pairs.tuning import tune
from jaxbeh.inference.scene_bouts import ActionFrequencies
from jaxbeh.inference.submission import solution_table, submission_table
from jaxbeh.metrics.mabe import score

LOOKED_FOR = triples("mouse1,mouse2,sniff", "mouse1,mouse2,attack", "mouse1,self,rear")


def made_folds(folds=3, videos=2, rare_in=None, seed=0):
    """Folds of two labs' videos; `attack` is annotated in one fold only, if that is said."""
    draw = np.random.default_rng(seed)
    found = []
    for fold in range(folds):
        tracks = []
        for number in range(videos):
            actions = ["mouse1,mouse2,sniff", "mouse1,self,rear"]
            if rare_in is None or rare_in == fold:
                actions.append("mouse1,mouse2,attack")
            events = [
                (action, start, start + int(draw.integers(5, 30)))
                for action, start in zip(
                    np.resize(actions, 9), draw.integers(0, 370, 9).tolist(), strict=True
                )
            ]
            of = recording(
                400,
                video=f"{fold}-{number}",
                lab=f"lab{number % 2}",
                whitelist=LOOKED_FOR,
                events=events,
            )
            tracks += noisy(of, draw, strength=2.0)
        found.append(tracks)
    return found


def with_truth_moved(tracks):
    """The same probabilities; every event is somewhere else and is another action."""
    moved = {}
    for of in recordings_of(tracks):
        draw = np.random.default_rng(7)
        start = draw.integers(0, 300, 5)
        names = sorted(LOOKED_FOR)
        events = replace(
            of.events,
            triples=tuple(names[n] for n in draw.integers(0, 3, 5)),
            start=start,
            stop=start + 40,
        )
        moved[of.video_id] = replace(of, events=events)
    return [replace(track, recording=moved[track.recording.video_id]) for track in tracks]


def official(tracks, bouts):
    return score(solution_table(recordings_of(tracks)), submission_table(bouts))


def test_every_fold_is_decoded_with_the_others_values_and_scored_in_one_table():
    folds = made_folds()
    found = honest(folds)
    everything = [track for fold in folds for track in fold]
    parts = []
    for index, fold in enumerate(folds):
        rest = [track for n, other in enumerate(folds) if n != index for track in other]
        values = tune(rest, ActionFrequencies.build(recordings_of(rest))).decoding
        assert found.fold_decodings[index] == values
        parts.append(decode(fold, values))
    assert found.honest == pytest.approx(official(everything, Bouts.concatenate(parts)))
    kept = tune(everything, ActionFrequencies.build(recordings_of(everything)))
    assert found.decoding == kept.decoding
    assert found.tuned == pytest.approx(kept.score)
    assert found.tuned == pytest.approx(official(everything, found.tuned_bouts))
    assert len(found.fold_decodings) == 3


def test_a_folds_own_truth_changes_nothing_of_its_values_or_bouts():
    folds = made_folds()
    before = honest(folds)
    after = honest([folds[0], with_truth_moved(folds[1]), folds[2]])
    assert after.fold_decodings[1] == before.fold_decodings[1]
    assert after.fold_decodings[0] != before.fold_decodings[0]
    of_fold = [
        result.honest_bouts.table.query("video_id.str.startswith('1-')", engine="python")
        for result in (before, after)
    ]
    assert of_fold[0].reset_index(drop=True).equals(of_fold[1].reset_index(drop=True))
    assert after.honest < before.honest


def test_an_action_that_only_its_own_fold_shows_is_not_written_there():
    found = honest(made_folds(rare_in=0))
    assert all("attack" not in lab.pair for lab in found.fold_decodings[0].labs.values())
    assert any("attack" in lab.pair for lab in found.fold_decodings[1].labs.values())
    written = found.honest_bouts.table
    rare = written[written["action"] == "attack"]
    assert not rare["video_id"].str.startswith("0-").any()
    assert "attack" in set(found.tuned_bouts.table["action"])


def test_what_may_be_written_can_come_from_more_videos():
    folds = made_folds(folds=1)
    more = ActionFrequencies({"lab0": {next(iter(LOOKED_FOR)): 10}, "lab9": {}})
    assert set(honest(folds, more).decoding.labs) == {"lab0", "lab9"}


def test_one_fold_has_no_honest_score():
    folds = made_folds(folds=1)
    found = honest(folds)
    assert found.honest is None
    assert found.honest_bouts is None
    assert found.fold_decodings == ()
    assert found.tuned == pytest.approx(official(folds[0], found.tuned_bouts))


def test_folds_that_cannot_be_honest_are_refused():
    folds = made_folds(folds=2)
    with pytest.raises(DataError, match="no folds"):
        honest([])
    with pytest.raises(DataError, match="video 0-0 is in folds 0 and 2; a video belongs to one"):
        honest([*folds, folds[0][:1]])
