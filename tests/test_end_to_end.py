"""A whole run as a user has it: synthesize, train, kill, resume, evaluate, submission."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from jaxbeh.metrics.mabe import SOLUTION_COLUMNS, score
from tests.conftest import ROOT
from tests.read_only import read_only

TRAIN = ("-m", "jaxbeh.train", "--config", "debug", "--set", "window.train_stride=50")


@pytest.fixture(scope="module")
def mice(tmp_path_factory, python) -> Path:
    folder = tmp_path_factory.mktemp("mice") / "collection"
    made = python("-m", "jaxbeh.synthesize", "--out", folder, "--videos", 3, "--frames", 1500)
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="module")
def straight(mice, tmp_path_factory, python) -> Path:
    run = tmp_path_factory.mktemp("runs") / "straight"
    trained = python(*TRAIN, "--data", mice, "--run", run)
    assert trained.returncode == 0, trained.stderr
    assert "62,236 parameters" in trained.stdout
    return run


@pytest.fixture(scope="module")
def scored(straight, tmp_path_factory, python) -> tuple[dict, Path]:
    """What an evaluation of the run found, and the submission that it wrote."""
    target = tmp_path_factory.mktemp("scored") / "deep" / "submission.csv"
    done = python("-m", "jaxbeh.evaluate", "--run", straight, "--submission", target)
    assert done.returncode == 0, done.stderr
    return json.loads((straight / "evaluation.json").read_text()), target


def lines(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def without_seconds(run: Path) -> list[dict]:
    return [{key: line[key] for key in line if key != "seconds"} for line in lines(run)]


def start(mice: Path, run: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-W", "error", *TRAIN, "--data", str(mice), "--run", str(run)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for_epoch(run: Path, process: subprocess.Popen) -> None:
    for _ in range(1200):
        if (run / "metrics.jsonl").exists() and (run / "metrics.jsonl").read_text():
            return
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)
    raise AssertionError("no epoch in a minute")


def test_the_run_folder_is_complete(straight, mice):
    assert {"config.yaml", "split.json", "slots.json", "run.json"} <= {
        path.name for path in straight.iterdir()
    }
    split = json.loads((straight / "split.json").read_text())
    ids = pd.read_csv(mice / "train.csv", dtype=str)["video_id"]
    assert sorted(split["train"] + split["validation"]) == sorted(ids)
    record = json.loads((straight / "run.json").read_text())
    assert record["parameters"] == 62_236
    assert {"epoch", "train_loss", "val_loss", "val_macro_f1", "val_f1", "learning_rate"} <= set(
        lines(straight)[0]
    )
    assert [line["epoch"] for line in lines(straight)] == [1, 2, 3]
    assert all(len(line["state_sha256"]) == 64 for line in lines(straight))
    assert set(lines(straight)[0]["val_f1"]) == {"background", "social", "mating", "aggressive"}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_run_killed_and_continued_ends_in_the_same_bits(
    how, mice, straight, tmp_path, python, long
):
    if not long and how is signal.SIGTERM:
        pytest.skip("only with --long: SIGINT takes the same way")
    run = tmp_path / "run"
    process = start(mice, run)
    wait_for_epoch(run, process)
    process.send_signal(how)
    output, _ = process.communicate(timeout=60)
    if how is signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    elif process.returncode:  # else the signal came after the last step
        assert process.returncode == 128 + how, output
        assert "the same command continues" in output
    before = (run / "metrics.jsonl").read_bytes()
    resumed = python(*TRAIN, "--data", mice, "--run", run)
    assert resumed.returncode == 0, resumed.stderr
    assert without_seconds(run) == without_seconds(straight)
    kept = before.splitlines(keepends=True)[:1]
    if how is not signal.SIGKILL:
        assert (run / "metrics.jsonl").read_bytes().startswith(b"".join(kept))


def test_a_finished_run_says_so_and_other_settings_are_refused(straight, mice, python):
    again = python(*TRAIN, "--data", mice, "--run", straight)
    assert again.returncode == 0
    assert "is finished already" in again.stdout
    other = python(*TRAIN, "--data", mice, "--run", straight, "--set", "training.epochs=4")
    assert other.returncode == 1
    assert "training.epochs" in other.stderr
    assert "--run OTHER" in other.stderr
    assert "--init-from" in other.stderr


def test_a_new_run_starts_from_the_weights_of_another(straight, mice, tmp_path, python):
    run = tmp_path / "run"
    words = (*TRAIN, "--data", mice, "--run", run)
    # Weights that do not fit are refused before there is a run, which would refuse other settings.
    refused = python(*words, "--init-from", straight, "--set", "model={name: mlp, hidden: [7]}")
    assert refused.returncode == 1
    assert "none of its weights fits this model" in refused.stderr
    assert not run.exists()
    made = python(*words, "--init-from", straight)
    assert made.returncode == 0, made.stderr
    assert lines(run)[0]["train_loss"] < lines(straight)[0]["train_loss"]


def test_evaluation_scores_and_writes_a_valid_submission(scored, mice):
    evaluation, target = scored
    assert set(evaluation) == {"macro_f1", "accuracy", "f1", "official_f", "videos", "frames"}
    assert evaluation["videos"] == 1
    assert 0 < evaluation["macro_f1"] <= 1
    submission = pd.read_csv(target, dtype={"video_id": str})
    assert list(submission.columns) == [
        "row_id",
        "video_id",
        "agent_id",
        "target_id",
        "action",
        "start_frame",
        "stop_frame",
    ]
    solution = pd.read_csv(mice / "solution.csv", dtype={"video_id": str})
    assert 0 <= score(solution, submission) <= 1
    assert set(submission["video_id"]) <= set(solution["video_id"])
    # No class is an action of the challenge: the original named classes, and scored 0.
    assert not set(submission["action"]) & {"social", "mating", "aggressive", "background"}


def test_the_two_scores_are_told_apart(straight, scored, mice, tmp_path, python):
    """The challenge's F-score is that of the bouts, not of the frames, and under its own name."""
    split = json.loads((straight / "split.json").read_text())
    rows = pd.read_csv(mice / "train.csv", dtype=str).set_index("video_id")
    folder = tmp_path / "judged"
    (folder / "test_tracking").mkdir(parents=True)
    judged = rows.loc[split["validation"]].reset_index()
    judged.to_csv(folder / "test.csv", index=False)
    for lab, video in zip(judged["lab_id"], judged["video_id"], strict=True):
        (folder / "test_tracking" / lab).mkdir(exist_ok=True)
        (folder / "test_tracking" / lab / f"{video}.parquet").write_bytes(
            (mice / "train_tracking" / lab / f"{video}.parquet").read_bytes()
        )
    target = tmp_path / "submission.csv"
    done = python(
        *("-m", "jaxbeh.evaluate", "--run", straight, "--data", folder, "--submission", target)
    )
    assert done.returncode == 0, done.stderr
    assert "nothing is scored" in done.stdout
    events = []
    for lab, video in zip(judged["lab_id"], judged["video_id"], strict=True):
        table = pd.read_parquet(mice / "train_annotation" / lab / f"{video}.parquet")
        whitelist = json.loads(rows.loc[video, "behaviors_labeled"])
        for event in table.itertuples():
            agent, other = f"mouse{event.agent_id}", f"mouse{event.target_id}"
            triple = (agent, "self" if agent == other else other, event.action)
            if ",".join(triple) in whitelist:
                span = (event.start_frame, event.stop_frame)
                events.append((video, *triple, *span, lab, json.dumps(whitelist)))
    solution = pd.DataFrame(events, columns=SOLUTION_COLUMNS)
    submission = pd.read_csv(target, dtype={"video_id": str})
    evaluation, _ = scored
    assert evaluation["official_f"] == pytest.approx(score(solution, submission), abs=1e-9)
    assert evaluation["official_f"] != evaluation["macro_f1"]


