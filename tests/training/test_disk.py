"""Disks that are full, read-only or gone: what was saved stays, and the message says what to do.

A full disk is a small tmpfs where this user may mount one; `tests/faults/test_one_run.py` has the
form without, a limit on the size of files. Root is no user to whom anything is read-only: such
tests run as nobody.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import jax
import numpy as np
import pytest
from tiny import assembled, run

from jaxbeh.errors import CheckpointError, RunError
from jaxbeh.training import assemble as building
from jaxbeh.training.checkpoints import Checkpoints, content_hash, leaves_of
from jaxbeh.training.lock import held
from jaxbeh.training.run_folder import RunFolder

SMALL = ("model={name: mlp, hidden: [8]}", "training.epochs=3")


def leaves(seed):
    return {"weights": np.random.default_rng(seed).normal(size=100_000).astype(np.float32)}


@pytest.fixture
def disk(tmp_path):
    """A disk of 3 MB."""
    path = tmp_path / "disk"
    path.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(path)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a tmpfs")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def save(checkpoints, step):
    """Save, and wait for what is written behind one's back."""
    checkpoints.save(step, leaves(step), 0.5)
    checkpoints.wait()


def fill(disk):
    """Leave no byte free; gives what to remove to make room."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))
    return ballast


def test_a_full_disk_costs_the_checkpoint_that_did_not_fit_and_no_other(disk):
    checkpoints = Checkpoints(disk / "checkpoints", print)
    save(checkpoints, 1)
    ballast = fill(disk)
    with pytest.raises(CheckpointError) as caught:
        save(checkpoints, 2)
    said = str(caught.value)
    assert str(disk / "checkpoints") in said
    assert "could not be written" in said
    assert "make room" in said
    told = []
    kept = Checkpoints(disk / "checkpoints", told.append, read_only=True).latest()
    assert (kept.step, kept.sha256, told) == (1, content_hash(leaves(1)), [])
    ballast.unlink()
    again = Checkpoints(disk / "checkpoints", told.append)
    again.save(2, leaves(2), 0.6)
    again.close()
    assert Checkpoints(disk / "checkpoints", told.append).latest().step == 2
    assert told == []
    assert sorted(path.name for path in (disk / "checkpoints").iterdir()) == ["1", "2"]


def test_a_line_that_does_not_fit_is_named_and_cut(disk):
    folder = RunFolder(disk)
    folder.append_metrics({"epoch": 1})
    ballast = fill(disk)
    with pytest.raises(RunError, match=r"metrics\.jsonl: cannot be written \(No space left.*room"):
        folder.append_metrics({"epoch": 2, "more": "x" * 10_000})
    ballast.unlink()
    folder.cut_metrics(9)
    folder.append_metrics({"epoch": 2})
    assert folder.metrics() == [{"epoch": 1}, {"epoch": 2}]


def test_a_full_disk_refuses_a_new_run(disk):
    fill(disk)
    with pytest.raises(RunError, match=r"cannot be written \(.*No space left"), held(disk, print):
        pass


@pytest.fixture
def shelf():
    """A folder for everybody, looked at by a user who is not root."""
    path = Path(tempfile.mkdtemp(prefix="jaxbeh-shelf-"))
    path.chmod(0o777)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    yield path
    if root:
        os.seteuid(0)
    subprocess.run(["chmod", "-R", "u+w", str(path)], check=True)
    shutil.rmtree(path)


def test_a_folder_that_is_read_only_is_refused_before_anything_is_read(shelf):
    (shelf / "runs").mkdir(mode=0o555)
    with (
        pytest.raises(RunError, match=r"runs/v6: cannot be written \(.*Permission denied.*--run"),
        held(shelf / "runs" / "v6", print),
    ):
        pass


def test_a_folder_that_becomes_read_only_costs_nothing_that_was_saved(shelf):
    folder = shelf / "checkpoints"
    checkpoints = Checkpoints(folder, print)
    save(checkpoints, 1)
    folder.chmod(0o555)
    with pytest.raises(CheckpointError, match=r"could not be written.*mend the permissions"):
        save(checkpoints, 2)
    told = []
    assert Checkpoints(folder, told.append, read_only=True).latest().step == 1
    folder.chmod(0o755)
    again = Checkpoints(folder, told.append)
    again.save(2, leaves(2), 0.6)
    again.close()
    assert (again.latest().step, told) == (2, [])


def test_lines_of_a_file_that_is_read_only_are_refused_by_name(shelf):
    (shelf / "metrics.jsonl").touch(mode=0o444)
    with pytest.raises(RunError, match=r"metrics\.jsonl: cannot be written \(Permission denied"):
        RunFolder(shelf).append_metrics({"epoch": 1})


def test_a_folder_that_is_removed_while_it_is_trained_in_ends_the_run(tmp_path):
    config, dataset, made = assembled(*SMALL, model=())
    (tmp_path / "run").mkdir()

    def remove(line):
        while line["epoch"] == 2 and (tmp_path / "run").exists():
            # A checkpoint is being written into it meanwhile.
            shutil.rmtree(tmp_path / "run", ignore_errors=True)

    with pytest.raises((CheckpointError, RunError), match="put the folder back"):
        run(made, config, dataset, tmp_path / "run", on_epoch=remove)
    # What was being written may have made folders anew; no step is among them.
    assert not [path for path in tmp_path.glob("run/checkpoints/*") if path.name.isdigit()]


def test_a_checkpoint_is_not_written_into_a_folder_that_is_gone(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints", print)
    save(checkpoints, 1)
    (tmp_path / "checkpoints").rename(tmp_path / "moved")
    with pytest.raises(CheckpointError, match=r"removed or moved.*put the folder back"):
        checkpoints.save(2, leaves(2), 0.6)
    (tmp_path / "moved").rename(tmp_path / "checkpoints")
    assert Checkpoints(tmp_path / "checkpoints", print).latest().step == 1


def cast(leaf):
    return leaf.astype(np.float64)


def reshape(leaf):
    return leaf.reshape(-1)


@pytest.mark.parametrize("change", [cast, reshape])
def test_another_dtype_or_shape_is_refused_and_never_converted(tmp_path, change):
    """Orbax alone would cast a dtype without a word."""
    _, _, made = assembled(*SMALL, model=())
    shapes = building.template(made)
    saved = leaves_of(jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes))
    path = next(path for path, leaf in saved.items() if leaf.ndim == 2)
    saved[path] = change(saved[path])
    checkpoints = Checkpoints(tmp_path / "checkpoints", print)
    checkpoints.save(1, saved, 0.5)
    checkpoints.close()
    restored = Checkpoints(tmp_path / "checkpoints", print).latest()
    with pytest.raises(CheckpointError) as caught:
        building.resume(made, restored, tmp_path / "checkpoints")
    assert f"{path} is {saved[path].dtype}" in str(caught.value)
    assert "--run" in str(caught.value)
