"""Thresholds, smoothing, gaps and lengths for the official score, found on out-of-fold predictions.

What is maximised is `jaxbeh.metrics.mabe.score` of the decoded bouts: F per lab and action on
pooled frames, the mean over a lab's actions, the mean over labs. The search:

1. Smoothing is outermost (`SMOOTHING`); all that follows is done for each width.
2. Thresholds are taken from `GRID`, even steps of log-odds. Coordinate ascent: one action's
   threshold at a time goes to its best place with all others held, until none moves. Its whole
   curve comes from one pass, the tie-break included: against given rivals an action wins a frame
   at every threshold up to probability / max(1, best rival's multiple), so histograms of that
   bound count what each threshold would gain it and cost the rivals. A threshold moves only to a
   better place; of equally good ones, to the middle.
3. First the pooled thresholds are found, one a kind and action for all labs, for the mean over the
   labs that show the action; then each lab's, from there, for the lab.
4. A lab's threshold is drawn towards the pooled one where the lab shows little of the action: in
   log-odds, the lab's own place weighs s / (s + `SHRINKAGE`), s the seconds annotated there. With
   none, the pooled threshold stands; without any anywhere, 0.5.
5. Gaps and shortest lengths (`GAP`, `SHORTEST`) are tried on the bouts of these thresholds.
6. The best is kept; the earlier of equals, and the values before tuning if nothing beats them.

Only actions that the training videos show have thresholds (`Decoding.constant`).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from jaxbeh.inference.pairs.counts import (
    GRID,
    LOG_ODDS,
    Counts,
    Group,
    Lab,
    decoded_score,
    labs_of,
    mean_score,
)
from jaxbeh.inference.pairs.decoding import Decoding, Thresholds, choose
from jaxbeh.inference.pairs.probabilities import Kind, TrackProbabilities
from jaxbeh.inference.scene_bouts import ActionFrequencies

SMOOTHING = (0.0, 0.2, 0.5, 1.0)
"""Widths of the mean that are tried, seconds."""

GAP = (0.0, 0.1, 0.25, 0.5)
"""Longest gaps to close that are tried, seconds."""

SHORTEST = (0.0, 0.1, 0.25, 0.5)
"""Shortest lengths that are tried, seconds."""

SHRINKAGE = 5.0
"""Seconds of an action at which a lab's own threshold weighs as much as the pooled one.

Of 0, 3, 5, 10, 30 and more, the best mean score on new videos of six simulated labs, whose models
were off by 0.3 or by 1 in log-odds, tuned on 1, 2 or 6 videos of each.
"""

_START = 56  # where GRID is 0.5
_SWEEPS = 8  # a bound; two or three are usual
_GAIN = 1e-9  # what a move must gain, so that rounding moves nothing

Place = tuple[Kind, str]
"""What has a threshold: a kind of track and an action."""


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    Attributes:
        decoding: the values.
        score: the official score of the decoded tracks that were searched on.
    """

    decoding: Decoding
    score: float


def tune(tracks: Sequence[TrackProbabilities], frequencies: ActionFrequencies) -> Tuned:
    """The search of the module.

    Args:
        tracks: of labelled videos, best of such that the model was not trained on.
        frequencies: of the videos that the model was trained on: which actions may be written.

    Raises:
        DataError: a track is there twice or its video has no labels; or no video shows an action.
    """
    start = Decoding.constant(frequencies)
    labs = labs_of(tracks, start)
    best = Tuned(start, decoded_score(labs, start))
    for smoothing in SMOOTHING:
        for lab in labs:
            lab.smooth(start.model_copy(update={"smoothing": smoothing}))
        found = _thresholds(labs, start).model_copy(update={"smoothing": smoothing})
        for decoding, score in _lengths(labs, found):
            if score > best.score + _GAIN:
                best = Tuned(decoding, score)
    return best


def _thresholds(labs: Sequence[Lab], start: Decoding) -> Decoding:
    """Steps 2 to 4 of the module, on the smoothed values as they are."""
    places: dict[Place, int] = {
        (group.kind, action): _START
        for lab in labs
        for group in lab.groups.values()
        for action in group.actions
    }
    pooled = _ascend(labs, places)
    of_lab = {
        lab.lab_id: _drawn(lab, _ascend([lab], pooled), pooled)
        for lab in labs
        if lab.lab_id in start.labs
    }
    everywhere = {place: float(LOG_ODDS[index]) for place, index in pooled.items()}
    return start.model_copy(
        update={
            "pooled": _replaced(start.pooled, everywhere),
            "labs": {
                lab_id: _replaced(thresholds, of_lab.get(lab_id, everywhere))
                for lab_id, thresholds in start.labs.items()
            },
        }
    )