def test_another_collection_with_the_same_ids_is_scored_as_a_whole(straight, tmp_path, python):
    other = tmp_path / "other"
    made = python(
        *("-m", "jaxbeh.synthesize", "--out", other, "--videos", 3, "--frames", 600, "--seed", 9)
    )
    assert made.returncode == 0
    done = python(
        *("-m", "jaxbeh.evaluate", "--run", straight, "--data", other),
        *("--submission", tmp_path / "submission.csv"),
    )
    assert done.returncode == 0, done.stderr
    assert "Scored: 3 videos" in done.stdout


def test_evaluation_without_test_videos_says_so(straight, mice, python):
    (mice / "test.csv").rename(mice / "elsewhere.csv")
    done = python("-m", "jaxbeh.evaluate", "--run", straight, "--data", mice)
    (mice / "elsewhere.csv").rename(mice / "test.csv")
    assert done.returncode == 0, done.stderr
    assert "no submission is written" in done.stdout


@pytest.fixture
def untouchable(straight, tmp_path):
    """A run that cannot be written to: its folder, and the words before a command."""
    folder = tmp_path / "input" / "run"
    shutil.copytree(straight, folder, ignore=shutil.ignore_patterns("evaluation.json", "*.csv"))
    with read_only(folder) as words:
        yield folder, words


