"""Pre-training as a user has it: on videos that are not all labelled, then v7 from its weights."""

import csv
import json
from pathlib import Path

import pytest

SETTINGS = (
    "window={length: 32, train_stride: 32}",
    "network={stem: 8, lab_embedding: 4, width: 8, encoder: {name: tcn, channels: [8, 8]}}",
    "training={epochs: 1, batch_size: 16}",
)
WORDS = [word for setting in SETTINGS for word in ("--set", setting)]
TRAIN = ("-m", "jaxbeh.train", "--config")


@pytest.fixture(scope="module")
def mice(tmp_path_factory, python) -> Path:
    """Five videos, the last of which nobody has labelled."""
    folder = tmp_path_factory.mktemp("mice") / "collection"
    made = python("-m", "jaxbeh.synthesize", "--out", folder, "--videos", 5, "--frames", 400)
    assert made.returncode == 0, made.stderr
    table = folder / "train.csv"
    with table.open(newline="") as file:
        columns, *rows = csv.reader(file)
    rows[-1][columns.index("behaviors_labeled")] = ""
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    video, lab = (rows[-1][columns.index(name)] for name in ("video_id", "lab_id"))
    (folder / "train_annotation" / lab / f"{video}.parquet").unlink()
    return folder


def test_pre_training_then_v7(mice, tmp_path, python):
    poses, run = tmp_path / "poses", tmp_path / "v7"
    done = python(*TRAIN, "v7-poses", *WORDS, "--data", mice, "--run", poses, timeout=300)
    assert done.returncode == 0, done.stderr
    assert f"--config v7 --init-from {poses} --data {mice}" in done.stdout.replace("\n", " ")
    split = json.loads((poses / "split.json").read_text())
    assert len(split["train"] + split["validation"]) == 5
    line = json.loads((poses / "metrics.jsonl").read_text())
    assert {"train_loss", "val_loss", "val_explained", "state_sha256"} <= set(line)

    done = python("-m", "jaxbeh.evaluate", "--run", poses, "--data", mice)
    assert done.returncode == 1
    assert "is pre-training and predicts no action" in done.stderr.replace("\n", " ")

    words = (*TRAIN, "v7", "--folds", 2, *WORDS, "--data", mice, "--init-from", poses)
    done = python(*words, "--run", run, timeout=300)
    assert done.returncode == 0, done.stderr
    said = done.stdout.replace("\n", " ")
    assert f"First weights: the best of {poses}; fresh: alone, alone_head" in said
    assert json.loads((run / "run.json").read_text())["init_from"] == str(poses)
    assert len(json.loads((run / "split.json").read_text())["train"]) == 4

    done = python(*words, "--set", "network.width=16", "--run", tmp_path / "other", timeout=300)
    assert done.returncode == 1
    assert "network.width: the run has 8, the command says 16" in done.stderr
