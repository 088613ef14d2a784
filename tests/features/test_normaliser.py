import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from poses import BODY, scene, window

from jaxbeh.features import projection
from jaxbeh.features.engineered import engineered_set
from jaxbeh.features.feature_set import FeatureSet
from jaxbeh.features.motion import MOTION, motion
from jaxbeh.features.normaliser import CLIP, Normaliser, fit, moments, normalise, tame
from jaxbeh.features.projection import comoments, complete, to_project

TWO = FeatureSet(names=("place", "speed"), history=0, heavy_tailed=(False, True), compute=motion)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.floats(0.0, 1.0))
def test_statistics_equal_numpys_over_valid_values_however_they_are_batched(seed, batches, share):
    draw = np.random.default_rng(seed)
    values = (draw.normal(1000, 2, (batches * 4, 5, 2))).astype(np.float32)
    valid = draw.random(values.shape) < share
    valid[0, 0] = True
    parts = (slice(4 * i, 4 * i + 4) for i in range(batches))
    found = fit(moments(jnp.asarray(values[part]), jnp.asarray(valid[part])) for part in parts)
    for feature in range(2):
        kept = values[..., feature][valid[..., feature]].astype(np.float64)
        np.testing.assert_allclose(found.mean[feature], kept.mean(), rtol=1e-6)
        spread = kept.std()
        np.testing.assert_allclose(
            found.deviation[feature], spread if spread > 1e-3 else 1.0, rtol=1e-3
        )


def test_a_feature_that_is_never_valid_or_never_varies_stays_finite():
    values = jnp.asarray(np.full((2, 3, 2), 7.0, np.float32))
    valid = jnp.asarray(np.stack([np.ones((2, 3)), np.zeros((2, 3))], -1).astype(bool))
    found = fit([moments(values, valid)])
    assert list(found.mean) == [7.0, 0.0]
    assert list(found.deviation) == [1.0, 1.0]
    assert not np.any(
        np.asarray(normalise(TWO, found, jnp.zeros((2, 3, 2)).at[..., 0].set(7.0), valid))
    )


def test_heavy_tails_pass_through_log1p_others_do_not():
    flat = jnp.asarray([[[-3.0, 0.0], [5.0, np.e - 1]]], jnp.float32)
    np.testing.assert_allclose(tame(TWO, flat)[0], [[-3.0, 0.0], [5.0, 1.0]], rtol=1e-6)


def test_values_are_clipped_and_missing_ones_are_zero():
    scale = Normaliser(mean=jnp.zeros(2), deviation=jnp.full(2, 0.1))
    flat = jnp.asarray([[[100.0, 1e6], [-100.0, 3.0]]], jnp.float32)
    valid = jnp.asarray([[[True, True], [True, False]]])
    np.testing.assert_array_equal(normalise(TWO, scale, flat, valid)[0], [[CLIP, CLIP], [-CLIP, 0]])


@pytest.mark.parametrize("features", [MOTION, engineered_set(16), engineered_set(3)])
def test_a_fitted_normaliser_has_the_templates_leaves_and_comes_back_from_them(features):
    frames = window(features, *scene(*(np.stack([BODY + i] * 20) for i in range(2))), 0, 20, 30.0)
    projected = None
    if features.projected:
        seen = comoments(*to_project(features, frames))
        projected = projection.fit([jax.device_get(seen)], features.components)
    flat, valid = complete(features, projected, frames)
    fitted = fit([moments(tame(features, flat), valid)], projected)
    leaves, structure = jax.tree.flatten(fitted)
    wanted, expected = jax.tree.flatten(Normaliser.template(features))
    assert structure == expected
    assert len(leaves) == (4 if features.projected else 2)
    assert [(leaf.shape, leaf.dtype) for leaf in leaves] == [
        (leaf.shape, leaf.dtype) for leaf in wanted
    ]
    again = jax.tree.unflatten(expected, leaves)
    inputs = [
        normalise(features, one, *complete(features, one.projection, frames))
        for one in (fitted, again)
    ]
    np.testing.assert_array_equal(*inputs)
    assert inputs[0].dtype == np.float32
    assert np.isfinite(inputs[0]).all()
    assert not np.asarray(inputs[0])[~np.asarray(valid)].any()
