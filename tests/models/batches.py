"""Batches of invented windows, and small models of every kind."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxbeh.models import Inputs, build
from jaxbeh.settings.models import (
    BiLSTMSettings,
    ConvBiLSTMSettings,
    HybridSettings,
    MLPSettings,
    TCNSettings,
    TransformerSettings,
    UNetSettings,
)

MICE, KEYPOINTS, FEATURES, CLASSES = 3, 5, 6, 4

SMALL = {
    "mlp": MLPSettings(hidden=(48, 32), dropout=0.1),
    "conv_bilstm": ConvBiLSTMSettings(channels=(6, 7), hidden=8),
    "tcn": TCNSettings(channels=(8, 16, 16)),
    "transformer": TransformerSettings(width=16, layers=2, heads=2),
    "unet": UNetSettings(width=16, levels=2, attention_layers=1, heads=2),
    "hybrid-bilstm": HybridSettings(
        keypoint_channels=(7, 8), embedding=6, temporal=BiLSTMSettings(hidden=12)
    ),
    "hybrid-transformer": HybridSettings(
        keypoint_channels=(7, 8),
        embedding=12,
        temporal=TransformerSettings(width=32, layers=1, heads=2),
    ),
}

# Less time goes into these programs' running than into their compilation.
compiled = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def small(name):
    return build(SMALL[name], CLASSES)


def in_training(model, params, variables, inputs, key):
    """Logits as a training step has them: with dropout by a key, normalised by the batch."""
    logits, _ = model.apply(
        {"params": params, **variables},
        inputs,
        train=True,
        mutable=["batch_stats"],
        rngs={"dropout": key},
    )
    return logits


def batch(windows=3, length=24, seed=0):
    """Full windows; a third of the keypoints missing, and one window's last mouse throughout."""
    draw = np.random.default_rng(seed)
    points = draw.normal(0, 12, (windows, length, MICE, KEYPOINTS, 2))
    valid = draw.random(points.shape[:-1]) < 0.67
    valid[0, :, MICE - 1] = False
    return Inputs(
        flat=jnp.asarray(draw.normal(size=(windows, length, FEATURES)), jnp.float32),
        points=jnp.asarray(np.where(valid[..., None], points, 0), jnp.float32),
        points_valid=jnp.asarray(valid),
        mask=jnp.ones((windows, length), bool),
    )


def prefix(inputs, lengths):
    """The windows with only their first frames valid; what stands behind them is left there."""
    mask = jnp.arange(inputs.mask.shape[1])[None] < jnp.asarray(lengths)[:, None]
    return inputs.replace(mask=mask)


def refill(inputs, seed):
    """The same windows with something else in their padding."""
    other = jax.tree.map(lambda leaf: leaf[::-1], batch(*inputs.mask.shape, seed + 1))

    def fill(own, foreign):
        valid = inputs.mask.reshape(*inputs.mask.shape, *(1,) * (own.ndim - 2))
        return jnp.where(valid, own, foreign)

    return inputs.replace(
        flat=fill(inputs.flat, 30.0 * other.flat),
        points=fill(inputs.points, 30.0 * other.points),
        points_valid=fill(inputs.points_valid, other.points_valid),
    )


def count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def parameters(settings, features=1, mice=4, keypoints=18):
    """How many a model has at four classes."""
    one = (1, 100, mice, keypoints)
    blank = Inputs(
        flat=jnp.zeros((1, 100, features)),
        points=jnp.zeros((*one, 2)),
        points_valid=jnp.zeros(one, bool),
        mask=jnp.ones((1, 100), bool),
    )
    model = build(settings, 4)
    made = jax.eval_shape(lambda key: model.init(key, blank, train=False), jax.random.key(0))
    return count(made["params"])
