"""The step and the epoch: loss, every parameter moves, overfitting, transfers, compilations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbeh.config import load_config
from jaxbeh.data.report import ReadingReport
from jaxbeh.data.scene import scene_labels
from jaxbeh.training import assemble as building
from jaxbeh.training import fetch as fetching
from jaxbeh.training import loop as looping
from jaxbeh.training.checkpoints import Checkpoints, leaves_of
from jaxbeh.training.dataset import build_dataset, class_map
from jaxbeh.training.loss import log_probabilities, weighted_cross_entropy
from jaxbeh.training.optimiser import learning_rate
from jaxbeh.training.progress import EpochProgress
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.training.state import LoopState
from jaxbeh.training.stop import StopRequest
from tests.recordings import recording, wander

TINY = (
    "model.channels=[4, 5, 6]",
    "model.hidden=7",
    "window.length=32",
    "window.train_stride=16",
    "window.validation_stride=32",
    "training.batch_size=8",
)


def collection(frames=150, videos=5):
    made = []
    for video in range(videos):
        pixels = wander(frames, seed=video)
        events = [
            ("mouse1,mouse2,sniff", 10, 40),
            ("mouse1,mouse2,mount", 60, 80),
            ("mouse1,mouse2,attack", 100, 130),
        ]
        made.append(recording(pixels, events, video_id=str(video)))
    return made


def assembled(*overrides, **kwargs):
    config = load_config("debug", [*TINY, *overrides])
    dataset = build_dataset(collection(**kwargs), config, ReadingReport())
    return config, dataset, building.assemble(config, dataset)


def test_the_loss_is_the_weighted_mean_over_labelled_frames():
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(2, 5, 3)).astype(np.float32)
    labels = np.array([[0, 1, 2, -1, 0], [1, 1, -1, -1, -1]], np.int8)
    weights = np.array([1.0, 5.0, 8.0], np.float32)
    total, weight = weighted_cross_entropy(
        jnp.asarray(logits), jnp.asarray(labels), jnp.ones((2, 3), bool), jnp.asarray(weights)
    )
    known = labels >= 0
    probability = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    chosen = np.take_along_axis(probability, np.maximum(labels, 0)[..., None].astype(int), -1)[
        ..., 0
    ]
    each = -np.log(chosen) * weights[np.maximum(labels, 0)]
    np.testing.assert_allclose(total, each[known].sum(), rtol=1e-5)
    np.testing.assert_allclose(weight, weights[labels[known]].sum(), rtol=1e-6)


def test_a_class_not_looked_for_has_no_probability_and_no_gradient():
    looked_for = jnp.asarray([[True, False, True]])
    logits = jnp.asarray([[[0.0, 50.0, 1.0]]])
    probabilities = jnp.exp(log_probabilities(logits, looked_for))
    np.testing.assert_allclose(probabilities[0, 0], [0.26894143, 0.0, 0.7310586], rtol=1e-5)
    gradient = jax.grad(
        lambda z: weighted_cross_entropy(z, jnp.zeros((1, 1), jnp.int8), looked_for, jnp.ones(3))[0]
    )(logits)
    assert np.isfinite(gradient).all()
    assert gradient[0, 0, 1] == 0


@functools.cache
def trained_twice(*overrides):
    """Parameters after two steps."""
    _, dataset, made = assembled(*overrides)
    first = building.first_snapshot(made, dataset)
    state, sums, normaliser = jax.device_put((first.train, first.sums, first.normaliser))
    order = made.programs.shuffle(made.root, state.step)
    for _ in range(2):
        state, sums = made.programs.train(state, sums, made.train, order, normaliser, made.root)
    return leaves_of(state.params)


def test_every_parameter_moves_in_one_step_and_statistics_too():
    _, dataset, made = assembled()
    first = building.first_snapshot(made, dataset)
    state, sums, normaliser = jax.device_put((first.train, first.sums, first.normaliser))
    order = made.programs.shuffle(made.root, state.step)
    state, sums = made.programs.train(state, sums, made.train, order, normaliser, made.root)
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
    assert any(not np.array_equal(plain[path], other[path]) for path in plain)


def run(made, config, dataset, folder, epochs_seen=None):
    snapshot = building.first_snapshot(made, dataset)
    checkpoints = Checkpoints(folder / "checkpoints", print)
    seen = epochs_seen.append if epochs_seen is not None else None
    whole = building.run_of(made, config, RunFolder(folder), snapshot.normaliser, seen)
    from rich.console import Console

    progress = EpochProgress(Console(quiet=True), config.training.epochs, 0)
    loop = looping.fit(whole, snapshot, checkpoints, StopRequest(), progress)
    checkpoints.close()
    return loop


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
    loop = run(made, config, dataset, tmp_path)
    small = [size for size in fetched if size < 100]
    assert len(small) == 4  # losses and confusion, once an epoch
    checkpoints = sum("state_sha256" in line for line in RunFolder(tmp_path).metrics())
    assert len(fetched) == 4 + checkpoints
    assert made.programs.train._cache_size() == 1
    assert made.programs.validate._cache_size() == 1
    assert int(loop.epoch) == 4


def test_the_store_is_read_by_label_masks_as_the_scene_says():
    config, dataset, _ = assembled()
    classes = class_map(config)
    for scene in (*dataset.train, *dataset.validation):
        np.testing.assert_array_equal(
            scene.labels.values, scene_labels(scene.recording, classes).values
        )


@pytest.mark.parametrize("epochs", [1, 2, 100])
def test_the_rate_warms_up_and_ends_at_its_floor(epochs):
    config = load_config("v6")
    rate = learning_rate(config.optimizer, config.schedule, 5, epochs)
    values = [float(rate(step)) for step in range(5 * epochs + 1)]
    warmup = min(15, 5 * epochs // 3)
    assert values[0] == pytest.approx(4e-4 / warmup)
    assert values[warmup] == pytest.approx(4e-4) == max(values)
    assert values[-1] == pytest.approx(1e-5)
    assert values[:warmup] == sorted(values[:warmup])


def test_early_stopping_counts_epochs_without_a_better_score():
    loop = LoopState.start()
    for score in (0.3, 0.5, 0.5, 0.4):
        loop = loop.after(score)
    assert (int(loop.epoch), int(loop.best_epoch), float(loop.best_score)) == (4, 2, 0.5)
    assert not loop.finished(100, 3)
    assert loop.finished(100, 2)
    assert loop.finished(4, None)
