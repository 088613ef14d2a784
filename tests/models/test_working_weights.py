"""Copies of weights in the dtype of products: read as models would read the parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from batches import CLASSES, SMALL, batch, compiled, in_training

from jaxbeh.models import build
from jaxbeh.training.working_weights import with_copies, working_copies


@pytest.mark.parametrize("name", SMALL)
def test_logits_and_gradients_are_those_by_the_parameters(name, long):
    if not long and name not in ("conv_bilstm", "hybrid-transformer"):
        pytest.skip("only with --long: these two have every layer that reads weights")
    model, inputs = build(SMALL[name], CLASSES, jnp.bfloat16), batch()
    variables = model.init(jax.random.key(0), inputs, train=False)
    params = variables.pop("params")
    copies = working_copies(params, jnp.bfloat16)
    assert len(jax.tree.leaves(copies)) >= 2

    def loss(params):
        logits = in_training(model, params, variables, inputs, jax.random.key(1))
        return jnp.sum(jnp.sin(logits)), logits

    step = compiled(jax.grad(loss, has_aux=True))
    gradients, logits = step(params)
    by_copies, same = step(with_copies(params, copies))
    np.testing.assert_array_equal(logits, same)
    jax.tree.map(
        lambda one, other: np.testing.assert_array_equal(one, other.astype(jnp.float32)),
        gradients,
        by_copies,
    )


def test_only_weights_of_another_dtype_are_copied():
    params = {"kernel": jnp.full((2, 3), 1 / 3), "bias": jnp.full(3, 1 / 3)}
    copies = working_copies(params, jnp.bfloat16)
    assert copies["bias"] is None
    assert copies["kernel"].dtype == jnp.bfloat16
    read = with_copies(params, copies)
    assert read["bias"] is params["bias"]
    assert read["kernel"] is copies["kernel"]
    assert working_copies(params, jnp.float32) == {"kernel": None, "bias": None}
