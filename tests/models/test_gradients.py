"""The compiled gradients of every model are the slopes of its loss, layer by layer.

A gradient that compares recomputed values (of a maximum, say) can be right where each operation
runs by itself, and wrong once they are compiled together.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from batches import CLASSES, SMALL, batch, in_training, prefix, small
from scipy.special import logsumexp


@pytest.mark.parametrize("name", SMALL)
def test_compiled_gradients_are_slopes(name):
    model, inputs = small(name), prefix(batch(windows=6), [24, 24, 9, 24, 15, 3])
    init = jax.jit(functools.partial(model.init, train=False))
    variables = init(jax.random.key(0), inputs)
    params = variables.pop("params")
    labels = np.random.default_rng(2).integers(0, CLASSES, inputs.mask.shape)
    wanted = jax.nn.one_hot(labels, CLASSES) * inputs.mask[..., None].astype(jnp.float32)
    wanted64 = np.asarray(wanted, np.float64)

    def logits(params):
        return in_training(model, params, variables, inputs, jax.random.key(1))

    def loss(params):
        return -jnp.sum(wanted * jax.nn.log_softmax(logits(params))) / jnp.sum(wanted)

    gradient, compiled = jax.jit(jax.grad(loss))(params), jax.jit(logits)

    def value(params):
        # Summed in float64: a float32 sum is rounded by a fifth of what the smallest steps change.
        found = np.asarray(compiled(params), np.float64)
        surprise = logsumexp(found, axis=-1, keepdims=True) - found
        return np.sum(wanted64 * surprise) / wanted64.sum()

    for layer in gradient:
        own = jax.tree_util.tree_map_with_path(
            lambda path, leaf, layer=layer: leaf * float(path[0].key == layer), gradient
        )
        length = float(jnp.sqrt(sum(jnp.vdot(leaf, leaf) for leaf in jax.tree.leaves(own))))
        if length < 1e-4:
            continue  # such as a bias in front of a normalisation, or what dropout left out

        def along(step, own=own, length=length):
            moved = jax.tree.map(lambda p, g: p + jnp.float32(step / length) * g, params, own)
            return value(moved)

        slopes = [(along(step) - along(-step)) / (2 * step) for step in (1e-3, 3e-4, 1e-4)]
        assert min(abs(slope / length - 1) for slope in slopes) < 0.005, (layer, slopes, length)
