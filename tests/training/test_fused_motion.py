"""The kernel run by Pallas' interpreter, against features, standardisation and noise one by one."""

import dataclasses
import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import (
    AbstractDevice,
    AbstractMesh,
    AxisType,
    NamedSharding,
    PartitionSpec,
)

from jaxbeh.config import load_config
from jaxbeh.data.store import WINDOWS, Frames
from jaxbeh.features.motion import MOTION
from jaxbeh.features.normaliser import CLIP, Normaliser
from jaxbeh.models.random_bits import nearly_normal
from jaxbeh.training import recipe as recipes
from jaxbeh.training.fused_motion import fused_motion
from jaxbeh.training.recipe import Recipe, model_inputs

LENGTH = 12
RECIPE = dataclasses.replace(Recipe.from_config(load_config("v6", [])), noise=0.5)
SEED = jax.random.key(7)


def drawn(starts, seed, length=LENGTH):
    """Windows that start at these frames of their videos, some points of which are missing."""
    draw = np.random.default_rng(seed)
    frame = np.asarray(starts)[:, None] + np.arange(-MOTION.history, length)
    shape = (*frame.shape, 4, 18)
    valid = (draw.random(shape) < 0.8) & (frame >= 0)[..., None, None]
    valid[0, length // 2 :] = False
    xy = np.where(valid[..., None], draw.normal(0, 10, (*shape, 2)), 0.0)
    frames = Frames(
        xy=jnp.asarray(xy, jnp.float32),
        valid=jnp.asarray(valid),
        frame=jnp.asarray(frame, jnp.int32),
        fps=jnp.asarray(draw.uniform(15, 120, len(starts)), jnp.float32),
        mask=jnp.ones((len(starts), length), bool),
        labels=jnp.zeros((len(starts), length), jnp.int8),
        looked_for=jnp.ones((len(starts), 4), bool),
    )
    count = len(MOTION.names)
    statistics = Normaliser(
        mean=jnp.asarray(draw.normal(size=count), jnp.float32),
        deviation=jnp.asarray(draw.uniform(0.5, 5, count), jnp.float32),
    )
    return frames, statistics


@partial(jax.jit, static_argnames=("noisy", "dtype", "mesh"))
def fused(frames, statistics, noisy=False, dtype=jnp.float32, mesh=None):
    noise = (RECIPE.noise, jax.random.key_data(SEED)) if noisy else None
    return fused_motion(frames, statistics, noise, dtype, mesh, interpret=True)


@partial(jax.jit, static_argnames="noisy")
def plain(frames, statistics, noisy=False):
    return model_inputs(RECIPE, statistics, frames, SEED if noisy else None).flat


@settings(max_examples=15)
@given(
    st.lists(st.integers(0, 4) | st.integers(5, 10**6), min_size=4, max_size=4),
    st.integers(0, 2**31),
    st.booleans(),
    st.sampled_from([1, 3, LENGTH]),
)
def test_it_makes_what_the_operations_make_one_by_one(starts, seed, noisy, length):
    """At a video's beginning, where frames repeat others, too; no tile divides these points."""
    frames, statistics = drawn(starts, seed, length)
    found, wanted = fused(frames, statistics, noisy), np.array(plain(frames, statistics, noisy))
    np.testing.assert_array_equal(found == 0, wanted == 0)
    # The acceleration of frames 0 and 1 is 0. The operations leave a residue, as what is subtracted
    # from itself is computed twice, once as part of a sum.
    none = np.clip(-statistics.mean / statistics.deviation, -CLIP, CLIP)
    none = np.broadcast_to(none, found.shape)
    if noisy:
        none = none + RECIPE.noise * nearly_normal(jax.random.key_data(SEED), found.shape)
    early = np.zeros(found.shape, bool)
    early[np.asarray(frames.frame)[:, MOTION.history :] <= 1, -72:] = True
    early &= wanted != 0
    np.testing.assert_allclose(wanted[early], none[early], atol=0.1)
    wanted[early] = none[early]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=2e-5)


