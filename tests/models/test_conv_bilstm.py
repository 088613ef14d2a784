import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from batches import compiled, count
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbeh.config import load_config
from jaxbeh.models import Inputs, build, dropout
from jaxbeh.models.conv_bilstm import _interpolation, _max_pool, _upsample
from jaxbeh.models.recurrence import BidirectionalLSTM


def inputs(flat, mask=None):
    batch, time = flat.shape[:2]
    return Inputs(
        flat=jnp.asarray(flat, jnp.float32),
        points=jnp.zeros((batch, time, 4, 18, 2)),
        points_valid=jnp.zeros((batch, time, 4, 18), bool),
        mask=jnp.ones((batch, time), bool) if mask is None else jnp.asarray(mask),
    )


@functools.cache
def small(features=5, length=40, seed=0):
    config = load_config("debug", ["model.channels=[6, 7, 8]", "model.hidden=9"])
    model = build(config.model, 4)
    draw = np.random.default_rng(seed)
    flat = draw.normal(size=(3, length, features)).astype(np.float32)
    init = compiled(functools.partial(model.init, train=False))
    variables = init(jax.random.key(seed), inputs(flat))
    # Statistics of some data, as after training: zeros and ones would hide mistakes.
    stats = jax.tree.map(lambda leaf: leaf + 0.3, variables["batch_stats"])
    return model, {"params": variables["params"], "batch_stats": stats}, flat


@functools.cache
def applied(train):
    """`(variables, inputs) → (logits, batch statistics)` of `small()`, the same dropout always."""
    model, _, _ = small()

    def run(variables, inputs):
        return model.apply(
            variables,
            inputs,
            train=train,
            mutable=["batch_stats"],
            rngs={"dropout": jax.random.key(3)},
        )

    return compiled(run)


def test_v6_has_the_parameters_of_the_formula():
    config = load_config("v6")
    model = build(config.model, len(config.classes))
    shapes = jax.eval_shape(
        lambda key: model.init(key, inputs(np.zeros((1, 100, 288))), train=False), jax.random.key(0)
    )
    convolutions = sum(3 * i * o + o + 2 * o for i, o in [(288, 64), (64, 128), (128, 256)])
    lstm = sum(2 * (i + 256 + 1) * 4 * 256 for i in (256, 512))
    dense = (256 + 1) * 256 + (512 + 1) * 256 + (256 + 1) * 4
    assert count(shapes["params"]) == convolutions + lstm + dense == 3_003_204


def test_its_dropouts_have_keys_of_their_own_that_are_made_at_once(monkeypatch):
    """Each making is a hundred operations in a training step."""
    model, variables, flat = small()
    seeds = []

    def dropped(x, seed, *_):
        seeds.append(seed)
        return x

    def run(key):
        seeds.clear()
        model.apply(
            variables, inputs(flat), train=True, mutable=["batch_stats"], rngs={"dropout": key}
        )
        return jnp.stack(seeds)

    monkeypatch.setattr(dropout, "_dropped", dropped)
    key = jax.random.key(3)
    traced = str(jax.make_jaxpr(run)(key))
    assert traced.count("random_fold_in") == traced.count("random_split") == 1
    found = np.asarray(run(key))
    assert len(np.unique(found, axis=0)) == len(found) == 3 + 2


@settings(max_examples=6)
@given(st.integers(1, 39), st.booleans(), st.integers(0, 2**31))
def test_what_stands_in_padding_changes_no_valid_frame(valid, train, seed):
    _, variables, flat = small()
    mask = np.ones((3, 40), bool)
    mask[1, valid:] = False
    other = flat.copy()
    other[1, valid:] = np.random.default_rng(seed).normal(0, 50, other[1, valid:].shape)

    def run(values):
        return applied(train)(variables, inputs(values, mask))

    (one, stats), (two, other_stats) = run(flat), run(other)
    np.testing.assert_array_equal(np.asarray(one)[mask], np.asarray(two)[mask])
    for left, right in zip(jax.tree.leaves(stats), jax.tree.leaves(other_stats), strict=True):
        np.testing.assert_array_equal(left, right)


def test_a_padding_row_changes_nothing_in_the_batch():
    _, variables, flat = small()
    extra = np.concatenate([flat, np.full((1, 40, 5), 9.0, np.float32)])
    mask = np.ones((4, 40), bool)
    mask[3] = False
    _, alone = applied(True)(variables, inputs(flat))
    _, padded = applied(True)(variables, inputs(extra, mask))
    for left, right in zip(jax.tree.leaves(alone), jax.tree.leaves(padded), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-5, atol=1e-6)


