"""Counting frames for the official score, many thresholds at a time.

`jaxbeh.metrics.mabe` scores tables of bouts; a search needs the same numbers thousands of times.
Here the tracks of a lab lie side by side in arrays, and hits and predictions are counted on those.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from jaxbeh.data.recording import Recording
from jaxbeh.errors import DataError
from jaxbeh.inference.bouts import Bouts
from jaxbeh.inference.pairs.decoding import NONE, Decoding, action_runs, choose, merge, smooth
from jaxbeh.inference.pairs.probabilities import Kind, TrackProbabilities
from jaxbeh.inference.submission import solution_table, submission_table
from jaxbeh.metrics.mabe import pooled_scores, video_counts

LOG_ODDS = np.linspace(-7.0, 7.0, 113)
GRID = (1 / (1 + np.exp(-LOG_ODDS))).astype(np.float32)
"""Thresholds that are tried, ascending: 0.0009 to 0.9991, eighths of log-odds, 0.5 among them."""

Counts = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Frames predicted rightly, and predicted, of each action."""

Runs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.integer]]
"""Start, stop (exclusive) and code of runs; a code is a row of a group and a track of it."""


def score_bouts(recordings: Iterable[Recording], bouts: Bouts) -> pd.DataFrame:
    """`jaxbeh.metrics.mabe.score_table` of bouts; no bouts at all miss every frame.

    Raises:
        DataError: a recording has no labels, or none has an event.
    """
    return pooled_scores(count_bouts(solution_table(recordings), bouts))


def count_bouts(solution: pd.DataFrame, bouts: Bouts) -> pd.DataFrame:
    """`jaxbeh.metrics.mabe.video_counts` of bouts; no bouts at all miss every frame.

    Raises:
        DataError: the solution has no event.
    """
    if len(solution) and not len(bouts):
        # The metric refuses an empty table; a row of a video that it does not know counts nothing.
        nothing = solution.head(1).assign(video_id="no " + max(solution["video_id"], key=len))
        return video_counts(solution, nothing)
    return video_counts(solution, submission_table(bouts))


def recordings_of(tracks: Iterable[TrackProbabilities]) -> list[Recording]:
    """The recordings of tracks, each once, in the order of their first tracks."""
    return list({track.recording.video_id: track.recording for track in tracks}.values())