def _ascend(labs: Sequence[Lab], places: Mapping[Place, int]) -> dict[Place, int]:
    """Coordinate ascent of the mean score of the labs that show an action (step 2)."""
    found = dict(places)
    holders: dict[Place, list[Lab]] = defaultdict(list)
    showing: dict[Place, list[Lab]] = defaultdict(list)
    for lab in labs:
        for group in lab.groups.values():
            for action, seconds in zip(group.actions, group.seconds, strict=True):
                holders[group.kind, action].append(lab)
                if seconds > 0:
                    showing[group.kind, action].append(lab)
    counts = {lab.lab_id: _counts(lab, found) for lab in labs}
    for _ in range(_SWEEPS):
        moved = False
        for (kind, action), judges in showing.items():
            place = (kind, action)
            curves = {
                lab.lab_id: lab.groups[kind].curves(
                    lab.groups[kind].actions.index(action), _values(lab.groups[kind], found)
                )
                for lab in holders[place]
            }
            scores = [
                lab.score({**_widened(counts[lab.lab_id]), kind: curves[lab.lab_id]})
                for lab in judges
            ]
            total = np.sum(scores, axis=0)
            if total.max() > total[found[place]] + _GAIN:
                highest = np.flatnonzero(total >= total.max() - _GAIN)
                found[place] = int(_middle_of_longest(highest))
                for lab_id, (hits, predicted) in curves.items():
                    here = found[place]
                    counts[lab_id][kind] = hits[:, here], predicted[:, here]
                moved = True
        if not moved:
            break
    return found


def _middle_of_longest(places: NDArray[np.int64]) -> int:
    """The middle of the longest stretch of consecutive places, the first of equals."""
    stretches = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    longest = max(stretches, key=len)
    return int(longest[len(longest) // 2])


def _widened(counts: Mapping[Kind, Counts]) -> dict[Kind, Counts]:
    """Counts `[a]` as they are at every place of `GRID`, `[a, g]`."""
    return {
        kind: (
            np.broadcast_to(hits[:, None], (len(hits), len(GRID))),
            np.broadcast_to(predicted[:, None], (len(predicted), len(GRID))),
        )
        for kind, (hits, predicted) in counts.items()
    }


def _values(group: Group, places: Mapping[Place, int]) -> NDArray[np.float32]:
    """The group's thresholds."""
    return GRID[[places[group.kind, action] for action in group.actions]]


def _counts(lab: Lab, places: Mapping[Place, int]) -> dict[Kind, Counts]:
    """Frames of each kind and action at the places, without gaps and lengths."""
    counts: dict[Kind, Counts] = {}
    for kind, group in lab.groups.items():
        choice = choose(group.values, _values(group, places))
        chosen = [choice == row for row in range(len(group.actions))]
        hits = [np.count_nonzero(chosen[row] & true) for row, true in enumerate(group.truth)]
        predicted = [np.count_nonzero(frames) for frames in chosen]
        counts[kind] = np.array(hits, np.int64), np.array(predicted, np.int64)
    return counts


def _drawn(lab: Lab, own: Mapping[Place, int], pooled: Mapping[Place, int]) -> dict[Place, float]:
    """Log-odds of the lab's thresholds after step 4."""
    drawn = {place: float(LOG_ODDS[index]) for place, index in pooled.items()}
    for kind, group in lab.groups.items():
        for action, seconds in zip(group.actions, group.seconds, strict=True):
            weight = float(seconds / (seconds + SHRINKAGE))
            place = (kind, action)
            drawn[place] += weight * (float(LOG_ODDS[own[place]]) - drawn[place])
    return drawn


def _replaced(thresholds: Thresholds, log_odds: Mapping[Place, float]) -> Thresholds:
    """The same actions with new thresholds where there are any."""

    def of(kind: Kind) -> dict[str, float]:
        return {
            action: float(1 / (1 + np.exp(-log_odds[kind, action])))
            if (kind, action) in log_odds
            else threshold
            for action, threshold in thresholds.of(kind).items()
        }

    return Thresholds(alone=of("alone"), pair=of("pair"))


def _lengths(labs: Sequence[Lab], decoding: Decoding) -> list[tuple[Decoding, float]]:
    """Every gap and shortest length with its score (step 5)."""
    runs = [lab.runs(decoding) for lab in labs]
    found = []
    for gap, shortest in product(GAP, SHORTEST):
        here = decoding.model_copy(update={"gap": gap, "shortest": shortest})
        found.append((here, mean_score(labs, runs, here)))
    return found
