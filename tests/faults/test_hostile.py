"""Files that mean harm: no name leaves its folder, no link is written through, nothing waits."""

import json
import os
import pickle
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxbeh.config import load_config
from jaxbeh.console import print_table
from jaxbeh.data.checks import examine
from jaxbeh.data.mabe import read_labelled
from jaxbeh.data.mabe.annotation import read_annotation
from jaxbeh.data.mabe.tracking import read_tracking
from jaxbeh.data.mabe.videos import read_videos
from jaxbeh.data.report import ReadingReport
from jaxbeh.data.split import split_videos
from jaxbeh.errors import DataError, JaxbehError, RunError
from jaxbeh.inference.bouts import Bouts
from jaxbeh.inference.submission import submission_table, write_submission
from jaxbeh.score import score
from jaxbeh.settings.run import DataSettings
from jaxbeh.training.curves import draw_curves
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.vocabulary import ClassMap, SlotTable
from tests.data.mabe_folder import Video, rows, tracking_path, walk, write_folder
from tests.recordings import recording, wander

SETTINGS = DataSettings()
ACTIONS = {"actions.json": "{}"}

# Names


@pytest.mark.parametrize("column", ["lab_id", "video_id"])
@pytest.mark.parametrize(
    "name",
    [
        "..", "../x", "a/../../x", "/etc/passwd", "~", ".", "\\\\server\\share", "C:x", "a\0b",
        "a\nb", "a\u202eb", "CON", "con.txt", "Nul", "COM1", "lpt9.x", "a.", "a ", "\u2028",
    ],
)  # fmt: skip
def test_no_name_of_a_table_becomes_a_path_unchecked(tmp_path, column, name):
    cells = {"lab_id": "Lab", "video_id": "1", column: name}
    path = tmp_path / "train.csv"
    path.write_text(f'lab_id,video_id\n"{cells["lab_id"]}","{cells["video_id"]}"\n')
    with pytest.raises(DataError, match=r"train\.csv, line"):
        read_videos(path)


@given(name=st.text(min_size=1, max_size=300))
def test_a_name_that_is_taken_stays_in_its_folder(tmp_path_factory, name):
    folder = tmp_path_factory.getbasetemp().resolve()
    path = folder / "names.csv"
    quoted = name.replace('"', '""')
    try:
        path.write_text(f'lab_id,video_id\n"{quoted}",1\n', "utf-8", newline="")
        (row,) = read_videos(path)
    except (DataError, UnicodeEncodeError):
        return
    file = folder / "train_tracking" / row.lab_id / f"{row.video_id}.parquet"
    assert Path(os.path.normpath(file)).parent.parent == folder / "train_tracking"


def test_a_name_longer_than_any_file_is_left_out_or_told(tmp_path):
    root = write_folder(tmp_path, [Video(video_id="1"), Video(video_id="2")])
    table = root / "train.csv"
    table.write_text(table.read_text().replace(",2,", f",{'9' * 300},"))
    report = ReadingReport()
    assert len(read_labelled(root, SETTINGS, report, tmp_path / "cache")) == 1
    found = examine(root, SETTINGS, lambda *_: None)
    assert {one.check for one in found.findings if one.severity == "error"} == {
        "tracking-unreadable",
        "annotation-unreadable",
    }


def test_a_name_does_not_steer_the_terminal_that_shows_it(capsys):
    print_table("", ["action"], [["sniff\x1b[2J\x1b]0;title\x07"], ["naïve 名前"], ["\udcff"]])
    shown = capsys.readouterr().out
    assert "sniff\\x1b[2J\\x1b]0;title\\x07" in shown
    assert "naïve 名前" in shown
    assert "\\udcff" in shown
    assert "\x1b" not in shown


# Pipes, devices, links


@pytest.fixture
def in_time():
    """Ends a test that waits."""

    def late(*_):
        raise TimeoutError("waited for a pipe")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("in_time")