def evaluated(words, run, *more):
    return subprocess.run(
        [*words, sys.executable, "-W", "error", "-m", "jaxbeh.evaluate", "--run", run, *more],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_read_only_run_predicts_test_videos_alone(untouchable, mice, tmp_path):
    run, words = untouchable
    data = tmp_path / "input" / "data"
    shutil.copytree(mice / "test_tracking", data / "test_tracking")
    shutil.copy(mice / "test.csv", data)
    before = sorted(run.rglob("*"))
    target = tmp_path / "output" / "submission.csv"
    done = evaluated(words, run, "--data", data, "--submission", target)
    assert done.returncode == 0, done.stderr
    assert len(pd.read_csv(target))
    assert [path.name for path in target.parent.iterdir()] == ["submission.csv"]
    assert sorted(run.rglob("*")) == before


def test_a_read_only_run_is_scored_beside_the_submission(untouchable, mice, tmp_path):
    run, words = untouchable
    refused = evaluated(words, run, "--data", mice)
    assert refused.returncode == 1
    assert f"{run} cannot be written to" in refused.stderr
    assert "--submission PATH" in refused.stderr
    target = tmp_path / "output" / "submission.csv"
    done = evaluated(words, run, "--data", mice, "--submission", target)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in target.parent.iterdir()} == {"submission.csv", "evaluation.json"}
    assert json.loads((target.parent / "evaluation.json").read_text())["videos"] == 1


def test_predicting_test_videos_only_reads_no_labelled_video(
    straight, scored, mice, tmp_path, python
):
    (_, whole), alone = scored, tmp_path / "alone.csv"
    judged = (straight / "evaluation.json").stat()
    data = tmp_path / "data"
    shutil.copytree(mice / "test_tracking", data / "test_tracking")
    shutil.copy(mice / "test.csv", data)
    (data / "train.csv").write_text("damaged")
    words = ("-m", "jaxbeh.evaluate", "--run", straight, "--submission", alone)
    done = python(*words, "--data", data, "--test-only")
    assert done.returncode == 0, done.stderr
    assert "scored" not in done.stdout
    assert alone.read_bytes() == whole.read_bytes()
    assert (straight / "evaluation.json").stat() == judged


def test_predicting_test_videos_only_where_there_are_none(straight, mice, tmp_path, python):
    (tmp_path / "train.csv").write_bytes((mice / "train.csv").read_bytes())
    done = python("-m", "jaxbeh.evaluate", "--run", straight, "--data", tmp_path, "--test-only")
    assert done.returncode == 1
    assert f"{tmp_path}: has no test videos to predict" in done.stderr
