"""Put a run of pre-training together: programs, a first snapshot, validation."""

from functools import partial
from operator import itemgetter
from typing import Any

import jax
import numpy as np

from jaxbeh.features import normaliser
from jaxbeh.features.normaliser import Normaliser
from jaxbeh.settings.pairs import PoseConfig
from jaxbeh.training.devices import Devices
from jaxbeh.training.fetch import fetch
from jaxbeh.training.loop import Validation
from jaxbeh.training.pairs.assemble import Assembled, assemble_tracks
from jaxbeh.training.pairs.assemble import first_snapshot as snapshot_of
from jaxbeh.training.pairs.dataset import PairDataset
from jaxbeh.training.pairs.members import Members
from jaxbeh.training.poses.programs import Guessed, judge, measured_moments
from jaxbeh.training.poses.recipe import PoseRecipe
from jaxbeh.training.programs import LEAST_WEIGHT
from jaxbeh.training.state import Snapshot, TrainState


def assemble(config: PoseConfig, dataset: PairDataset, devices: Devices | None = None) -> Assembled:
    """Build store and programs, and bring the store to the devices.

    Raises:
        RunError: the frames do not fit on a device.
    """
    devices = devices or Devices.all()
    recipe = PoseRecipe.from_config(config, dataset.slots)
    validate = partial(judge, recipe, devices)
    no_actions = np.zeros((1, 0), np.float32)
    members = Members.all(1, 1)
    return assemble_tracks(config, dataset, recipe, members, devices, no_actions, validate)


def first_snapshot(assembled: Assembled) -> Snapshot:
    """A fresh state and the statistics of the features in all training windows, on the host."""
    devices, rows, recipe = assembled.devices, assembled.plan.rows, assembled.recipe
    assert isinstance(recipe, PoseRecipe)
    trained = np.flatnonzero(fetch(assembled.data.trained)[0]).astype(np.int32)
    order = np.pad(trained, (0, -len(trained) % rows), constant_values=-1).reshape(-1, rows)
    measure = partial(measured_moments, recipe, devices)
    program = devices.jit(measure)
    found = fetch(program(assembled.data.store, devices.put(order)))
    batches = (jax.tree.map(itemgetter(step), found) for step in range(len(order)))
    return snapshot_of(assembled, normaliser.fit(batches))


def validation_of(assembled: Assembled, statistics: Normaliser, score: str) -> Validation:
    """Judge by the share of the loss that is saved over who always says the mean.

    Less than nothing saved counts as nothing: a score is never below that of no checkpoint.
    """
    placed = assembled.devices.put(statistics)

    def launch(state: TrainState) -> Guessed:
        found: Guessed = assembled.programs.validate(state, assembled.data, placed)
        return found

    def summarise(found: Guessed) -> dict[str, Any]:
        loss, blank = float(found.loss), float(found.blank)
        weight = max(float(found.weight), LEAST_WEIGHT)
        saved = 1.0 - loss / max(blank, LEAST_WEIGHT)
        return {"val_loss": loss / weight, score: max(0.0, saved)}

    return Validation(launch=launch, summarise=summarise, score=score)
