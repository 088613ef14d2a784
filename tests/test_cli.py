"""The commands as a person meets them: help, version, and messages in place of tracebacks."""

import importlib
import os
from pathlib import Path

import pytest
import typer

import jaxbeh
from jaxbeh.cli import _application
from jaxbeh.config import load_config
from jaxbeh.console import out, print_table
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.vocabulary import SlotTable
from jaxbeh.wording import how_many

COMMANDS = sorted(
    path.stem
    for path in Path(jaxbeh.__file__).parent.glob("*.py")
    if path.stem != "cli" and "\ndef main()" in path.read_text("utf-8")
)


def options(name):
    """Every option of a command, as it is typed."""
    function = getattr(importlib.import_module(f"jaxbeh.{name}"), name)
    command = typer.main.get_command(_application([function]))
    return [word for item in command.params for word in item.opts if word.startswith("-")]


def typed(name):
    """A command as it is typed behind `jaxbeh`."""
    return name.replace("_", "-")


def words_of(text):
    for border in "│╭╮╰╯─":
        text = text.replace(border, " ")
    return text.split()


def message(done):
    """The one message of a command that gave up."""
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("jaxbeh: ")
    assert done.stderr.count("jaxbeh: ") == 1
    assert done.stderr.endswith("\n")
    return done.stderr


def test_there_are_commands():
    assert {"train", "evaluate"} <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("group", [True, False], ids=["jaxbeh", "module"])
def test_help_names_every_option(python, name, group):
    done = python("-m", *(["jaxbeh", typed(name), "-h"] if group else [f"jaxbeh.{name}", "--help"]))
    assert (done.returncode, done.stderr) == (0, "")
    shown = words_of(done.stdout)
    assert [word for word in options(name) if word not in shown] == []


def test_help_lists_the_commands(python):
    done = python("-m", "jaxbeh", "--help")
    assert (done.returncode, done.stderr) == (0, "")
    shown = words_of(done.stdout)
    assert [name for name in COMMANDS if typed(name) not in shown] == []
    assert "--version" in shown


def test_help_of_training_names_its_options(python):
    shown = words_of(python("-m", "jaxbeh.train", "--help").stdout)
    for option in ("--config", "--data", "--run", "--set", "--init-from"):
        assert option in shown


def test_help_of_evaluation_names_its_options(python):
    shown = words_of(python("-m", "jaxbeh.evaluate", "--help").stdout)
    for option in ("--run", "--data", "--submission"):
        assert option in shown


def test_version(python):
    done = python("-m", "jaxbeh", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"jaxbeh {jaxbeh.__version__}\n"


# Messages


def test_an_unknown_recipe(python):
    said = message(python("-m", "jaxbeh.train", "--config", "v66"))
    assert "there is no recipe 'v66'" in said
    assert "v6" in said


def test_a_name_that_is_no_text_is_shown_by_its_numbers(python, monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8:strict")  # as in most terminals
    name = os.fsdecode(b"\xff.yaml")
    said = message(python("-m", "jaxbeh.train", "--config", str(tmp_path / name)))
    assert "\\udcff.yaml: cannot be read" in said


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("training.epochs", ["--set training.epochs", "write key=value"]),
        ("training.epochs=0", ["training.epochs = 0", "greater than or equal to 1"]),
        ("training.epoch=2", ["training.epoch = 2", "training has epochs"]),
        ("training.epochs=[", ["--set training.epochs=["]),
        ("data.aliases={'[red]a': 3}", ["[red]a"]),
    ],
)
def test_a_setting_that_cannot_be(python, tmp_path, override, parts):
    done = python(
        "-m", "jaxbeh.train", "--config", "debug", "--run", tmp_path / "run", "--set", override
    )
    said = message(done)
    for part in parts:
        assert part in said
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("there", [True, False])
def test_data_that_is_no_collection(python, tmp_path, there):
    data = tmp_path / "no [bold]data"
    if there:
        data.mkdir()
    done = python(
        "-m", "jaxbeh.train", "--config", "debug", "--data", data, "--run", tmp_path / "run"
    )
    said = message(done)
    assert str(data) in said
    assert "train.csv" in said
    assert not (tmp_path / "run").exists()


def test_evaluating_what_is_no_run(python, tmp_path):
    said = message(python("-m", "jaxbeh.evaluate", "--run", tmp_path / "none"))
    assert f"{tmp_path / 'none'} is no run" in said
    assert f"--run {tmp_path / 'none'}" in said


def test_evaluating_a_run_without_a_checkpoint_or_data(python, tmp_path):
    record = {"data_hash": "", "init_from": None, "data": str(tmp_path / "gone")}
    split = {"train": [], "validation": []}
    slots = SlotTable.build(["nose"], {})
    RunFolder(tmp_path / "run").start(load_config("debug"), slots, split, {}, record)
    said = message(python("-m", "jaxbeh.evaluate", "--run", tmp_path / "run"))
    assert str(tmp_path / "gone") in said
    assert "--data" in said


