"""The programs of a run: some steps of an epoch, validation, the normaliser's statistics."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import optax
from flax import struct
from jax import Array, lax

from jaxbeh.data.store import Frames, FrameStore, gather
from jaxbeh.features import Features
from jaxbeh.features.normaliser import Moments, Normaliser, moments, tame
from jaxbeh.features.projection import Comoments, Projection, comoments, complete, to_project
from jaxbeh.models import Inputs
from jaxbeh.models.random_bits import whole_numbers
from jaxbeh.training import nonfinite
from jaxbeh.training.devices import Devices
from jaxbeh.training.loss import log_probabilities, targets, weighted_cross_entropy
from jaxbeh.training.mixup import mixup
from jaxbeh.training.plan import EpochPlan, deal, epoch_order, shard_order
from jaxbeh.training.recipe import Recipe, model_inputs
from jaxbeh.training.state import EpochSums, TrainState
from jaxbeh.training.working_weights import with_copies, working_copies
from jaxbeh.vocabulary import KEYPOINT_SLOTS, MOUSE_SLOTS

T = TypeVar("T")

_INIT, _ORDER, _STEP = 0, 1, 2
"""Streams of randomness, folded into the run's root key."""


LEAST_WEIGHT = 1e-30
"""Divides a batch without a labelled frame: its loss and gradients are 0, not NaN."""


@struct.dataclass
class ValidationSums:
    """What validation sums up on the device.

    Attributes:
        loss: float32 scalar, as in `EpochSums`.
        weight: float32 scalar.
        confusion: int32 `[c, c]` labelled frames, rows truth, columns prediction.
    """

    loss: Array
    weight: Array
    confusion: Array


@dataclass(frozen=True)
class Programs:
    """A run's programs, each compiled once.

    Attributes:
        init: `(root key) → TrainState`.
        shuffle: `(root key, step) → order [steps, rows]` of the epoch that the step lies in; in
            shards `(root key, step, windows [n, 4]) → ` order of one's windows.
        train: `(state, sums, store, order, normaliser, root key, rate scale) → (state, sums)`: the
            next `steps_per_call` updates; state and sums are donated.
        validate: `(state, store, normaliser) → ` what validation finds.
    """

    init: Callable[..., TrainState]
    shuffle: Callable[..., Array]
    train: Callable[..., tuple[TrainState, EpochSums]]
    validate: Callable[..., Any]


def build_programs(
    recipe: Recipe,
    optimiser: optax.GradientTransformation,
    training: EpochPlan,
    validation: EpochPlan,
    devices: Devices,
    shards: bool = False,
) -> Programs:
    """Assemble and jit; nothing is compiled yet.

    Args:
        recipe: what is trained.
        optimiser: the rule of updates.
        training: of an epoch, or of one's turn of a shard.
        validation: of all that is judged, or of a shard.
        devices: where.
        shards: whether frames come in shards.
    """
    return Programs(
        init=devices.jit(partial(init_state, recipe, optimiser)),
        shuffle=devices.jit(partial(order_of_shard if shards else order_of_epoch, training)),
        train=devices.jit(
            partial(train_steps, recipe, optimiser, training, devices),
            donate_argnums=(0, 1),
        ),
        validate=devices.jit(partial(validate, recipe, validation, devices)),
    )


def init_state(recipe: Recipe, optimiser: optax.GradientTransformation, root: Array) -> TrainState:
    """A fresh state, drawn from the run's root key."""
    points = (1, recipe.length, MOUSE_SLOTS, len(KEYPOINT_SLOTS))
    blank = Inputs(
        flat=jnp.zeros((1, recipe.length, len(recipe.features.names))),
        points=jnp.zeros((*points, 2)),
        points_valid=jnp.zeros(points, jnp.bool_),
        mask=jnp.ones((1, recipe.length), jnp.bool_),
    )
    variables = recipe.model.init(jax.random.fold_in(root, _INIT), blank, train=False)
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=variables["params"],
        batch_stats=variables.get("batch_stats", {}),
        opt_state=optimiser.init(variables["params"]),
    )


