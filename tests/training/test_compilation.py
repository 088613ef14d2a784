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
from jaxbeh.training.compilation import LOOPS_IN_GRAPHS, SIDE_BY_SIDE, nests_loops
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
        ("gpu", steps(jnp.sin), SIDE_BY_SIDE | LOOPS_IN_GRAPHS),
        ("gpu", steps(turns), SIDE_BY_SIDE),
    ],
)
def test_on_a_gpu_kernels_run_side_by_side_and_single_loops_are_in_graphs(
    platform, program, wanted
):
    mesh = SimpleNamespace(devices=np.array([SimpleNamespace(platform=platform)]))
    devices = replace(Devices.all(), mesh=mesh)
    assert compilation.options(devices, jax.make_jaxpr(program)(0.0).jaxpr) == wanted


@pytest.mark.parametrize(
    ("model", "nested"), [(CONV_BILSTM, True), (("model={name: mlp, hidden: [8]}",), False)]
)
def test_a_step_nests_loops_if_it_has_a_recurrence_in_float32(model, nested, monkeypatch):
    found = []

    def options(_, jaxpr):
        found.append(nests_loops(jaxpr))

    monkeypatch.setattr(compilation, "options", options)
    assembled("training.precision=float32", model=model)
    assert found == [nested, nested, False, False]  # training, validation, first state, order
