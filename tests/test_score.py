import json
import subprocess
import sys

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from jaxbeh.errors import DataError
from jaxbeh.score import score

LIST = json.dumps(["mouse1,mouse2,sniff", "mouse1,mouse2,attack", "mouse1,self,NA"])
TRUE = [
    ("01", "mouse1", "mouse2", "sniff", 0, 100, "[red]lab", LIST),
    ("02", "mouse1", "self", "NA", 0, 10, "other", LIST),
]
FOUND = [(0, "01", "mouse1", "mouse2", "sniff", 50, 150), (1, "02", "mouse1", "self", "NA", 0, 10)]
NAMES = ["video_id", "agent_id", "target_id", "action", "start_frame", "stop_frame"]


@pytest.fixture
def files(tmp_path):
    solution, submission = tmp_path / "solution.csv", tmp_path / "submission.csv"
    pd.DataFrame(TRUE, columns=[*NAMES, "lab_id", "behaviors_labeled"]).to_csv(
        solution, index=False
    )
    pd.DataFrame(FOUND, columns=["row_id", *NAMES]).to_csv(submission, index=False)
    return solution, submission


def test_prints_actions_lab_means_and_the_score(files, capsys):
    score(*files)
    printed = capsys.readouterr().out
    assert "F-score (mean over 2 labs): 0.750000" in printed
    assert "ignored" not in printed
    rows = [line.replace("│", " ").split() for line in printed.splitlines()]
    assert ["[red]lab", "sniff", "0.500", "50", "50", "50"] in rows
    assert ["other", "NA", "1.000", "10", "0", "0"] in rows
    assert ["[red]lab", "0.500", "1"] in rows
    assert ["other", "1.000", "1"] in rows


def test_an_interval_beside_the_score(files, capsys):
    solution, submission = files
    more = [*TRUE, ("03", *TRUE[0][1:])]
    pd.DataFrame(more, columns=[*NAMES, "lab_id", "behaviors_labeled"]).to_csv(
        solution, index=False
    )
    score(solution, submission, bootstrap=50)
    printed = " ".join(capsys.readouterr().out.split())
    assert (
        "0.666667, 95% interval 0.500000 to 0.750000 (50 draws of 3 videos within labs)" in printed
    )


def test_no_interval_where_no_lab_has_two_videos(files, capsys):
    score(*files, bootstrap=50)
    printed = " ".join(capsys.readouterr().out.split())
    assert "0.750000, no interval: no lab has two videos to draw from" in printed


def test_says_how_many_rows_count_for_nothing(files, capsys):
    solution, submission = files
    with submission.open("a") as file:
        file.write("2,99,mouse1,mouse2,sniff,0,9\n3,01,mouse1,mouse1,NA,0,9\n")
    score(solution, submission)
    printed = " ".join(capsys.readouterr().out.split())
    assert "1 of 4 rows are of videos that the solution does not have" in printed
    assert "1 of 4 rows name an agent, target and action" in printed
    assert "0.750000" in printed


def test_a_byte_order_mark_of_a_spreadsheet_does_no_harm(files, capsys):
    solution, submission = files
    submission.write_bytes(b"\xef\xbb\xbf" + submission.read_bytes())
    score(solution, submission)
    assert "0.750000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "submission.csv: not a CSV table"),
        (b"\x00\xff\xfe\x89PNG", "submission.csv: not a CSV table"),
        (b'a,b\n"1,2\n', "submission.csv: not a CSV table"),
        (b"a,b\n1,2\n1,2,3\n", "submission.csv: not a CSV table"),
        (b"a,b\n1,2,3\n", "more cells than its first line has names"),
        (b"row_id,video_id\n0,1\n", "submission: column 'agent_id' is missing"),
        (",".join(["row_id", *NAMES]).encode() + b"\n", "submission: the table has no rows"),
        (
            ",".join(["row_id", *NAMES]).encode() + b"\n0,01,mouse1,mouse2,sniff,5\n",
            "submission row 0: stop_frame",
        ),
    ],
)
def test_refuses_what_is_no_submission(files, content, message):
    solution, submission = files
    submission.write_bytes(content)
    with pytest.raises(DataError, match=message):
        score(solution, submission)


def test_refuses_a_missing_file_and_a_folder(files, tmp_path):
    solution, submission = files
    with pytest.raises(DataError, match=r"none.csv: cannot be read \(No such file"):
        score(solution, tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"cannot be read \(Is a directory"):
        score(tmp_path, submission)


def test_its_module_brings_neither_pandas_nor_jax():
    code = "import sys, jaxbeh.score; print({'pandas', 'jax', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_its_command_line_takes_two_files(files):
    application = typer.Typer()
    application.command()(score)
    runner = CliRunner()
    assert "F-score" in runner.invoke(application, [str(path) for path in files]).stdout
    assert runner.invoke(application, [str(files[0])]).exit_code == 2
    usage = runner.invoke(application, ["--help"]).stdout
    assert "SOLUTION" in usage
    assert "SUBMISSION" in usage


def run(*words):
    command = [sys.executable, "-W", "error", "-m", "jaxbeh.score", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True)


def test_from_the_command_line(files, tmp_path):
    done = run(*files)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.rstrip().endswith("F-score (mean over 2 labs): 0.750000")
    done = run(files[0], tmp_path / "none.csv")
    assert done.returncode == 1
    assert "none.csv: cannot be read" in "".join(done.stderr.split("\n"))
    assert "Traceback" not in done.stderr
