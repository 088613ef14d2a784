"""After the last epoch: what each member says of the videos that it held out, and the decoding."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxbeh.inference.pairs.counts import score_bouts
from jaxbeh.inference.pairs.honest import Honest, honest
from jaxbeh.inference.pairs.trained import load
from jaxbeh.metrics.mabe import mean_of_means
from jaxbeh.pair_settings import PairConfig
from jaxbeh.training.pairs.dataset import PairDataset
from jaxbeh.training.run_folder import RunFolder

DECODING = "decoding.json"
"""The file of a run that holds how its probabilities become bouts."""


def tune_on_held_out(
    config: PairConfig, dataset: PairDataset, folder: RunFolder, tell: Callable[[str], None]
) -> Honest:
    """Predict every video by the members that did not see it; tune the decoding, and write both.

    `held_out.json` gets the official F: tuned in fold, honest, by lab and by action. The decoding
    comes last: a run that has it is done.
    """
    trained = load(folder, config, tell)
    folds = [
        [dataset.recordings[video] for video in np.flatnonzero(dataset.fold == fold).tolist()]
        for fold in range(dataset.folds)
    ]
    predictions = trained.predict_held_out(folds)
    found = honest(predictions, trained.frequencies)
    recordings = [recording for fold in folds for recording in fold]
    bouts = found.tuned_bouts if found.honest_bouts is None else found.honest_bouts
    table = score_bouts(recordings, bouts)
    figures: dict[str, Any] = {
        "tuned_f": found.tuned,
        "honest_f": found.honest,
        "labs": {str(lab): mean_of_means(rows) for lab, rows in table.groupby("lab_id", sort=True)},
        "actions": {
            str(action): float(rows["f"].mean()) for action, rows in table.groupby("action")
        },
        "videos": len(recordings),
    }
    folder.add_json("held_out.json", figures)
    folder.add_text(DECODING, found.decoding.to_json())
    return found
