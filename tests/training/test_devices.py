"""Several devices, simulated: the losses and statistics of one, wherever the frames are."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from recordings import SEVEN, recording, wander
from tiny import assembled, run
from watching import compiled_to_train

from jaxbeh.data.scene import Labels
from jaxbeh.data.store import Scene, build_store, gather, nbytes, window_table
from jaxbeh.errors import RunError
from jaxbeh.training import assemble as building
from jaxbeh.training.devices import Devices
from jaxbeh.training.plan import EpochPlan
from jaxbeh.vocabulary import SlotTable
from tests.conftest import xla_flags

HERE = Path(__file__).resolve()
SIX_STEPS = HERE.parent / "six_steps.py"


def eight(*words):
    """Run `six_steps.py` in a process that sees eight CPU devices; what it prints as JSON."""
    environment = {
        **os.environ,
        "XLA_FLAGS": xla_flags(devices=8),
        "PYTHONPATH": os.pathsep.join(map(str, (HERE.parents[2], HERE.parents[1]))),
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SIX_STEPS), *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=HERE.parents[2],
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def one():
    return eight("train", 1, "whole")


@pytest.mark.parametrize("held", ["whole", "cut"])
def test_eight_devices_give_the_losses_of_one(one, held):
    many = eight("train", 8, held)
    assert many["devices"] == 8
    assert many["points_on_each"] == one["points"] * (1 if held == "whole" else 1 / 8)
    assert many["windows_on_each"] == 1
    np.testing.assert_allclose(many["losses"], one["losses"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(many["mean"], one["mean"], atol=1e-5)
    np.testing.assert_allclose(many["statistics"], one["statistics"], atol=1e-5)
    assert many["confusion"] == one["confusion"]


def test_rows_of_padding_change_nothing():
    one, three = eight("padded", 1, 3)
    assert [side["windows_on_each"] * side["devices"] for side in (one, three)] == [40, 48]
    np.testing.assert_allclose(three["losses"], one["losses"], rtol=0, atol=1e-5)
    assert three["confusion"] == one["confusion"]


def test_a_checkpoint_moves_between_one_and_eight_devices(tmp_path, long):
    if not long:
        pytest.skip("only with --long: six processes; test_same_losses.py moves one between two")
    there = eight("resume", 1, tmp_path / "there", 1, 8)
    back = eight("resume", 1, tmp_path / "back", 8, 1)
    straight = eight("resume", 1, tmp_path / "straight", 1, 1)
    for moved in (there, back):
        assert moved["epochs"] == [1, 2]
        # Means of whole epochs, ten updates and more: Adam makes rounding of gradients near 0 into
        # steps as long as any other.
        np.testing.assert_allclose(moved["losses"], straight["losses"], rtol=1e-4)


def test_a_batch_that_cannot_be_shared_is_refused_with_the_nearest_sizes():
    devices = Devices.of(jax.devices()[:2])
    plan = EpochPlan.build(windows=21, batch_size=7, longest_call=1)
    assert plan.rows == 7
    with pytest.raises(RunError, match=r"batches of 7 windows .* by 2 devices; 6 or 8 can"):
        devices.require_shared(plan)
    with pytest.raises(RunError, match=r"training\.batch_size"):
        assembled("training.batch_size=1")


def test_what_is_gathered_from_blocks_is_what_is_gathered_whole():
    """Videos of any length, blocks that end within a frame."""
    lengths = (1, 33, 7, 90)
    made = [
        Scene(
            recording(wander(count, seed=count), video_id=str(count)),
            Labels(values=(np.arange(count) % 3).astype(np.int8), looked_for=np.ones(3, np.bool_)),
        )
        for count in lengths
    ]
    windows = window_table(lengths, 16, 8)
    windows = windows[: len(windows) // 2 * 2]
    store = build_store(made, SlotTable.build(SEVEN, {}), windows)
    devices = Devices.of(jax.devices()[:2])
    index = np.arange(len(windows), dtype=np.int32)
    look = jax.jit(gather, static_argnums=(3, 4))
    whole, cut = (
        look(devices.place(store, whole), index, np.zeros_like(index), 16, 2)
        for whole in (True, False)
    )
    for left, right in zip(jax.tree.leaves(whole), jax.tree.leaves(cut), strict=True):
        np.testing.assert_array_equal(left, right)


def test_frames_are_cut_where_they_do_not_fit_and_the_step_counts():
    with compiled_to_train(building):
        config, dataset, made = assembled()
    budget = made.budget
    assert budget.available == made.devices.memory < np.inf  # the machine's, on a CPU
    assert budget.step > 0
    held = nbytes(made.frames.train) + nbytes(made.frames.validation)
    assert budget.frames == held
    blocks = sum(
        store.points.nbytes + store.labels.nbytes
        for store in (made.frames.train, made.frames.validation)
    )

    def within(memory):
        with compiled_to_train(building):
            return building.assemble(config, dataset, replace(made.devices, memory=memory))

    assert within(held + budget.step).frames.train.mesh is None
    cut = within(held + budget.step - 1)
    assert cut.frames.train.mesh is cut.frames.validation.mesh is made.devices.mesh
    points = cut.frames.train.points
    assert points.addressable_shards[0].data.shape[0] * 2 == len(points)
    assert cut.budget.frames == held - blocks // 2


SMALL = """
import sys
from jaxbeh.training import devices
memory = float(sys.argv.pop())
devices._memory = lambda _: memory
from jaxbeh.train import main
main()
"""
BUDGET = r"Memory of a device: ([0-9.]+) MB for frames, ([0-9.]+) MB for a step, of ([0-9.]+) MB"


def test_the_command_says_what_memory_is_taken_and_cuts_the_frames_by_itself(python, tmp_path):
    """Where all frames fit beside a step, where only half of them do, and where nothing does."""
    words = ("--config", "debug", "--set", "model={name: mlp, hidden: [8]}")
    words = (*words, "--set", "training.epochs=1", "--run")

    def call(name, memory):
        done = python("-c", SMALL, *words, tmp_path / name, memory, timeout=300)
        return done, " ".join(done.stdout.split())

    done, said = call("whole", 900e6)
    assert done.returncode == 0, done.stderr
    assert ", whole on each." in said
    frames, step, available = (float(number) for number in re.search(BUDGET, said).groups())
    assert available == 900
    done, cut = call("cut", (step + 0.75 * frames) * 1e6)
    assert done.returncode == 0, done.stderr
    assert "too much for one device: cut into 2 blocks of" in cut
    losses = [
        json.loads((tmp_path / name / "metrics.jsonl").read_text())["train_loss"]
        for name in ("whole", "cut")
    ]
    assert losses[0] == pytest.approx(losses[1], rel=0, abs=1e-5)
    done, _ = call("refused", step * 1e6)
    refused = " ".join(done.stderr.split())
    assert done.returncode == 1
    assert not (tmp_path / "refused" / "metrics.jsonl").exists()
    for part in ("training does not fit", "training.batch_size", "fewer videos", "more devices"):
        assert part in refused


def test_a_run_is_on_all_devices(tmp_path):
    config, dataset, made = assembled("training.epochs=1")
    assert made.devices.count == len(jax.devices()) == 2
    run(made, config, dataset, tmp_path)
    assert (tmp_path / "metrics.jsonl").exists()
