"""The step and the epoch: loss, every parameter moves, overfitting, transfers, compilations."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import StopAfter, assembled, run
from watching import compilations, compiled_to_train

from jaxbeh.data.store import gather
from jaxbeh.training import assemble as building
from jaxbeh.training import fetch as fetching
from jaxbeh.training import loop as looping
from jaxbeh.training.checkpoints import Checkpoints, leaves_of
from jaxbeh.training.loss import log_probabilities, targets, weighted_cross_entropy
from jaxbeh.training.progress import EpochProgress
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.training.state import LoopState


def test_the_loss_is_each_windows_weighted_sum_over_labelled_frames():
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(2, 5, 3)).astype(np.float32)
    labels = np.array([[0, 1, 2, -1, 0], [1, 1, -1, -1, -1]], np.int8)
    weights = np.array([1.0, 5.0, 8.0], np.float32)
    looked_for = jnp.ones((2, 3), bool)
    wanted = targets(jnp.asarray(labels), looked_for)
    total, weight = weighted_cross_entropy(
        jnp.asarray(logits), wanted, looked_for, jnp.asarray(weights)
    )
    known = labels >= 0
    probability = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    chosen = np.take_along_axis(probability, np.maximum(labels, 0)[..., None].astype(int), -1)[
        ..., 0
    ]
    each = -np.log(chosen) * weights[np.maximum(labels, 0)]
    each = np.where(known, each, 0)
    np.testing.assert_allclose(total, each.sum(axis=1), rtol=1e-5)
    counted = np.where(known, weights[labels], 0)
    np.testing.assert_allclose(weight, counted.sum(axis=1), rtol=1e-6)


def test_a_class_not_looked_for_has_no_probability_and_no_gradient():
    looked_for = jnp.asarray([[True, False, True]])
    logits = jnp.asarray([[[0.0, 50.0, 1.0]]])
    probabilities = jnp.exp(log_probabilities(logits, looked_for))
    np.testing.assert_allclose(probabilities[0, 0], [0.26894143, 0.0, 0.7310586], rtol=1e-5)
    wanted = targets(jnp.zeros((1, 1), jnp.int8), looked_for, smoothing=0.3)

    def loss(z):
        return weighted_cross_entropy(z, wanted, looked_for, jnp.ones(3))[0].sum()

    gradient = jax.grad(loss)(logits)
    assert np.isfinite(gradient).all()
    assert gradient[0, 0, 1] == 0


def test_smoothing_spreads_over_the_classes_looked_for_and_known_frames_only():
    labels = jnp.asarray([[2, -1]], jnp.int8)
    wanted = targets(labels, jnp.asarray([[True, False, True]]), smoothing=0.2)
    np.testing.assert_allclose(wanted[0], [[0.1, 0.0, 0.9], [0, 0, 0]], rtol=1e-6)


@functools.cache
def trained_twice(*overrides):
    """Parameters of a small network after two steps."""
    with compiled_to_train(building):
        _, dataset, made = assembled("model={name: mlp, hidden: [8]}", *overrides, model=())
    first = building.first_snapshot(made, dataset)
    state, sums, normaliser = jax.device_put((first.train, first.sums, first.normaliser))
    order = made.programs.shuffle(made.root, state.step)
    scale = jax.device_put(first.loop.rate_scale)
    for _ in range(2):
        state, sums = made.programs.train(
            state, sums, made.frames.train, order, normaliser, made.root, scale
        )
    return leaves_of(state.params)


def test_every_parameter_moves_in_one_step_and_statistics_too():
    with compiled_to_train(building):
        _, dataset, made = assembled()
    first = building.first_snapshot(made, dataset)
    state, sums, normaliser = jax.device_put((first.train, first.sums, first.normaliser))
    order = made.programs.shuffle(made.root, state.step)
    scale = jax.device_put(first.loop.rate_scale)
    state, sums = made.programs.train(
        state, sums, made.frames.train, order, normaliser, made.root, scale
    )
    before, after = leaves_of(first.train), leaves_of(state)
    still = [path for path in before if np.array_equal(before[path], after[path])]
    assert still == []
    assert np.isfinite(sums.loss)
    assert float(sums.weight) > 0


@pytest.mark.parametrize(
    "override",
    [
        "augmentation.noise=0.5",
        "augmentation.jitter=9",
        "augmentation.mixup=0.2",
        "loss.label_smoothing=0.1",
        "optimizer.name=adam",
        "schedule.name=constant",
        "features.name=coordinates",
        "features.name=engineered",
        "loss.class_weights=[1, 1, 1, 1]",
        "optimizer.learning_rate=1e-2",
        "optimizer.weight_decay=0.5",
        "optimizer.clip_norm=1e-4",
        "schedule.warmup_epochs=0.0",
        "model.dropout=0.7",
        "training.seed=1",
    ],
)
def test_what_a_config_names_takes_effect(override):
    plain, other = trained_twice(), trained_twice(override)
    assert plain.keys() == other.keys()
    assert any(not np.array_equal(plain[path], other[path]) for path in plain)


def test_steps_of_one_call_are_those_of_as_many_calls(monkeypatch):
    """With their own windows, noise, dropout, shares and shifts; a CPU's calls have one step."""
    network = ("model={name: mlp, hidden: [8], dropout: 0.3}",)
    found = []
    for longest in (1, 5):
        monkeypatch.setattr(building, "longest_call", lambda longest=longest: longest)
        with compiled_to_train(building):
            _, dataset, made = assembled("augmentation.mixup=0.2", model=network)
        first = building.first_snapshot(made, dataset)
        put = made.devices.put
        state, sums, normaliser = put((first.train, first.sums, first.normaliser))
        scale, order = put(first.loop.rate_scale), made.programs.shuffle(made.root, state.step)
        assert made.turn.steps_per_call == longest
        for _ in range(made.turn.steps // longest):
            state, sums = made.programs.train(
                state, sums, made.frames.train, order, normaliser, made.root, scale
            )
        found.append(leaves_of(jax.device_get((state, sums))))
    one, five = found
    for path, leaf in one.items():
        np.testing.assert_allclose(five[path], leaf, rtol=1e-5, atol=1e-7, err_msg=path)


def test_a_small_network_overfits_a_small_collection(tmp_path):
    config, dataset, made = assembled(
        "training.epochs=150",
        "model.dropout=0.0",
        "model.hidden=24",
        "augmentation.noise=0.0",
        "augmentation.jitter=0",
        "training.patience=null",
        "training.checkpoint_every=150",
        "optimizer.learning_rate=1e-2",
    )
    run(made, config, dataset, tmp_path)
    losses = [line["train_loss"] for line in RunFolder(tmp_path).metrics()]
    assert losses[-1] < 0.2 < losses[0]


def test_two_small_transfers_an_epoch_and_one_compilation(tmp_path, monkeypatch):
    config, dataset, made = assembled("training.epochs=4", "training.checkpoint_every=100")
    fetched = []

    def counting(tree):
        size = sum(np.size(leaf) for leaf in jax.tree.leaves(tree))
        fetched.append(size)
        return fetching.fetch(tree)

    monkeypatch.setattr(looping, "fetch", counting)
    epochs = []
    with compilations() as compiled:
        loop = run(made, config, dataset, tmp_path, lambda _: epochs.append(len(compiled)))
    assert len(epochs) == 4
    assert epochs[0] == epochs[-1]
    small = [size for size in fetched if size < 100]
    assert len(small) == 4  # losses and confusion, once an epoch
    checkpoints = sum("state_sha256" in line for line in RunFolder(tmp_path).metrics())
    assert len(fetched) == 4 + checkpoints
    for program in vars(made.programs).values():
        assert isinstance(program, jax.stages.Compiled)  # before the first step
    assert int(loop.epoch) == 4


def noted(monkeypatch, made, broken_call=None):
    """What the loop does in order: calls of the training program, lines and checkpoints."""
    events = []

    def train(*given):
        events.append("call")
        if events.count("call") == broken_call:
            raise RuntimeError("the device is gone")
        return made.programs.train(*given)

    def wrapped(kind, function):
        def call(*given):
            events.append(kind)
            return function(*given)

        return call

    for owner, name, kind in (
        (looping, "content_hash", "hash"),
        (RunFolder, "append_metrics", "line"),
        (Checkpoints, "save", "checkpoint"),
    ):
        monkeypatch.setattr(owner, name, wrapped(kind, getattr(owner, name)))
    return replace(made, programs=replace(made.programs, train=train)), events


def test_an_epoch_is_written_down_while_the_next_one_runs(tmp_path, monkeypatch):
    config, dataset, made = assembled("training.epochs=3", "training.checkpoint_every=1")
    made, events = noted(monkeypatch, made)
    run(made, config, dataset, tmp_path)
    assert made.plan.steps > 1
    calls, written = ["call"] * made.plan.steps, ["hash", "line", "checkpoint"]
    after_another = [*calls[:1], *written, *calls[1:]]
    assert events == [*calls, *after_another, *after_another, *written]


def test_an_epoch_is_written_down_though_the_next_one_does_not_begin(tmp_path, monkeypatch):
    config, dataset, made = assembled("training.epochs=3", "training.checkpoint_every=1")
    steps = made.plan.steps
    made, events = noted(monkeypatch, made, broken_call=steps + 1)
    with pytest.raises(RuntimeError, match="the device is gone"):
        run(made, config, dataset, tmp_path)
    assert events[steps:] == ["call", "hash", "line", "checkpoint"]
    (line,) = RunFolder(tmp_path).metrics()
    kept = Checkpoints(tmp_path / "checkpoints", print, read_only=True).latest()
    assert (kept.step, kept.sha256) == (steps, line["state_sha256"])


def test_a_continued_epoch_is_shown_with_the_windows_that_were_left(tmp_path, monkeypatch):
    network = ("model={name: mlp, hidden: [8]}",)
    config, dataset, made = assembled("training.epochs=2", model=network)
    shown = []

    def epoch(_, line, windows, best):
        shown.append((line["epoch"], windows, type(best)))

    monkeypatch.setattr(EpochProgress, "epoch", epoch)
    steps, windows = made.plan.steps, made.plan.windows
    run(made, config, dataset, tmp_path, stop=StopAfter(steps - 1))
    run(made, config, dataset, tmp_path)
    assert shown == [(1, windows // steps, bool), (2, windows, bool)]


def test_what_was_fetched_does_not_change_with_the_next_steps():
    """Though the state is donated, and what is fetched may be its memory."""
    with compiled_to_train(building):
        _, dataset, made = assembled("model={name: mlp, hidden: [8]}", model=())
    first = building.first_snapshot(made, dataset)
    put = made.devices.put
    state, sums, normaliser, scale = put(
        (first.train, first.sums, first.normaliser, first.loop.rate_scale)
    )
    order = made.programs.shuffle(made.root, state.step)
    fetched, copies = [], []
    for _ in range(5):
        state, sums = made.programs.train(
            state, sums, made.frames.train, order, normaliser, made.root, scale
        )
        fetched.append(leaves_of(fetching.fetch(state)))
        copies.append({path: leaf.copy() for path, leaf in fetched[-1].items()})
    for leaves, before in zip(fetched, copies, strict=True):
        for path, leaf in leaves.items():
            np.testing.assert_array_equal(leaf, before[path], err_msg=path)
    assert any((copies[0][path] != copies[-1][path]).any() for path in copies[0])


def test_what_is_gathered_has_the_labels_of_the_events_and_no_others():
    """Three events of the collection, in frames; unknown past the video's end."""
    _, _, made = assembled("model={name: mlp, hidden: [8]}", model=())
    truth = np.zeros(150, np.int8)
    truth[10:40], truth[60:80], truth[100:130] = 1, 2, 3
    count = len(made.frames.train.windows)
    frames = gather(
        made.frames.train, jnp.arange(count), jnp.zeros(count, jnp.int32), made.recipe.length, 2
    )
    for start, labels in zip(made.frames.train.windows[:, 1].tolist(), frames.labels, strict=True):
        there = truth[start : start + 32]
        np.testing.assert_array_equal(labels[: len(there)], there)
        assert (labels[len(there) :] == -1).all()


def test_early_stopping_counts_epochs_without_a_better_score():
    loop = LoopState.start()
    for score in (0.3, 0.5, 0.5, 0.4):
        loop = loop.after(score)
    assert (int(loop.epoch), int(loop.best_epoch), float(loop.best_score)) == (4, 2, 0.5)
    assert not loop.finished(100, 3)
    assert loop.finished(100, 2)
    assert loop.finished(4, None)
