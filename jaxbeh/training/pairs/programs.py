"""The compiled programs of tracks, of recipe v7 most: all members of a run in each."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct
from jax import Array, lax
from jax.sharding import NamedSharding, PartitionSpec

from jaxbeh.data.pair_store import PairStore
from jaxbeh.data.store import WINDOWS
from jaxbeh.features.normaliser import Normaliser
from jaxbeh.features.pairwise import OWN, RELATION
from jaxbeh.models.inputs import PairInputs
from jaxbeh.training import nonfinite
from jaxbeh.training.devices import Devices
from jaxbeh.training.pairs.loss import probabilities
from jaxbeh.training.pairs.members import Members, each_member, member_order
from jaxbeh.training.pairs.recipe import (
    PairRecipe,
    TrackRecipe,
    predict_logits,
    unchanged_frames,
    with_labs_learnt,
)
from jaxbeh.training.plan import EpochPlan
from jaxbeh.training.programs import LEAST_WEIGHT, Programs
from jaxbeh.training.state import EpochSums, TrainState

_INIT, _ORDER, _STEP = 0, 1, 2
"""Streams of randomness, folded into the run's root key."""

NOT_JUDGED, NONE = -2, -1
"""A place of the grid that no member held out; one where a member found no action."""


@struct.dataclass
class PairData:
    """What a run's programs work on.

    Attributes:
        store: tracks and windows, those to train on first.
        trained: bool `[m, n]`, training windows that each member sees.
        judged: int32 `[steps, m, rows]`, windows of the store that each member is judged by, −1 in
            padding.
        place: int32 `[k]`, where each track's grid starts among all of them.
        learnt: bool `[m, 1 + l]`, labs that each member trains on (`labs_learnt`).
        weights: float32 `[m, c]`, what a frame of each action weighs, by what each trains on.
    """

    store: PairStore
    trained: Array
    judged: Array
    place: Array
    learnt: Array
    weights: Array


@struct.dataclass
class Judged:
    """What validation finds.

    Attributes:
        loss: float32 scalar, as in `EpochSums`.
        weight: float32 scalar.
        decisions: int16 `[seeds, g]`, the entry found at each place of the grid of all tracks, by
            the member of each seed that held it out; or `NONE`, or `NOT_JUDGED`.
    """

    loss: Array
    weight: Array
    decisions: Array


def build_track_programs(
    recipe: TrackRecipe,
    optimiser: optax.GradientTransformation,
    plan: EpochPlan,
    members: Members,
    devices: Devices,
    validate: Callable[[TrainState, PairData, Normaliser | None], Any],
) -> Programs:
    """Assemble and jit; nothing is compiled yet.

    Args:
        recipe: what is trained.
        optimiser: the rule of updates.
        plan: of the training epoch.
        members: which networks.
        devices: where.
        validate: what an epoch is judged by, a pure function.
    """
    train = partial(train_members, recipe, optimiser, plan, members, devices)
    return Programs(
        init=devices.jit(partial(init_members, recipe, optimiser, members)),
        shuffle=devices.jit(partial(order_of_epoch, plan, members)),
        train=devices.jit(train, donate_argnums=(0, 1)),
        validate=devices.jit(validate),
    )


def blank_inputs(length: int) -> PairInputs:
    """A window of nothing, for shapes."""
    return PairInputs(
        own=jnp.zeros((1, length, 2, len(OWN))),
        relation=jnp.zeros((1, length, len(RELATION))),
        mask=jnp.ones((1, length), jnp.bool_),
        lab=jnp.zeros((1,), jnp.int32),
    )


def init_members(
    recipe: TrackRecipe, optimiser: optax.GradientTransformation, members: Members, root: Array
) -> TrainState:
    """Fresh states, stacked along a first axis m; the step is one for all."""

    def init(key: Array) -> tuple[Any, Any, Any]:
        variables = recipe.model.init(key, blank_inputs(recipe.length), train=False)
        params = variables["params"]
        return params, variables.get("batch_stats", {}), optimiser.init(params)

    params, batch_stats, opt_state = jax.vmap(init)(members.keys(root, _INIT))
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        batch_stats=batch_stats,
        opt_state=opt_state,
        average=jax.tree.map(jnp.copy, params),
    )


