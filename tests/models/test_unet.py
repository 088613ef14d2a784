import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from batches import CLASSES, batch, compiled, parameters

from jaxbeh.models import build
from jaxbeh.models.unet import halved
from jaxbeh.settings.models import UNetSettings


def made(settings, inputs):
    model = build(settings, CLASSES)
    init = compiled(functools.partial(model.init, train=False))
    return model, init(jax.random.key(0), inputs)


def test_the_default_has_the_parameters_of_the_formula():
    width, features = 192, 131
    levels = 2 * 4 * (5 * width * width + width + 2 * width)
    attention = 4 * (width + 1) * width + (width + 1) * 4 * width + (4 * width + 1) * width
    ends = (features + 1) * width + 2 * width + (width + 1) * 4
    found = parameters(UNetSettings(), features)
    assert found == levels + 2 * (attention + 2 * 2 * width) + ends == 2_395_396


def test_means_of_two_steps_leave_out_what_is_behind_the_window():
    x = jnp.arange(12.0).reshape(6, 1, 2)
    mask = jnp.array([True, True, True, False, False, False])[:, None]
    found, known = halved(x, mask)
    np.testing.assert_array_equal(found[:, 0], [[1, 2], [4, 5], [0, 0]])
    np.testing.assert_array_equal(known[:, 0], [True, True, False])


@pytest.mark.parametrize(("levels", "first", "last"), [(1, 36, 45), (2, 26, 53)])
def test_without_attention_an_output_sees_what_its_convolutions_reach(levels, first, last):
    """Frame 40, with two levels: 38 to 42, as pairs 17 to 23, as fours 8 to 11, and so back down.

    As pairs these are 16 to 23, with their convolution 14 to 25, which are the frames 28 to 51.
    """
    inputs = batch(windows=1, length=80)
    settings = UNetSettings(width=8, heads=2, levels=levels, attention_layers=0)
    model, variables = made(settings, inputs)

    def middle(flat):
        logits = model.apply(variables, inputs.replace(flat=flat), train=False)
        return jnp.sum(logits[:, 40] * jnp.arange(1.0, 5.0))

    reached = np.abs(compiled(jax.grad(middle))(inputs.flat)).max(axis=(0, 2)) > 0
    np.testing.assert_array_equal(np.flatnonzero(reached), np.arange(first, last + 1))


def test_attention_sees_the_whole_window_and_nothing_behind_it():
    inputs = batch(windows=1, length=70)
    inputs = inputs.replace(mask=jnp.arange(70)[None] < 61)
    model, variables = made(UNetSettings(width=16, heads=2), inputs)

    def first(flat):
        logits = model.apply(variables, inputs.replace(flat=flat), train=False)
        return jnp.sum(logits[:, 0] * jnp.arange(1.0, 5.0))

    reached = np.abs(compiled(jax.grad(first))(inputs.flat)).max(axis=(0, 2)) > 0
    np.testing.assert_array_equal(np.flatnonzero(reached), np.arange(61))
