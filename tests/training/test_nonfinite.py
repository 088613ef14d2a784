"""Updates that are no numbers: a run ends at the epoch, or leaves them out and counts them."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tiny import StopAfter, assembled, run

from jaxbeh.errors import RunError
from jaxbeh.training import assemble as building
from jaxbeh.training import nonfinite
from jaxbeh.training.checkpoints import Checkpoints, leaves_of
from jaxbeh.training.frames import Resident
from jaxbeh.training.run_folder import RunFolder

SKIP = "training.skip_nonfinite=true"
PLAIN = ("model={name: mlp, hidden: [8]}", "augmentation.jitter=0", "training.batch_size=4")
WITH_BATCH_NORM = ("model.channels=[4]", "model.hidden=4", "model.lstm_layers=1")


def small(*overrides):
    return assembled(*PLAIN, *overrides, model=())


def with_a_bad_video(made, index=1):
    """The same run, but one training video's scale is no number: its every centimetre is NaN."""
    scale = np.asarray(made.frames.train.scale).copy()
    scale[index] = np.nan
    store = made.frames.train.replace(scale=made.devices.put(scale))
    return with_stores(made, store, made.frames.validation)


def with_stores(made, train, validation):
    frames = Resident(train, validation, made.devices, whole=True)
    return dataclasses.replace(made, frames=frames)


def bad_steps(made, epoch):
    """The steps of an epoch whose batch holds a window of the bad video."""
    first = jnp.int32(epoch * made.plan.steps)
    order = np.asarray(made.programs.shuffle(made.root, first))
    video = np.asarray(made.frames.train.windows)[:, 0]
    return [
        epoch * made.plan.steps + row
        for row, windows in enumerate(order)
        if (video[windows[windows >= 0]] == 1).any()
    ]


def test_a_run_ends_at_the_epoch_and_says_which_step_rate_and_videos(tmp_path):
    config, dataset, made = small("training.epochs=3")
    run(made, config, dataset, tmp_path, stop=StopAfter(made.plan.steps))
    broken = with_a_bad_video(made)
    before = Checkpoints(tmp_path / "checkpoints", print).latest()
    with pytest.raises(RunError) as caught:
        run(broken, config, dataset, tmp_path)
    said = str(caught.value)
    step = bad_steps(broken, 1)[0]
    assert f"not finite in step {step + 1} (epoch 2, learning rate {made.rate(step):.2e})" in said
    named = re.search(r"of the videos ([0-9, ]+)\.", said)[1].split(", ")
    row = np.asarray(made.programs.shuffle(made.root, jnp.int32(step)))[step % made.plan.steps]
    videos = np.asarray(made.frames.train.windows)[row[row >= 0], 0]
    assert named == [made.videos[index] for index in sorted(set(videos.tolist()))]
    assert made.videos[1] in named
    for remedy in (
        "jaxbeh doctor",
        "learning_rate",
        "skip_nonfinite",
        "--run OTHER, and --init-from",
    ):
        assert remedy in said
    assert str(tmp_path / "checkpoints") in said
    assert [line["epoch"] for line in RunFolder(tmp_path).metrics()] == [1]
    kept = Checkpoints(tmp_path / "checkpoints", print).latest()
    assert (kept.step, kept.sha256) == (before.step, before.sha256)


def test_a_stop_in_the_middle_saves_no_broken_state(tmp_path):
    config, dataset, made = small("training.epochs=3")
    broken = with_a_bad_video(made)
    first = building.first_snapshot(made, dataset)
    checkpoints = Checkpoints(tmp_path / "checkpoints", print)
    checkpoints.save(0, leaves_of(first), -1.0)
    checkpoints.close()
    with pytest.raises(RunError, match="not finite in step") as caught:
        run(broken, config, dataset, tmp_path, stop=StopAfter(bad_steps(broken, 0)[0] + 1))
    assert "--init-from" not in str(caught.value)  # there is no epoch to begin from
    assert Checkpoints(tmp_path / "checkpoints", print).latest().step == 0


def test_skipped_updates_change_nothing_and_are_counted(tmp_path):
    config, dataset, made = small("training.epochs=2", SKIP)
    run(made, config, dataset, tmp_path, stop=StopAfter(made.plan.steps))
    broken = with_a_bad_video(made)
    bad = bad_steps(broken, 1)
    assert 0 < len(bad) < made.plan.steps
    loop = run(broken, config, dataset, tmp_path)
    assert int(loop.epoch) == 2
    lines = RunFolder(tmp_path).metrics()
    assert [line["skipped_updates"] for line in lines] == [0, len(bad)]
    assert all(np.isfinite([line["train_loss"], line["val_loss"]]).all() for line in lines)
    kept = Checkpoints(tmp_path / "checkpoints", print).latest()
    assert kept.step == 2 * made.plan.steps
    assert all(np.isfinite(leaf).all() for leaf in kept.leaves.values())


