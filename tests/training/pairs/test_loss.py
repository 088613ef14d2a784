"""The loss of tracks, against sums written out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbeh.training.pairs.loss import entry_weights, pair_loss, probabilities

WEIGHTS = (2.0, 3.0, 5.0)
HEAVY = jnp.array(WEIGHTS)


def drawn(seed):
    draw = np.random.default_rng(seed)
    known = draw.random((2, 3)) < 0.6
    seen = (draw.random((2, 4, 3)) < 0.3) & known[:, None]
    mask = draw.random((2, 4)) < 0.8
    return draw.normal(0, 3, (2, 4, 3)).astype(np.float32), seen & mask[..., None], known, mask


def written_out(kind, logits, seen, known, mask):
    missed = weight = 0.0
    for b, t in np.argwhere(mask):
        allowed = np.flatnonzero(known[b])
        values = logits[b, t].astype(float)
        there = [e for e in allowed if seen[b, t, e]]
        if kind == "bce":
            for e in allowed:
                share = 1 / (1 + np.exp(-values[e]))
                heavy = WEIGHTS[e] if e in there else 1.0
                missed -= heavy * np.log(share if e in there else 1 - share)
                weight += heavy
            continue
        whole = 1 + sum(np.exp(values[e]) for e in allowed)
        for e in there:
            missed -= WEIGHTS[e] / len(there) * np.log(np.exp(values[e]) / whole)
            weight += WEIGHTS[e] / len(there)
        if not there:
            missed += np.log(whole)
            weight += 1
    return missed, weight


@pytest.mark.parametrize("kind", ["softmax", "bce"])
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1))
def test_loss_is_what_its_definition_says(kind, seed):
    logits, seen, known, mask = drawn(seed)
    found = pair_loss(kind, *map(jnp.asarray, (logits, seen, known, mask)), HEAVY)
    np.testing.assert_allclose(found, written_out(kind, logits, seen, known, mask), rtol=2e-5)


@pytest.mark.parametrize("kind", ["softmax", "bce"])
def test_what_was_not_looked_for_teaches_nothing(kind):
    logits, seen, known, mask = map(jnp.asarray, drawn(1))

    def loss(values):
        return pair_loss(kind, values, seen, known, mask, HEAVY)[0]

    gradient = np.asarray(jax.grad(loss)(logits))
    assert np.isfinite(gradient).all()
    unknown = ~np.broadcast_to(np.asarray(known)[:, None], gradient.shape)
    assert (gradient[unknown] == 0).all()
    assert (gradient[~np.asarray(mask)] == 0).all()
    assert (gradient != 0).any()
    assert (np.asarray(probabilities(kind, logits, known))[unknown] == 0).all()


def test_a_batch_of_nothing_weighs_nothing():
    nothing = jnp.zeros((1, 2, 3))
    none = jnp.zeros((1, 2, 3), jnp.bool_)
    for kind in ("softmax", "bce"):
        found = pair_loss(kind, nothing, none, none[:, 0], none[..., 0], HEAVY)
        assert tuple(map(float, found)) == (0.0, 0.0)


def test_rare_actions_weigh_more():
    frames = np.array([[10, 1000], [200, 1000], [0, 1000], [0, 0]])
    even = entry_weights(frames, 0.0)
    assert even == (1.0, 1.0, 1.0, 1.0)
    rare, common, unseen, unknown = entry_weights(frames, 0.5)
    assert rare > common > 1.0
    assert unseen == unknown == 1.0
    assert rare / common == pytest.approx(20**0.5)
