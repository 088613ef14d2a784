"""From the probabilities of single (agent, target) tracks to bouts.

The rule, for every track by itself:

1. Each action's probability is averaged over the frames around (`Decoding.smoothing`).
2. A frame's action is the one whose probability is the highest multiple of its threshold, if that
   is at least 1; else the frame has none. Ties go to the first action by name.
3. Thresholds are those of the lab and of the kind of track, `alone` or `pair`. An action that has
   none there was never seen in the lab's training videos and is never written: it would add a 0 to
   the lab's mean if the lab never shows it. A lab never trained on takes those of all labs pooled.
4. A run of one action is a bout. Two bouts of one action with nothing but short none between them
   are one (`Decoding.gap`); then bouts that are too short are dropped (`Decoding.shortest`).
5. An empty table is an error under the metric. If no track has any bout, the most likely stretch is
   written instead (`most_likely_bout`), and the caller is told.

A bout's score is the mean of its action's probability over its frames, before the averaging of 1.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Self

import numpy as np
import pydantic
from numpy.typing import NDArray
from pydantic import Field

from jaxbeh.errors import DataError
from jaxbeh.inference.bouts import Bouts, runs
from jaxbeh.inference.pairs.probabilities import Kind, TrackProbabilities
from jaxbeh.inference.scene_bouts import ActionFrequencies
from jaxbeh.settings.block import Block
from jaxbeh.vocabulary import Triple

Threshold = Annotated[float, Field(ge=1e-6, le=1)]
Seconds = Annotated[float, Field(ge=0, le=3600)]

NONE = -1
"""The choice of a frame on which no action reaches its threshold."""

_ROUNDING = 1e-6  # frames: 0.1 s at 30 frames/s is 3 frames, not 3.0000000000000004


class Thresholds(Block):
    """The least probability at which an action is written; actions not here are never written."""

    alone: dict[str, Threshold]
    pair: dict[str, Threshold]

    def of(self, kind: Kind) -> Mapping[str, float]:
        """Action → threshold of one kind of track."""
        return self.alone if kind == "alone" else self.pair

    @classmethod
    def constant(cls, triples: Iterable[Triple], threshold: float) -> Self:
        """One threshold for the actions of all triples, in sorted order."""
        alone: dict[str, float] = {}
        pair: dict[str, float] = {}
        for triple in sorted(triples, key=lambda triple: triple.action):
            (alone if triple.target == "self" else pair)[triple.action] = threshold
        return cls(alone=alone, pair=pair)


class Decoding(Block):
    """What turns probabilities into bouts; kept beside the model that they fit.

    Times are in seconds and become frames by each recording's frame rate.
    """

    smoothing: Seconds = Field(0.0, description="width of the centred mean; 0: off")
    gap: Seconds = Field(0.0, description="longest none between bouts that become one; 0: off")
    shortest: Seconds = Field(0.0, description="shorter bouts are dropped; 0: off")
    labs: dict[str, Thresholds]
    pooled: Thresholds = Field(description="for labs never trained on")

    @classmethod
    def constant(cls, frequencies: ActionFrequencies, threshold: float = 0.5) -> Self:
        """One threshold for all that the training videos show, and no smoothing, gap or length."""
        everything = {triple for frames in frequencies.labs.values() for triple in frames}
        return cls(
            labs={
                lab: Thresholds.constant(frames, threshold)
                for lab, frames in sorted(frequencies.labs.items())
            },
            pooled=Thresholds.constant(everything, threshold),
        )

    def of_lab(self, lab_id: str) -> Thresholds:
        """The lab's own thresholds, or the pooled ones for a lab never trained on."""
        return self.labs.get(lab_id, self.pooled)

    def radius(self, fps: float) -> int:
        """Frames on either side that the mean takes in."""
        return round(self.smoothing * fps / 2)

    def gap_frames(self, fps: float) -> int:
        """The longest gap that is closed, in frames."""
        return math.floor(self.gap * fps + _ROUNDING)

    def shortest_frames(self, fps: float) -> int:
        """The shortest bout that is kept, in frames."""
        return math.ceil(self.shortest * fps - _ROUNDING)

    def to_json(self) -> str:
        """Text that `from_json` reads back to an equal value."""
        return self.model_dump_json(indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            DataError: the text is something else; the message shows what and where.
        """
        try:
            return cls.model_validate_json(text)
        except pydantic.ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise DataError(
                f"values of the decoding: {where}: {first['msg']} ({str(first['input'])[:80]!r}); "
                f"restore the file, or tune again"
            ) from None


@dataclass(frozen=True, eq=False)
class PairPrediction:
    """The bouts of all tracks given.

    Attributes:
        bouts: by video, time, agent and target, whatever the order of the tracks.
        fallback: true where no track had a bout and `bouts` holds the most likely one instead; a
            command says so. Empty bouts without it: no track had an action that may be written.
    """

    bouts: Bouts
    fallback: bool


def predict_pairs(tracks: Iterable[TrackProbabilities], decoding: Decoding) -> PairPrediction:
    """Bouts of all tracks, and never an empty table where any bout can be written.

    The tracks are gone through once, and none is kept. Those of one video are best given one after
    another: a table is made for each such stretch of tracks.

    Raises:
        DataError: a track is there twice.
    """
    parts: list[Bouts] = []
    likely: _Likely | None = None
    keys: set[tuple[str, str, str]] = set()
    for _, together in groupby(tracks, key=lambda track: track.recording.video_id):
        pieces: list[_Piece] = []
        for track in together:
            if track.key in keys:
                raise DataError(f"{track} is there twice; average the predictions of a track first")
            keys.add(track.key)
            pieces.append(_decoded(track, decoding))
            if not parts:
                likely = min(
                    filter(None, (likely, _most_likely(track, decoding))),
                    key=lambda likely: likely.rank,
                    default=None,
                )
        if any(len(piece.start) for piece in pieces):
            parts.append(_bouts(pieces))
    if parts:
        table = Bouts.concatenate(parts).table
        order = ["video_id", "start_frame", "agent_id", "target_id"]
        return PairPrediction(Bouts(table.sort_values(order, ignore_index=True)), fallback=False)
    if likely is None:
        return PairPrediction(Bouts.empty(), fallback=False)
    return PairPrediction(_bouts([likely.piece]), fallback=True)


def decode(tracks: Iterable[TrackProbabilities], decoding: Decoding) -> Bouts:
    """Bouts of all tracks, or none (rules 1 to 4 of the module).

    Returns:
        By video, time, agent and target, whatever the order of the tracks.

    Raises:
        DataError: a track is there twice.
    """
    prediction = predict_pairs(tracks, decoding)
    return Bouts.empty() if prediction.fallback else prediction.bouts


def track_bouts(track: TrackProbabilities, decoding: Decoding) -> Bouts:
    """The bouts of one track, by time (rules 1 to 4 of the module)."""
    return _bouts([_decoded(track, decoding)])


def most_likely_bout(track: TrackProbabilities, decoding: Decoding) -> Bouts:
    """The one stretch of a track that is most probably some action.

    It holds the frame where the smoothed probability of an action that may be written is the
    highest multiple of its threshold, and the frames around it, without a break, where that action
    is at least half as probable. The first such action by name, and frame, where several are.

    Returns:
        One bout, or none where no action may be written or none is ever more probable than 0.
    """
    likely = _most_likely(track, decoding)
    return Bouts.empty() if likely is None else _bouts([likely.piece])


def smooth(values: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    """The mean over each frame and `radius` frames on either side, as many as there are.

    Args:
        values: `[t, a]`.
        radius: frames; 0 gives the values back.
    """
    if radius == 0:
        return values
    frames = len(values)
    low = np.maximum(np.arange(frames) - radius, 0)
    high = np.minimum(np.arange(frames) + radius + 1, frames)
    total = _running_sum(values)
    mean = (total[high] - total[low]) / (high - low)[:, None]
    return np.asarray(mean, np.float32)


def choose(values: NDArray[np.float32], thresholds: NDArray[np.float32]) -> NDArray[np.int16]:
    """Each frame's action: the highest multiple of its threshold, if at least 1 (rule 2).

    Args:
        values: `[a, t]`; actions first, because columns are gone through one after another.
        thresholds: `[a]`, above 0.

    Returns:
        `[t]`, index of the action or `NONE`.
    """
    best = np.full(values.shape[1], np.nextafter(np.float32(1), np.float32(0)))
    choice = np.full(values.shape[1], NONE, np.int16)
    for column, (row, threshold) in enumerate(zip(values, thresholds, strict=True)):
        multiple = row / threshold
        higher = multiple > best
        np.copyto(best, multiple, where=higher)
        choice[higher] = column
    return choice


def action_runs(
    choice: NDArray[np.integer],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.integer]]:
    """The runs of all choices but `NONE`: start, stop (exclusive) and choice, `[r]`."""
    start, stop, chosen = runs(choice)
    kept = chosen != NONE
    return start[kept], stop[kept], chosen[kept]


def merge(
    start: NDArray[np.int64],
    stop: NDArray[np.int64],
    choice: NDArray[np.integer],
    gap: int | NDArray[np.int64],
    shortest: int | NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.integer]]:
    """Close short gaps between neighbours of one choice, then drop what is too short (rule 4).

    Args:
        start: `[r]`, ascending.
        stop: `[r]`, exclusive.
        choice: `[r]`.
        gap: frames, of all or of each, `[r]`.
        shortest: likewise.

    Returns:
        What is left, likewise.
    """
    if not len(start):
        return start, stop, choice
    gaps, lengths = np.broadcast_to(gap, start.shape), np.broadcast_to(shortest, start.shape)
    apart = (choice[1:] != choice[:-1]) | (start[1:] - stop[:-1] > gaps[1:])
    first, last = np.append(True, apart), np.append(apart, True)
    start, stop, choice, lengths = start[first], stop[last], choice[first], lengths[first]
    kept = stop - start >= lengths
    return start[kept], stop[kept], choice[kept]


@dataclass(frozen=True, eq=False)
class _Piece:
    """The stretches of one track, not yet a table, of which making many would take the most time.

    Attributes:
        track: whose they are.
        column: `[r]`, the track's action of each.
        start: `[r]`, index of the first frame.
        stop: `[r]`, one past the index of the last.
    """

    track: TrackProbabilities
    column: NDArray[np.integer]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]

    def triples(self) -> list[Triple]:
        """Who does what to whom, `[r]`."""
        track = self.track
        return [Triple(track.agent, track.target, track.actions[column]) for column in self.column]

    def scores(self) -> NDArray[np.float64]:
        """`[r]`, mean probabilities."""
        total = _running_sum(self.track.values)
        mean = total[self.stop, self.column] - total[self.start, self.column]
        return np.asarray(np.clip(mean / (self.stop - self.start), 0.0, 1.0))


@dataclass(frozen=True, eq=False)
class _Likely:
    """A track's most likely stretch, and what is compared among tracks: the least goes first."""

    piece: _Piece
    rank: tuple[float, str, int, str, str]


def _bouts(pieces: Sequence[_Piece]) -> Bouts:
    """The table of pieces of one video."""
    return Bouts.of_recording(
        pieces[0].track.recording,
        [triple for piece in pieces for triple in piece.triples()],
        np.concatenate([piece.start for piece in pieces]),
        np.concatenate([piece.stop for piece in pieces]),
        np.concatenate([piece.scores() for piece in pieces]),
    )


def _written(track: TrackProbabilities, decoding: Decoding) -> dict[int, float]:
    """Column → threshold of a track's actions that may be written, in the order of their names."""
    known = decoding.of_lab(track.recording.lab_id).of(track.kind)
    names = sorted(set(track.actions) & set(known))
    return {track.actions.index(action): known[action] for action in names}


def _decoded(track: TrackProbabilities, decoding: Decoding) -> _Piece:
    written, fps = _written(track, decoding), track.recording.fps
    columns = np.array(list(written), np.int64)
    smoothed = smooth(track.values[:, columns], decoding.radius(fps))
    choice = choose(smoothed.T, np.array(list(written.values()), np.float32))
    start, stop, chosen = merge(
        *action_runs(choice), decoding.gap_frames(fps), decoding.shortest_frames(fps)
    )
    return _Piece(track, columns[chosen], start, stop)


def _most_likely(track: TrackProbabilities, decoding: Decoding) -> _Likely | None:
    written = _written(track, decoding)
    smoothed = smooth(track.values[:, list(written)], decoding.radius(track.recording.fps)).T
    multiples = smoothed / np.array(list(written.values()), np.float32)[:, None]
    if not multiples.size or multiples.max() <= 0:
        return None
    row, frame = divmod(int(multiples.argmax()), multiples.shape[1])
    start, stop, _ = runs((smoothed[row] >= smoothed[row, frame] / 2).astype(np.int8))
    here = np.searchsorted(start, [frame], side="right") - 1
    piece = _Piece(track, np.array(list(written))[[row]], start[here], stop[here])
    rank = (-float(multiples[row, frame]), track.key[0], int(piece.start[0]), *track.key[1:])
    return _Likely(piece, rank)


def _running_sum(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """`[t + 1, a]`: the sum of all frames before each."""
    total = np.zeros((len(values) + 1, values.shape[1]), np.float64)
    np.cumsum(values, axis=0, dtype=np.float64, out=total[1:])
    return total