@pytest.mark.parametrize("kind", ["pipe", "device", "link to a pipe", "folder", "link to itself"])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path, kind):
    root = write_folder(tmp_path / "mice", [Video(video_id="1"), Video(video_id="2")])
    slots = SlotTable.build(["nose"], {})
    run = RunFolder(tmp_path / "run")
    run.start(load_config("debug"), slots, {"train": [], "validation": []}, ACTIONS, {})
    recordings = [recording(wander(30, seed=n), video_id=str(n)) for n in (1, 2)]

    def replaced(path):
        path.unlink(missing_ok=True)
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "device":
            path.symlink_to("/dev/zero")
        elif kind == "link to a pipe":
            os.mkfifo(path.with_name(f"{path.name}.pipe"))
            path.symlink_to(path.with_name(f"{path.name}.pipe"))
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to(path)
        return path

    tracking = replaced(tracking_path(root, Video(video_id="1")))
    events = replaced(root / "train_annotation" / "Lab" / "2.parquet")
    report = ReadingReport()
    for look in (
        lambda: read_tracking(tracking),
        lambda: read_annotation(events),
        lambda: read_labelled(root, SETTINGS, report, None),
        lambda: read_labelled(root, SETTINGS, report, tmp_path / "cache"),
        lambda: read_videos(replaced(tmp_path / "train.csv")),
        lambda: load_config(str(replaced(tmp_path / "mine.yaml"))),
        lambda: score(replaced(tmp_path / "a.csv"), tmp_path / "b.csv"),
        lambda: split_videos(
            recordings, DataSettings(split_file=str(replaced(tmp_path / "s.json"))), 0,
            ClassMap.build([]), report,
        ),
        lambda: (replaced(run.path / "slots.json"), run.slots()),
        lambda: (replaced(run.path / "split.json"), run.split()),
        lambda: (replaced(run.path / "actions.json"), run.text("actions.json")),
        lambda: (replaced(run.path / "run.json"), run.record()),
    ):  # fmt: skip
        with pytest.raises(JaxbehError):
            look()
    found = examine(root, SETTINGS, lambda *_: None)
    assert {one.video_id for one in found.findings if one.severity == "error"} == {"1", "2"}


@pytest.mark.usefixtures("in_time")
def test_nor_is_a_pipe_where_a_run_is_to_begin(tmp_path):
    os.mkfifo(tmp_path / "config.yaml")
    with pytest.raises(RunError, match=r"holds another config\.yaml"):
        started(tmp_path)


def test_a_linked_recording_is_read_since_people_keep_them_on_other_disks(tmp_path):
    root = write_folder(tmp_path / "mice", [Video(video_id="1"), Video(video_id="2")])
    path = tracking_path(root, Video(video_id="1"))
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert len(read_labelled(root, SETTINGS, ReadingReport(), None)) == 2


RECORD = {"data_hash": "", "init_from": None}
SPLIT = {"train": ["1"], "validation": ["2"]}


def started(path):
    run = RunFolder(path)
    run.start(load_config("debug"), SlotTable.build(["nose"], {}), SPLIT, ACTIONS, RECORD)
    return run


@pytest.mark.parametrize(
    "name", ["checkpoints", "tensorboard", "metrics.jsonl", "curves.png", "config.yaml"]
)
def test_a_run_with_a_link_in_it_is_not_continued(tmp_path, name):
    run = started(tmp_path / "run")
    run.require_same(load_config("debug"), RECORD, SPLIT)
    (run.path / name).unlink(missing_ok=True)
    (run.path / name).symlink_to(tmp_path / "precious")
    with pytest.raises(RunError, match=f"{name}: is a link") as caught:
        run.require_same(load_config("debug"), RECORD, SPLIT)
    assert "move the whole folder" in str(caught.value)
    (run.path / "run.json").unlink()
    with pytest.raises(RunError, match=f"{name}: is a link"):
        started(run.path)


@pytest.mark.parametrize("name", ["deleted", "7", "other"])
def test_nor_one_with_a_link_among_its_checkpoints(tmp_path, name):
    """Old steps would be moved through `deleted`, and Orbax's notes removed through any."""
    run = started(tmp_path / "run")
    run.checkpoints.mkdir()
    run.require_same(load_config("debug"), RECORD, SPLIT)
    (run.checkpoints / name).symlink_to(tmp_path)
    with pytest.raises(RunError, match=f"checkpoints/{name}: is a link"):
        run.require_same(load_config("debug"), RECORD, SPLIT)


def test_a_run_folder_may_be_a_link_itself(tmp_path):
    started(tmp_path / "big disk")
    (tmp_path / "run").symlink_to(tmp_path / "big disk")
    RunFolder(tmp_path / "run").require_same(load_config("debug"), RECORD, SPLIT)


