"""Runs side by side."""

import json

import pytest

from jaxbeh.compare import _cell
from jaxbeh.config import load_config, to_yaml

LINE = {"train_loss": 1.0, "val_loss": 1.0, "val_f1": {"background": 0.5}, "learning_rate": 1e-3}


def write_run(folder, overrides=(), scores=(0.25, 0.75, 0.5), record=None):
    folder.mkdir()
    (folder / "config.yaml").write_text(to_yaml(load_config("debug", overrides)))
    made = {"parameters": 1234, "windows": 600, "devices": {"count": 2, "kind": "abacus"}}
    (folder / "run.json").write_text(json.dumps(made if record is None else record))
    lines = [
        json.dumps({**LINE, "epoch": epoch, "val_macro_f1": score, "seconds": 30.0 * epoch})
        for epoch, score in enumerate(scores, 1)
    ]
    (folder / "metrics.jsonl").write_text("".join(line + "\n" for line in lines))
    return folder


@pytest.fixture
def compared(tmp_path, python):
    def compare(*runs):
        done = python("-m", "jaxbeh", "compare", *runs, cwd=tmp_path)
        rows = [line.split("│")[1:-1] for line in done.stdout.splitlines() if line[:1] == "│"]
        return done, {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows}

    return compare


def test_what_runs_reached_and_in_which_settings_they_differ(tmp_path, compared):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b", ["training.seed=7", "model={name: mlp, hidden: [8, 9]}"], (0.5,))
    done, rows = compared("a", "b")
    assert (done.returncode, done.stderr) == (0, "")
    assert rows["best macro-F1"] == ["0.7500", "0.5000"]
    assert rows["in epoch"] == ["2", "1"]
    assert rows["epochs"] == ["3", "1"]
    assert rows["minutes"] == ["3.0", "0.5"]
    assert rows["windows/s"] == ["10", "20"]
    assert rows["parameters"] == ["1,234", "1,234"]
    assert rows["device"] == ["2 × abacus"] * 2
    assert rows["training.seed"] == ["42", "7"]
    assert rows["model.name"] == ["conv_bilstm", "mlp"]
    assert rows["model.hidden"] == ["32", "8, 9"]
    assert rows["model.lstm_layers"] == ["2", "–"]
    assert "training.epochs" not in rows


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, "none"),
        ((), "none"),
        (0.5, "0.5"),
        ((64, 128), "64, 128"),
        (
            ({"name": "still", "actions": ()}, {"name": "moving", "actions": ("run", "rear")}),
            "name: still, actions: none; name: moving, actions: run, rear",
        ),
    ],
)
def test_a_setting_is_written_without_braces_and_quotes(value, cell):
    assert _cell(value) == cell


def test_a_run_without_an_epoch_has_no_figures(tmp_path, compared):
    write_run(tmp_path / "a", scores=(), record={})
    done, rows = compared("a")
    assert done.returncode == 0
    assert rows["best macro-F1"] == rows["parameters"] == ["–"]


@pytest.mark.parametrize("damage", [{"scores": (10**400,)}, {"record": {"windows": 10**400}}])
def test_numbers_that_no_run_writes_are_refused(tmp_path, compared, damage):
    write_run(tmp_path / "a", **damage)
    done, _ = compared("a")
    assert done.returncode == 1
    assert done.stderr.startswith("jaxbeh: a/")
    assert "restore the file" in done.stderr


def test_what_is_no_run_is_named(tmp_path, compared):
    done, _ = compared(tmp_path / "nothing")
    assert done.returncode == 1
    assert "nothing is no run: it has no run.json" in done.stderr
