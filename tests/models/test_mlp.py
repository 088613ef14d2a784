import jax
import numpy as np
import pytest
from batches import batch, parameters, small

from jaxbeh.config import load_config


@pytest.mark.parametrize(("features", "wanted"), [(144, 103_940), (288, 140_804)])
def test_v1_has_the_parameters_of_the_formula(features, wanted):
    settings = load_config("v1").model
    dense = (features + 1) * 256 + 257 * 256 + 257 * 4
    assert parameters(settings, features) == dense == wanted


def test_it_is_the_plain_network_of_each_frame():
    inputs, model = batch(), small("mlp")
    variables = model.init(jax.random.key(0), inputs, train=False)
    x = np.asarray(inputs.flat)
    for layer in range(3):
        p = jax.tree.map(np.asarray, variables["params"][f"Dense_{layer}"])
        x = (np.maximum(x, 0) if layer else x) @ p["kernel"] + p["bias"]
    found = model.apply(variables, inputs, train=False)
    np.testing.assert_allclose(found, x, rtol=1e-4, atol=1e-5)