def test_without_padding_it_is_the_plain_network():
    _, variables, flat = small()
    params, stats = variables["params"], variables["batch_stats"]

    def plain(x):
        for layer in range(3):
            p, n, s = (
                params[f"ShiftedConv_{layer}"],
                params[f"BatchNorm_{layer}"],
                stats[f"BatchNorm_{layer}"],
            )
            padded = np.pad(x, ((0, 0), (1, 1), (0, 0)))
            x = (
                sum(padded[:, i : i + x.shape[1]] @ np.asarray(p["kernel"][i]) for i in range(3))
                + p["bias"]
            )
            x = (x - s["mean"]) / np.sqrt(np.asarray(s["var"]) + 1e-5) * n["scale"] + n["bias"]
            x = np.maximum(np.asarray(x), 0)
            half = x.shape[1] // 2
            x = x[:, : 2 * half].reshape(len(x), half, 2, -1).max(2)
        x = x @ np.asarray(params["Dense_0"]["kernel"]) + params["Dense_0"]["bias"]
        for layer in range(2):
            p = params[f"BidirectionalLSTM_{layer}"]
            x = np.concatenate(
                [lstm(np.asarray(x), p, 0), lstm(np.asarray(x)[:, ::-1], p, 1)[:, ::-1]], -1
            )
        # Upsampling first, the head's product after it: the order that the network replaces.
        x = np.stack([np.asarray(jax.image.resize(one, (40, x.shape[2]), "linear")) for one in x])
        x = np.maximum(x @ np.asarray(params["Dense_1"]["kernel"]) + params["Dense_1"]["bias"], 0)
        return x @ np.asarray(params["Dense_2"]["kernel"]) + params["Dense_2"]["bias"]

    def lstm(x, p, direction):
        sigmoid = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731  # a formula
        recurrent = np.asarray(p["recurrent"][direction])
        own = slice(direction * 4 * len(recurrent), (direction + 1) * 4 * len(recurrent))
        kernel, bias = np.asarray(p["kernel"])[:, own], np.asarray(p["bias"])[own]
        h = c = np.zeros((len(x), recurrent.shape[0]))
        outputs = []
        for t in range(x.shape[1]):
            i, f, g, o = np.split(x[:, t] @ kernel + bias + h @ recurrent, 4, -1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            outputs.append(h)
        return np.stack(outputs, 1)

    found, _ = applied(False)(variables, inputs(flat))
    np.testing.assert_allclose(found, plain(flat), rtol=2e-4, atol=2e-5)


def test_the_backward_direction_starts_at_the_last_valid_step():
    layer = BidirectionalLSTM(6)
    x = jax.random.normal(jax.random.key(0), (9, 2, 4))
    mask = jnp.ones((9, 2), bool).at[5:, 1].set(False)
    variables = compiled(layer.init)(jax.random.key(1), x, mask)
    found = compiled(layer.apply)(variables, x, mask)
    short = compiled(layer.apply)(variables, x[:5, 1:], jnp.ones((5, 1), bool))
    # Outputs are sums of terms around 0.3; one near 0 has their rounding, not its own.
    np.testing.assert_allclose(found[:5, 1:], short, rtol=0, atol=5e-7)


def test_members_weights_are_those_of_each_alone_and_matrices_are_factorised_singly():
    """Batches of them never came to an end on two threads of a CPU, with jaxlib 0.10.2."""

    def init(key):
        return BidirectionalLSTM(6).init(key, jnp.ones((3, 2, 4)), jnp.ones((3, 2), bool))

    keys = jax.random.split(jax.random.key(0), 3)
    text = str(jax.make_jaxpr(jax.vmap(init))(keys))
    assert "f32[24,6] " in text.partition(" = qr[")[0].splitlines()[-1]
    assert "f32[3,24,6] " not in text
    at_once = compiled(jax.vmap(init))(keys)
    alone = compiled(init)(keys[2])
    jax.tree.map(
        lambda all_of_them, own: np.testing.assert_array_equal(all_of_them[2], own), at_once, alone
    )


@pytest.mark.parametrize(("steps", "length"), [(12, 100), (3, 8), (1, 8), (5, 5)])
def test_upsampling_equals_half_pixel_interpolation_and_its_weights_sum_to_one(steps, length):
    weights = _interpolation(steps, length)
    np.testing.assert_allclose(weights.sum(1), 1.0, atol=1e-6)
    x = jax.random.normal(jax.random.key(0), (steps, 2, 3))
    wanted = jax.image.resize(x, (length, 2, 3), "linear")
    found = _upsample(x, jnp.ones((steps, 2), bool), length)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("length", [8, 15, 16, 17, 40, 99, 100])
def test_upsampling_clamps_at_the_last_valid_step(length):
    """Of windows of all lengths, as three poolings leave them, for every frame of the window."""
    steps = length // 8
    x = jax.random.normal(jax.random.key(length), (steps, length, 1))
    mask = np.zeros((steps, length), bool)
    for row in range(length):  # a window of `row + 1` frames
        mask[: -(-(row + 1) // 8), row] = True
    found = _upsample(x, jnp.asarray(mask), length)
    for row in range(length):
        held = x[: mask[:, row].sum(), row]
        held = jnp.concatenate([held, jnp.repeat(held[-1:], steps - len(held), axis=0)])
        wanted = jax.image.resize(held, (length, 1), "linear")
        np.testing.assert_allclose(found[: row + 1, row], wanted[: row + 1], rtol=1e-5, atol=5e-6)


@pytest.mark.parametrize("frame", [0, 1])
def test_a_number_that_is_none_passes_through_the_pooling(frame):
    """Or a broken network would give plausible figures."""
    x = jnp.ones((4, 1, 1)).at[frame].set(jnp.nan)
    pooled, _ = _max_pool(x, jnp.ones((4, 1), bool))
    assert np.isnan(pooled[0, 0, 0])
    assert pooled[1, 0, 0] == 1.0


def test_a_network_with_broken_weights_predicts_no_number():
    _, variables, flat = small()
    kernel = variables["params"]["ShiftedConv_0"]["kernel"]
    variables["params"]["ShiftedConv_0"]["kernel"] = kernel.at[0, 0, 0].set(jnp.nan)
    logits, _ = applied(False)(variables, inputs(flat))
    assert np.isnan(logits).all()


def test_a_pooled_step_is_valid_if_any_of_its_frames_is():
    x = jnp.ones((7, 1, 1)).at[3].set(99.0)
    pooled, mask = _max_pool(x, jnp.arange(7)[:, None] < 3)
    assert list(mask[:, 0]) == [True, True, False]
    assert list(pooled[:, 0, 0]) == [1.0, 1.0, 0.0]
