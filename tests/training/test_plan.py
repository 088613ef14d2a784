import jax
import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jaxbeh.training.plan import EpochPlan, deal, epoch_order

SIZES = {
    "windows": st.integers(1, 5000),
    "batch_size": st.integers(1, 512),
    "longest_call": st.integers(1, 64),
}


@given(**SIZES)
@example(windows=1930, batch_size=384, longest_call=64)
@example(windows=226_506, batch_size=384, longest_call=1000)
@example(windows=1, batch_size=1, longest_call=1)
def test_the_numbers_of_an_epoch(windows, batch_size, longest_call):
    plan = EpochPlan.build(windows, batch_size, longest_call)
    assert plan.windows == windows
    assert plan.steps == -(-windows // batch_size)
    most = -(-windows // plan.steps)
    assert most <= plan.rows <= max(batch_size, most)
    assert plan.rows == batch_size or plan.rows % 8 == 0
    assert plan.rows < most + 8
    assert 1 <= plan.steps_per_call <= longest_call
    assert plan.steps % plan.steps_per_call == 0
    larger = range(plan.steps_per_call + 1, min(longest_call, plan.steps) + 1)
    assert all(plan.steps % size for size in larger)


@given(**SIZES, devices=st.integers(1, 40))
@example(windows=1930, batch_size=384, longest_call=64, devices=16)
def test_any_number_of_devices_shares_a_batch_or_the_nearest_sizes(
    windows, batch_size, longest_call, devices
):
    alone = EpochPlan.build(windows, batch_size, longest_call)
    plan = EpochPlan.build(windows, batch_size, longest_call, devices)
    assert (plan.steps, plan.steps_per_call) == (alone.steps, alone.steps_per_call)
    assert plan.rows <= max(batch_size, alone.rows)
    if 8 % devices == 0:
        assert plan == alone
    # What is refused names two sizes, and they are not refused.
    below = plan.rows // devices * devices
    if below != plan.rows:
        for size in (below, below + devices):
            assert (
                not size
                or EpochPlan.build(windows, size, longest_call, devices).rows % devices == 0
            )


@settings(max_examples=8)
@given(
    windows=st.integers(1, 400),
    batch_size=st.sampled_from([1, 2, 7, 8, 32, 100, 384]),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_window_once_an_epoch_spread_evenly(windows, batch_size, seed):
    plan = EpochPlan.build(windows, batch_size, 16)
    order = np.asarray(epoch_order(plan, jax.random.key(seed)))
    assert order.shape == (plan.steps, plan.rows)
    assert order.dtype == np.int32
    assert np.array_equal(np.sort(order[order >= 0]), np.arange(windows))
    sizes = (order >= 0).sum(axis=1)
    assert sizes.max() - sizes.min() <= 1
    assert sizes.max() <= batch_size
    # Padding comes last in a row, and is always −1.
    assert np.all(np.diff((order >= 0).astype(int), axis=1) <= 0)
    assert np.all(order[order < 0] == -1)


def test_few_windows_are_not_left_for_a_step_of_their_own():
    plan = EpochPlan.build(1930, 384, 64)
    assert plan == EpochPlan(windows=1930, steps=6, rows=328, steps_per_call=6)
    sizes = (np.asarray(deal(plan, np.arange(1930, dtype=np.int32))) >= 0).sum(axis=1)
    assert sizes.tolist() == [322, 322, 322, 322, 321, 321]


def test_the_scale_of_v6():
    plan = EpochPlan.build(226_506, 384, 590)
    assert (plan.steps, plan.rows) == (590, 384)


def test_dealing_keeps_the_order():
    plan = EpochPlan.build(10, 4, 1)
    dealt = np.asarray(deal(plan, np.arange(100, 110, dtype=np.int32)))
    assert dealt.tolist() == [[100, 101, 102, 103], [104, 105, 106, -1], [107, 108, 109, -1]]


def test_the_order_depends_on_the_key_only():
    plan = EpochPlan.build(200, 32, 4)
    first, again, other = (np.asarray(epoch_order(plan, jax.random.key(k))) for k in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    compiled = jax.jit(epoch_order, static_argnums=0)(plan, jax.random.key(1))
    assert np.array_equal(first, compiled)
    # How an epoch is cut into steps does not change who comes after whom.
    finer = np.asarray(epoch_order(EpochPlan.build(200, 8, 1), jax.random.key(1)))
    assert np.array_equal(first[first >= 0], finer[finer >= 0])
    assert not np.array_equal(first[first >= 0], np.arange(200))
