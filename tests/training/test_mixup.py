"""Mixup: what is mixed with what, and what still counts."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxbeh.data.store import WINDOWS
from jaxbeh.models import Inputs
from jaxbeh.training.mixup import mixup

KEY = jax.random.key(3)


def batch(rows=4, time=6, classes=3):
    draw = np.random.default_rng(0)
    valid = draw.random((rows, time, 2, 5)) < 0.8
    points = draw.normal(size=(rows, time, 2, 5, 2)).astype(np.float32) * valid[..., None]
    mask = np.arange(time) < np.array([6, 4, 6, 6])[:rows, None]
    labels = draw.integers(0, classes, (rows, time))
    targets = np.eye(classes, dtype=np.float32)[labels] * mask[..., None]
    inputs = Inputs(
        flat=jnp.asarray(draw.normal(size=(rows, time, 7)).astype(np.float32)),
        points=jnp.asarray(points),
        points_valid=jnp.asarray(valid),
        mask=jnp.asarray(mask),
    )
    looked_for = jnp.asarray([[True, True, True], [True, False, True], [True, True, True]] * 2)
    return inputs, jnp.asarray(targets), looked_for[:rows]


def test_each_window_is_mixed_with_the_next_by_one_share():
    inputs, targets, looked_for = batch()
    real = jnp.ones(4, bool)
    mixed, wanted, allowed = mixup(KEY, 0.5, inputs, targets, looked_for, real)
    share = np.asarray(jax.random.beta(KEY, 0.5, 0.5, (4,), jnp.float32))
    assert ((share > 0) & (share < 1)).all()
    for row in range(4):
        other = (row + 1) % 4
        blend = share[row] * inputs.flat[row] + (1 - share[row]) * inputs.flat[other]
        np.testing.assert_allclose(mixed.flat[row], blend, atol=1e-6)
        both = np.asarray(inputs.mask[row] & inputs.mask[other])
        np.testing.assert_array_equal(mixed.mask[row], both)
        blend = share[row] * targets[row] + (1 - share[row]) * targets[other]
        np.testing.assert_allclose(wanted[row], np.where(both[:, None], blend, 0), atol=1e-6)
        np.testing.assert_array_equal(allowed[row], looked_for[row] | looked_for[other])
        there = np.asarray(inputs.points_valid[row] & inputs.points_valid[other])
        np.testing.assert_array_equal(mixed.points_valid[row], there)
        assert (np.asarray(mixed.points[row])[~there] == 0).all()


def test_a_target_sums_to_one_where_it_counts():
    _, wanted, _ = mixup(KEY, 0.2, *batch(), jnp.ones(4, bool))
    sums = np.asarray(wanted.sum(-1))
    assert np.isclose(sums, 1).any()
    assert np.all(np.isclose(sums, 1) | (sums == 0))


def test_padding_rows_are_left_alone_and_mixed_into_nothing():
    inputs, targets, looked_for = batch()
    real = jnp.asarray([True, True, True, False])
    mixed, wanted, _ = mixup(KEY, 0.5, inputs, targets, looked_for, real)
    np.testing.assert_allclose(mixed.flat[3], inputs.flat[3], rtol=1e-6)
    other = inputs.replace(flat=inputs.flat.at[3].set(1e3))
    again, _, _ = mixup(KEY, 0.5, other, targets, looked_for, real)
    np.testing.assert_array_equal(mixed.flat[:3], again.flat[:3])
    assert wanted.dtype == jnp.float32


def test_one_window_is_mixed_with_itself():
    inputs, targets, looked_for = (part for part in batch())
    real = jnp.asarray([True, False, False, False])
    mixed, wanted, _ = mixup(KEY, 0.5, inputs, targets, looked_for, real)
    np.testing.assert_allclose(mixed.flat[0], inputs.flat[0], atol=1e-6)
    np.testing.assert_allclose(wanted[0], targets[0], atol=1e-6)


def test_devices_that_share_windows_do_not_ask_each_other_about_draws():
    mesh = jax.make_mesh((2,), (WINDOWS,), (AxisType.Auto,))
    by_window = NamedSharding(mesh, PartitionSpec(WINDOWS))
    shared = jax.device_put((*batch(), jnp.ones(4, bool)), by_window)
    mixed = jax.jit(partial(mixup, KEY, 0.2, mesh=mesh), out_shardings=by_window)
    program = mixed.lower(*shared).compile().as_text()
    exchanges = re.findall(r" (?:all-gather|all-reduce)\(.*", program)
    assert exchanges  # of the windows that are mixed
    assert not [line for line in exchanges if "_gamma" in line]
    alone = jax.jit(partial(mixup, KEY, 0.2))(*batch(), jnp.ones(4, bool))
    for ours, theirs in zip(jax.tree.leaves(mixed(*shared)), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
