"""The command `jaxbeh validate-submission`, as a person runs it on another system's file."""

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from jaxbeh.data.synthetic import FullScale, synthesize
from jaxbeh.inference.submission_rules import COLUMNS
from jaxbeh.validate_submission import validate_submission

application = typer.Typer()
application.command()(validate_submission)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp("mice") / "data"
    synthesize(root, FullScale(videos=3, frames=480))
    return root


@pytest.fixture(scope="module")
def sound(data):
    """The first event of each triple of each labelled video, all apart."""
    rows = []
    for path in sorted(data.glob("train_annotation/*/*.parquet")):
        events = pd.read_parquet(path).drop_duplicates(["agent_id", "target_id", "action"])
        for place, event in enumerate(events.itertuples()):
            agent, target = f"mouse{event.agent_id}", f"mouse{event.target_id}"
            pair = (agent, "self" if agent == target else target)
            rows.append((len(rows), path.stem, *pair, event.action, place, place + 1))
    return pd.DataFrame(rows, columns=COLUMNS)


def run(table, data, folder, *words):
    path = folder / "s.csv"
    table.to_csv(path, index=False)
    return CliRunner().invoke(application, [str(path), "--data", str(data), *words])


def test_a_sound_file(sound, data, tmp_path):
    done = run(sound, data, tmp_path)
    assert done.exception is None, done.output
    assert "0 errors, 0 warnings" in done.output


def test_warnings_are_told_and_pass(sound, data, tmp_path):
    more = sound.iloc[:1].assign(row_id=99, action="dances")
    done = run(pd.concat([sound, more]), data, tmp_path)
    assert done.exit_code == 0
    assert "0 errors, 1 warning" in done.output
    assert f"│ {len(sound)} " in done.output
    assert "dances" in done.output


def test_what_costs_score_without_a_word_is_told_of_and_passes(sound, data, tmp_path):
    silent = sound["video_id"].iloc[0]
    (lab,) = (path.parent.name for path in data.glob(f"train_annotation/*/{silent}.parquet"))
    done = run(sound[sound["video_id"] != silent], data, tmp_path)
    assert done.exit_code == 0, done.output
    assert "What may cost score without a word" in done.output
    assert f"'{lab}'" in done.output
    assert "0 errors, 1 warning" in done.output


def test_all_errors_are_counted_and_some_printed(sound, data, tmp_path):
    bad = sound.assign(row_id=0, stop_frame="12.5")
    done = run(bad, data, tmp_path, "--show", "1")
    assert done.exit_code == 1
    assert f"{len(sound)} errors, 0 warnings" in done.output
    assert "'12.5'" in done.output
    assert f"… and {len(sound) - 1} more" in done.output


def test_from_the_command_line(python, sound, data, tmp_path):
    path = tmp_path / "[red]s.csv"
    sound.drop(columns="row_id").to_csv(path, index=False)
    done = python("-m", "jaxbeh", "validate-submission", path, "--data", data)
    assert (done.returncode, done.stderr) == (1, "")
    assert "write exactly row_id" in " ".join(done.stdout.replace("│", " ").split())
    assert "[red]s.csv" in done.stdout
    done = python("-m", "jaxbeh", "validate-submission", path, "--data", tmp_path)
    assert done.returncode == 1
    assert "no videos to check a submission against" in done.stderr
