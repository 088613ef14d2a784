import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from poses import BODY, scene, turned, window
from sklearn.decomposition import PCA

from jaxbeh.features.engineered import engineered_set
from jaxbeh.features.motion import MOTION
from jaxbeh.features.projection import (
    Projection,
    comoments,
    complete,
    fit,
    project,
    template,
    to_project,
)


def roaming(frames, seed=0):
    """Float32 `[t, 28]`: two mice all over an arena, 8 cm long, tracked to half a millimetre."""
    draw = np.random.default_rng(seed)
    mice = []
    for _ in range(2):
        place = 20 * np.sin(draw.normal(0, 0.3, (frames, 1, 2)).cumsum(axis=0) / 20)
        bend = draw.normal(0, 0.3, (frames, 1, 2)) * np.linspace(0, 1, 7)[:, None]
        noise = draw.normal(0, 0.05, (frames, 7, 2)) * np.linspace(0.5, 2, 7)[:, None]
        mice.append(place + turned(draw.normal(0, 0.1, frames).cumsum()) + bend + noise)
    return np.stack(mice, axis=1).reshape(frames, 28).astype(np.float32)


def fitted(values, valid, components, rows=None):
    """Fit to `[t, n]`, cut into batches of so many rows each (all in one where none is given)."""
    ends = np.cumsum(rows or [len(values)])[:-1]
    return fit(
        (
            jax.device_get(jax.jit(comoments)(jnp.asarray(part)[None], jnp.asarray(shown)[None]))
            for part, shown in zip(np.split(values, ends), np.split(valid, ends), strict=True)
        ),
        components,
    )


def by_hand(values, valid, components):
    """Missing values count as the mean of the valid ones; float64."""
    values = values.astype(np.float64)
    count = np.maximum(valid.sum(axis=0), 1)
    mean = np.where(valid, values, 0).sum(axis=0) / count
    centred = np.where(valid, values - mean, 0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return mean, vectors.T[::-1][:components]


def assert_same_up_to_sign(found, expected, atol=1e-4):
    sign = np.sign(np.sum(found * expected, axis=1, keepdims=True))
    np.testing.assert_allclose(found, sign * expected, atol=atol)


def test_it_equals_scikit_learns_where_nothing_is_missing():
    values = roaming(40_000)
    found = fitted(values, np.ones(values.shape, bool), 16, [6_000] * 6 + [4_000])
    expected = PCA(16).fit(values.astype(np.float64))
    assert found.mean.dtype == found.components.dtype == np.float32
    np.testing.assert_allclose(found.mean, expected.mean_, atol=1e-4)
    # The 16th standard deviation is a thousandth of the first, as it is of real mice.
    deviations = np.sqrt(expected.explained_variance_)
    assert deviations[15] / deviations[0] < 5e-3
    assert_same_up_to_sign(found.components, expected.components_)
    scores, valid = project(found, jnp.asarray(values)[None], jnp.ones((1, *values.shape), bool))
    assert valid.all()
    assert scores.dtype == np.float32
    sign = np.sign(np.sum(found.components * expected.components_, axis=1))
    np.testing.assert_allclose(
        scores[0], sign * expected.transform(values.astype(np.float64)), atol=1e-4
    )


@given(st.integers(0, 2**32 - 1), st.lists(st.sampled_from([1, 4, 60]), min_size=1, max_size=5))
@settings(max_examples=15)
def test_uneven_batches_with_missing_values_equal_one_fit_by_hand(seed, rows):
    draw = np.random.default_rng(seed)
    frames = sum(rows) + 30
    # Six coordinates far from 0, of clearly different variances and drifting from batch to batch.
    spread = np.array([9.0, 6.0, 4.0, 2.5, 1.5, 0.8])
    basis, _ = np.linalg.qr(draw.normal(size=(6, 6)))
    values = (draw.normal(size=(frames, 6)) * spread) @ basis + 200 + np.arange(frames)[:, None] / 9
    values = values.astype(np.float32)
    valid = draw.random(values.shape) < 0.8
    found = fitted(np.where(valid, values, 0).astype(np.float32), valid, 6, [*rows, 30])
    mean, components = by_hand(values, valid, 6)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-6)
    centred = np.where(valid, values - mean, 0)
    variance = np.sum((centred @ components.T) ** 2, axis=0)
    mine = np.sum((centred @ np.float64(found.components).T) ** 2, axis=0)
    np.testing.assert_allclose(mine, variance, rtol=1e-4)
    gaps = -np.diff(variance, prepend=np.inf, append=-np.inf)
    apart = np.minimum(gaps[:-1], gaps[1:]) > 0.02 * variance[0]  # equal ones have no direction
    assert_same_up_to_sign(found.components[apart], components[apart])


