"""Ensembles: the mean of several predictions of the same tracks, by models or views of the data."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from jaxbeh.errors import DataError
from jaxbeh.inference.pairs.probabilities import TrackProbabilities

Key = tuple[str, str, str]


def average(predictions: Sequence[Iterable[TrackProbabilities]]) -> list[TrackProbabilities]:
    """The mean probability of every track, frame and action, all predictions weighing the same.

    The sum is float64, so that the order of the predictions moves no float32 result by more than
    its last place.

    Args:
        predictions: one or more of the same tracks, in any order.

    Returns:
        The tracks of the first prediction, in its order, with its recordings.

    Raises:
        DataError: there is no prediction; one has a track twice, or lacks or adds a track; or a
            track's actions or frames differ. The message names the prediction, counted from 1.
    """
    if not predictions:
        raise DataError("no predictions to average; give at least one")
    first, *others = [_by_key(tracks, n) for n, tracks in enumerate(predictions, 1)]
    sums = {key: track.values.astype(np.float64) for key, track in first.items()}
    for number, other in enumerate(others, 2):
        _check_same(first, other, number)
        for key, track in other.items():
            sums[key] += track.values
    return [
        replace(track, values=(sums[key] / len(predictions)).astype(np.float32))
        for key, track in first.items()
    ]


def _by_key(tracks: Iterable[TrackProbabilities], number: int) -> dict[Key, TrackProbabilities]:
    found: dict[Key, TrackProbabilities] = {}
    for track in tracks:
        if track.key in found:
            raise DataError(f"prediction {number}: {track} is there twice; give each track once")
        found[track.key] = track
    return found


def _check_same(
    first: dict[Key, TrackProbabilities], other: dict[Key, TrackProbabilities], number: int
) -> None:
    remedy = "average predictions of the same videos by models of the same actions"
    for left, right, has, lacks in ((first, other, 1, number), (other, first, number, 1)):
        alone = [track for key, track in left.items() if key not in right]
        if alone:
            raise DataError(
                f"{alone[0]} is in prediction {has} and not in prediction {lacks}, one of "
                f"{len(alone)} such tracks; {remedy}"
            )
    for key, track in first.items():
        if track.actions != other[key].actions:
            raise DataError(
                f"{track}: prediction 1 is of {', '.join(track.actions)}, prediction {number} of "
                f"{', '.join(other[key].actions)}; {remedy}"
            )
        if track.values.shape != other[key].values.shape:
            raise DataError(
                f"{track}: prediction 1 has {len(track.values)} frames, prediction {number} "
                f"{len(other[key].values)}; {remedy}"
            )
