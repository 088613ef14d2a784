import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from batches import compiled, parameters

from jaxbeh.models.attention import rotary_attention, rotate
from jaxbeh.models.transformer import TransformerEncoder
from jaxbeh.settings.models import TransformerSettings


@pytest.mark.parametrize(
    ("features", "wanted"), [(131, 3_194_372), (144, 3_197_700), (288, 3_234_564)]
)
def test_the_default_has_the_parameters_of_the_formula(features, wanted):
    width = 256
    attention = 4 * (width + 1) * width
    forward = (width + 1) * 4 * width + (4 * width + 1) * width
    layers = 4 * (attention + forward + 2 * 2 * width)
    ends = (features + 1) * width + 2 * width + (width + 1) * 4
    assert parameters(TransformerSettings(), features) == layers + ends == wanted


def test_rotation_multiplies_pairs_as_complex_numbers():
    x = jax.random.normal(jax.random.key(0), (2, 300, 3, 8))
    pairs = np.asarray(x[..., 0::2], np.complex128) + 1j * np.asarray(x[..., 1::2])
    for frame in (0, 1, 299):
        for pair in range(4):
            turned = pairs[:, frame, :, pair] * np.exp(1j * frame * 10_000 ** (-2 * pair / 8))
            found = rotate(x)[:, frame, :, 2 * pair : 2 * pair + 2]
            wanted = np.stack([turned.real, turned.imag], -1)
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_a_score_depends_on_the_distance_of_two_frames_alone():
    same = jnp.ones((1, 200, 1, 1))
    query, key = jax.random.normal(jax.random.key(0), (2, 1, 1, 1, 16)) * same
    scores = np.asarray(jnp.einsum("bqhd,bkhd->qk", rotate(query), rotate(key)))
    for distance in (-70, 0, 1, 70):
        along = np.diagonal(scores, distance)
        np.testing.assert_allclose(along, along[0], atol=1e-3)
    assert np.ptp(scores[0]) > 1


def test_attention_is_the_published_formula_over_the_frames_seen():
    query, key, value = jax.random.normal(jax.random.key(0), (3, 2, 6, 3, 4))
    mask = jnp.arange(6) < jnp.array([[6], [2]])
    found = rotary_attention(query, key, value, mask[:, None, None, :])
    turned, to = np.asarray(rotate(query), np.float64), np.asarray(rotate(key), np.float64)
    for window, frames in enumerate((6, 2)):
        for head in range(3):
            scores = turned[window, :, head] @ to[window, :frames, head].T / np.sqrt(4)
            weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
            wanted = weights @ np.asarray(value[window, :frames, head])
            np.testing.assert_allclose(found[window, :, head], wanted, rtol=1e-4, atol=1e-5)


def test_the_order_of_frames_matters_and_where_a_window_starts_does_not():
    """Six frames behind four that are not seen, and the six alone."""
    attention = nn.MultiHeadDotProductAttention(2, attention_fn=rotary_attention)
    x = jax.random.normal(jax.random.key(0), (1, 10, 8))
    seen = (jnp.arange(10) >= 4)[None, None, None]
    variables = compiled(attention.init)(jax.random.key(1), x)
    late = attention.apply(variables, x, mask=seen)[:, 4:]
    alone = attention.apply(variables, x[:, 4:])
    np.testing.assert_allclose(late, alone, rtol=1e-3, atol=1e-5)
    backwards = attention.apply(variables, x[:, :3:-1])[:, ::-1]
    assert np.max(np.abs(alone - backwards)) > 1e-2


def test_a_window_without_a_valid_frame_stays_finite_with_its_gradient():
    encoder = TransformerEncoder(width=8, layers=1, heads=2, dropout=0.0)
    x = jax.random.normal(jax.random.key(0), (2, 5, 3))
    mask = jnp.zeros((2, 5), bool)
    init = compiled(functools.partial(encoder.init, train=False))
    variables = init(jax.random.key(1), x, mask)

    def total(variables, x):
        return jnp.sum(encoder.apply(variables, x, mask, train=False) ** 2)

    value, gradient = compiled(jax.value_and_grad(total, argnums=(0, 1)))(variables, x)
    assert jnp.isfinite(value)
    assert all(jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))
    assert jnp.all(gradient[1] == 0)
