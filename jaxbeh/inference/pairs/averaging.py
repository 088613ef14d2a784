"""Ensembles: the mean of several predictions of the same tracks, by models or views of the data."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from jaxbeh.errors import DataError
from jaxbeh.inference.pairs.probabilities import TrackProbabilities

Key = tuple[str, str, str]

_REMEDY = "average predictions of the same videos by models of the same actions"


def average(predictions: Sequence[Iterable[TrackProbabilities]]) -> Iterator[TrackProbabilities]:
    """The mean probability of every track, frame and action, all predictions weighing the same.

    The predictions are gone through in step, each once: where they come in one order, a track of
    each is held at a time, however many there are. What comes before its turn waits for it.

    The sum is float64, so that the order of the predictions moves no float32 result by more than
    its last place.

    Args:
        predictions: one or more of the same tracks, best in the same order.

    Yields:
        The tracks of the first prediction, in its order, with its recordings.

    Raises:
        DataError: there is no prediction; one has a track twice, or lacks or adds a track; or a
            track's actions or frames differ. The message names the prediction, counted from 1.
    """
    if not predictions:
        raise DataError("no predictions to average; give at least one")
    first, *rest = (_each_once(tracks, n) for n, tracks in enumerate(predictions, 1))
    others = [_Other(tracks, number) for number, tracks in enumerate(rest, 2)]
    for track in first:
        total = track.values.astype(np.float64)
        for other in others:
            total += other.like(track).values
        yield replace(track, values=(total / len(predictions)).astype(np.float32))
    for other in others:
        other.require_end()


def _each_once(tracks: Iterable[TrackProbabilities], number: int) -> Iterator[TrackProbabilities]:
    """The tracks of a prediction, of which only the keys are remembered."""
    seen: set[Key] = set()
    for track in tracks:
        if track.key in seen:
            raise DataError(f"prediction {number}: {track} is there twice; give each track once")
        seen.add(track.key)
        yield track


class _Other:
    """A prediction that is asked for its tracks in the order of the first one.

    Args:
        tracks: in its own order.
        number: of the prediction, counted from 1.
    """

    def __init__(self, tracks: Iterator[TrackProbabilities], number: int) -> None:
        self._tracks = tracks
        self._number = number
        self._waiting: dict[Key, TrackProbabilities] = {}

    def like(self, track: TrackProbabilities) -> TrackProbabilities:
        """What it says of a track of the first prediction.

        Raises:
            DataError: nothing, or of other actions or frames.
        """
        while track.key not in self._waiting:
            ahead = next(self._tracks, None)
            if ahead is None:
                raise DataError(
                    f"{track} is in prediction 1 and not in prediction {self._number}; {_REMEDY}"
                )
            self._waiting[ahead.key] = ahead
        own = self._waiting.pop(track.key)
        if own.actions != track.actions:
            raise DataError(
                f"{track}: prediction 1 is of {', '.join(track.actions)}, prediction "
                f"{self._number} of {', '.join(own.actions)}; {_REMEDY}"
            )
        if own.values.shape != track.values.shape:
            raise DataError(
                f"{track}: prediction 1 has {len(track.values)} frames, prediction {self._number} "
                f"{len(own.values)}; {_REMEDY}"
            )
        return own

    def require_end(self) -> None:
        """Refuse tracks that the first prediction did not ask for.

        Raises:
            DataError: with the first of them.
        """
        for track in chain(self._waiting.values(), self._tracks):
            raise DataError(
                f"{track} is in prediction {self._number} and not in prediction 1; {_REMEDY}"
            )