def test_a_gpu_is_given_its_own_instructions():
    """A number that is none passes through these bounds, and not through Triton's."""
    frames, statistics = drawn(range(4), seed=1)
    gpu = AbstractDevice(device_kind="NVIDIA H100", num_cores=None, platform="gpu")
    noise = (RECIPE.noise, jax.random.key_data(SEED))
    run = jax.jit(partial(fused_motion, noise=noise, dtype=jnp.bfloat16))
    with warnings.catch_warnings():
        # Pallas' way to Triton is to go, after these versions.
        warnings.filterwarnings("ignore", "The Pallas Triton backend", DeprecationWarning)
        with jax.sharding.use_abstract_mesh(AbstractMesh((1,), ("one",), abstract_device=gpu)):
            lowered = run.trace(frames, statistics).lower(lowering_platforms=("cuda",))
    text = lowered.as_text()
    for instruction in ("max.NaN.f32", "min.NaN.f32", "dp4a.u32.u32", "lg2.approx.ftz.f32"):
        assert instruction in text


def test_points_that_programs_divide_without_a_rest():
    frames, statistics = drawn(range(32), seed=1, length=8)
    np.testing.assert_allclose(
        fused(frames, statistics, True), plain(frames, statistics, True), rtol=1e-5, atol=2e-5
    )


def test_it_may_write_bfloat16():
    frames, statistics = drawn([0, 1, 2, 70], seed=2)
    found = fused(frames, statistics, True, jnp.bfloat16)
    assert found.dtype == jnp.bfloat16
    exact = fused(frames, statistics, True)
    np.testing.assert_array_equal(found, exact.astype(jnp.bfloat16))


def test_windows_that_devices_share_have_the_same_noise():
    frames, statistics = drawn([0, 9, 1, 70], seed=3)
    mesh = jax.make_mesh((2,), (WINDOWS,), (AxisType.Auto,))
    by_window = NamedSharding(mesh, PartitionSpec(WINDOWS))
    shared = fused(jax.device_put(frames, by_window), statistics, True, mesh=mesh)
    np.testing.assert_array_equal(shared, fused(frames, statistics, True))


class Gpu:
    """What JAX says of a GPU."""

    def __init__(self, capability):
        self.compute_capability = capability


@pytest.mark.parametrize(
    ("backend", "capability", "mixup", "calls"),
    [
        ("cpu", "9.0", 0.0, 0),
        ("gpu", "9.0", 0.0, 1),
        ("gpu", "8.0", 0.0, 1),
        ("gpu", "9.0", 0.2, 1),
        ("gpu", "7.5", 0.0, 0),
        ("gpu", "gfx942", 0.0, 0),
    ],
)
def test_a_gpu_that_has_triton_takes_the_kernel(monkeypatch, backend, capability, mixup, calls):
    """In the dtype of products; windows to be mixed are float32."""
    asked = []

    def instead(frames, normaliser, noise, dtype, mesh):
        asked.append((noise[0], dtype, mesh))
        return fused_motion(frames, normaliser, noise, dtype, None, interpret=True)

    mesh = jax.make_mesh((2,), (WINDOWS,), (AxisType.Auto,))
    recipe = Recipe.from_config(load_config("v6", ["training.precision=bfloat16"]), mesh)
    recipe = dataclasses.replace(recipe, mixup=mixup)
    frames, statistics = drawn([3, 4], seed=4)
    monkeypatch.setattr(recipes, "fused_motion", instead)
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    monkeypatch.setattr(jax, "local_devices", lambda: [Gpu(capability)])
    found = model_inputs(recipe, statistics, frames, SEED)
    dtype = jnp.float32 if mixup else jnp.bfloat16
    assert found.flat.dtype == dtype
    assert asked == [(0.01, dtype, mesh)] * calls


def test_windows_that_devices_cannot_share_are_run_whole():
    frames, statistics = drawn([0, 9, 1], seed=3)
    mesh = jax.make_mesh((2,), (WINDOWS,), (AxisType.Auto,))
    shared = fused(frames, statistics, True, mesh=mesh)
    np.testing.assert_array_equal(shared, fused(frames, statistics, True))


@pytest.mark.parametrize("bad", ["xy", "fps"])
def test_a_number_that_is_none_is_not_missing(bad):
    """It must reach the loss, which names the videos; where it is missing it stays 0."""
    frames, statistics = drawn([7, 3], seed=5)
    broken = getattr(frames, bad).at[1].multiply(jnp.nan)
    if bad == "xy":
        broken = jnp.where(frames.valid[..., None], broken, 0.0)
    frames = frames.replace(**{bad: broken})
    found, wanted = fused(frames, statistics), plain(frames, statistics)
    np.testing.assert_array_equal(jnp.isnan(found), jnp.isnan(wanted))
    assert int(jnp.sum(jnp.isnan(found[1]))) > 100
    assert not jnp.any(jnp.isnan(found[0]))
