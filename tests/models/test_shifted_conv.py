import jax
import jax.numpy as jnp
import numpy as np
import pytest
from batches import compiled

from jaxbeh.models.shifted_conv import ShiftedConv


@pytest.mark.parametrize(
    ("dilation", "taps"), [(1, 3), (2, 3), (4, 3), (8, 3), (1, 5), (3, 5), (2, 1)]
)
@pytest.mark.parametrize(
    ("length", "inputs", "backend"),
    [(3, 5, "cpu"), (19, 5, "cpu"), (19, 12, "cpu"), (3, 12, "cpu"), (19, 12, "gpu")],
)
def test_it_is_a_dilated_convolution_with_its_gradients(
    length, inputs, backend, dilation, taps, monkeypatch
):
    """With fewer inputs than its 7 outputs it shifts them, with more it shifts the products."""
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    x = jax.random.normal(jax.random.key(0), (length, 2, inputs))
    mask = jax.random.bernoulli(jax.random.key(3), 0.7, (length, 2))
    conv = ShiftedConv(7, dilation, taps)
    params = conv.init(jax.random.key(1), x, mask)["params"]
    slope = jax.random.normal(jax.random.key(2), (length, 2, 7))

    def own(params, x):
        return conv.apply({"params": params}, x, mask)

    def wanted(params, x):
        found = jax.lax.conv_general_dilated(
            jnp.swapaxes(jnp.where(mask[..., None], x, 0.0), 0, 1),
            params["kernel"],
            window_strides=(1,),
            padding=[(taps // 2 * dilation,) * 2],
            rhs_dilation=(dilation,),
            dimension_numbers=("NWC", "WIO", "NWC"),
        )
        return jnp.swapaxes(found, 0, 1) + params["bias"]

    def both(function):
        @compiled
        def of(params, x):
            out, back = jax.vjp(function, params, x)
            return out, back(slope)

        return of(params, x)

    jax.tree.map(
        lambda left, right: np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-5),
        both(own),
        both(wanted),
    )
