import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxbeh.models.dropout import Dropout, dropout_keys
from jaxbeh.models.random_bits import nearly_normal, uniform_bits, whole_numbers

COUNT = 1 << 18
draw = jax.jit(uniform_bits, static_argnums=1)


def bits_of(seed, shape=(COUNT,)):
    return np.asarray(draw(jnp.asarray(seed, jnp.uint32), shape))


def bit_table(values):
    """0 or 1, `[n, 32]`."""
    return (values[:, None] >> np.arange(32, dtype=np.uint32)) & 1


def test_a_number_is_the_hash_of_its_place_in_order_and_of_the_seed():
    """A known answer, by Python's own integers."""

    def mix(x):
        x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
        x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
        return x ^ (x >> 16)

    first, second = 0xDEADBEEF, 0x01234567
    one = mix(first ^ 0x9E3779B9)
    both = mix(second ^ one)
    step, start = both | 1, mix((one + both) & 0xFFFFFFFF)
    wanted = [mix((index * step + start) & 0xFFFFFFFF) for index in range(24)]
    np.testing.assert_array_equal(bits_of([first, second], (2, 3, 4)).ravel(), wanted)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_every_bit_is_even_and_no_two_bits_or_neighbours_go_together(first, second):
    """Within six standard deviations of a fair coin's share, also for small and equal seeds."""
    table = bit_table(bits_of([first, second]))
    limit = 6 * 0.5 / np.sqrt(COUNT)
    assert abs(table.mean(0) - 0.5).max() < limit
    signs = 2.0 * table - 1
    together = signs.T @ signs / COUNT - np.eye(32)
    assert abs(together).max() < 2 * limit
    neighbours = signs[:-1].T @ signs[1:] / COUNT
    assert abs(neighbours).max() < 2 * limit


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 31), st.integers(0, 1))
def test_seeds_that_differ_in_one_bit_give_unrelated_numbers(seed, bit, word):
    one, other = [seed, 77], [seed, 77]
    other[word] ^= 1 << bit
    same = bit_table(bits_of(one)) == bit_table(bits_of(other))
    assert abs(same.mean(0) - 0.5).max() < 6 * 0.5 / np.sqrt(COUNT)
    # Nor are they the same numbers in another order.
    assert len(np.intersect1d(bits_of(one), bits_of(other))) < 100


def test_nearly_normal_numbers_have_mean_0_and_deviation_1():
    found = np.asarray(nearly_normal(jnp.asarray([3, 4], jnp.uint32), (COUNT,)))
    assert found.dtype == np.float32
    assert abs(found.mean()) < 5 / np.sqrt(COUNT)
    assert abs(found.std() - 1) < 5 / np.sqrt(COUNT)
    assert abs((found**4).mean() - 2.7) < 0.05  # a normal distribution's is 3
    assert abs(found).max() < 3.5


@pytest.mark.parametrize("most", [0, 2, 1000])
def test_whole_numbers_are_equally_likely(most):
    found = np.asarray(whole_numbers(jnp.asarray([8, 9], jnp.uint32), (COUNT,), most))
    assert found.dtype == np.int32
    counts = np.bincount(found + most, minlength=2 * most + 1)
    assert len(counts) == 2 * most + 1
    share = 1 / len(counts)
    assert abs(counts / COUNT - share).max() <= 6 * np.sqrt(share * (1 - share) / COUNT)


def test_numbers_are_the_same_however_devices_share_them_and_under_vmap():
    mesh = jax.make_mesh((2,), ("window",), (AxisType.Auto,))
    seed = jnp.asarray([5, 6], jnp.uint32)
    shared = jax.jit(
        lambda seed: uniform_bits(seed, (6, 4)),
        out_shardings=NamedSharding(mesh, PartitionSpec("window")),
    )
    np.testing.assert_array_equal(shared(seed), bits_of(seed, (6, 4)))
    seeds = jnp.stack([seed, seed + 1])
    members = jax.vmap(lambda seed: uniform_bits(seed, (6, 4)))(seeds)
    for member, own in zip(members, seeds, strict=True):
        np.testing.assert_array_equal(member, bits_of(own, (6, 4)))


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.9])
def test_dropout_drops_its_share_and_keeps_the_mean(rate):
    x = jnp.ones((64, 4096))
    found = np.asarray(Dropout(rate).apply({}, x, rngs={"dropout": jax.random.key(1)}))
    spread = np.sqrt(rate * (1 - rate) / x.size)
    assert abs((found == 0).mean() - rate) < 5 * spread
    np.testing.assert_allclose(found[found != 0], 1 / (1 - rate), rtol=1e-6)


def test_the_slowest_axis_may_be_of_any_length():
    seed = jnp.asarray([5, 6], jnp.uint32)
    short, long = (uniform_bits(seed, (3, rows, 4), slowest=1) for rows in (2, 5))
    np.testing.assert_array_equal(short, long[:, :2])
    assert len(np.unique(long)) == long.size


def test_no_key_is_made_for_dropout_that_draws_nothing():
    """Nor needs there be one to make it from."""
    for rate in (0.0, 1.0):
        assert dropout_keys(nn.Dense(1), rate, calls=3) == [None] * 3


def test_dropout_leaves_all_at_0_nothing_at_1_and_everything_when_deterministic():
    x, rngs = jnp.arange(6.0).reshape(2, 3) + 1, {"dropout": jax.random.key(1)}
    np.testing.assert_array_equal(Dropout(0.0).apply({}, x, rngs=rngs), x)
    np.testing.assert_array_equal(Dropout(1.0).apply({}, x, rngs=rngs), 0 * x)
    np.testing.assert_array_equal(Dropout(0.5, deterministic=True).apply({}, x), x)


def test_dropout_is_the_same_along_broadcast_axes_and_another_for_another_key():
    x = jnp.ones((5, 2, 1000))
    one, other = (
        np.asarray(Dropout(0.5, broadcast_dims=(0,)).apply({}, x, rngs={"dropout": key}))
        for key in jax.random.split(jax.random.key(0))
    )
    assert (one == one[:1]).all()
    assert (one[0, 0] != one[0, 1]).any()
    assert (one != other).any()
