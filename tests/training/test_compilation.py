"""How a run's programs are compiled: what of them is a graph of kernels on a GPU."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental import pallas
from tiny import CONV_BILSTM, assembled

from jaxbeh.training import compilation
from jaxbeh.training.compilation import (
    COMPILED_ONCE,
    LOOPS_IN_GRAPHS,
    SIDE_BY_SIDE,
    nests_loops,
)
from jaxbeh.training.devices import Devices


def turns(x):
    return lax.fori_loop(0, 3, lambda _, value: value + 1.0, x)


def until(x):
    return lax.while_loop(lambda value: value < 9.0, lambda value: value + 1.0, x)


def steps(inner):
    return lambda x: lax.scan(lambda value, _: (inner(value), None), x, length=4)[0]


def kernel(x):
    def add(found, made):
        made[...] = lax.fori_loop(0, 3, lambda _, value: value + 1.0, found[...])

    shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
    return pallas.pallas_call(add, out_shape=shape, interpret=True)(x)


@pytest.mark.parametrize(
    ("program", "nested"),
    [
        (jnp.sin, False),
        (turns, False),
        (lambda x: until(turns(x)), False),
        (steps(jnp.sin), False),
        (steps(turns), True),
        (steps(until), True),
        (jax.jit(steps(jax.jit(turns))), True),
        (steps(lambda x: lax.cond(x > 0, turns, jnp.sin, x)), True),
        (steps(lambda x: jax.vmap(turns)(jnp.stack([x, x]))[0]), True),
        (steps(kernel), False),
    ],
)
def test_a_loop_within_a_loop_is_found_but_not_within_a_kernel(program, nested):
    jaxpr = jax.make_jaxpr(program)(jnp.float32(0))
    assert nests_loops(jaxpr.jaxpr) is nested


@pytest.mark.parametrize(
    ("platform", "program", "wanted"),
    [
        ("cpu", steps(jnp.sin), None),
        ("gpu", steps(jnp.sin), SIDE_BY_SIDE | {"extra": True} | LOOPS_IN_GRAPHS),
        ("gpu", steps(turns), SIDE_BY_SIDE | {"extra": True}),
    ],
)
def test_on_a_gpu_kernels_run_side_by_side_and_single_loops_are_in_graphs(
    platform, program, wanted
):
    mesh = SimpleNamespace(devices=np.array([SimpleNamespace(platform=platform)]))
    devices = replace(Devices.all(), mesh=mesh)
    found = compilation.options(devices, jax.make_jaxpr(program)(0.0).jaxpr, {"extra": True})
    assert found == wanted


@pytest.mark.parametrize(
    ("model", "nested"), [(CONV_BILSTM, True), (("model={name: mlp, hidden: [8]}",), False)]
)
def test_a_step_nests_loops_if_it_has_a_recurrence_in_float32(model, nested, monkeypatch):
    found = []

    def options(_, jaxpr, extra):
        assert extra == COMPILED_ONCE
        found.append(nests_loops(jaxpr))

    monkeypatch.setattr(compilation, "options", options)
    assembled("training.precision=float32", model=model)
    assert found == [nested, nested, False, False]  # training, validation, first state, order


@pytest.mark.parametrize("options", [SIDE_BY_SIDE, COMPILED_ONCE, LOOPS_IN_GRAPHS])
def test_this_jaxlib_knows_the_options(options):
    jax.jit(jnp.sin).lower(0.0).compile(options)


def test_only_draws_outside_loops_are_calls_of_a_finished_kernel_on_a_gpu(monkeypatch):
    """Lowered as for a GPU, and compiled as ever; outside, JAX's setting is as it was."""
    lowered = {}
    lower = jax.stages.Traced.lower

    def both(traced):
        lowered[traced.fun_name] = lower(traced, lowering_platforms=("cuda",)).as_text()
        return lower(traced)

    monkeypatch.setattr(jax.stages.Traced, "lower", both)
    assembled("model={name: mlp, hidden: [8], dropout: 0.5}", model=())
    kernel = "cu_threefry2x32_ffi"
    found = {name: (kernel in text, "shift_left" in text) for name, text in lowered.items()}
    assert found["init_state"] == found["order_of_epoch"] == (True, False)
    assert found["train_steps"] == (False, True)
    assert not jax.config.values["jax_threefry_gpu_kernel_lowering"]
