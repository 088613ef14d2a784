import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from batches import FEATURES, MICE, batch, compiled, parameters, small
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbeh.models.hybrid import PointNet, keypoint_inputs
from jaxbeh.settings.models import HybridSettings, TransformerSettings

NET = PointNet(channels=(7, 8), embedding=6)


@functools.cache
def made():
    """A PointNet whose biases are not the zeros it starts from, and what it embeds."""
    inputs = batch()
    keypoints = keypoint_inputs(inputs.points, inputs.points_valid)
    params = compiled(NET.init)(jax.random.key(0), keypoints, inputs.points_valid)
    return jax.tree.map(lambda leaf: leaf + 0.1, params), inputs


def embed(variables, points, valid):
    return NET.apply(variables, keypoint_inputs(points, valid), valid)


EMBED = compiled(embed)
SQUARES = compiled(
    jax.value_and_grad(lambda variables, *points: jnp.sum(embed(variables, *points) ** 2))
)


def program(model, inputs):
    """`inputs → logits` of a fresh model."""
    init = compiled(functools.partial(model.init, train=False))
    variables = init(jax.random.key(0), inputs)
    return compiled(lambda inputs: model.apply(variables, inputs, train=False))


def test_the_defaults_have_the_parameters_of_the_formula():
    """PointNet; 4 mice side by side; LSTM or encoder; head. Flat inputs and k do not matter."""
    pointnet = 7 * 64 + 65 * 128 + 129 * 128
    lstm = 2 * sum((i + 256 + 1) * 4 * 256 for i in (4 * 128, 512)) + 513 * 4
    layer = 4 * 257 * 256 + 257 * 1024 + 1025 * 256 + 4 * 256
    encoder = (4 * 128 + 1) * 256 + 4 * layer + 2 * 256 + 257 * 4
    assert parameters(HybridSettings()) == pointnet + lstm == 3_177_156
    with_encoder = HybridSettings(temporal=TransformerSettings())
    assert parameters(with_encoder) == pointnet + encoder == 3_317_188
    assert parameters(with_encoder, features=9, keypoints=5) == 3_317_188


def plain_inputs(inputs, place):
    """Of the valid keypoints of one mouse in one frame, in numpy."""
    row, frame, mouse = place
    points, valid = np.asarray(inputs.points), np.asarray(inputs.points_valid)
    here, there = points[place], valid[place]
    step = np.zeros_like(here)
    if frame:
        both = there & valid[row, frame - 1, mouse]
        step[both] = (here - points[row, frame - 1, mouse])[both]
    parts = [here / 10, (here - here[there].mean(0)) / 3, np.clip(step, -5, 5) / 0.5]
    return np.concatenate(parts, -1)[there]


def test_the_pointnet_is_the_plain_formula():
    variables, inputs = made()
    found = EMBED(variables, inputs.points, inputs.points_valid)
    layers = [jax.tree.map(np.asarray, variables["params"][f"Dense_{n}"]) for n in range(3)]

    def dense(x, layer):
        return np.maximum(x @ layer["kernel"] + layer["bias"], 0)

    for place in [(0, 0, 0), (1, 5, 1), (2, 23, 2)]:
        each = dense(dense(plain_inputs(inputs, place), layers[0]), layers[1])
        np.testing.assert_allclose(found[place], dense(each.max(0), layers[2]), rtol=1e-4)


@pytest.mark.parametrize("name", ["hybrid-bilstm", "hybrid-transformer"])
def test_the_order_of_keypoints_does_not_matter(name):
    """Another order for every mouse of every window; steps need the same one in all its frames."""
    inputs, model = batch(), small(name)
    rows, _, mice, keypoints = inputs.points_valid.shape
    order = np.argsort(np.random.default_rng(1).random((rows, 1, mice, keypoints)), axis=-1)
    order = np.broadcast_to(order, inputs.points_valid.shape)
    shuffled = inputs.replace(
        points=jnp.take_along_axis(inputs.points, order[..., None], axis=3),
        points_valid=jnp.take_along_axis(inputs.points_valid, order, axis=3),
    )
    assert not np.array_equal(shuffled.points, inputs.points)
    variables = compiled(model.init, static_argnames="train")(
        jax.random.key(0), inputs, train=False
    )
    apply = compiled(lambda inputs: model.apply(variables, inputs, train=False))
    np.testing.assert_allclose(apply(inputs), apply(shuffled), rtol=1e-4, atol=1e-6)


def test_mice_share_the_weights():
    variables, inputs = made()
    forwards = EMBED(variables, inputs.points, inputs.points_valid)
    backwards = EMBED(variables, inputs.points[:, :, ::-1], inputs.points_valid[:, :, ::-1])
    np.testing.assert_allclose(forwards, backwards[:, :, ::-1], rtol=1e-5, atol=1e-6)


def test_a_mouse_without_keypoints_is_embedded_as_the_bias():
    variables, inputs = made()
    none = jnp.zeros_like(inputs.points_valid)
    bias = np.asarray(variables["params"]["Dense_2"]["bias"])
    found = EMBED(variables, inputs.points, none)
    np.testing.assert_array_equal(found, np.broadcast_to(bias, found.shape))
    assert (bias > 0).all()


@settings(max_examples=5)
@given(st.sampled_from([np.nan, np.inf, -1e9, 55.0]), st.integers(0, 2**20))
def test_what_stands_in_invalid_points_changes_neither_output_nor_gradient(value, seed):
    variables, inputs = made()
    valid = inputs.points_valid.at[2].set(False)
    noise = np.random.default_rng(seed).random(inputs.points.shape).astype(np.float32)
    other = jnp.where(valid[..., None], inputs.points, value * noise)
    one, two = (SQUARES(variables, points, valid) for points in (inputs.points, other))
    for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        assert np.isfinite(left).all()
        np.testing.assert_array_equal(left, right)


def test_points_beyond_any_arena_count_as_its_edge():
    variables, inputs = made()
    far = inputs.points.at[..., 0, 0].set(3_000.0)
    edge = inputs.points.at[..., 0, 0].set(100.0)
    np.testing.assert_array_equal(
        EMBED(variables, far, inputs.points_valid), EMBED(variables, edge, inputs.points_valid)
    )


def test_only_points_and_validity_matter():
    inputs, model = batch(), small("hybrid-bilstm")
    variables = compiled(model.init, static_argnames="train")(
        jax.random.key(0), inputs, train=False
    )
    apply = compiled(lambda inputs: model.apply(variables, inputs, train=False))
    other = inputs.replace(flat=jnp.full((*inputs.mask.shape, FEATURES), 7.0))
    np.testing.assert_array_equal(apply(inputs), apply(other))
    absent = inputs.replace(points_valid=inputs.points_valid.at[:, :, MICE - 2].set(False))
    assert np.max(np.abs(apply(inputs) - apply(absent))) > 1e-4
