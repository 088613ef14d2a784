"""The programs of pairs: members together and alone, what is held out, what is masked."""

from functools import cache

import jax
import numpy as np
import pytest
from tiny_pairs import host, tiny_config, tiny_dataset

from jaxbeh.training.fetch import fetch
from jaxbeh.training.pairs import assemble as building
from jaxbeh.training.pairs.members import Members
from jaxbeh.training.pairs.programs import NOT_JUDGED, judged_windows

DATASET = tiny_dataset(tiny_config())


@cache
def trained(fold=None, seed=None, steps=4):
    """State after some steps of all four members, or of one, and what it says of what it held out.

    As it follows from settings and data.
    """
    members = None
    if fold is not None:
        members = Members(fold=np.array([fold], np.int32), seed=np.array([seed], np.int32))
    made = building.assemble(tiny_config(), DATASET, members=members)
    programs, snapshot = building.with_data(made), building.first_snapshot(made)
    put = made.devices.put
    state, sums = put((snapshot.train, snapshot.sums))
    order = programs.shuffle(made.root, state.step)
    scale = put(np.float32(1))
    for _ in range(steps):
        state, sums = programs.train(state, sums, made.data, order, None, made.root, scale)
    judged = building.validation_of(made, DATASET, "score").launch(state)
    return made, host(fetch(state)), host(fetch(judged)), host(order)


@pytest.mark.parametrize(("fold", "seed"), [(0, 0), (1, 0), (1, 1)])
def test_a_member_among_others_is_the_one_trained_alone(fold, seed):
    _, together, judged, order = trained()
    _, alone, judged_alone, order_alone = trained(fold, seed)
    row = 2 * seed + fold
    assert (order[:, row] == order_alone[:, 0]).all()
    for kind in ("params", "average"):
        pairs = zip(
            jax.tree.leaves(getattr(together, kind)),
            jax.tree.leaves(getattr(alone, kind)),
            strict=True,
        )
        for several, one in pairs:
            np.testing.assert_allclose(several[row], one[0], rtol=0, atol=5e-6)
    own = judged_alone.decisions[-1] != NOT_JUDGED
    same = judged.decisions[seed][own] == judged_alone.decisions[-1][own]
    assert own.any()
    assert same.mean() > 0.99  # where two are equally likely, rounding may decide


def test_members_differ_in_all_that_is_drawn():
    _, state, _, order = trained()
    leaf = max(jax.tree.leaves(state.params), key=np.size)
    for one in range(4):
        for other in range(one):
            assert (leaf[one] != leaf[other]).mean() > 0.9
            assert (order[:, one] != order[:, other]).any()


def test_members_see_only_windows_of_other_folds():
    made, _, _, order = trained()
    track = np.asarray(made.data.store.windows)[order, 0]
    fold = DATASET.track_fold[track]
    assert (fold != made.members.fold[None, :, None]).all()


def test_every_place_of_the_grid_is_judged_by_each_seed():
    _, _, judged, _ = trained()
    assert judged.decisions.shape[0] == 2
    assert (judged.decisions != NOT_JUDGED).all()
    assert judged.decisions.max() < len(DATASET.vocabulary)


def test_windows_to_judge_are_dealt_once_to_the_members_that_held_them_out():
    windows = np.array([[0, 0, 0], [0, 8, 8], [1, 0, 0], [2, 0, 0], [2, 8, 8]], np.int32)
    fold = np.array([0, 1, 0], np.int32)
    table = judged_windows(windows, fold, Members.all(2, 1), 3, first=100)
    assert table.shape == (2, 2, 2)
    assert sorted(table[:, 0].ravel().tolist()) == [100, 101, 103, 104]
    assert sorted(table[:, 1].ravel().tolist()) == [-1, -1, -1, 102]


def test_an_epochs_line_tells_of_every_action_and_lab():
    made, _, judged, _ = trained()
    line = building.validation_of(made, DATASET, "val_official_f").summarise(judged)
    assert set(line["val_f1"]) == {"rear", "mount", "sniff"}
    assert set(line["val_labs"]) == {"a", "b"}
    assert 0 <= line["val_official_f"] <= 1
    assert np.isfinite(line["val_loss"])


@pytest.mark.parametrize("skip", [False, True])
def test_an_update_that_is_no_number_is_noted_and_can_be_skipped_by_its_member_alone(skip):
    """The first video, which one fold trains on, has no scale: its every centimetre is NaN."""
    config = tiny_config(f"training.skip_nonfinite={str(skip).lower()}")
    made = building.assemble(config, DATASET)
    programs, snapshot = building.with_data(made), building.first_snapshot(made)
    put = made.devices.put
    scale = np.asarray(made.data.store.scale).copy()
    scale[0] = np.nan
    data = made.data.replace(store=made.data.store.replace(scale=put(scale)))
    state, sums = put((snapshot.train, snapshot.sums))
    order = programs.shuffle(made.root, state.step)
    video = np.asarray(data.store.tracks)[np.asarray(data.store.windows)[:, 0], 0]
    dealt = np.asarray(order)
    bad = ((video[dealt] == 0) & (dealt >= 0)).any(axis=-1)
    for _ in range(len(bad)):
        state, sums = programs.train(state, sums, data, order, None, made.root, put(np.float32(1)))
    assert int(sums.skipped) == (bad.any(axis=1).sum() if skip else 0)
    assert int(sums.first_nonfinite) == np.flatnonzero(bad.any(axis=1))[0]
    finite = np.array(
        [
            [np.isfinite(member).all() for member in np.asarray(leaf)]
            for leaf in jax.tree.leaves(state.params)
        ]
    ).all(axis=0)
    assert finite.tolist() == (np.ones(4, bool) if skip else ~bad.any(axis=0)).tolist()
