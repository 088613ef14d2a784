"""A run of pairs as it predicts: its averaged weights, and what it remembers of its data."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from jaxbeh.data.recording import Recording
from jaxbeh.data.tracks import Track, tracks_of
from jaxbeh.inference.pairs.predictor import PairPredictor
from jaxbeh.inference.pairs.probabilities import TrackProbabilities
from jaxbeh.inference.pairs.records import Known
from jaxbeh.inference.scene_bouts import ActionFrequencies
from jaxbeh.settings.pairs import PairConfig
from jaxbeh.training.checkpoints import best_of
from jaxbeh.training.pairs.members import Members
from jaxbeh.training.pairs.recipe import PairRecipe
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.vocabulary import Triple


@dataclass(frozen=True)
class Trained:
    """A trained run.

    Attributes:
        predictor: all its members.
        known: vocabulary, labs, folds.
        frequencies: what its videos showed, by lab.
        weights: content hash of the checkpoint.
    """

    predictor: PairPredictor
    known: Known
    frequencies: ActionFrequencies
    weights: str

    def tracks(self, recordings: Sequence[Recording]) -> list[Track]:
        """What to predict: the triples looked for, or those that the lab's videos showed.

        Of a lab without training videos, those that any showed.
        """
        return [
            track
            for index, recording in enumerate(recordings)
            for track in tracks_of(
                index,
                recording,
                recording.whitelist or self.frequencies.of_lab(recording.lab_id),
                self.known.vocabulary,
            )
        ]

    def triples(self, recording: Recording) -> set[Triple]:
        """Who may do what to whom in the tracks of one video."""
        return {
            Triple(f"mouse{track.agent}", track.target, self.known.vocabulary.name(entry))
            for track in self.tracks([recording])
            for entry in track.actions
        }

    def predict(
        self, recordings: Sequence[Recording], mirror: bool = False, overlap: int = 2
    ) -> Iterable[TrackProbabilities]:
        """Probabilities of all tracks, by the mean of all members; see `PairPredictor.predict`."""
        return self.predictor.predict(recordings, self.tracks(recordings), mirror, overlap)

    def not_trained_on(self, fold: int) -> Self:
        """The same with the members that did not see a fold, counted from 0."""
        members = self.predictor.members
        return replace(self, predictor=self.predictor.of_members(members.fold == fold))

    def predict_held_out(
        self, folds: Sequence[Sequence[Recording]], mirror: bool = False, overlap: int = 2
    ) -> list[list[TrackProbabilities]]:
        """What the members that did not see a fold say of its videos, for each fold."""
        return [
            list(self.not_trained_on(fold).predict(recordings, mirror, overlap))
            for fold, recordings in enumerate(folds)
        ]


def load(folder: RunFolder, config: PairConfig, tell: Callable[[str], None]) -> Trained:
    """The best checkpoint of a run.

    Raises:
        RunError: it has none, or a file of it is damaged.
        CheckpointError: the checkpoint does not fit the settings.
    """
    best = best_of(folder, tell)
    known = folder.parsed("known.json", Known.from_json)
    frequencies = folder.parsed("actions.json", ActionFrequencies.from_json)
    slots = folder.slots()
    recipe = PairRecipe.from_config(
        config,
        slots,
        (len(known.vocabulary.alone), len(known.vocabulary.pair)),
        len(known.labs),
    )
    predictor = PairPredictor.restore(
        recipe,
        slots,
        known.vocabulary,
        known.labs,
        known.lab_fold,
        Members.all(known.folds, known.seeds),
        best.leaves,
        folder.checkpoints,
    )
    return Trained(predictor, known, frequencies, best.sha256)