class Group:
    """All tracks of one lab and kind, one after another.

    Attributes:
        actions: a actions that may be written, by name.
        raw: float32 `[a, n]`, probabilities; 0 where an action was not looked for.
        values: the same, smoothed.
        truth: bool `[a, n]`.
        seconds: `[a]`, how long each action is annotated.
    """

    def __init__(
        self, tracks: Sequence[TrackProbabilities], actions: Sequence[str], kind: Kind
    ) -> None:
        self.kind: Kind = kind
        self.actions = tuple(actions)
        lengths = [len(track.values) for track in tracks]
        self._edges = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        self._fps = np.array([track.recording.fps for track in tracks], np.float64)
        shape = (len(self.actions), int(self._edges[-1]))
        self.raw = np.zeros(shape, np.float32)
        self.truth = np.zeros(shape, np.bool_)
        self.seconds = np.zeros(len(self.actions), np.float64)
        row_of = {action: row for row, action in enumerate(self.actions)}
        for track, low, high in zip(tracks, self._edges[:-1], self._edges[1:], strict=True):
            for column, action in enumerate(track.actions):
                if action in row_of:
                    self.raw[row_of[action], low:high] = track.values[:, column]
            truth = self.truth[:, low:high]
            for row, start, stop in _events(track, row_of):
                truth[row, start:stop] = True
            self.seconds += truth.sum(axis=1) / track.recording.fps
        self.values = self.raw
        self._true_before = np.zeros((shape[0], shape[1] + 1), np.int32)
        np.cumsum(self.truth, axis=1, out=self._true_before[:, 1:])

    def smooth(self, decoding: Decoding) -> None:
        """Make `values` of `raw`, track by track."""
        if decoding.smoothing == 0:
            self.values = self.raw
            return
        self.values = np.empty_like(self.raw)
        for fps, low, high in zip(self._fps, self._edges[:-1], self._edges[1:], strict=True):
            values = smooth(self.raw[:, low:high].T, decoding.radius(float(fps)))
            self.values[:, low:high] = values.T

    def runs(self, thresholds: NDArray[np.float32]) -> Runs:
        """The runs of one action under the thresholds; none reaches over two tracks."""
        choice = choose(self.values, thresholds).astype(np.int64)
        of_track = np.repeat(np.arange(len(self._fps)), np.diff(self._edges))
        codes = np.where(choice == NONE, NONE, choice + of_track * len(self.actions))
        return action_runs(codes)

    def counts(self, runs: Runs, decoding: Decoding) -> Counts:
        """Frames of each action, `[a]`, after gaps are closed and short bouts dropped."""
        gaps = np.array([decoding.gap_frames(float(fps)) for fps in self._fps], np.int64)
        shortest = np.array([decoding.shortest_frames(float(fps)) for fps in self._fps], np.int64)
        track = runs[2] // len(self.actions)
        start, stop, code = merge(*runs, gaps[track], shortest[track])
        row = code % len(self.actions)
        hits = np.zeros(len(self.actions), np.int64)
        predicted = np.zeros(len(self.actions), np.int64)
        np.add.at(hits, row, self._true_before[row, stop] - self._true_before[row, start])
        np.add.at(predicted, row, stop - start)
        return hits, predicted

    def curves(self, row: int, thresholds: NDArray[np.float32]) -> Counts:
        """Frames of each action, `[a, g]`, with one action's threshold at each place of `GRID`.

        Without gaps and lengths. Where two multiples are equal the action wins, whatever its name.

        Args:
            row: the action.
            thresholds: `[a]`; the action's own is not looked at.
        """
        best = np.full(self.values.shape[1], np.nextafter(np.float32(1), np.float32(0)))
        rival = np.full(self.values.shape[1], row, np.int16)
        for other in range(len(self.actions)):
            if other != row:
                multiple = self.values[other] / thresholds[other]
                higher = multiple > best
                np.copyto(best, multiple, where=higher)
                rival[higher] = other
        bound = self.values[row] / np.maximum(best, np.float32(1))
        reach = np.flatnonzero(bound >= GRID[0])
        places = np.searchsorted(GRID, bound[reach], side="right")
        losers = rival[reach]
        hits = np.zeros((len(self.actions), len(GRID)), np.int64)
        predicted = np.zeros((len(self.actions), len(GRID)), np.int64)
        for other in range(len(self.actions)):
            if other != row:
                has = rival == other
                lost = losers == other
                true = self.truth[other, reach[lost]]
                predicted[other] = np.count_nonzero(has) - _reached(places[lost])
                hits[other] = np.count_nonzero(has & self.truth[other])
                hits[other] -= _reached(places[lost][true])
        predicted[row] = _reached(places)
        hits[row] = _reached(places[self.truth[row, reach]])
        return hits, predicted


class Lab:
    """One lab's groups and what its score needs of the truth.

    Attributes:
        groups: kind → its tracks; kinds without an action that may be written are not there.
        true: `[n]`, annotated frames of each action of the lab, those without a track included.
    """

    def __init__(self, lab_id: str, groups: Mapping[Kind, Group], true: Mapping[str, int]) -> None:
        self.lab_id = lab_id
        self.groups = groups
        names = set(true).union(*(group.actions for group in groups.values()))
        index = {name: n for n, name in enumerate(sorted(names))}
        self.true = np.zeros(len(index), np.int64)
        for name, frames in true.items():
            self.true[index[name]] = frames
        self._index = {
            kind: np.array([index[name] for name in group.actions], np.int64)
            for kind, group in groups.items()
        }

    def smooth(self, decoding: Decoding) -> None:
        """Smooth all groups."""
        for group in self.groups.values():
            group.smooth(decoding)

    def runs(self, decoding: Decoding) -> dict[Kind, Runs]:
        """Each kind's runs under the lab's thresholds, of the values as they are smoothed."""
        known = decoding.of_lab(self.lab_id)
        return {
            kind: group.runs(
                np.array([known.of(kind)[action] for action in group.actions], np.float32)
            )
            for kind, group in self.groups.items()
        }

    def score(self, counts: Mapping[Kind, Counts]) -> NDArray[np.float64]:
        """The lab's score, from counts `[a]` or `[a, g]` of each kind; `[1]` or `[g]`."""
        width = max((hits[0].size for hits, _ in counts.values()), default=1)
        hits = np.zeros((len(self.true), width), np.int64)
        predicted = np.zeros((len(self.true), width), np.int64)
        for kind, (right, claimed) in counts.items():
            hits[self._index[kind]] += right.reshape(len(right), -1)
            predicted[self._index[kind]] += claimed.reshape(len(claimed), -1)
        counted = (self.true[:, None] > 0) | (predicted > 0)  # rule 7
        frames = np.maximum(predicted + self.true[:, None], 1)
        return np.asarray((2 * hits / frames).sum(axis=0) / counted.sum(axis=0))


