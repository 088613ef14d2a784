"""Members and their epochs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbeh.training.pairs.members import (
    Members,
    each_member,
    in_turns,
    labs_learnt,
    member_order,
    plan_members,
    together,
)


def test_one_member_a_fold_and_seed():
    members = Members.all(3, 2)
    assert members.fold.tolist() == [0, 1, 2, 0, 1, 2]
    assert members.seed.tolist() == [0, 0, 0, 1, 1, 1]


def test_a_member_has_not_learnt_the_labs_whose_videos_it_all_holds_out():
    learnt = labs_learnt(Members.all(3, 2), (-1, 1, 2))
    of_seed = [[True, True, True, True], [True, True, False, True], [True, True, True, False]]
    assert learnt.tolist() == of_seed * 2
    assert labs_learnt(Members.all(1, 2), ()).tolist() == [[True]] * 2


def test_a_members_key_does_not_depend_on_the_others():
    root = jax.random.key(7)
    of_all = jax.random.key_data(Members.all(3, 2).keys(root, 1))
    alone = Members(fold=np.array([1], np.int32), seed=np.array([1], np.int32))
    assert (jax.random.key_data(alone.keys(root, 1))[0] == of_all[4]).all()
    assert len({tuple(key) for key in np.asarray(of_all).tolist()}) == 6


@pytest.mark.parametrize(("backend", "form"), [("cpu", in_turns), ("gpu", together)])
def test_members_take_turns_on_a_cpu_alone(backend, form, monkeypatch):
    stacked = {"a": jnp.arange(6.0).reshape(3, 2)}, jnp.arange(3.0)

    def scaled(own, scale):
        return own["a"] * scale, {"total": jnp.sum(own["a"])}

    rows, found = each_member(scaled, *stacked)
    assert rows.tolist() == [[0, 0], [2, 3], [8, 10]]
    assert found["total"].tolist() == [1, 5, 9]
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    made = jax.make_jaxpr(lambda *given: each_member(scaled, *given))(*stacked)
    assert str(made) == str(jax.make_jaxpr(lambda *given: form(scaled, *given))(*stacked))
    assert ("scan" in str(made)) == (backend == "cpu")


@pytest.mark.parametrize(("windows", "batch"), [(10, 4), (3, 8), (7, 7), (100, 9)])
def test_an_epoch_shows_each_window_once_if_there_are_enough(windows, batch):
    trained = np.ones((1, windows), np.bool_)
    plan = plan_members(trained, 1, batch, longest_call=3)
    assert plan.steps % plan.steps_per_call == 0
    assert plan.rows <= batch
    order = np.asarray(member_order(plan, jnp.asarray(trained[0]), jax.random.key(0)))
    counts = np.bincount(order.ravel(), minlength=windows)
    assert counts.min() == 1
    assert counts.max() <= 2
    again = np.asarray(member_order(plan, jnp.asarray(trained[0]), jax.random.key(1)))
    assert windows == 1 or (order != again).any()


def test_a_member_never_sees_what_it_holds_out():
    trained = np.arange(50) % 3 != 1
    shared = plan_members(np.stack([trained] * 2), 2, 8, longest_call=1, devices=4)
    assert shared.rows % 4 == 0
    plan = plan_members(np.stack([trained] * 2), 2, 8, longest_call=1)
    assert 0 <= shared.rows - plan.rows < 4
    order = np.asarray(member_order(plan, jnp.asarray(trained), jax.random.key(3))).ravel()
    assert set(order.tolist()) == set(np.flatnonzero(trained).tolist())
