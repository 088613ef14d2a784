"""Two real processes over loopback: the run of one, whatever stops or fails in either of them."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from six_steps import train
from two_hosts import ONE_LAYER

from jaxbeh.data.mabe.sharing import share_out
from jaxbeh.training.devices import Devices
from jaxbeh.training.hosts import _LEAVING_S, SILENCE_S, Hosts
from tests.conftest import ROOT, xla_flags

RECIPE = """
base: debug
model: {name: mlp, hidden: [8, 8]}
window: {train_stride: 50}
training: {epochs: 30, patience: 30}
"""
TRAIN = ("-m", "jaxbeh.train", "--distributed")


def environment(without=(), **more):
    """Of a process that sees one CPU device, and finds the tests' modules."""
    folders = [ROOT, ROOT / "tests", ROOT / "tests" / "training"]
    return {
        **{name: value for name, value in os.environ.items() if name not in without},
        "XLA_FLAGS": xla_flags(devices=1),
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
        **{name: str(value) for name, value in more.items()},
    }


def free_port(choice=(0,)):
    """A port of this machine that nobody listens on; the first such of a choice."""
    for port in choice:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            return probe.getsockname()[1]
    raise AssertionError("no port is free")


def start(words, folder, env):
    """A process that writes to `out` and `err` in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        return subprocess.Popen(
            [sys.executable, "-W", "error", *map(str, words)],
            cwd=ROOT,
            env=env,
            stdout=out,
            stderr=err,
        )


class Pair:
    """Two processes of one run, each with a cache of its own."""

    def __init__(self, folder, *words, second=None, slurm=False, without=()):
        self._folders = [folder / "0", folder / "1"]
        # From Slurm's own variables JAX takes the port by the number of the job.
        first = 2**16 - 2**12
        port = free_port(range(first + os.getpid() % 2000, 2**16)) if slurm else free_port()
        self.processes = []
        for index, own in enumerate((words, second or words)):
            where = {
                "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
                "JAX_NUM_PROCESSES": 2,
                "JAX_PROCESS_ID": index,
            }
            if slurm:
                where = {
                    "SLURM_JOB_ID": port - first,
                    "SLURM_STEP_NODELIST": "127.0.0.1",
                    "SLURM_NTASKS": 2,
                    "SLURM_PROCID": index,
                    "SLURM_LOCALID": 0,
                }
            cache = folder.parent / f"cache-{index}"
            env = environment(without, XDG_CACHE_HOME=cache, **where)
            self.processes.append(start(own, self._folders[index], env))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()

    def end(self, timeout=120):
        """Exit codes, in bounded time."""
        return [process.wait(timeout=timeout) for process in self.processes]

    def said(self, index, stream="out"):
        return (self._folders[index] / stream).read_text()

    def wait_until(self, reached):
        for _ in range(2400):
            if reached():
                return
            codes = [process.poll() for process in self.processes]
            assert codes == [None, None], self.said(0) + self.said(0, "err") + self.said(1, "err")
            time.sleep(0.05)
        raise AssertionError("not there in two minutes")

    def wait_for_epoch(self, run, epoch):
        lines = run / "metrics.jsonl"
        self.wait_until(lambda: lines.is_file() and lines.read_bytes().count(b"\n") >= epoch)


@pytest.fixture(scope="module")
def collection(tmp_path_factory, python):
    """Five videos, one of them with a broken file in the second process's share."""
    folder = tmp_path_factory.mktemp("mice") / "collection"
    words = ("--videos", 5, "--frames", 400)
    made = python("-m", "jaxbeh.synthesize", "--out", folder, *words)
    assert made.returncode == 0, made.stderr
    files = sorted(folder.glob("train_tracking/*/*.parquet"), key=lambda file: file.stem)
    sizes = [file.stat().st_size for file in files]
    broken = files[share_out(sizes, 2)[1][0]]
    broken.write_bytes(bytes(broken.stat().st_size))
    return folder


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def one(collection, recipe, tmp_path_factory):
    """A run by one process with two devices; what it printed."""
    folder = tmp_path_factory.mktemp("one")
    words = ("-m", "jaxbeh.train", "--config", recipe, "--data", collection)
    env = environment(XLA_FLAGS=xla_flags(devices=2))
    process = start((*words, "--run", folder / "run"), folder, env)
    assert process.wait(timeout=120) == 0, (folder / "err").read_text()
    return folder / "run", (folder / "out").read_text()