def labs_of(tracks: Sequence[TrackProbabilities], start: Decoding) -> list[Lab]:
    """The labs that count: those of whose videos some show an action, and only these videos."""
    keys = [track.key for track in tracks]
    if len(set(keys)) < len(keys):
        twice = next(track for n, track in enumerate(tracks) if track.key in keys[:n])
        raise DataError(f"{twice} is there twice; average the predictions of a track first")
    recordings = recordings_of(tracks)
    solution = solution_table(recordings)
    if solution.empty:
        raise DataError(
            f"none of the {len(recordings)} videos shows an action that was looked for; there is "
            f"nothing to tune on"
        )
    # A submission without a row of these videos misses every frame: the metric counts the truth.
    missed = score_bouts(recordings, Bouts.empty())
    true: dict[str, dict[str, int]] = defaultdict(dict)
    for lab_id, action, frames in missed[["lab_id", "action", "fn"]].itertuples(index=False):
        true[lab_id][action] = int(frames)
    scored = set(solution["video_id"])
    of_group: dict[tuple[str, Kind], list[TrackProbabilities]] = defaultdict(list)
    for track in tracks:
        if track.recording.video_id in scored:
            of_group[track.recording.lab_id, track.kind].append(track)
    labs = []
    for lab_id in sorted(true):
        groups: dict[Kind, Group] = {}
        kinds: tuple[Kind, ...] = ("alone", "pair")
        for kind in kinds:
            inside = of_group[lab_id, kind]
            known = start.of_lab(lab_id).of(kind)
            actions = sorted({action for track in inside for action in track.actions} & set(known))
            if actions:
                groups[kind] = Group(inside, actions, kind)
        labs.append(Lab(lab_id, groups, true[lab_id]))
    return labs


def mean_score(
    labs: Sequence[Lab], runs: Sequence[Mapping[Kind, Runs]], decoding: Decoding
) -> float:
    """The official score of the labs' runs after gaps are closed and short bouts dropped."""
    scores = [
        lab.score({kind: group.counts(own[kind], decoding) for kind, group in lab.groups.items()})
        for lab, own in zip(labs, runs, strict=True)
    ]
    return float(np.mean(scores))


def decoded_score(labs: Sequence[Lab], decoding: Decoding) -> float:
    """The official score of the labs' tracks as `decode` turns them into bouts.

    Args:
        labs: of `labs_of`, for a decoding of the same actions; they are left smoothed.
        decoding: all values.
    """
    for lab in labs:
        lab.smooth(decoding)
    return mean_score(labs, [lab.runs(decoding) for lab in labs], decoding)


def _events(track: TrackProbabilities, row_of: Mapping[str, int]) -> list[tuple[int, int, int]]:
    """Row, start and stop of the events of a track that were looked for."""
    events, whitelist = track.recording.events, track.recording.whitelist
    if events is None or whitelist is None:
        raise DataError(f"{track}: the video has no labels")
    return [
        (row_of[triple.action], int(start), int(stop))
        for triple, start, stop in zip(events.triples, events.start, events.stop, strict=True)
        if (triple.agent, triple.target) == (track.agent, track.target)
        and triple.action in row_of
        and triple in whitelist
    ]


def _reached(places: NDArray[np.int64]) -> NDArray[np.int64]:
    """`[g]`: of how many frames the bound is at or above each threshold of `GRID`."""
    frames = np.bincount(places, minlength=len(GRID) + 1)
    return np.asarray(frames[::-1].cumsum()[::-1][1:], np.int64)