def test_scoring_a_file_that_is_not_there(python, tmp_path):
    said = message(python("-m", "jaxbeh", "score", tmp_path / "a.csv", tmp_path / "b.csv"))
    assert str(tmp_path / "a.csv") in said


@pytest.mark.parametrize(
    "words",
    [
        ["jaxbeh.train", "--nope"],
        ["jaxbeh.train", "--config"],
        ["jaxbeh.evaluate"],
        ["jaxbeh", "nope"],
    ],
    ids=" ".join,
)
def test_words_that_are_no_command_line(python, words):
    done = python("-m", *words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Error" in done.stderr


COMMAND = """
import sys, typer
from jaxbeh.cli import run_command
from jaxbeh.console import out
from jaxbeh.errors import DataError

def command() -> None:
    '''A command of the test.'''
    {body}

run_command(command)
"""


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("pass", 0, ""),
        ("raise typer.Exit(143)", 143, ""),
        ("raise DataError('a [bold]b[/bold] ' + 'c' * 300)", 1, f"a [bold]b[/bold] {'c' * 300}\n"),
        ("open('/nowhere/at/all')", 1, "No such file or directory: '/nowhere/at/all'\n"),
        ("raise OSError(28, 'No space left', 'x')", 1, "[Errno 28] No space left: 'x'\n"),
    ],
)
def test_how_a_command_ends(python, body, code, said):
    done = python("-c", COMMAND.format(body=body))
    assert done.returncode == code
    assert done.stderr.endswith(said)
    assert done.stderr.count("\n") == bool(said)
    assert done.stderr.startswith("jaxbeh: " if said else "")


def test_a_mistake_of_our_own_keeps_its_traceback(python):
    done = python("-c", COMMAND.format(body="raise ZeroDivisionError('ours')"))
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError: ours" in done.stderr


def test_text_that_is_piped_has_no_colours_and_is_not_broken_into_lines(python):
    done = python("-c", COMMAND.format(body="out.print('x ' + 'y' * 300, style='bold')"))
    assert done.stdout == "x " + "y" * 300 + "\n"


def test_the_help_of_train_shows_a_file_that_works(python, tmp_path):
    done = python("-m", "jaxbeh.train", "--help")
    lines = [line.strip() for line in done.stdout.splitlines()]
    start = lines.index("base: v6")
    end = next(n for n, line in enumerate(lines) if line.startswith("loss: "))
    example = [line for line in lines[start : end + 1] if line]
    path = tmp_path / "mine.yaml"
    path.write_text("\n".join(example))
    config = load_config(str(path))
    assert config.classes[1].actions == ("selfgroom", "allogroom")
    assert config.loss.class_weights == (1, 5)


def test_what_was_met_while_reading_is_told_before_a_refusal(python, tmp_path):
    made = python("-m", "jaxbeh.synthesize", "--out", tmp_path / "c", "--videos", 3)
    assert made.returncode == 0
    for path in sorted((tmp_path / "c" / "train_tracking").rglob("*.parquet"))[:2]:
        path.write_bytes(path.read_bytes()[:1000])
    done = python(
        *("-m", "jaxbeh.train", "--config", "debug", "--data", tmp_path / "c"),
        *("--run", tmp_path / "run"),
    )
    assert "1 labelled videos" in message(done)
    assert "Met while reading" in done.stdout
    assert "cannot be read" in done.stdout
    assert not (tmp_path / "run").exists()


def test_compiled_programs_are_kept_in_the_users_cache_unless_told_otherwise(python, tmp_path):
    program = (
        "import os, sys; os.environ.pop('JAX_COMPILATION_CACHE_DIR', None)\n"
        "os.environ['XDG_CACHE_HOME'] = sys.argv[1]\n"
        "os.environ.update(item.split('=') for item in sys.argv[2:])\n"
        "from jaxbeh.collection import keep_programs\n"
        "keep_programs()\n"
        "import jax; print(jax.config.jax_compilation_cache_dir)\n"
        "jax.jit(lambda x: x + 1)(jax.numpy.arange(3))"
    )
    done = python("-c", program, tmp_path)
    assert done.stdout.strip() == str(tmp_path / "jaxbeh" / "programs"), done.stderr
    assert list((tmp_path / "jaxbeh" / "programs").glob("*-cache"))
    done = python("-c", program, tmp_path, f"JAX_COMPILATION_CACHE_DIR={tmp_path / 'mine'}")
    assert done.stdout.strip() == str(tmp_path / "mine"), done.stderr


def test_brackets_in_names_are_printed_as_they_are(capsys):
    out.print("runs/[red]x is finished")
    print_table("of [bold]x", ["runs/[red]x"], [["[lab]"]])
    printed = capsys.readouterr().out
    assert "runs/[red]x is finished" in printed
    assert "of [bold]x" in printed
    assert "[lab]" in printed
    assert printed.count("[red]x") == 2


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 bouts"), (1, "1 bout"), (2000, "2,000 bouts")]
)
def test_things_are_counted_in_words(number, words):
    assert how_many(number, "bout") == words