def test_no_file_of_a_run_is_written_through_a_link(tmp_path):
    """A name that is written and then put into its place, laid out beforehand as a link."""
    precious = tmp_path / "precious"
    precious.write_text("precious")
    run = started(tmp_path / "run")
    run.append_metrics({"epoch": 1})
    for name in ("evaluation.json.partial", "evaluation.json", ".curves.png.partial", "curves.png",
                 "metrics.partial", ".submission.csv.part", "submission.csv",
                 f".submission.csv.{os.getpid()}.part"):  # fmt: skip
        (run.path / name).symlink_to(precious)
    run.write_evaluation({"macro_f1": 1.0})
    run.cut_metrics(0)
    line = {"epoch": 1, "train_loss": 1, "val_loss": 1, "val_macro_f1": 1, "learning_rate": 1}
    draw_curves([{**line, "val_f1": {"a": 1}}], run.config(), run.path / "curves.png")
    write(run.path / "submission.csv", "sniff")
    assert precious.read_text() == "precious"
    for name in ("evaluation.json", "curves.png", "submission.csv", "metrics.jsonl"):
        assert not (run.path / name).is_symlink()


# Spreadsheets


def write(path, action):
    """A submission of one bout of an action."""
    video = recording(wander(30), whitelist=[f"mouse1,mouse2,{action}"])
    table = pd.DataFrame(
        [["1", "mouse1", "mouse2", action, 3, 9, 0.1, 0.3, 0.5]],
        columns=["video_id", "agent_id", "target_id", "action", "start_frame", "stop_frame",
                 "start_s", "stop_s", "score"],
    )  # fmt: skip
    write_submission(submission_table(Bouts(table)), path, [video])


@pytest.mark.parametrize("action", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_a_submission_keeps_its_names_to_the_letter(tmp_path, action):
    """It is for the scorer: a changed name would score nothing. Doctor tells of such names."""
    write(tmp_path / "submission.csv", action)
    line = (tmp_path / "submission.csv").read_text().splitlines()[1]
    assert line == f"0,1,mouse1,mouse2,{action},3,9"


@pytest.mark.parametrize("action", ["a\tb", "a\rb", "\t=1"])
def test_a_submission_with_letters_that_break_tables_is_refused(tmp_path, action):
    with pytest.raises(DataError, match="is not plain text"):
        write(tmp_path / "submission.csv", action)


# Caches


def same(one, other):
    return [
        (item.video_id, item.tracking.content_hash, item.tracking.xy.tobytes()) for item in one
    ] == [(item.video_id, item.tracking.content_hash, item.tracking.xy.tobytes()) for item in other]


def test_a_flipped_bit_of_the_cache_is_noticed_and_the_file_read_anew(tmp_path):
    videos = [Video(video_id=str(n), tracking=rows(walk(40, seed=n))) for n in range(3)]
    root, cache = write_folder(tmp_path / "mice", videos), tmp_path / "cache"
    fresh = read_labelled(root, SETTINGS, ReadingReport(), None)
    read_labelled(root, SETTINGS, ReadingReport(), cache)
    files = sorted(path for path in cache.rglob("*") if path.is_file())
    assert files
    draw = np.random.default_rng(0)
    for path in files:
        for _ in range(8):
            content = bytearray(path.read_bytes())
            content[int(draw.integers(len(content)))] ^= 1 << int(draw.integers(8))
            path.unlink()
            path.write_bytes(content)
            assert same(read_labelled(root, SETTINGS, ReadingReport(), cache), fresh)


PROGRAM = """
import sys
import jax
jax.config.update("jax_compilation_cache_dir", sys.argv[1])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
print(float(jax.jit(lambda x: (jax.numpy.sin(x) @ x.T).sum())(jax.numpy.ones((30, 30)))))
"""


def test_a_flipped_bit_of_a_compiled_program_is_noticed_and_it_is_compiled_anew(python, tmp_path):
    def run():
        done = python("-W", "default", "-c", PROGRAM, tmp_path)
        assert done.returncode == 0, done.stderr
        return done

    first = run()
    kept = {path: path.read_bytes() for path in tmp_path.glob("*-cache")}
    assert kept
    assert "Error reading" not in run().stderr
    for path, content in kept.items():
        flipped = bytearray(content)
        flipped[len(content) // 2] ^= 4
        path.write_bytes(flipped)
    damaged = run()
    assert damaged.stdout == first.stdout
    assert "Error reading persistent compilation cache" in damaged.stderr


def test_json_is_the_only_thing_that_a_record_can_be(tmp_path):
    run = started(tmp_path / "run")
    (run.path / "run.json").write_bytes(pickle.dumps(os.getcwd))
    with pytest.raises(RunError, match=r"run\.json: cannot be read"):
        run.record()
    assert json.loads((run.path / "split.json").read_text()) == SPLIT
