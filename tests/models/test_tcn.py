import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from batches import batch, compiled, parameters

from jaxbeh.models import build
from jaxbeh.settings.models import TCNSettings


def test_the_default_has_the_parameters_of_the_formula():
    wanted = 257 * 4
    for i, o in [(131, 64), (64, 128), (128, 256), (256, 256)]:
        convolutions = 3 * i * o + o + 3 * o * o + o
        skipping = 0 if i == o else i * o + o
        wanted += convolutions + 2 * 2 * o + skipping
    assert parameters(TCNSettings(), features=131) == wanted == 854_340


@pytest.mark.parametrize(("blocks", "reach"), [(1, 2), (2, 6), (4, 30)])
def test_an_output_sees_the_frames_of_the_formula_and_no_others(blocks, reach):
    """Two convolutions a block reach 2 · (1 + 2 + 4 + 8) frames either way, from frame 35 of 71."""
    model = build(TCNSettings(channels=(16,) * blocks), 4)
    inputs = batch(windows=2, length=71)
    init = compiled(functools.partial(model.init, train=False))
    variables = init(jax.random.key(0), inputs)

    def middle(flat):
        logits = model.apply(variables, inputs.replace(flat=flat), train=False)
        return jnp.sum(logits[:, 35] * jnp.arange(1.0, 5.0))

    reached = np.abs(compiled(jax.grad(middle))(inputs.flat)).max(axis=(0, 2)) > 0
    np.testing.assert_array_equal(np.flatnonzero(reached), np.arange(35 - reach, 36 + reach))


def test_dropout_drops_a_channel_for_the_whole_window():
    """So that a window of equal frames stays one where the ends are out of reach."""
    model = build(TCNSettings(channels=(16,)), 4)
    inputs = batch(windows=1, length=9)
    inputs = inputs.replace(flat=jnp.broadcast_to(inputs.flat[:, :1], inputs.flat.shape))
    init = compiled(functools.partial(model.init, train=False))
    variables = init(jax.random.key(0), inputs)
    apply = compiled(model.apply, static_argnames="train")
    logits = apply(variables, inputs, train=True, rngs={"dropout": jax.random.key(1)})
    still = apply(variables, inputs, train=False)
    np.testing.assert_allclose(logits[:, 2:7], logits[:, 2:3].repeat(5, 1), rtol=1e-5, atol=1e-5)
    assert np.max(np.abs(logits - still)) > 1e-2
