"""A run's folder from the outside: signals, two processes, a full disk, damage, another place."""

import os
import re
import resource
import shutil
import signal
import socket
import time

import pytest

from jaxbeh.training.checkpoints import Checkpoints
from tests.faults.runs import EPOCHS, alive, lines, listed, wait_until

LONG = ("--set", "training.epochs=5000")
"""A run that does not end before something happens to it."""


def saved(run, epochs):
    """Whether so many epochs have their line."""
    return lambda: len(lines(run)) >= epochs


def begin(runs, run, *more):
    """Start, and wait for two more epochs."""
    process = runs.start(run, *more)
    assert wait_until(saved(run, len(lines(run)) + 2), process), runs.end()
    return process


def test_signals_stop_it_saved_and_the_same_command_continues(runs, tmp_path):
    run, at = tmp_path / "run", 0
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        process = begin(runs, run, *LONG)
        os.kill(process, number)
        ended, said = runs.end()
        assert ended == code, said
        assert f"in {run / 'checkpoints'} all saved; the same command continues" in said
        assert (f"Continuing {run} after epoch" in said) == (at > 0)
        if at:
            assert f"step {at}" in said
        assert not (run / "lock").exists()
        at = max(listed(run, print))
    kept = lines(run)
    assert [line["epoch"] for line in kept] == list(range(1, len(kept) + 1))


def test_a_second_signal_stops_at_once(runs, tmp_path):
    run = tmp_path / "run"
    process = begin(runs, run, *LONG)
    os.kill(process, signal.SIGSTOP)  # so that both come at the same moment
    os.kill(process, signal.SIGTERM)
    os.kill(process, signal.SIGINT)
    os.kill(process, signal.SIGCONT)
    ended, said = runs.end()
    assert ended in (130, 143), said
    assert "all saved" not in said
    told = []
    assert None not in listed(run, told.append).values()
    assert told == []


def test_a_signal_before_anything_is_to_be_saved_leaves_nothing(runs, tmp_path):
    run = tmp_path / "deep" / "run"
    process = runs.start(run, *LONG)
    lock = run / "lock"
    assert wait_until(lambda: lock.exists() and lock.read_bytes() != b"", process)
    time.sleep(0.2)  # a signal while the lock is taken may leave it, to be taken over
    os.kill(process, signal.SIGTERM)
    ended, said = runs.end()
    assert ended == 143, said
    assert f"{run}: stopped, nothing is to be saved just now" in said
    assert not run.parent.exists()


def test_a_second_process_is_refused_and_a_killed_ones_lock_taken_over(runs, tmp_path, python):
    run = tmp_path / "run"
    process = begin(runs, run, *LONG)
    second = python("-m", "jaxbeh.train", "--config", runs.recipe, "--run", run, *LONG)
    assert second.returncode == 1
    assert re.search(rf"{run}: process {process} on {socket.gethostname()} ", second.stderr)
    assert "--run" in second.stderr
    assert alive(process)
    os.kill(process, signal.SIGKILL)
    runs.end()
    assert (run / "lock").exists()
    process = begin(runs, run, *LONG)
    os.kill(process, signal.SIGTERM)
    ended, said = runs.end()
    assert ended == 143
    assert f"{run / 'lock'}: process " in said
    assert "taken over" in said


def test_files_that_may_not_grow_cost_no_checkpoint(runs, straight, tmp_path):
    """As a quota does it; what Orbax makes of a full disk is in `test_disk.py`."""
    run = tmp_path / "run"
    process = runs.start(run)
    assert wait_until(saved(run, 2), process)
    resource.prlimit(process, resource.RLIMIT_FSIZE, (50_000, 50_000))
    ended, said = runs.end()
    assert ended == 1, said
    last = said.splitlines()[-1]
    assert last.startswith(f"jaxbeh: {run / 'checkpoints'}: a checkpoint could not be written")
    assert "make room" in last
    assert len(lines(run)) < EPOCHS
    assert "passed over" not in runs.finish(run)
    assert lines(run) == lines(straight)
    assert listed(run, print) == listed(straight, print)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def truncate(path):
    path.write_bytes(path.read_bytes()[:100])


@pytest.mark.parametrize("damage", [flip, truncate])
def test_a_copied_run_with_a_damaged_checkpoint_goes_on_from_the_one_before(
    damage, runs, straight, tmp_path
):
    run = tmp_path / "copied" / "elsewhere"
    shutil.copytree(straight, run)
    newest = max(listed(run, print))
    before = sorted(listed(run, print))[-2]
    files = [path for path in (run / "checkpoints" / str(newest)).rglob("*") if path.is_file()]
    damage(max(files, key=lambda path: path.stat().st_size))
    (run / "checkpoints" / "99").mkdir()
    said = runs.finish(run)
    assert f"{run / 'checkpoints' / '99'} cannot be read" in said
    assert f"{run / 'checkpoints' / str(newest)} " in said
    assert said.count("passed over") == 2
    assert f"step {before}" in said
    assert lines(run) == lines(straight)
    assert listed(run, print)[newest] == listed(straight, print)[newest]


def test_a_finished_run_is_rid_of_a_step_that_a_kill_left(runs, straight, tmp_path):
    """Killed once the last step was whole, before the one that it replaces was set apart."""
    run = tmp_path / "run"
    shutil.copytree(straight, run)
    other = Checkpoints(tmp_path / "other", print)
    other.save(1, Checkpoints(run / "checkpoints", print, read_only=True).latest().leaves, -1.0)
    other.close()
    shutil.copytree(tmp_path / "other" / "1", run / "checkpoints" / "1")
    assert "is finished already" in runs.finish(run)
    assert listed(run, print) == listed(straight, print)
