"""What the pre-training runs beside the training program: statistics of features, validation."""

from operator import itemgetter

import jax
import jax.numpy as jnp
from flax import struct
from jax import Array, lax

from jaxbeh.data.pair_store import PairStore
from jaxbeh.features.normaliser import Moments, Normaliser, moments
from jaxbeh.training.devices import Devices
from jaxbeh.training.pairs.programs import PairData
from jaxbeh.training.pairs.recipe import inputs_of, unchanged_frames
from jaxbeh.training.poses.hiding import measured
from jaxbeh.training.poses.recipe import PoseRecipe, shown_in_part
from jaxbeh.training.state import TrainState


@struct.dataclass
class Guessed:
    """What validation sums up; float32 scalars.

    Attributes:
        loss: over all that was hidden.
        blank: the same loss of who always says the mean.
        weight: how many features that were.
    """

    loss: Array
    blank: Array
    weight: Array


def measured_moments(
    recipe: PoseRecipe, devices: Devices, store: PairStore, order: Array
) -> Moments:
    """Moments `[steps, n]` of the features that are predicted, where they are known.

    Args:
        recipe: of the run.
        devices: of the run.
        store: with the windows.
        order: int32 `[steps, rows]`, rows of its table, −1 in padding.
    """

    def body(_: None, windows: Array) -> tuple[None, Moments]:
        windows = lax.with_sharding_constraint(windows, devices.by_window)
        found = measured(inputs_of(unchanged_frames(recipe, store, windows)))
        return None, moments(found, found != 0)

    return lax.scan(body, None, order)[1]


def judge(
    recipe: PoseRecipe,
    devices: Devices,
    state: TrainState,
    data: PairData,
    statistics: Normaliser | None,
) -> Guessed:
    """How well the averaged weights say what is hidden of the windows held out.

    The same is hidden after every epoch: it follows from the windows' rows.
    """
    assert statistics is not None
    variables = {"params": state.average, "batch_stats": state.batch_stats}
    variables = jax.tree.map(itemgetter(0), variables)
    root = jax.random.key(0)

    def body(sums: Guessed, windows: Array) -> tuple[Guessed, None]:
        windows = lax.with_sharding_constraint(windows[0], devices.by_window)
        rows = jnp.maximum(windows, 0).astype(jnp.uint32)
        keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(root, rows)
        frames = unchanged_frames(recipe, data.store, windows)
        shown, wanted = shown_in_part(recipe, frames, keys, statistics)
        said: Array = recipe.model.apply(variables, shown, train=False)  # type: ignore[assignment]  # Any
        loss, weight = recipe.missed(said, wanted, data.weights[0])
        blank, _ = recipe.missed(jnp.zeros_like(said), wanted, data.weights[0])
        return Guessed(sums.loss + loss, sums.blank + blank, sums.weight + weight), None

    nothing = jnp.zeros((), jnp.float32)
    return lax.scan(body, Guessed(nothing, nothing, nothing), data.judged)[0]
