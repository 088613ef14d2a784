"""The network of pair actions: shapes, what may be missing, members trained side by side."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from batches import SMALL, compiled
from pydantic import ValidationError

from jaxbeh.models import PairInputs
from jaxbeh.models.pair_network import PairNetwork
from jaxbeh.settings.models import HybridSettings, PairNetworkSettings

OWN, RELATION, ALONE, PAIR, LABS = 7, 5, 2, 3, 4
ENCODERS = ("unet", "tcn", "transformer", "mlp")


def network(encoder="unet", alone=ALONE, pair=PAIR, dtype=jnp.float32):
    settings = PairNetworkSettings(encoder=SMALL[encoder], width=12, stem=8, lab_embedding=3)
    return PairNetwork.from_settings(settings, alone, pair, LABS, dtype)


def pairs(windows=3, length=14, seed=0):
    draw = np.random.default_rng(seed)

    def normal(*shape):
        return jnp.asarray(draw.normal(size=shape), jnp.float32)

    return PairInputs(
        own=normal(windows, length, 2, OWN),
        relation=normal(windows, length, RELATION),
        mask=jnp.arange(length)[None] < jnp.asarray([[length], [9], [length]][:windows]),
        lab=jnp.asarray([1, 0, LABS][:windows], jnp.int32),
    )


@functools.cache
def variables_of(encoder="unet", seed=7):
    return compiled(functools.partial(network(encoder).init, train=False))(
        jax.random.key(seed), pairs()
    )


def applied(variables, inputs, encoder="unet", dtype=jnp.float32):
    apply = functools.partial(network(encoder, dtype=dtype).apply, train=False)
    return compiled(apply)(variables, inputs)


def loss(params, inputs, key):
    """Of logits that should be 1 in the frames of a window."""
    logits = network().apply({"params": params}, inputs, train=True, rngs={"dropout": key})
    return jnp.sum(jnp.where(inputs.mask[..., None], (logits - 1.0) ** 2, 0.0))


@pytest.mark.parametrize("encoder", ENCODERS)
def test_one_row_of_finite_float32_logits_a_frame(encoder):
    variables = variables_of(encoder)
    assert set(variables) == {"params"}
    assert {leaf.dtype.name for leaf in jax.tree.leaves(variables)} == {"float32"}
    logits = applied(variables, pairs(), encoder)
    assert (logits.shape, logits.dtype) == ((3, 14, ALONE + PAIR), jnp.float32)
    assert jnp.all(jnp.isfinite(logits))


@pytest.mark.parametrize(("alone", "pair"), [(0, 3), (2, 0)])
def test_a_vocabulary_may_have_actions_of_one_kind_only(alone, pair):
    model = network(alone=alone, pair=pair)
    shapes = jax.eval_shape(functools.partial(model.init, train=False), jax.random.key(0), pairs())
    assert ("alone_head" in shapes["params"], "pair_head" in shapes["params"]) == (
        alone > 0,
        pair > 0,
    )
    logits = jax.eval_shape(functools.partial(model.apply, train=False), shapes, pairs())
    assert logits.shape == (3, 14, alone + pair)


def test_the_default_has_the_parameters_of_the_formula():
    own, relation, alone, pair, labs = 101, 115, 11, 26, 20
    model = PairNetwork.from_settings(PairNetworkSettings(), alone, pair, labs)
    inputs = pairs().replace(own=jnp.zeros((3, 14, 2, own)), relation=jnp.zeros((3, 14, relation)))
    made = jax.eval_shape(functools.partial(model.init, train=False), jax.random.key(0), inputs)
    stem, width, lab = 128, 192, 16

    def widened(i, o):
        return (i + 1) * o + 2 * o

    encoder = 2_395_396 + (192 - 131) * 192 + (192 - 4) * 193
    heads = 2 * widened(width, width) + (width + 1) * (alone + pair)
    wanted = widened(own, stem) + widened(2 * stem + relation + lab, width) + heads + encoder
    assert sum(leaf.size for leaf in jax.tree.leaves(made)) == wanted + (labs + 1) * lab


def test_who_is_who_matters_and_both_pass_one_stem():
    one, variables = pairs(), variables_of()
    assert variables["params"]["stem"]["kernel"].shape == (OWN, 8)
    turned = one.replace(own=one.own[:, :, ::-1])
    assert np.abs(applied(variables, one) - applied(variables, turned)).max() > 1e-2


def test_the_lab_matters():
    one, variables = pairs(), variables_of()
    other = one.replace(lab=jnp.asarray([2, 0, LABS], jnp.int32))
    changed = np.abs(applied(variables, one) - applied(variables, other)).max(axis=(1, 2))
    assert changed[0] > 1e-3
    assert not changed[1:].any()


@pytest.mark.parametrize("encoder", ENCODERS)
def test_what_stands_in_padding_changes_no_valid_frame(encoder):
    one, other, variables = pairs(), pairs(seed=5), variables_of(encoder)
    inside = one.mask[..., None]
    two = one.replace(
        own=jnp.where(inside[..., None], one.own, 30.0 * other.own),
        relation=jnp.where(inside, one.relation, 30.0 * other.relation),
    )
    left, right = applied(variables, one, encoder), applied(variables, two, encoder)
    np.testing.assert_array_equal(left[one.mask], right[one.mask])


@compiled
@jax.value_and_grad
def slope(params, inputs, key):
    return loss(params, inputs, key)


@pytest.mark.parametrize("case", ["some", "nothing", "no frame"])
def test_gradients_are_finite_whatever_is_missing(case):
    inputs = pairs()
    if case != "some":
        inputs = jax.tree.map(jnp.zeros_like, inputs).replace(mask=inputs.mask)
    if case == "no frame":
        inputs = inputs.replace(mask=jnp.zeros_like(inputs.mask))
    value, gradient = slope(variables_of()["params"], inputs, jax.random.key(3))
    assert jnp.isfinite(value)
    assert all(jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))
    if case == "some":
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
            still = np.mean(np.asarray(leaf) == 0)
            labs_absent = 2 / (LABS + 1)
            assert still <= max(0.45, labs_absent), jax.tree_util.keystr(path)


def test_a_member_among_others_is_the_same_as_alone():
    """Parameters, windows and dropout of its own each; loss and gradients to rounding."""
    params = [variables_of(seed=seed)["params"] for seed in (1, 2, 3)]
    windows = [pairs(seed=seed) for seed in (4, 5, 6)]
    keys = jax.random.split(jax.random.key(9), 3)

    def stacked(trees):
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)

    together = compiled(jax.vmap(jax.value_and_grad(loss)))
    values, gradients = together(stacked(params), stacked(windows), keys)
    for member in range(3):
        value, gradient = slope(params[member], windows[member], keys[member])
        np.testing.assert_allclose(values[member], value, rtol=1e-5)
        for left, right in zip(jax.tree.leaves(gradients), jax.tree.leaves(gradient), strict=True):
            scale = float(np.abs(right).max())
            np.testing.assert_allclose(left[member], right, atol=1e-5 * scale + 1e-7)
    assert len({float(value) for value in values}) == 3


def test_dropout_is_drawn_in_training_only():
    values = [float(slope(variables_of()["params"], pairs(), jax.random.key(k))[0]) for k in (1, 2)]
    assert values[0] != values[1]


@pytest.mark.parametrize("encoder", ENCODERS)
def test_half_precision_is_near_the_full_one(encoder):
    full = applied(variables_of(encoder), pairs(), encoder)
    half = applied(variables_of(encoder), pairs(), encoder, jnp.bfloat16)
    assert half.dtype == jnp.float32
    off = np.sqrt(np.mean((full - half) ** 2))
    assert 0 < off < 0.05 * np.sqrt(np.mean(full**2))


def test_an_encoder_of_keypoints_is_refused():
    with pytest.raises(ValidationError, match="hybrid takes keypoints"):
        PairNetworkSettings(encoder=HybridSettings())
