"""What makes the step slow without making it wrong: dtypes, copies, transfers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import assembled
from watching import pointers

from jaxbeh.training import assemble as building
from jaxbeh.training.programs import train_steps


@functools.cache
def ready(precision):
    """A run's programs and the arguments of a training call, on the device."""
    _, dataset, made = assembled(f"training.precision={precision}")
    first = building.first_snapshot(made, dataset)
    put = made.devices.put
    state, sums, normaliser = put((first.train, first.sums, first.normaliser))
    order = made.programs.shuffle(made.root, state.step)
    scale = put(first.loop.rate_scale)
    return made, (state, sums, made.frames.train, order, normaliser, made.root, scale)


def copied(arguments):
    """The same arguments with a state and sums that a call may consume."""
    state, sums, *rest = arguments
    return jax.tree.map(jnp.copy, state), jax.tree.map(jnp.copy, sums), *rest


@functools.cache
def compiled(precision):
    made, _ = ready(precision)
    return made.programs.train.as_text()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_no_number_is_of_double_precision(precision):
    for program in vars(ready(precision)[0].programs).values():
        assert "f64[" not in program.as_text()
    assert "f32[" in compiled(precision)


def test_products_are_of_the_precision_that_is_set():
    """A CPU computes bfloat16 products in float32, but rounds what goes in."""
    assert "bf16[" in compiled("bfloat16")
    assert "bf16[" not in compiled("float32")
    assert ready("auto")[0].recipe.model.dtype == jnp.float32  # on a CPU


def test_what_a_run_keeps_is_float32_whatever_the_precision():
    made, arguments = ready("bfloat16")
    state, sums = made.programs.train(*copied(arguments))
    kept = jax.tree.leaves((state.params, state.batch_stats, state.opt_state, sums))
    assert {leaf.dtype.name for leaf in kept} == {"float32", "int32"}
    assert {leaf.dtype.name for leaf in jax.tree.leaves(state.params)} == {"float32"}


@pytest.mark.parametrize(("precision", "copied"), [("float32", False), ("bfloat16", True)])
def test_weights_are_converted_where_they_are_updated(precision, copied):
    """The loop carries what products read: no step converts a weight."""
    made, arguments = ready(precision)
    steps = functools.partial(train_steps, made.recipe, optax.identity(), made.turn, made.devices)
    state = arguments[0].replace(opt_state=optax.identity().init(arguments[0].params))
    (loop,) = [
        equation
        for equation in jax.make_jaxpr(steps)(state, *arguments[1:]).eqns
        if equation.primitive.name == "scan"
    ]
    carried = [variable.aval for variable in loop.outvars]
    wanted = [leaf.shape for leaf in jax.tree.leaves(state.params) if leaf.ndim > 1]
    found = [aval.shape for aval in carried if aval.dtype == jnp.bfloat16]
    assert found == (wanted if copied else [])
    body = loop.params["jaxpr"].jaxpr
    read = halved(body, [variable for variable in body.invars if variable.aval.ndim > 1])
    assert read == []


def halved(jaxpr, variables):
    """Shapes of those of some variables that a program converts to bfloat16."""
    found = []
    for equation in jaxpr.eqns:
        given = [
            at for at, value in enumerate(equation.invars) if any(value is one for one in variables)
        ]
        if given and equation.params.get("new_dtype") == jnp.bfloat16:
            found.append(equation.invars[0].aval.shape)
        inner = getattr(equation.params.get("jaxpr"), "jaxpr", None)
        if given and inner is not None:
            found += halved(inner, [inner.invars[at] for at in given])
    return found


def test_half_precision_trains_alike():
    losses = {}
    for precision in ("float32", "bfloat16"):
        made, arguments = ready(precision)
        state, sums, *rest = copied(arguments)
        for _ in range(4):
            state, sums = made.programs.train(state, sums, *rest)
        losses[precision] = float(sums.loss) / float(sums.weight)
    # Different, or the setting would do nothing; alike, by the 2⁻⁸ that bfloat16 is right to.
    assert losses["float32"] != losses["bfloat16"]
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=2**-8)


def test_the_state_is_updated_in_place():
    """Every leaf of the state and the sums takes the memory of the one before it."""
    made, arguments = ready("float32")
    state, sums, *rest = copied(arguments)
    leaves = jax.tree.leaves((state, sums))
    held = {pointer for leaf in leaves for pointer in pointers(leaf)}
    made_of = jax.tree.leaves(made.programs.train(state, sums, *rest))
    assert all(leaf.is_deleted() for leaf in leaves)
    assert {pointer for leaf in made_of for pointer in pointers(leaf)} == held


def test_a_call_moves_nothing_to_the_device():
    made, arguments = ready("float32")
    state, sums, *rest = copied(arguments)
    with jax.transfer_guard("disallow"):
        state, sums = made.programs.train(state, sums, *rest)
        with pytest.raises(Exception, match=r"[Dd]isallowed host-to-device transfer"):
            made.programs.train(state, sums, *rest[:-1], np.float32(1))
