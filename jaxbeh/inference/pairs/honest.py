"""The score of decoded out-of-fold predictions, with values that never saw what they decode."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxbeh.errors import DataError
from jaxbeh.inference.bouts import Bouts
from jaxbeh.inference.pairs.counts import recordings_of, score_bouts
from jaxbeh.inference.pairs.decoding import Decoding, decode
from jaxbeh.inference.pairs.probabilities import TrackProbabilities
from jaxbeh.inference.pairs.tuning import tune
from jaxbeh.inference.scene_bouts import ActionFrequencies
from jaxbeh.metrics.mabe import mean_of_means


@dataclass(frozen=True, eq=False)
class Honest:
    """Two official scores of the same out-of-fold predictions.

    Attributes:
        decoding: tuned on all folds together: the values to keep.
        tuned: the score with `decoding`, so on what it was tuned on: too high.
        tuned_bouts: what that score is of.
        honest: the score where every fold is decoded with values tuned on the other folds, all
            folds' bouts scored as one table; `None` with a single fold.
        honest_bouts: what that score is of, or `None`.
        fold_decodings: one a fold, tuned on the others; none with a single fold.
    """

    decoding: Decoding
    tuned: float
    tuned_bouts: Bouts
    honest: float | None
    honest_bouts: Bouts | None
    fold_decodings: tuple[Decoding, ...]


def honest(
    folds: Sequence[Sequence[TrackProbabilities]], frequencies: ActionFrequencies | None = None
) -> Honest:
    """Tune on all folds, and for each fold on the others; score both.

    For fold i nothing of its truth is used: thresholds, lengths and the actions that may be written
    come from the other folds' videos, which are those that its model was trained on.

    Args:
        folds: what each fold's model says of the videos that it was not trained on; all labelled.
        frequencies: which actions the values to keep may write, of all videos trained on; where not
            given, of the folds' videos.

    Raises:
        DataError: there is no fold; a video is in two; or as `tune`, for all folds or for the
            others of one.
    """
    if not folds:
        raise DataError("no folds to tune on; give at least one")
    _check_apart(folds)
    tracks = [track for fold in folds for track in fold]
    recordings = recordings_of(tracks)
    kept = tune(tracks, frequencies or ActionFrequencies.build(recordings)).decoding
    tuned_bouts = decode(tracks, kept)
    decodings: list[Decoding] = []
    honest_bouts: Bouts | None = None
    if len(folds) > 1:
        for left_out in range(len(folds)):
            rest = [track for n, fold in enumerate(folds) if n != left_out for track in fold]
            seen = ActionFrequencies.build(recordings_of(rest))
            decodings.append(tune(rest, seen).decoding)
        honest_bouts = Bouts.concatenate(
            decode(fold, values) for fold, values in zip(folds, decodings, strict=True)
        )
    return Honest(
        decoding=kept,
        tuned=mean_of_means(score_bouts(recordings, tuned_bouts)),
        tuned_bouts=tuned_bouts,
        honest=None
        if honest_bouts is None
        else mean_of_means(score_bouts(recordings, honest_bouts)),
        honest_bouts=honest_bouts,
        fold_decodings=tuple(decodings),
    )


def _check_apart(folds: Sequence[Sequence[TrackProbabilities]]) -> None:
    fold_of: dict[str, int] = {}
    for number, fold in enumerate(folds):
        for track in fold:
            video = track.recording.video_id
            if fold_of.setdefault(video, number) != number:
                raise DataError(
                    f"video {video} is in folds {fold_of[video]} and {number}; a video belongs to "
                    f"one fold, or its own truth would tune its values"
                )
