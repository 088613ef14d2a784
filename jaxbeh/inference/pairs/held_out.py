"""After the last epoch: what each member says of the videos that it held out, and the decoding."""

from collections.abc import Callable, Sequence

import numpy as np

from jaxbeh.data.recording import Recording
from jaxbeh.errors import RunError
from jaxbeh.inference.pairs.figures import held_out_report
from jaxbeh.inference.pairs.honest import honest
from jaxbeh.inference.pairs.report import HELD_OUT
from jaxbeh.inference.pairs.trained import load
from jaxbeh.settings.pairs import PairConfig
from jaxbeh.training.pairs.dataset import PairDataset
from jaxbeh.training.run_folder import RunFolder

DECODING = "decoding.json"
"""The file of a run that holds how its probabilities become bouts."""


def tune_on_held_out(
    config: PairConfig, dataset: PairDataset, folder: RunFolder, tell: Callable[[str], None]
) -> None:
    """Predict every video by the members that did not see it; tune the decoding, and write both.

    `held_out.json` gets the figures of what is decoded honestly. The decoding comes last: a run
    that has it is done.
    """
    trained = load(folder, config, tell)
    folds = [
        [dataset.recordings[video] for video in np.flatnonzero(dataset.fold == fold).tolist()]
        for fold in range(dataset.folds)
    ]
    predictions = trained.predict_held_out(folds)
    found = honest(predictions, trained.frequencies)
    folder.add_text(HELD_OUT, held_out_report(predictions, found).to_json())
    folder.add_text(DECODING, found.decoding.to_json())


def by_fold(
    folder: RunFolder, folds: int, recordings: Sequence[Recording]
) -> list[list[Recording]]:
    """The recordings that each of a run's folds held out, by their ids in `split.json`.

    Raises:
        RunError: it cannot be read, or lacks a fold.
    """
    split = folder.split()
    found = []
    for fold in range(folds):
        ids = split.get(f"fold {fold + 1}")
        if ids is None:
            raise RunError(
                f"{folder.path / 'split.json'}: has no list 'fold {fold + 1}'; restore the file"
            )
        own = set(ids)
        found.append([recording for recording in recordings if recording.video_id in own])
    return found
