"""A whole run of recipe v7 as a user has it: train, kill, resume, evaluate, submission."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from jaxbeh import bundle, wheels
from jaxbeh.inference.pairs.decoding import Decoding
from jaxbeh.training.checkpoints import Checkpoints
from tests.conftest import ROOT

SETTINGS = (
    "window={length: 64, train_stride: 64}",
    "network={stem: 8, lab_embedding: 4, width: 16}",
    "network.encoder={name: unet, width: 16, levels: 2, attention_layers: 1, heads: 2}",
    "training={epochs: 2, batch_size: 16}",
    "optimizer.learning_rate=3e-3",
)
TRAIN = ["-m", "jaxbeh.train", "--config", "v7", "--folds", "2"]
for _setting in SETTINGS:
    TRAIN += ["--set", _setting]


@pytest.fixture(scope="module")
def mice(tmp_path_factory, python) -> Path:
    folder = tmp_path_factory.mktemp("mice") / "collection"
    made = python("-m", "jaxbeh.synthesize", "--out", folder, "--videos", 4, "--frames", 900)
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="module")
def straight(mice, tmp_path_factory, python) -> Path:
    run = tmp_path_factory.mktemp("runs") / "straight"
    trained = python(*TRAIN, "--data", mice, "--run", run, timeout=300)
    assert trained.returncode == 0, trained.stderr
    assert "These are videos held out in training" in trained.stdout
    assert "Official F by lab (4 videos)" in trained.stdout
    assert "best validation official F" in trained.stdout
    return run


def lines(run: Path) -> list[dict]:
    found = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in line if key != "seconds"} for line in found]


def test_the_run_folder_is_complete(straight, mice):
    names = {path.name for path in straight.iterdir()}
    assert {"known.json", "actions.json", "decoding.json", "held_out.json", "split.json"} <= names
    split = json.loads((straight / "split.json").read_text())
    ids = sorted(pd.read_csv(mice / "train.csv", dtype=str)["video_id"])
    assert sorted(split["fold 1"] + split["fold 2"]) == sorted(split["train"]) == ids
    line = lines(straight)[-1]
    assert {"epoch", "train_loss", "val_loss", "val_official_f", "val_labs", "val_f1"} <= set(line)
    held_out = json.loads((straight / "held_out.json").read_text())
    assert 0 <= held_out["official_f"] <= 1
    assert held_out["decoded_by"] == "values tuned on the other folds"
    assert held_out["videos"] == 4
    Decoding.from_json((straight / "decoding.json").read_text())


def test_a_run_killed_and_continued_ends_in_the_same_bits(mice, straight, tmp_path, python):
    run = tmp_path / "run"
    words = [sys.executable, "-W", "error", *TRAIN, "--data", str(mice), "--run", str(run)]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for _ in range(2400):
        if (run / "metrics.jsonl").exists() and (run / "metrics.jsonl").read_text():
            break
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    # A signal while the decoding is tuned, which takes long on many videos, ends it at once.
    process = subprocess.Popen(
        [words[0], "-u", *words[1:]],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert any(line.startswith("Predicting the videos held out") for line in process.stdout)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.endswith("the same command goes on from here\n")
    assert not (run / "decoding.json").exists()
    assert not (run / "lock").exists()
    continued = python(*TRAIN, "--data", mice, "--run", run, timeout=300)
    assert continued.returncode == 0, continued.stderr
    assert lines(run) == lines(straight)
    for name in ("decoding.json", "held_out.json"):
        assert (run / name).read_text() == (straight / name).read_text()
    # What was cut off before it was tuned is tuned by the same command.
    (run / "decoding.json").unlink()
    again = python(*TRAIN, "--data", mice, "--run", run, timeout=300)
    assert "is finished already" in again.stdout
    assert "Model:" not in again.stdout  # nothing was compiled to train
    assert (run / "decoding.json").read_text() == (straight / "decoding.json").read_text()


def test_evaluation_of_other_videos_has_the_same_figures(straight, tmp_path, python):
    other = tmp_path / "other"
    made = python(
        *("-m", "jaxbeh.synthesize", "--out", other, "--videos", 3, "--frames", 600, "--seed", 9)
    )
    assert made.returncode == 0, made.stderr
    target = tmp_path / "submission.csv"
    words = ("-m", "jaxbeh.evaluate", "--run", straight, "--data", other, "--submission", target)
    done = python(*words, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "These are videos not trained on" in done.stdout
    found = json.loads((straight / "evaluation.json").read_text())
    held_out = json.loads((straight / "held_out.json").read_text())
    assert found.keys() == held_out.keys()
    assert found["overall"].keys() == held_out["overall"].keys()
    assert (found["videos"], found["tuned_f"]) == (3, None)


def test_the_submission_of_one_run_and_of_two(mice, straight, tmp_path, python):
    one, two = tmp_path / "one.csv", tmp_path / "two.csv"
    words = ("-m", "jaxbeh.evaluate", "--data", mice, "--run", straight)
    done = python(*words, "--submission", one, timeout=300)
    assert done.returncode == 0, done.stderr
    held_out = json.loads((straight / "held_out.json").read_text())
    assert json.loads((straight / "evaluation.json").read_text()) == held_out
    shown = done.stdout[done.stdout.index("Official F by lab (4 videos)") :].splitlines()
    assert max(len(line) for line in shown if line[:1] in "│┃┏└┡") <= 100
    assert f"{held_out['overall']['official_f']:.4f}" in done.stdout
    # The mean of a run and itself is that run; predicted and tuned again, the figures are the same.
    done = python(*words, "--run", straight, "--submission", two, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Predicting the videos held out" in done.stdout
    again = json.loads((straight / "evaluation.json").read_text())
    assert again["official_f"] == pytest.approx(held_out["official_f"])
    assert again["labs"].keys() == held_out["labs"].keys()
    done = python(*words, "--tta", "--submission", two, "--test-only", timeout=300)
    assert done.returncode == 0, done.stderr
    for path in (one, two):
        checked = python("-m", "jaxbeh", "validate-submission", path, "--data", mice)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert re.search(r"\d+ bouts? in \d+ test videos?", done.stdout)


@pytest.fixture(scope="module")
def other(straight, tmp_path_factory) -> Path:
    """The same run with the weights of its other epoch."""
    run = tmp_path_factory.mktemp("runs") / "other"
    shutil.copytree(straight, run)
    best = Checkpoints(run / "checkpoints", print, read_only=True).best()
    shutil.rmtree(run / "checkpoints" / str(best.step))
    return run


def test_what_was_tuned_for_a_mean_predicts_it_elsewhere(
    mice, straight, other, tmp_path, python, monkeypatch, capsys
):
    others = shutil.ignore_patterns("decoding-*")
    both = [shutil.copytree(run, tmp_path / run.name, ignore=others) for run in (straight, other)]

    def predict(name, runs, *words):
        """The submission of some runs, and what was said."""
        target = tmp_path / f"{name}.csv"
        words = ("--data", mice, "--submission", target, *words)
        runs = [word for run in runs for word in ("--run", run)]
        done = python("-m", "jaxbeh.evaluate", *runs, *words, timeout=300)
        assert done.returncode == 0, done.stderr
        return target.read_bytes(), done.stdout

    def bundled(name):
        """The runs in a bundle without wheels, and what was said."""
        monkeypatch.setattr(wheels, "collect_wheels", lambda *_: {})
        bundle.bundle(both, tmp_path / name)
        return [tmp_path / name / "runs" / run.name for run in both], capsys.readouterr().out

    _, said = bundled("too-early")
    assert "No thresholds are tuned for the mean of these runs" in said
    assert f"jaxbeh evaluate --run {both[0]} --run {both[1]} --data DIR" in said
    early, said = predict("early", both, "--test-only")
    assert f"Thresholds are those of {both[0]}" in said
    tuned, said = predict("tuned", both)
    assert tuned != early
    (kept,) = both[0].glob("decoding-*.json")
    assert f"{kept}: thresholds tuned for this mean" in said
    taken = f"Thresholds tuned for this mean on 4 videos are there ({kept.name})"
    for runs in (both, both[::-1]):
        submission, said = predict("alone", runs, "--test-only")
        assert submission == tuned
        assert taken in said
        assert "Thresholds are those of" not in said
    there, said = bundled("bundle")
    assert "Thresholds tuned without --tta on 4 videos come along" in said
    submission, said = predict("bundled", there, "--test-only")
    assert submission == tuned
    assert taken in said
    assert f'"runs/{both[0].name}/{kept.name}"' in (tmp_path / "bundle/manifest.json").read_text()
    for name, runs, words in (("one", both[:1], ()), ("views", both, ("--tta",))):
        _, said = predict(name, runs, "--test-only", *words)
        assert "Thresholds tuned for this mean" not in said
        assert ("Thresholds are those of" in said) == bool(words)


def test_scene_runs_are_not_averaged(mice, straight, tmp_path, python):
    scene = tmp_path / "scene"
    trained = python(
        *("-m", "jaxbeh.train", "--config", "debug", "--data", mice, "--run", scene),
        *("--set", "training.epochs=1", "--set", "model={name: mlp, hidden: [8]}"),
    )
    assert trained.returncode == 0, trained.stderr
    done = python("-m", "jaxbeh.evaluate", "--run", straight, "--run", scene, "--data", mice)
    assert done.returncode == 1
    assert "several runs and --tta are for recipe v7" in done.stderr.replace("\n", " ")
    words = ("--run", straight, "--run", scene, "--out", tmp_path / "bundle")
    done = python("-m", "jaxbeh.bundle", *words)
    assert done.returncode == 1
    assert "several runs and --tta are for recipe v7" in done.stderr.replace("\n", " ")
    done = python("-m", "jaxbeh", "compare", straight, scene)
    assert done.returncode == 0, done.stderr
    assert "best official F" in done.stdout
    assert "best macro-F1" in done.stdout