def lines(run, *without):
    kept = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in line if key not in without} for line in kept]


def of_reading(said):
    """What is printed of files, slots and split."""
    return [line.rstrip() for line in said[: said.index("Model:")].splitlines() if "│" in line]


def test_two_processes_with_cut_frames_give_the_losses_of_one(tmp_path):
    alone = train(2, "cut", model=ONE_LAYER)
    with Pair(tmp_path / "pair", ROOT / "tests" / "training" / "two_hosts.py") as pair:
        assert pair.end() == [0, 0], pair.said(0, "err") + pair.said(1, "err")
        found = [json.loads(pair.said(index).splitlines()[-1]) for index in range(2)]
    (first, trained), (second, also_trained) = found
    assert trained == also_trained
    assert trained["points_on_each"] == trained["points"] / 2
    for key in ("devices", "windows_on_each", "points"):
        assert trained[key] == alone[key], key
    np.testing.assert_allclose(trained["losses"], alone["losses"], rtol=0, atol=1e-5)
    np.testing.assert_allclose(trained["mean"], alone["mean"], atol=1e-5)
    np.testing.assert_allclose(trained["statistics"], alone["statistics"], atol=1e-5)
    assert trained["confusion"] == alone["confusion"]

    assert first["lengths"] == [[7 * 12, 0], [7 * 3, 7 * 70_001]]
    assert first["sums"] == [[21 * 12, 0], [21 * 3, 28 * 70_001]]
    assert first["tree"] == {
        "half": [0, 1, 2, 3, 4],
        "scalar": 7,
        "empty": [],
        "flags": [[1], [0]],
    }
    assert first["dtypes"] == ["float32", "bool", "bfloat16", "int32"]
    assert first["any"] == [True, False]
    assert first["same"] is None
    assert "that: not the same in process 1 as in process 0" in first["other"]
    assert "they are at place 0, place 1" in first["apart"]
    assert first == second


def test_a_run_of_two_is_the_run_of_one(one, collection, recipe, tmp_path):
    """Frames whole, to the last bit: there are two devices either way; two numbers have one sum."""
    alone, printed = one
    words = (*TRAIN, "--config", recipe, "--data", collection, "--run")
    runs = [tmp_path / "first", tmp_path / "second"]
    words = (*words, runs[0]), (*words, runs[1])
    told = ("JAX_COMPILATION_CACHE_DIR",)
    with Pair(tmp_path / "pair", *words[0], second=words[1], without=told) as pair:
        assert pair.end() == [0, 0], pair.said(0, "err") + pair.said(1, "err")
        said = [pair.said(index) for index in range(2)]
    assert lines(runs[0], "seconds") == lines(alone, "seconds")
    for name in ("config.yaml", "split.json", "slots.json", "actions.json"):
        assert (runs[0] / name).read_bytes() == (alone / name).read_bytes(), name
    ours, theirs = (json.loads((run / "run.json").read_text()) for run in (runs[0], alone))
    for key in ("data_hash", "train_content", "validation_content", "windows", "parameters"):
        assert ours[key] == theirs[key], key
    assert ours["devices"] == {**theirs["devices"], "processes": 2}
    # The broken file was the second process's to read; the first tells of it.
    assert "left out" in printed
    assert of_reading(said[0]) == of_reading(printed)
    # The second writes and prints nothing, and each kept its own share of the files.
    assert not runs[1].exists()
    of_ours = [line for line in said[1].splitlines() if not line.startswith("[Gloo]")]
    assert of_ours == said[0].splitlines()[:1]
    kept = [
        {file.name for file in (tmp_path / f"cache-{index}" / "jaxbeh" / "tracking").glob("*.npy")}
        for index in range(2)
    ]
    assert [len(kept[0] | kept[1]), len(kept[0] & kept[1])] == [4, 0]
    assert all(kept)
    # With programs kept, the first would find one and the others wait for its part in autotuning.
    assert not list(tmp_path.glob("cache-*/jaxbeh/programs"))


