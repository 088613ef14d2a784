"""The baseline of `quality.py`: gradient boosting on pair features, frame by frame.

scikit-learn's HistGradientBoostingClassifier, one for actions alone and one for actions to another.
Its features, on the grid of 30 frames a second: keypoints of both bodies in the agent's frame,
distances within the agent and between the two, speeds, the agent's turning, the other's heading;
of each but the distances within, which the positions tell, the mean and deviation over 11 and 61
frames around; and the lab, as a category. What is missing is NaN, which the trees take as it is.
All of it is numpy of its own, so that a mistake in the package's features cannot be in both.

- Classes are the actions, and none. Only actions that were looked for in a track can be found
  there: the others' probabilities are taken away, and the rest is made to sum to 1 again.
- It trains on at most `most_frames` frames of each kind of track, drawn by the seed: a class with n
  frames gets a share of them that goes with √n, and all together weigh √n. This is the balance of
  recipe v7 (an action's frames weigh share ** −0.5).
- A frame with two actions counts as the rarer one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from jaxbeh.data.pair_store import GRID_HZ, grid_frames
from jaxbeh.data.recording import Recording
from jaxbeh.data.tracks import Track, action_bits
from jaxbeh.inference.pairs.probabilities import TrackProbabilities
from jaxbeh.training.pairs.dataset import PairDataset
from jaxbeh.training.pairs.judge import on_grid

WIDTHS = (11, 61)
"""Frames of the grid that the rolling mean and deviation are over."""

MOST_KEYPOINTS = 9
"""Those tracked in the most videos; distances grow with their square."""

_FRONTS = (("nose",), ("head",), ("ear_left", "ear_right"), ("neck",))
_BACKS = (("tail_base",), ("hip_left", "hip_right"), ("hindpaw_left", "hindpaw_right"))


@dataclass(frozen=True)
class Boosting:
    """How much is trained.

    Attributes:
        most_frames: of each kind of track, that one classifier sees.
        trees: of each class.
        bins: that a feature's values are put in; most of the time goes into looking through them
            for splits.
    """

    most_frames: int = 30_000
    trees: int = 60
    bins: int = 63


@dataclass(frozen=True, eq=False)
class Examples:
    """All tracks as numbers, computed once for all folds and seeds.

    Attributes:
        features: float32 `[g, f]` of each pair of bodies, by (video, agent, other); NaN is missing.
        lab: number of each video's lab.
        truth: int16 `[g]` of each track, the entry annotated at each place of the grid; −1 is none.
    """

    features: dict[tuple[int, int, int], NDArray[np.float32]]
    lab: tuple[int, ...]
    truth: tuple[NDArray[np.int16], ...]

    @classmethod
    def build(cls, dataset: PairDataset) -> "Examples":
        """Compute features and truth of all tracks."""
        keypoints = _common_keypoints(dataset)
        features = {}
        for track in dataset.tracks:
            key = (track.video, track.agent, track.other)
            if key not in features:
                recording = dataset.recordings[track.video]
                features[key] = _features(_bodies(recording, track, dataset, keypoints), keypoints)
        return cls(
            features=features,
            lab=tuple(dataset.labs.index(item.lab_id) for item in dataset.recordings),
            truth=tuple(_truth(dataset, track) for track in dataset.tracks),
        )

    def rows(self, track: Track, chosen: NDArray[np.int64] | slice) -> NDArray[np.float32]:
        """Some rows of a track's features, the lab's number in front: float32 `[n, 1 + f]`."""
        found = self.features[track.video, track.agent, track.other][chosen]
        return np.concatenate([np.full((len(found), 1), self.lab[track.video]), found], axis=1)


def predict_held_out(
    dataset: PairDataset, settings: Boosting, seeds: int
) -> list[list[list[TrackProbabilities]]]:
    """Train on all folds but one, and predict that one's tracks: of each seed, for each fold.

    As many processes work on it as there are pairs of cores.
    """
    examples = Examples.build(dataset)
    pairs = max(1, cpu_count() // 2)
    found = Parallel(n_jobs=min(pairs, seeds * dataset.folds))(
        delayed(_predict_fold)(dataset, examples, settings, seed, fold)
        for seed in range(seeds)
        for fold in range(dataset.folds)
    )
    return [found[seed * dataset.folds :][: dataset.folds] for seed in range(seeds)]


def _predict_fold(
    dataset: PairDataset, examples: Examples, settings: Boosting, seed: int, fold: int
) -> list[TrackProbabilities]:
    predicted: list[TrackProbabilities] = []
    for alone in (True, False):
        of_kind = [(track.target == "self") == alone for track in dataset.tracks]
        held_out = dataset.track_fold == fold
        known = np.flatnonzero(of_kind & ~held_out)
        unseen = np.flatnonzero(of_kind & held_out)
        if len(known) and len(unseen):
            model = _fit(dataset, examples, settings, known, seed)
            predicted += [_predict(dataset, examples, model, int(index)) for index in unseen]
    return predicted


class _Model(NamedTuple):
    classifier: HistGradientBoostingClassifier
    varies: NDArray[np.bool_]
    """Columns that it takes; it refuses those with a single value."""


def _fit(
    dataset: PairDataset,
    examples: Examples,
    settings: Boosting,
    tracks: NDArray[np.int64],
    seed: int,
) -> _Model:
    draw = np.random.default_rng(seed)
    labels = np.concatenate([examples.truth[index] for index in tracks])
    of_track = np.repeat(tracks, [len(examples.truth[index]) for index in tracks])
    place = np.concatenate([np.arange(len(examples.truth[index])) for index in tracks])
    _, number, counts = np.unique(labels, return_inverse=True, return_counts=True)
    quota = settings.most_frames * np.sqrt(counts) / np.sqrt(counts).sum()
    taken = np.minimum(counts, np.maximum(1, quota.astype(np.int64)))
    chosen = np.sort(
        np.concatenate(
            [
                draw.choice(np.flatnonzero(number == index), size, replace=False)
                for index, size in enumerate(taken.tolist())
            ]
        )
    )
    rows = [
        examples.rows(dataset.tracks[index], place[chosen[of_track[chosen] == index]])
        for index in tracks
    ]
    weights = (np.sqrt(counts) / taken)[number[chosen]]
    values = np.concatenate(rows)
    varies = np.fmin.reduce(values) < np.fmax.reduce(values)  # false for a column of NaN
    model = HistGradientBoostingClassifier(
        learning_rate=0.15,
        max_iter=settings.trees,
        max_bins=settings.bins,
        l2_regularization=1.0,
        min_samples_leaf=40,
        categorical_features=(np.arange(len(varies)) == 0)[varies],
        early_stopping=False,
        random_state=seed,
    )
    model.fit(values[:, varies], labels[chosen], weights / weights.mean())
    return _Model(model, varies)


def _predict(
    dataset: PairDataset, examples: Examples, model: _Model, index: int
) -> TrackProbabilities:
    track = dataset.tracks[index]
    recording = dataset.recordings[track.video]
    rows = examples.rows(track, slice(None))[:, model.varies]
    found = model.classifier.predict_proba(rows)
    column = {int(entry): number for number, entry in enumerate(model.classifier.classes_)}
    allowed = np.zeros((len(found), len(track.actions)), np.float64)
    for place, entry in enumerate(track.actions):
        if entry in column:
            allowed[:, place] = found[:, column[entry]]
    none = found[:, column[-1]] if -1 in column else np.zeros(len(found))
    whole = allowed.sum(axis=1) + none
    values = allowed / np.maximum(whole, 1e-12)[:, None]
    return TrackProbabilities(
        recording=recording,
        agent=f"mouse{track.agent}",
        target=track.target,
        actions=tuple(dataset.vocabulary.name(entry) for entry in track.actions),
        values=np.clip(values, 0, 1).astype(np.float32)[on_grid(recording)],
    )


def _truth(dataset: PairDataset, track: Track) -> NDArray[np.int16]:
    """The entry at each place of the grid, by the nearest frame; the rarest of several."""
    recording = dataset.recordings[track.video]
    bits = action_bits(recording, track, dataset.vocabulary)
    place = np.arange(grid_frames(recording)) * (recording.fps / GRID_HZ)
    bits = bits[np.minimum(np.floor(place + 0.5).astype(np.int64), len(bits) - 1)]
    truth = np.full(len(bits), -1, np.int16)
    for entry in sorted(track.actions, key=lambda entry: -dataset.entry_frames[entry, 0]):
        truth[(bits[:, entry // 32] >> np.uint32(entry % 32) & np.uint32(1)) == 1] = entry
    return truth


def _common_keypoints(dataset: PairDataset) -> dict[str, int]:
    """Names and slots of the keypoints that the most videos track, the body's ends among them."""
    counts = {
        name: sum(column >= 0 for column in columns)
        for name, columns in zip(
            dataset.slots.names,
            np.array([_columns(item, dataset) for item in dataset.recordings]).T,
            strict=True,
        )
        if name is not None
    }
    ends = {name for names in (*_FRONTS, *_BACKS) for name in names}
    order = sorted(counts, key=lambda name: (-counts[name], name not in ends))
    kept = set(order[:MOST_KEYPOINTS])
    return {name: slot for slot, name in enumerate(dataset.slots.names) if name in kept}