def order_of_epoch(plan: EpochPlan, root: Array, step: Array) -> Array:
    """The shuffled windows of the epoch that `step` lies in."""
    key = jax.random.fold_in(jax.random.fold_in(root, _ORDER), step // plan.steps)
    return epoch_order(plan, key)


def order_of_shard(plan: EpochPlan, root: Array, step: Array, windows: Array) -> Array:
    """The shuffled windows of the shard that `step` works on; its number may differ."""
    key = jax.random.fold_in(jax.random.fold_in(root, _ORDER), step // plan.steps)
    return shard_order(plan, key, windows[:, 0] >= 0)


def train_steps(
    recipe: Recipe,
    optimiser: optax.GradientTransformation,
    plan: EpochPlan,
    devices: Devices,
    state: TrainState,
    sums: EpochSums,
    store: FrameStore,
    order: Array,
    normaliser: Normaliser,
    root: Array,
    rate_scale: Array,
) -> tuple[TrainState, EpochSums]:
    """Scan `steps_per_call` updates from where `state.step` stands in the order."""
    stream = jax.random.fold_in(root, _STEP)

    def body(
        carry: tuple[TrainState, Any, EpochSums], _: None
    ) -> tuple[tuple[TrainState, Any, EpochSums], None]:
        state, copies, sums = carry
        batch = order[state.step % order.shape[0]]
        windows = lax.with_sharding_constraint(batch, devices.by_window)
        keys = keys_of_step(stream, state.step)
        changed, loss, weight, finite = update(
            recipe, optimiser, state, copies, store, windows, normaliser, keys, rate_scale
        )
        skipped = sums.skipped
        if recipe.skip_nonfinite:
            kept = nonfinite.unless_finite(finite, changed, state)
            changed = kept.replace(step=changed.step)  # type: ignore[attr-defined]  # by struct
            loss, weight = (jnp.where(finite, value, 0.0) for value in (loss, weight))
            skipped = skipped + jnp.int32(~finite)
        sums = EpochSums(
            loss=sums.loss + loss,
            weight=sums.weight + weight,
            first_nonfinite=nonfinite.first(sums.first_nonfinite, state.step, finite),
            skipped=skipped,
        )
        return (changed, working_copies(changed.params, recipe.precision), sums), None

    first = (state, working_copies(state.params, recipe.precision), sums)
    (state, _, sums), _ = lax.scan(body, first, length=plan.steps_per_call)
    return state, sums


def keys_of_step(stream: Array, step: Array) -> Array:
    """Keys `[4]` for all that is random in a step: shifts, noise, dropout, mixing.

    At once from the stream: a key of the step, divided, would be two draws that wait for each other
    while all else waits for them.
    """
    return jax.vmap(partial(jax.random.fold_in, stream))(4 * step + jnp.arange(4))


def update(
    recipe: Recipe,
    optimiser: optax.GradientTransformation,
    state: TrainState,
    copies: Any,
    store: FrameStore,
    windows: Array,
    normaliser: Normaliser,
    keys: Array,
    rate_scale: Array,
) -> tuple[TrainState, Array, Array, Array]:
    """One step: gather, features, augmentation, model, loss, update.

    Args:
        recipe: what is trained.
        optimiser: the rule of updates.
        state: before the step.
        copies: of its weights, by `working_copies`.
        store: all frames.
        windows: int32 `[b]`, rows of the store's table; negative where there is none.
        normaliser: statistics of the training frames.
        keys: of the step, by `keys_of_step`.
        rate_scale: what the schedule's rate is multiplied by.

    Returns:
        The new state; the batch's loss sum and weight sum; whether loss and gradient are finite.
    """
    jitter_key, noise_key, dropout_key, mixup_key = keys
    shift = whole_numbers(jax.random.key_data(jitter_key), windows.shape, recipe.jitter)
    frames = gather(store, windows, shift, recipe.length, recipe.features.history)
    inputs = model_inputs(recipe, normaliser, frames, noise_key if recipe.noise else None)
    wanted = targets(frames.labels, frames.looked_for, recipe.label_smoothing)
    looked_for = frames.looked_for
    if recipe.mixup:
        inputs, wanted, looked_for = mixup(
            mixup_key, recipe.mixup, inputs, wanted, looked_for, windows >= 0, recipe.mesh
        )
    class_weights = jnp.asarray(recipe.class_weights, jnp.float32)

    def loss_of(params: Any) -> tuple[Array, tuple[Array, Array, Any]]:
        logits, changed = recipe.model.apply(
            {"params": params, "batch_stats": state.batch_stats},
            inputs,
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": dropout_key},
        )
        sums = weighted_cross_entropy(logits, wanted, looked_for, class_weights)
        loss, weight = map(jnp.sum, sums)
        mean = loss / jnp.maximum(weight, LEAST_WEIGHT)
        return mean, (loss, weight, changed.get("batch_stats", {}))

    # By the copy a gradient has its dtype, as it has behind a conversion in the model.
    gradients, (loss, weight, batch_stats) = jax.grad(loss_of, has_aux=True)(
        with_copies(state.params, copies)
    )
    gradients = jax.tree.map(lambda part: part.astype(jnp.float32), gradients)
    finite = nonfinite.is_finite(loss, gradients)
    # optax raises Python floats to integer counts, which strict promotion refuses.
    with jax.numpy_dtype_promotion("standard"):
        updates, opt_state = optimiser.update(gradients, state.opt_state, state.params)
    # An update is proportional to the rate, so that scaling one scales the other.
    updates = jax.tree.map(lambda change: rate_scale * change, updates)
    state = TrainState(
        step=state.step + 1,
        params=optax.apply_updates(state.params, updates),
        batch_stats=batch_stats,
        opt_state=opt_state,
    )
    return state, loss, weight, finite


def predict_logits(
    recipe: Recipe, state: TrainState, frames: Frames, normaliser: Normaliser
) -> Array:
    """Float32 logits `[b, t, c]` without augmentation or dropout."""
    inputs = model_inputs(recipe, normaliser, frames)
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    logits: Array = recipe.model.apply(variables, inputs, train=False)  # type: ignore[assignment]  # Any
    return logits


def validate(
    recipe: Recipe,
    plan: EpochPlan,
    devices: Devices,
    state: TrainState,
    store: FrameStore,
    normaliser: Normaliser,
) -> ValidationSums:
    """Loss and confusion over all windows of a store, unchanged and in order."""
    class_weights = jnp.asarray(recipe.class_weights, jnp.float32)
    classes = jnp.arange(len(recipe.class_weights))
    copies = working_copies(state.params, recipe.precision)
    state = state.replace(params=with_copies(state.params, copies))  # type: ignore[attr-defined]  # by struct

    # Rows of batches are summed up apart, and over rows once: a sum over a batch, which few of a
    # GPU's multiprocessors would make, holds up the next batch.
    def body(sums: ValidationSums, windows: Array) -> tuple[ValidationSums, None]:
        windows = lax.with_sharding_constraint(windows, devices.by_window)
        frames = gather(
            store, windows, jnp.zeros_like(windows), recipe.length, recipe.features.history
        )
        logits = predict_logits(recipe, state, frames, normaliser)
        wanted = targets(frames.labels, frames.looked_for)
        loss, weight = weighted_cross_entropy(logits, wanted, frames.looked_for, class_weights)
        predicted = jnp.argmax(log_probabilities(logits, frames.looked_for), axis=-1)
        truth = frames.labels.astype(jnp.int32)[..., None, None] == classes[:, None]
        cell = truth & (predicted[..., None, None] == classes)
        found = ValidationSums(loss=loss, weight=weight, confusion=jnp.sum(cell, axis=1))
        return jax.tree.map(jnp.add, sums, found), None

    nothing = ValidationSums(
        loss=jnp.zeros(plan.rows, jnp.float32),
        weight=jnp.zeros(plan.rows, jnp.float32),
        confusion=jnp.zeros((plan.rows, len(classes), len(classes)), jnp.int32),
    )
    nothing = lax.with_sharding_constraint(nothing, devices.by_window)
    order = deal(plan, jnp.arange(plan.windows, dtype=jnp.int32))
    by_row, _ = lax.scan(body, nothing, order)
    sums: ValidationSums = jax.tree.map(partial(jnp.sum, axis=0), by_row)
    return sums


def feature_moments(
    recipe: Recipe,
    plan: EpochPlan,
    devices: Devices,
    store: FrameStore,
    projection: Projection | None,
) -> Moments:
    """Moments `[steps, f]` of the features, a row a batch, over a store whose windows tile it."""

    def of_batch(found: Features) -> Moments:
        flat, valid = complete(recipe.features, projection, found)
        return moments(tame(recipe.features, flat), valid)

    return _over_all_frames(recipe, plan, devices, store, of_batch)


def coordinate_comoments(
    recipe: Recipe, plan: EpochPlan, devices: Devices, store: FrameStore
) -> Comoments:
    """Second moments of the coordinates to project, a row a batch, over the same windows."""

    def of_batch(found: Features) -> Comoments:
        return comoments(*to_project(recipe.features, found))

    return _over_all_frames(recipe, plan, devices, store, of_batch)


def _over_all_frames(
    recipe: Recipe,
    plan: EpochPlan,
    devices: Devices,
    store: FrameStore,
    of_batch: Callable[[Features], T],
) -> T:
    def body(_: None, windows: Array) -> tuple[None, T]:
        windows = lax.with_sharding_constraint(windows, devices.by_window)
        frames = gather(
            store, windows, jnp.zeros_like(windows), recipe.length, recipe.features.history
        )
        found = recipe.features.compute(frames.xy, frames.valid, frames.frame, frames.fps)
        # The rows behind a video's end, and those of no window, are frames of nobody.
        valid = found.flat_valid & frames.mask[..., None]
        return None, of_batch(found.replace(flat_valid=valid))  # type: ignore[attr-defined]  # by struct

    order = deal(plan, jnp.arange(plan.windows, dtype=jnp.int32))
    return lax.scan(body, None, order)[1]
