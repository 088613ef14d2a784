"""What holds for every model."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from batches import CLASSES, SMALL, batch, compiled, in_training, prefix, refill, small
from hypothesis import given, settings
from hypothesis import strategies as st

MODELS = sorted(SMALL)
WITHOUT_POOLING = [name for name in MODELS if name != "conv_bilstm"]
BY_WINDOW = [name for name in MODELS if name != "mlp"]


@functools.cache
def variables_of(name):
    init = compiled(functools.partial(small(name).init, train=False))
    return init(jax.random.key(7), batch())


@functools.cache
def applied(name, train):
    """`(variables, inputs, seed) → (logits, batch statistics)`; the seed is that of dropout."""

    def run(variables, inputs, seed):
        logits, changed = small(name).apply(
            variables,
            inputs,
            train=train,
            mutable=["batch_stats"],
            rngs={"dropout": jax.random.key(seed)},
        )
        return logits, changed

    program = compiled(run)
    return lambda variables, inputs, seed=0: program(variables, inputs, seed)


def labels_of(inputs):
    """The labels of invented windows, as random as they."""
    return jax.random.randint(jax.random.key(1), inputs.mask.shape, 0, CLASSES)


@functools.cache
def loss_and_gradient(name):
    """Cross-entropy over valid frames, whose classes are drawn, and its gradient."""
    model = small(name)

    def loss(params, rest, inputs, key):
        logits = in_training(model, params, rest, inputs, key)
        nll = optax.softmax_cross_entropy_with_integer_labels(logits, labels_of(inputs))
        frames = jnp.sum(inputs.mask, dtype=jnp.float32)
        return jnp.sum(jnp.where(inputs.mask, nll, 0.0)) / frames

    return compiled(jax.value_and_grad(loss))


def gradient_at(name, inputs):
    variables = dict(variables_of(name))
    params = variables.pop("params")
    return loss_and_gradient(name)(params, variables, inputs, jax.random.key(5))[1]


def assert_equal_trees(one, two, **tolerance):
    for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_allclose(left, right, **tolerance)


@pytest.mark.parametrize("name", MODELS)
def test_one_row_of_finite_float32_logits_a_frame(name):
    variables = variables_of(name)
    assert {leaf.dtype.name for leaf in jax.tree.leaves(variables)} == {"float32"}
    for train in (False, True):
        logits, _ = applied(name, train)(variables, batch())
        assert (logits.shape, logits.dtype) == ((3, 24, CLASSES), jnp.float32)
        assert jnp.all(jnp.isfinite(logits))


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=4)
@given(st.integers(1, 23), st.integers(0, 24), st.integers(0, 2**20))
def test_what_stands_in_padding_changes_no_valid_frame(name, train, first, second, seed):
    padded = prefix(batch(), [first, 24, second])
    run = functools.partial(applied(name, train), variables_of(name))
    (one, stats), (two, other_stats) = run(padded), run(refill(padded, seed))
    np.testing.assert_array_equal(one[padded.mask], two[padded.mask])
    assert_equal_trees(stats, other_stats, rtol=0)


@pytest.mark.parametrize("name", WITHOUT_POOLING)
@pytest.mark.parametrize("length", [1, 7])
def test_a_window_may_be_short_and_padding_makes_it_no_other(name, length):
    whole = batch()
    run = functools.partial(applied(name, False), variables_of(name))
    short, _ = run(jax.tree.map(lambda leaf: leaf[:, :length], whole))
    padded, _ = run(prefix(whole, [length] * 3))
    assert short.shape == (3, length, CLASSES)
    np.testing.assert_allclose(padded[:, :length], short, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_a_row_of_padding_changes_no_gradient(name):
    """Nor does what stands in it, or behind a window, and all gradients are finite."""
    one = prefix(batch(), [13, 24, 0])
    own = gradient_at(name, one)
    assert all(jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(own))
    assert_equal_trees(own, gradient_at(name, refill(one, 11)), rtol=0, atol=0)


@pytest.mark.parametrize("name", WITHOUT_POOLING)
def test_every_parameter_receives_a_gradient(name):
    """Not so in the Conv1D-BiLSTM: its BatchNorms take out the convolutions' biases."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient_at(name, batch())):
        still = np.mean(np.asarray(leaf) == 0)
        assert still < 0.5, f"{jax.tree_util.keystr(path)}: {still:.0%} do not move"


@pytest.mark.parametrize("name", BY_WINDOW)
def test_other_frames_of_the_window_matter(name):
    one = batch()
    other = batch(seed=5)
    later = jnp.arange(24) > 12
    mixed = one.replace(
        flat=jnp.where(later[:, None], other.flat, one.flat),
        points=jnp.where(later[:, None, None, None], other.points, one.points),
        points_valid=jnp.where(later[:, None, None], other.points_valid, one.points_valid),
    )
    run = functools.partial(applied(name, False), variables_of(name))
    assert np.max(np.abs(run(one)[0][:, 11] - run(mixed)[0][:, 11])) > 1e-4


@pytest.mark.parametrize("name", MODELS)
def test_dropout_is_drawn_in_training_only(name):
    for train in (False, True):
        run = functools.partial(applied(name, train), variables_of(name), batch())
        assert bool(np.max(np.abs(run(0)[0] - run(1)[0])) > 1e-3) == train


@pytest.mark.parametrize("name", WITHOUT_POOLING)
def test_it_learns_a_batch_by_heart(name):
    """Random labels of a few windows, in spite of dropout and missing points.

    The Conv1D-BiLSTM cannot: what it says changes slower than from frame to frame.
    """
    inputs = batch()
    params, optimiser = variables_of(name)["params"], optax.adam(2e-2)
    state = optimiser.init(params)

    @compiled
    def update(params, state, gradient):
        with jax.numpy_dtype_promotion("standard"):
            updates, state = optimiser.update(gradient, state)
        return optax.apply_updates(params, updates), state

    for number in range(200):
        _, gradient = loss_and_gradient(name)(params, {}, inputs, jax.random.key(number))
        params, state = update(params, state, gradient)
    logits, _ = applied(name, False)({"params": params}, inputs)
    assert np.mean(np.argmax(logits, -1) == labels_of(inputs)) > 0.95