def _columns(recording: Recording, dataset: PairDataset) -> list[int]:
    return dataset.slots.columns(recording.tracking.keypoints)[0]


def _bodies(
    recording: Recording, track: Track, dataset: PairDataset, keypoints: dict[str, int]
) -> NDArray[np.float64]:
    """Centimetres `[g, 2, k, 2]` on the grid, the agent first; NaN where either frame lacks it."""
    tracking = recording.tracking
    columns = np.array(_columns(recording, dataset))[list(keypoints.values())]
    pixels = np.full((tracking.frames, 2, len(columns), 2), np.nan)
    for body, mouse in enumerate((track.agent, track.other)):
        if mouse:
            own = tracking.pixels()[:, tracking.mice.index(mouse)]
            pixels[:, body, columns >= 0] = own[:, columns[columns >= 0]]
    place = np.arange(grid_frames(recording)) * (recording.fps / GRID_HZ)
    first = np.minimum(np.floor(place + 1e-6).astype(np.int64), tracking.frames - 1)
    second = np.minimum(first + 1, tracking.frames - 1)
    share = np.clip(place - first, 0, 1)
    share[share < 1e-3] = 0
    one, two, share = pixels[first], pixels[second], share[:, None, None, None]
    return np.where(share == 0, one, (1 - share) * one + share * two) / recording.pixels_per_cm


