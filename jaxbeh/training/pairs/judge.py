"""The official F-score of what was decided on the grid, counted at the videos' own frames."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.pair_store import GRID_HZ, grid_frames
from jaxbeh.data.recording import Recording
from jaxbeh.data.tracks import Track, seen_frames


def on_grid(recording: Recording) -> NDArray[np.int64]:
    """The place of the grid nearest to each of a recording's frames, int64 `[t]`."""
    frame = np.arange(recording.tracking.frames)
    place = np.floor(frame * (GRID_HZ / recording.fps) + 0.5).astype(np.int64)
    nearest: NDArray[np.int64] = np.minimum(place, grid_frames(recording) - 1)
    return nearest


def lab_scores(
    recordings: Sequence[Recording],
    tracks: Sequence[Track],
    bits: Sequence[NDArray[np.uint32]],
    decisions: Sequence[NDArray[np.int16]],
) -> dict[str, dict[int, float]]:
    """F of each lab's actions by the challenge's rules (see `metrics/mabe.py`).

    Args:
        recordings: the videos.
        tracks: the k tracks that count; those of videos without an event do not.
        bits: their actions, k arrays uint32 `[t, w]`.
        decisions: k arrays int16 `[g]` of an entry at each place of the grid; negative for none.

    Returns:
        Lab → entry → F, of the entries that the lab's truth shows or that were found there.
    """
    eventful = {track.video for track, words in zip(tracks, bits, strict=True) if bool(words.any())}
    counts: dict[str, dict[int, NDArray[np.int64]]] = defaultdict(
        lambda: defaultdict(lambda: np.zeros(3, np.int64))
    )
    for track, words, found in zip(tracks, bits, decisions, strict=True):
        recording = recordings[track.video]
        if track.video not in eventful:
            continue
        there = found[on_grid(recording)]
        for entry in track.actions:
            truth = seen_frames(words, entry)
            predicted = there == entry
            hit = int((truth & predicted).sum())
            counts[recording.lab_id][entry] += (hit, int(truth.sum()), int(predicted.sum()))
    return {
        lab: {
            entry: float(2 * hit / (true + predicted))
            for entry, (hit, true, predicted) in sorted(of_lab.items())
            if true + predicted
        }
        for lab, of_lab in sorted(counts.items())
    }


def mean_of_labs(scores: dict[str, dict[int, float]]) -> float:
    """The mean over labs of the mean over their actions; 0 if there is nothing to find."""
    means = [float(np.mean(list(of_lab.values()))) for of_lab in scores.values() if of_lab]
    return float(np.mean(means)) if means else 0.0