def test_the_largest_loading_of_each_component_is_positive():
    values = roaming(3_000)
    components = fitted(values, np.ones(values.shape, bool), 28).components
    largest = np.argmax(np.abs(components), axis=1)
    assert (components[np.arange(28), largest] > 0).all()
    np.testing.assert_allclose(components @ components.T, np.eye(28), atol=1e-5)


def test_a_missing_coordinate_counts_as_the_training_mean():
    projection = Projection(
        mean=jnp.asarray([10.0, 20.0]), components=jnp.asarray([[0.6, 0.8], [0.8, -0.6]])
    )
    values = jnp.asarray([[[15.0, 30.0], [15.0, 0.0], [0.0, 0.0]]])
    valid = jnp.asarray([[[True, True], [True, False], [False, False]]])
    scores, known = project(projection, values, valid)
    np.testing.assert_allclose(scores[0], [[11, -2], [3, 4], [0, 0]], atol=1e-5)
    np.testing.assert_array_equal(known[0], [[True, True], [True, True], [False, False]])


def test_what_never_varies_or_is_never_seen_stays_finite():
    values = np.full((4, 3), 7.0, np.float32)  # fewer frames than would fill the factor
    valid = np.array([[True, True, False]] * 4)
    found = fitted(np.where(valid, values, 0).astype(np.float32), valid, 3, [1, 3])
    assert list(found.mean) == [7.0, 7.0, 0.0]
    assert np.isfinite(found.components).all()
    nobody = fitted(values, np.zeros(values.shape, bool), 2)
    assert np.isfinite(nobody.components).all()
    assert not nobody.mean.any()


def test_no_batch_is_refused():
    with pytest.raises(ValueError, match="no batch"):
        fit([], 16)


def test_the_engineered_set_is_completed_with_scores_in_the_coordinates_place():
    features = engineered_set(5)
    mice = [turned(np.linspace(0, 3, 40)) + place for place in ([0.0, 0.0], [9.0, 4.0])]
    mice[0][20, 0] = np.nan  # a nose
    mice[0][30], mice[1][30] = np.nan, np.nan
    found = window(features, *scene(*mice), 0, 40, 30.0)
    values, valid = to_project(features, found)
    assert values.shape == valid.shape == (1, 40, 28)
    projection = fit([jax.device_get(comoments(values, valid))], features.components)
    flat, known = complete(features, projection, found)
    assert flat.shape == known.shape == (1, 40, len(features.names))
    assert flat.dtype == np.float32
    np.testing.assert_array_equal(flat[..., :115], found.flat[..., :115])
    np.testing.assert_array_equal(known[..., :115], found.flat_valid[..., :115])
    np.testing.assert_array_equal(flat[..., 115:], project(projection, values, valid)[0])
    assert [int(i) for i in np.flatnonzero(~known[0, :, 115:].all(axis=1))] == [30]
    assert not np.asarray(flat)[~np.asarray(known)].any()


def test_a_set_that_projects_nothing_is_complete():
    found = window(MOTION, *scene(np.stack([BODY] * 4)), 0, 4, 30.0)
    flat, valid = complete(MOTION, None, found)
    assert flat is found.flat
    assert valid is found.flat_valid
    assert template(MOTION) is None


def test_coordinates_without_a_projection_are_refused():
    features = engineered_set(5)
    found = window(features, *scene(np.stack([BODY] * 4)), 0, 4, 30.0)
    with pytest.raises(ValueError, match="28 coordinates"):
        complete(features, None, found)