def test_what_stops_one_stops_both_and_one_process_goes_on(one, collection, recipe, tmp_path):
    """SIGTERM to one, a disk that takes no more lines, SIGKILL to one, then a process alone."""
    run = tmp_path / "run"
    words = ("--config", recipe, "--data", collection, "--run", run)
    with Pair(tmp_path / "stopped", *TRAIN, *words) as pair:
        pair.wait_for_epoch(run, 2)
        pair.processes[1].send_signal(signal.SIGTERM)
        assert pair.end() == [143, 143], pair.said(0, "err") + pair.said(1, "err")
        assert "all saved; the same command continues" in pair.said(0)
    reached = len(lines(run))
    assert 2 <= reached < 30

    with Pair(tmp_path / "broken", *TRAIN, *words, slurm=True) as pair:
        pair.wait_for_epoch(run, reached + 1)
        (run / "metrics.jsonl").rename(run / "kept")
        (run / "metrics.jsonl").mkdir()
        assert pair.end() == [1, 1]
        assert f"Continuing {run} after epoch {reached}" in pair.said(0)
        assert "metrics.jsonl: cannot be written (Is a directory)" in pair.said(0, "err")
        assert f"jaxbeh: process 0 of 2: {run}" in pair.said(1, "err")
    (run / "metrics.jsonl").rmdir()
    (run / "kept").rename(run / "metrics.jsonl")

    with Pair(tmp_path / "killed", *TRAIN, *words) as pair:
        pair.wait_for_epoch(run, len(lines(run)) + 1)
        pair.processes[1].kill()
        pair.processes[0].wait(timeout=2 * SILENCE_S)
        assert pair.processes[0].returncode != 0
    assert len(lines(run)) < 30

    alone = start(("-m", "jaxbeh.train", *words), tmp_path / "alone", environment())
    assert alone.wait(timeout=120) == 0, (tmp_path / "alone" / "err").read_text()
    said = (tmp_path / "alone" / "out").read_text()
    assert "Continuing" in said
    assert "Begun elsewhere" in said
    ours, theirs = lines(run), lines(one[0])
    assert [line["epoch"] for line in ours] == [line["epoch"] for line in theirs]
    assert ours[reached - 1]["train_loss"] == theirs[reached - 1]["train_loss"]
    losses = [[line["train_loss"] for line in side] for side in (ours, theirs)]
    # Adam makes rounding of gradients near 0 into steps as long as any other, for 30 epochs.
    np.testing.assert_allclose(*losses, rtol=1e-4)


@pytest.mark.parametrize("late", [0, 1])
def test_one_that_is_interrupted_while_it_waits_ends_the_one_that_comes_late(late, tmp_path):
    """The first process collects a round, the others answer it: either may be struck in it."""
    gate, waiting = tmp_path / "gate", 1 - late
    script = ROOT / "tests" / "training" / "late_host.py"
    with Pair(tmp_path / "pair", script, late, gate) as pair:
        pair.wait_until(lambda: all("here" in pair.said(index) for index in range(2)))
        time.sleep(1)  # now it waits in the first round
        pair.processes[waiting].send_signal(signal.SIGINT)
        pair.wait_until(lambda: "KeyboardInterrupt" in pair.said(waiting, "err"))
        gate.touch()
        # Far less than JAX's runtime waits for one that does not answer.
        codes = pair.end(timeout=_LEAVING_S / 3)
    assert codes[waiting] == -signal.SIGINT
    assert codes[late] == 1
    assert f": process {waiting} of 2: KeyboardInterrupt()" in pair.said(late, "err")