def order_of_epoch(
    plan: EpochPlan, members: Members, root: Array, step: Array, trained: Array
) -> Array:
    """Int32 `[steps, m, rows]`: the windows of the epoch that `step` lies in."""
    keys = jax.vmap(lambda key: jax.random.fold_in(key, step // plan.steps))(
        members.keys(root, _ORDER)
    )
    return jnp.swapaxes(jax.vmap(partial(member_order, plan))(trained, keys), 0, 1)


def train_members(
    recipe: TrackRecipe,
    optimiser: optax.GradientTransformation,
    plan: EpochPlan,
    members: Members,
    devices: Devices,
    state: TrainState,
    sums: EpochSums,
    data: PairData,
    order: Array,
    normaliser: Normaliser | None,
    root: Array,
    rate_scale: Array,
) -> tuple[TrainState, EpochSums]:
    """Scan `steps_per_call` updates of all members from where `state.step` stands."""
    streams = members.keys(root, _STEP)
    shared = NamedSharding(devices.mesh, PartitionSpec(None, WINDOWS))

    def body(
        carry: tuple[TrainState, EpochSums], _: None
    ) -> tuple[tuple[TrainState, EpochSums], None]:
        state, sums = carry
        windows = lax.with_sharding_constraint(order[state.step % plan.steps], shared)
        keys = jax.vmap(lambda stream: jax.random.fold_in(stream, state.step))(streams)
        one = partial(update, recipe, optimiser, data.store, normaliser, rate_scale, state.step)
        variables = (state.params, state.batch_stats, state.opt_state, state.average)
        variables, loss, weight, finite = each_member(one, variables, windows, keys, data.weights)
        params, batch_stats, opt_state, average = variables
        finite = jnp.all(finite)
        skipped = sums.skipped
        if recipe.skip_nonfinite:
            skipped = skipped + jnp.int32(~finite)
        sums = EpochSums(
            loss=sums.loss + jnp.sum(loss),
            weight=sums.weight + jnp.sum(weight),
            first_nonfinite=nonfinite.first(sums.first_nonfinite, state.step, finite),
            skipped=skipped,
        )
        state = TrainState(
            step=state.step + 1,
            params=params,
            batch_stats=batch_stats,
            opt_state=opt_state,
            average=average,
        )
        return (state, sums), None

    return lax.scan(body, (state, sums), length=plan.steps_per_call)[0]


def update(
    recipe: TrackRecipe,
    optimiser: optax.GradientTransformation,
    store: PairStore,
    normaliser: Normaliser | None,
    rate_scale: Array,
    step: Array,
    variables: tuple[Any, Any, Any, Any],
    windows: Array,
    key: Array,
    weights: Array,
) -> tuple[tuple[Any, Any, Any, Any], Array, Array, Array]:
    """One step of one member: its lesson, model, loss, update, average.

    Returns:
        What of the state is the member's; the batch's loss sum and weight sum; whether loss and
        gradient are finite.
    """
    params, batch_stats, opt_state, average = variables
    frames_key, dropout_key = jax.random.split(key)
    inputs, wanted = recipe.lesson(store, windows, frames_key, normaliser)

    def loss_of(params: Any) -> tuple[Array, tuple[Array, Array, Any]]:
        logits, changed = recipe.model.apply(
            {"params": params, "batch_stats": batch_stats},
            inputs,
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": dropout_key},
        )
        loss, weight = recipe.missed(logits, wanted, weights)
        return loss / jnp.maximum(weight, LEAST_WEIGHT), (
            loss,
            weight,
            changed.get("batch_stats", {}),
        )

    gradients, (loss, weight, batch_stats) = jax.grad(loss_of, has_aux=True)(params)
    finite = nonfinite.is_finite(loss, gradients)
    # optax raises Python floats to integer counts, which strict promotion refuses.
    with jax.numpy_dtype_promotion("standard"):
        updates, opt_state = optimiser.update(gradients, opt_state, params)
    updates = jax.tree.map(lambda change: rate_scale * change, updates)
    params = optax.apply_updates(params, updates)
    # Short at first, so that the mean forgets where it began.
    made = step.astype(jnp.float32)
    decay = jnp.minimum(jnp.float32(recipe.average), (1.0 + made) / (10.0 + made))
    average = jax.tree.map(lambda old, new: decay * old + (1.0 - decay) * new, average, params)
    changed = (params, batch_stats, opt_state, average)
    if recipe.skip_nonfinite:
        changed = nonfinite.unless_finite(finite, changed, variables)
        loss, weight = (jnp.where(finite, value, 0.0) for value in (loss, weight))
    return changed, loss, weight, finite


def judge(
    recipe: PairRecipe,
    members: Members,
    places: int,
    devices: Devices,
    state: TrainState,
    data: PairData,
    normaliser: Normaliser | None,
) -> Judged:
    """What each member's averaged weights say of the windows that it held out."""
    del normaliser
    shared = NamedSharding(devices.mesh, PartitionSpec(None, WINDOWS))
    seeds = int(members.seed.max()) + 1
    seed = jnp.asarray(members.seed)[:, None, None]

    def of_member(
        variables: Any, learnt: Array, weights: Array, windows: Array
    ) -> tuple[Array, Array, Array, Array]:
        frames = with_labs_learnt(unchanged_frames(recipe, data.store, windows), learnt)
        logits = predict_logits(recipe, variables, frames)
        loss, weight = recipe.missed(logits, frames, weights)
        found = decide(recipe.loss, logits, frames.known)
        window = data.store.windows[jnp.maximum(windows, 0)]
        place = (data.place[window[:, 0]] + window[:, 2])[:, None] + jnp.arange(recipe.length)
        return loss, weight, found, jnp.where(frames.mask, place, places)

    def body(sums: Judged, windows: Array) -> tuple[Judged, None]:
        windows = lax.with_sharding_constraint(windows, shared)
        variables = {"params": state.average, "batch_stats": state.batch_stats}
        loss, weight, found, place = each_member(
            of_member, variables, data.learnt, data.weights, windows
        )
        at = (jnp.broadcast_to(seed, place.shape), place)
        return Judged(
            loss=sums.loss + jnp.sum(loss),
            weight=sums.weight + jnp.sum(weight),
            decisions=sums.decisions.at[at].set(found, mode="drop"),
        ), None

    nothing = Judged(
        loss=jnp.zeros((), jnp.float32),
        weight=jnp.zeros((), jnp.float32),
        decisions=jnp.full((seeds, places), NOT_JUDGED, jnp.int16),
    )
    return lax.scan(body, nothing, data.judged)[0]


def decide(kind: str, logits: Array, known: Array) -> Array:
    """Int16 `[b, t]`: the likeliest allowed action, or `NONE` where none is the likelier."""
    found = probabilities(kind, logits, known)
    best = jnp.argmax(found, axis=-1).astype(jnp.int16)
    highest = jnp.max(found, axis=-1)
    none = 1.0 - jnp.sum(found, axis=-1) if kind == "softmax" else jnp.float32(0.5)
    return jnp.where(highest >= none, best, jnp.int16(NONE))


def judged_windows(
    windows: np.ndarray, track_fold: np.ndarray, members: Members, batch_size: int, first: int
) -> np.ndarray:
    """Deal the tiling windows of held-out tracks to members: int32 `[steps, m, rows]`.

    Args:
        windows: int32 `[n, 3]`, windows of a store that tile its tracks.
        track_fold: int32 `[k]`.
        members: m of them.
        batch_size: windows of a batch of one member, at most.
        first: the row of the store's table that `windows` start at.
    """
    fold = track_fold[windows[:, 0]]
    own = [np.flatnonzero(fold == one).astype(np.int32) + first for one in members.fold]
    most = max(1, max(len(rows) for rows in own))
    steps = -(-most // batch_size)
    rows = -(-most // steps)
    table = np.full((members.count, steps * rows), -1, np.int32)
    for row, found in zip(table, own, strict=True):
        row[: len(found)] = found
    return np.ascontiguousarray(table.reshape(members.count, steps, rows).swapaxes(0, 1))