def stepped(made, snapshot, times):
    put = made.devices.put
    state, sums, normaliser = put((snapshot.train, snapshot.sums, snapshot.normaliser))
    order = made.programs.shuffle(made.root, state.step)
    scale = put(snapshot.loop.rate_scale)
    for _ in range(times):
        state, sums = made.programs.train(
            state, sums, made.frames.train, order, normaliser, made.root, scale
        )
    return jax.device_get(state), jax.device_get(sums)


def test_parameters_moments_and_statistics_stay_and_step_and_rate_go_on():
    _, dataset, made = assembled(SKIP, *PLAIN[1:], model=WITH_BATCH_NORM)
    first = building.first_snapshot(made, dataset)
    broken = with_a_bad_video(made)
    step = bad_steps(broken, 0)[0]
    before, _ = stepped(made, first, step) if step else (first.train, None)
    after, sums = stepped(broken, first, step + 1)
    for part in ("params", "batch_stats"):
        old, new = leaves_of(getattr(before, part)), leaves_of(getattr(after, part))
        assert old
        assert all(np.array_equal(old[path], new[path]) for path in old), part
    assert int(after.step) == step + 1
    assert (int(sums.skipped), int(sums.first_nonfinite)) == (1, step)

    def counts(state):
        parts = jax.tree.leaves(
            state.opt_state, is_leaf=lambda x: isinstance(x, optax.ScaleByScheduleState)
        )
        return [int(x.count) for x in parts if isinstance(x, optax.ScaleByScheduleState)]

    assert counts(after) == [step + 1]
    moments = [
        (old, new)
        for (path, old), new in zip(
            leaves_of(before.opt_state).items(), leaves_of(after.opt_state).values(), strict=True
        )
        if "mu" in path or "nu" in path
    ]
    assert len(moments) > 10
    assert all(np.array_equal(old, new) for old, new in moments)


def test_without_bad_updates_the_option_changes_nothing():
    """But the rounding of another program."""
    trained = []
    for overrides in ((), (SKIP,)):
        _, dataset, made = small(*overrides)
        state, sums = stepped(made, building.first_snapshot(made, dataset), 4)
        trained.append((leaves_of((state, sums.loss)), int(sums.skipped)))
    (plain, none), (skipping, none_either) = trained
    assert (none, none_either) == (0, 0)
    for path in plain:
        np.testing.assert_allclose(skipping[path], plain[path], rtol=1e-5, atol=1e-6)


def test_an_epoch_without_any_update_ends_the_run_all_the_same(tmp_path):
    config, dataset, made = small("training.epochs=2", SKIP)
    run(made, config, dataset, tmp_path, stop=StopAfter(made.plan.steps))
    with pytest.raises(RunError, match="no update is left"):
        run(with_a_bad_video(made, slice(None)), config, dataset, tmp_path)


def test_counts_of_an_epoch_survive_a_stop_in_its_middle(tmp_path):
    config, dataset, made = small("training.epochs=1", SKIP)
    broken = with_a_bad_video(made)
    first = building.first_snapshot(made, dataset)
    checkpoints = Checkpoints(tmp_path / "checkpoints", print)
    checkpoints.save(0, leaves_of(first), -1.0)
    checkpoints.close()
    bad = bad_steps(broken, 0)
    run(broken, config, dataset, tmp_path, stop=StopAfter(bad[0] + 1))
    middle = Checkpoints(tmp_path / "checkpoints", print).latest()
    assert (middle.step, int(middle.leaves["sums.skipped"])) == (bad[0] + 1, 1)
    run(broken, config, dataset, tmp_path)
    assert RunFolder(tmp_path).metrics()[0]["skipped_updates"] == len(bad)


def test_a_rate_out_of_all_bounds_is_named(tmp_path):
    config, dataset, made = small("optimizer.learning_rate=1e30", "schedule.name=constant")
    with pytest.raises(RunError, match=r"learning rate 1\.00e\+30"):
        run(made, config, dataset, tmp_path)


def test_a_validation_loss_that_is_no_number_ends_the_run(tmp_path):
    config, dataset, made = small("training.epochs=2")
    scale = np.full_like(np.asarray(made.frames.validation.scale), np.nan)
    store = made.frames.validation.replace(scale=made.devices.put(scale))
    with pytest.raises(
        RunError, match=r"validation loss is nan after epoch 1.*learning_rate.*jaxbeh doctor"
    ):
        run(with_stores(made, made.frames.train, store), config, dataset, tmp_path)


def test_many_videos_are_named_in_part():
    assert nonfinite.listed(["v4", "v5", "v5"]) == "v4, v5"
    videos = [f"v{number}" for number in range(50)]
    assert nonfinite.listed(videos) == ", ".join(videos[:10]) + " and 40 more"