def refused(tmp_path, words, second):
    """What two processes say that both refuse to go on."""
    with Pair(tmp_path / "pair", *words, second=second, slurm=True) as pair:
        assert pair.end() == [1, 1]
        return [pair.said(index, "err") for index in range(2)]


def test_what_one_process_cannot_read_ends_both(collection, recipe, tmp_path):
    words = (*TRAIN, "--config", recipe, "--run", tmp_path / "run", "--data")
    said = refused(tmp_path, (*words, collection), (*words, tmp_path / "nowhere"))
    reason = f"{tmp_path / 'nowhere'}: does not exist"
    assert f"jaxbeh: process 1 of 2: {reason}" in said[0]
    assert f"jaxbeh: {reason}" in said[1]
    assert not (tmp_path / "run").exists()


def test_what_the_first_process_refuses_ends_both(one, recipe, collection, tmp_path):
    words = (*TRAIN, "--config", recipe, "--data", collection, "--run", one[0])
    words = (*words, "--set", "training.seed=1")
    said = refused(tmp_path, words, words)
    assert "training.seed: the run has 42" in said[0]
    assert "jaxbeh: process 0 of 2: " in said[1]
    assert "training.seed: the run has 42" in said[1]


def test_other_settings_are_refused(collection, recipe, tmp_path):
    words = (*TRAIN, "--config", recipe, "--data", collection, "--run", tmp_path / "run")
    for text in refused(tmp_path, words, (*words, "--set", "training.seed=1")):
        assert "the settings: not the same in process 1 as in process 0" in text
        assert "the same command" in text


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("JAX_PLATFORMS", "cpu", "coordinator_address should be defined"),
        ("JAX_COORDINATOR_ADDRESS", "here", "JAX_COORDINATOR_ADDRESS is 'here', not HOST:PORT"),
        ("JAX_NUM_PROCESSES", "two", "JAX_NUM_PROCESSES is 'two', not a whole number"),
        ("JAX_PROCESS_ID", "-1", "JAX_PROCESS_ID is '-1', not a whole number"),
    ],
)
def test_processes_that_nobody_introduces_are_told_how(name, value, said, tmp_path):
    process = start((*TRAIN, "--config", "debug"), tmp_path, environment(**{name: value}))
    assert process.wait(timeout=60) == 1
    text = (tmp_path / "err").read_text()
    assert text.startswith("jaxbeh: --distributed: ")
    assert said in text
    assert "Traceback" not in text


# One process


def test_a_process_alone_waits_for_nobody():
    hosts = Hosts()
    assert hosts.first
    assert hosts.any("flag", True)
    assert not hosts.any("flag", False)
    assert hosts.exchange("value", "mine") == ["mine"]
    tree = {"a": np.arange(3)}
    assert hosts.from_first(tree) is tree
    assert [part.tobytes() for part in hosts.gather(b"abc")] == [b"abc"]
    hosts.require_same("anything", "at all")
    with pytest.raises(ValueError, match="mine"), hosts.together():
        raise ValueError("mine")
    assert Devices.of(jax.devices()[:1]).hosts.count == 1


def test_the_only_process_of_a_job_trains_as_ever(collection, recipe, tmp_path):
    where = {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{free_port()}", "JAX_PROCESS_ID": 0}
    words = (*TRAIN, "--config", recipe, "--data", collection, "--run", tmp_path / "run")
    words = (*words, "--set", "training.epochs=1")
    process = start(words, tmp_path, environment(JAX_NUM_PROCESSES=1, **where))
    assert process.wait(timeout=120) == 0, (tmp_path / "err").read_text()
    assert len(lines(tmp_path / "run")) == 1
