"""From probabilities and bouts of labelled videos to all figures of a report.

What nobody looked for is unknown and counts nowhere: a track's actions are those looked for. F
counts as the challenge does: videos without an event are passed over, and an event of a mouse that
is not tracked is missed. The other figures are of all tracks of all videos.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.recording import Recording
from jaxbeh.inference.bouts import Bouts
from jaxbeh.inference.pairs.counts import count_bouts, recordings_of
from jaxbeh.inference.pairs.honest import Honest
from jaxbeh.inference.pairs.probabilities import TrackProbabilities
from jaxbeh.inference.pairs.report import (
    ActionFigures,
    Bin,
    DecodedBy,
    Figures,
    Report,
    Scored,
)
from jaxbeh.inference.submission import solution_table
from jaxbeh.inference.track_frames import annotated, said, spans_of
from jaxbeh.metrics.bootstrap import Videos, draw_videos, lab_counts, mean_there
from jaxbeh.metrics.mabe import pooled_scores
from jaxbeh.metrics.probabilities import average_precision, calibration
from jaxbeh.metrics.segments import OVERLAPS, Segments, SegmentScores, pooled, segment_scores

LEVEL = 0.95
DRAWS = 2000

Place = tuple[str, str]
"""A lab and an action."""


def held_out_report(folds: Sequence[Sequence[TrackProbabilities]], found: Honest) -> Report:
    """The report of what members say of the videos that they held out, by its honest bouts.

    With one fold there are none: then it is of the bouts by values tuned on these very videos.
    """
    tracks = [track for fold in folds for track in fold]
    by: DecodedBy = "values tuned on the other folds"
    bouts = found.honest_bouts
    if bouts is None:
        by, bouts = "values tuned on these very videos", found.tuned_bouts
    return _report(tracks, bouts, "videos held out in training", by, found.tuned)


def fresh_report(tracks: Sequence[TrackProbabilities], bouts: Bouts) -> Report:
    """The report of videos that no part of the run has seen.

    Args:
        tracks: of labelled videos.
        bouts: what the run's values made of them.

    Raises:
        DataError: a video has no labels.
    """
    return _report(tracks, bouts, "videos not trained on", "values of the run", None)


def _report(
    tracks: Sequence[TrackProbabilities],
    bouts: Bouts,
    scored: Scored,
    decoded_by: DecodedBy,
    tuned_f: float | None,
) -> Report:
    recordings = recordings_of(tracks)
    official = _Official.of(recordings, bouts)
    seen, whole = _look(tracks, bouts)
    rows: dict[str, dict[str, ActionFigures]] = defaultdict(dict)
    places = sorted(seen.keys() | official.counts.keys())
    for lab, action in places:
        rows[lab][action] = seen[lab, action].figures(official, (lab, action))
    labs = {
        lab: _mean(of_lab.values(), official.estimate((lab, action) for action in of_lab))
        for lab, of_lab in rows.items()
    }
    labs = {
        lab: figures.model_copy(update={"edit": pooled(whole[lab]).edit})
        for lab, figures in labs.items()
    }
    overall = _mean(labs.values(), official.estimate(places))
    actions = {
        name: _mean(
            [of_lab[name] for of_lab in rows.values() if name in of_lab],
            official.estimate((lab, name) for lab in rows),
        )
        for name in sorted({action for _, action in places})
    }
    return Report(
        scored=scored,
        decoded_by=decoded_by,
        videos=len(recordings),
        frames=sum(recording.tracking.frames for recording in recordings),
        official_f=overall.official_f,
        tuned_f=tuned_f,
        level=LEVEL,
        draws=DRAWS,
        overall=overall,
        labs=labs,
        actions=actions,
        labs_and_actions=dict(rows),
    )


def _mean(rows: Iterable[Figures], estimate: dict[str, float | None]) -> Figures:
    """The plain mean of every figure over the rows that have it; F with its interval is given."""
    rows = list(rows)

    def mean(values: Iterable[float | None]) -> float | None:
        there = [value for value in values if value is not None]
        return float(np.mean(there)) if there else None

    return Figures(
        **estimate,
        segment_f1={str(at): mean(row.segment_f1[str(at)] for row in rows) for at in OVERLAPS},
        edit=mean(row.edit for row in rows),
        average_precision=mean(row.average_precision for row in rows),
        calibration_error=mean(row.calibration_error for row in rows),
        brier=mean(row.brier for row in rows),
    )


@dataclass(frozen=True, eq=False)
class _Official:
    """The challenge's F of each lab and action that it counts.

    Attributes:
        samples: float64 `[1 + n]`: of all videos once, then of each draw; NaN where its videos lack
            the action.
        counts: frames hit, false and missed.
        several: labs of which more than one video counts: only they vary from draw to draw.
    """

    samples: dict[Place, NDArray[np.float64]]
    counts: dict[Place, tuple[int, int, int]]
    several: frozenset[str]

    @classmethod
    def of(cls, recordings: Sequence[Recording], bouts: Bouts) -> "_Official":
        """Nothing at all where no video shows an event."""
        solution = solution_table(recordings)
        if solution.empty:
            return cls({}, {}, frozenset())
        counts = count_bouts(solution, bouts)
        videos = Videos.of_counts(counts)
        times = np.concatenate([np.ones((1, len(videos.ids))), draw_videos(videos, DRAWS, seed=0)])
        samples, several = {}, set()
        for lab in lab_counts(counts, videos):
            if len(lab.videos) > 1:
                several.add(lab.lab)
            for action, f in zip(lab.actions, lab.f(times).T, strict=True):
                samples[lab.lab, action] = f
        names = ["lab_id", "action", "tp", "fp", "fn"]
        rows = pooled_scores(counts)[names].itertuples(index=False)
        table = {(lab, action): (int(tp), int(fp), int(fn)) for lab, action, tp, fp, fn in rows}
        return cls(samples, table, frozenset(several))

    def estimate(self, places: Iterable[Place]) -> dict[str, float | None]:
        """The mean over labs of the mean over the actions given, and its interval."""
        of_lab = defaultdict(list)
        for lab, action in places:
            if (lab, action) in self.samples:
                of_lab[lab].append(self.samples[lab, action])
        if not of_lab:
            return {"official_f": None, "low": None, "high": None}
        labs = [mean_there(np.stack(samples), axis=0) for samples in of_lab.values()]
        value, *draws = mean_there(np.stack(labs), axis=0)
        low = high = None
        if of_lab.keys() & self.several:
            ends = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
            low, high = map(float, np.nanquantile(draws, ends))
        return {"official_f": float(value), "low": low, "high": high}


@dataclass(frozen=True, eq=False)
class _Seen:
    """One action in the tracks of one lab; a list has an item for each track.

    Attributes:
        truth: bool `[t]`.
        values: float32 `[t]`, probabilities.
        segments: scores of its bouts.
        seconds: annotated.
    """

    truth: list[NDArray[np.bool_]] = field(default_factory=list)
    values: list[NDArray[np.float32]] = field(default_factory=list)
    segments: list[SegmentScores] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def figures(self, official: _Official, place: Place) -> ActionFigures:
        """All of them; those of probabilities are `None` where no mouse tracked was looked at."""
        truth = np.concatenate([np.zeros(0, np.bool_), *self.truth])
        values = np.concatenate([np.zeros(0, np.float32), *self.values]).clip(0, 1)
        bouts = pooled(self.segments)
        hits, false, missed = official.counts.get(place, (0, 0, 0))
        reliable = calibration(truth, values) if len(truth) else None
        bins = () if reliable is None else (reliable.frames, reliable.probability, reliable.share)
        return ActionFigures(
            **official.estimate([place]),
            segment_f1={str(at): f1 for at, f1 in zip(OVERLAPS, bouts.f1, strict=True)},
            edit=None,
            average_precision=average_precision(truth, values),
            calibration_error=None if reliable is None else reliable.error,
            brier=None if reliable is None else reliable.brier,
            seconds=sum(self.seconds),
            frames=len(truth),
            hits=hits,
            false=false,
            missed=missed,
            bouts=bouts.true,
            predicted_bouts=bouts.predicted,
            reliability=tuple(
                Bin(frames=int(frames), probability=float(probability), share=float(share))
                for frames, probability, share in zip(*bins, strict=True)
            ),
        )


def _look(
    tracks: Iterable[TrackProbabilities], bouts: Bouts
) -> tuple[dict[Place, _Seen], dict[str, list[SegmentScores]]]:
    """What is annotated and said, by lab and action; and the segments of whole tracks, by lab."""
    spans = spans_of(bouts)
    seen: dict[Place, _Seen] = defaultdict(_Seen)
    whole: dict[str, list[SegmentScores]] = defaultdict(list)
    for track in tracks:
        recording, key = track.recording, (track.agent, track.target, track.actions)
        truth, found = annotated(recording, *key), said(recording, *key, spans)
        lab = recording.lab_id
        whole[lab].append(segment_scores(Segments.of_each(truth), Segments.of_each(found)))
        for column, action in enumerate(track.actions):
            one, just = seen[lab, action], slice(column, column + 1)
            one.truth.append(truth[:, column])
            one.values.append(track.values[:, column])
            one.segments.append(
                segment_scores(Segments.of_each(truth[:, just]), Segments.of_each(found[:, just]))
            )
            one.seconds.append(float(truth[:, column].sum() / recording.fps))
    return seen, whole
