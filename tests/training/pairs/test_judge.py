"""The score of decisions on the grid, against the official one of the same decisions as bouts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import recording, wander

from jaxbeh.data.pair_store import grid_frames
from jaxbeh.data.tracks import ActionVocabulary, action_bits, tracks_of
from jaxbeh.inference.bouts import Bouts, runs
from jaxbeh.inference.submission import solution_table, submission_table
from jaxbeh.metrics.mabe import score
from jaxbeh.training.pairs.judge import lab_scores, mean_of_labs, on_grid
from jaxbeh.vocabulary import Triple

WHITELIST = ("mouse1,mouse2,sniff", "mouse1,mouse2,mount", "mouse2,self,rear")


def test_the_grids_place_nearest_to_a_frame():
    slow, fast = (recording(wander(frames), fps=fps) for frames, fps in ((4, 10.0), (9, 120.0)))
    assert on_grid(slow).tolist() == [0, 3, 6, 9]
    assert on_grid(fast).tolist() == [0, 0, 1, 1, 1, 1, 2, 2, 2]
    assert (grid_frames(slow), grid_frames(fast)) == (10, 3)


@settings(max_examples=40)
@given(seed=st.integers(0, 2**32 - 1))
def test_counts_of_decisions_give_the_official_score(seed):
    draw = np.random.default_rng(seed)
    videos = []
    for index in range(4):
        fps = float(draw.choice([15.0, 30.0, 60.0]))
        frames = int(draw.integers(20, 60))
        events = []
        for text in WHITELIST[: 3 if index else 0]:
            start = int(draw.integers(0, frames - 5))
            events.append((text, start, int(draw.integers(start + 1, frames))))
        lab = str(draw.choice(["a", "b"]))
        made = recording(wander(frames), events, str(index), fps, whitelist=WHITELIST, lab_id=lab)
        videos.append(made)
    vocabulary = ActionVocabulary.build(map(Triple.parse, WHITELIST))
    tracks = [
        track
        for index, item in enumerate(videos)
        for track in tracks_of(index, item, item.whitelist, vocabulary)
    ]
    bits = [action_bits(videos[track.video], track, vocabulary) for track in tracks]
    decisions, bouts = [], []
    for track in tracks:
        item = videos[track.video]
        places = grid_frames(item)
        held = np.repeat(draw.choice([-1, *track.actions], places // 5 + 1), 5)[:places]
        decisions.append(held.astype(np.int16))
        start, stop, entry = runs(held[on_grid(item)])
        triples = [
            Triple(f"mouse{track.agent}", track.target, vocabulary.name(int(e)) if e >= 0 else "")
            for e in entry
        ]
        keep = entry >= 0
        triples = [triple for triple in triples if triple.action]
        bouts.append(
            Bouts.of_recording(item, triples, start[keep], stop[keep], np.ones(keep.sum()))
        )
    found = mean_of_labs(lab_scores(videos, tracks, bits, decisions))
    solution, table = solution_table(videos), submission_table(Bouts.concatenate(bouts))
    expected = score(solution, table) if len(solution) and len(table) else 0.0
    assert found == pytest.approx(expected, abs=1e-12)
