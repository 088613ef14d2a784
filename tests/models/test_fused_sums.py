"""The kernel run by Pallas' interpreter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbeh.models.fused_sums import ordered_sums


@pytest.mark.parametrize("rows", [1, 37, 256])
def test_sums_are_over_steps_and_rows_and_the_gates_stay(rows):
    """Of whole blocks and of less."""
    gates = jax.random.normal(jax.random.key(rows), (4, rows, 128)).astype(jnp.bfloat16)
    after, sums = jax.jit(ordered_sums, static_argnums=2)(gates, jnp.zeros((4, rows, 8)), True)
    np.testing.assert_array_equal(after, gates)
    wanted = np.asarray(gates, np.float64).sum((0, 1))
    np.testing.assert_allclose(sums, wanted, rtol=1e-5, atol=1e-4)


def test_the_sums_come_before_what_uses_the_gates_and_behind_what_must_be_first():
    """One call takes both and gives both: no graph can run them in another order."""
    gates, first = jnp.zeros((2, 8, 64), jnp.bfloat16), jnp.zeros((2, 8, 8))
    equations = jax.make_jaxpr(ordered_sums)(gates, first).jaxpr.eqns
    (call,) = [one for one in equations if one.primitive.name == "pallas_call"]
    assert [one.aval.shape for one in call.invars] == [(16, 64), (2, 8, 8)]
    assert [one.aval.shape for one in call.outvars] == [(16, 64), (64,)]
    assert call.params["input_output_aliases"] == ((0, 0),)