def _features(xy: NDArray[np.float64], keypoints: dict[str, int]) -> NDArray[np.float32]:
    """Float32 `[g, f]` of one agent and other; NaN where something is missing."""
    names = list(keypoints)
    known = ~np.isnan(xy[..., :1])
    count = known.sum(axis=2)
    mean = np.where(known, xy, 0).sum(axis=2) / np.where(count > 0, count, np.nan)
    front = _first(xy, names, _FRONTS, xy[:, :, 0])
    back = _first(xy, names, _BACKS, mean)
    axis = front - back
    length = np.linalg.norm(axis, axis=-1, keepdims=True)
    unit = axis / np.where(length > 0, length, np.nan)
    agent = unit[:, :1]

    inside = [(a, b) for a in range(len(names)) for b in range(a)]
    within = [np.linalg.norm(xy[:, 0, a] - xy[:, 0, b], axis=-1) for a, b in inside]
    between = np.linalg.norm(xy[:, 0, :, None] - xy[:, 1, None], axis=-1)
    speed = np.linalg.norm(_change(xy), axis=-1)
    heading = _turned(unit[:, 1], unit[:, 0])
    turn = _turned(_later(unit[:, 0], 1), _later(unit[:, 0], -1))
    parts = [
        *(_turned(xy[:, body] - mean[:, :1], agent) for body in (0, 1)),
        between,
        speed,
        _turned(_change(mean), agent),
        heading,
        np.arctan2(turn[:, 1], turn[:, 0]) * GRID_HZ / 2,
        length[:, 0],
    ]
    now = np.concatenate([part.reshape(len(xy), -1) for part in parts], axis=1)
    around = [statistic for width in WIDTHS for statistic in _rolling(now, width)]
    within = [one[:, None] for one in within]
    return np.concatenate([now, *around, *within], axis=1).astype(np.float32)


def _first(
    xy: NDArray[np.float64],
    names: Sequence[str],
    candidates: Sequence[Sequence[str]],
    otherwise: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The middle of the first candidates that are there, `[g, 2, 2]`."""
    found = np.full_like(otherwise, np.nan)
    middles = [
        xy[:, :, [names.index(name) for name in wanted]].mean(axis=2)
        for wanted in candidates
        if set(wanted) <= set(names)
    ]
    for middle in (*middles, otherwise):
        found = np.where(np.isnan(found), middle, found)
    return found


def _turned(vector: NDArray[np.float64], unit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Parts along a unit vector and across it."""
    along = (vector * unit).sum(axis=-1)
    across = vector[..., 1] * unit[..., 0] - vector[..., 0] * unit[..., 1]
    return np.stack([along, across], axis=-1)


def _later(values: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    """What stands so many frames later (earlier if negative); NaN beyond the ends."""
    moved = np.full_like(values, np.nan)
    if frames > 0:
        moved[:-frames] = values[frames:]
    else:
        moved[-frames:] = values[:frames]
    return moved


def _change(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """A second's change, from the frame before to the frame behind."""
    return (_later(values, 1) - _later(values, -1)) * (GRID_HZ / 2)


def _rolling(
    values: NDArray[np.float64], width: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of what is known among the frames around, `[g, f]` each."""
    places = np.arange(len(values))
    low, high = np.maximum(places - width // 2, 0), np.minimum(places + width // 2 + 1, len(values))
    known = ~np.isnan(values)
    # Near its mean, so that the difference of two running sums keeps its digits.
    middle = np.where(known, values, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, values - middle, 0)

    def sums(of: NDArray[np.float64]) -> NDArray[np.float64]:
        running = np.concatenate([np.zeros((1, of.shape[1])), np.cumsum(of, axis=0)])
        return running[high] - running[low]

    count = sums(known.astype(np.float64))
    count[count < 0.5] = np.nan
    mean = sums(centred) / count
    deviation = np.sqrt(np.maximum(sums(centred**2) / count - mean**2, 0))
    return mean + middle, deviation
