"""Owners are processes of their own; what the machine cannot lock is imitated by saying so."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from jaxbeh.errors import RunError
from jaxbeh.training import lock

HOLD = """
import sys
from pathlib import Path
from jaxbeh.training.lock import held

with held(Path(sys.argv[1]), print):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runs" / "v6"


@pytest.fixture
def owner(folder):
    """Another process that holds the folder."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(lock, "BEAT_S", 0.05)
    monkeypatch.setattr(lock, "WATCH_S", 0.5)
    return monkeypatch


def left(folder, **changed):
    """A lock that somebody left behind."""
    folder.mkdir(parents=True, exist_ok=True)
    owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": "2026-01-01T00:00:00+00:00"}
    (folder / "lock").write_text(json.dumps(owner | changed))


def take(folder):
    """Take and leave a folder; what was told."""
    told = []
    with lock.held(folder, told.append):
        pass
    return told


def refused(folder):
    with pytest.raises(RunError) as caught:
        take(folder)
    return str(caught.value)


def test_a_second_process_is_refused_and_told_who_holds_the_folder(folder, owner):
    said = refused(folder)
    assert said.startswith(f"{folder}: process {owner.pid} on {socket.gethostname()} (since 20")
    assert f"kill {owner.pid}" in said
    assert "--run" in said
    owner.stdin.close()
    assert owner.wait(timeout=60) == 0
    assert take(folder) == []


def test_the_lock_of_a_killed_process_is_taken_over(folder, owner):
    owner.kill()
    owner.wait()
    told = take(folder)
    assert len(told) == 1
    assert f"process {owner.pid} on" in told[0]
    assert "taken over" in told[0]
    assert take(folder) == []


@pytest.mark.usefixtures("quick")
def test_a_stopped_owner_still_holds(folder, owner):
    """It beats no more, but it lives: the system's lock says so."""
    owner.send_signal(signal.SIGSTOP)
    assert f"process {owner.pid}" in refused(folder)
    owner.send_signal(signal.SIGCONT)


def test_the_number_of_a_dead_process_may_be_another_ones_now(folder):
    left(folder, pid=os.getpid())
    assert "taken over" in take(folder)[0]


def test_within_a_process_too(folder):
    with lock.held(folder, print):
        assert f"process {os.getpid()}" in refused(folder)
    assert take(folder) == []


def test_nothing_is_left_and_a_folder_that_stays_empty_neither(folder):
    take(folder)
    assert not folder.parent.exists()
    folder.mkdir(parents=True)
    with lock.held(folder, print):
        (folder / "run.json").write_text("{}")
    assert [path.name for path in folder.iterdir()] == ["run.json"]


@pytest.mark.usefixtures("quick")
def test_the_lock_of_another_machine_is_watched_and_taken_over(folder):
    left(folder, pid=7, host="elsewhere")
    told = take(folder)
    assert len(told) == 2
    assert "process 7 on elsewhere" in told[0]
    assert "sign that it lives" in told[0]
    assert "taken over" in told[1]


@pytest.fixture
def far_away(folder, quick):
    """An owner on another machine, where its lock does not reach from here."""
    quick.setattr(lock, "_lock", lambda _: None)
    there, ended = lock.Owner(7, "elsewhere", "2026-01-01T00:00:00+00:00"), threading.Event()
    folder.mkdir(parents=True)
    with lock._open(folder / "lock") as stream:
        lock._write(stream, there)
        thread = threading.Thread(target=lock._beat, args=(stream, there, ended))
        thread.start()
        yield there
        ended.set()
        thread.join()


@pytest.mark.usefixtures("far_away")
def test_an_owner_out_of_the_locks_reach_shows_itself(folder):
    said = refused(folder)
    assert f"{folder}: process 7 on elsewhere (since 2026-01-01T00:00:00Z) trains in it" in said
    assert "`ps -p 7` there" in said
    assert json.loads((folder / "lock").read_text())["pid"] in (7, os.getpid())


def test_of_two_that_come_at_once_out_of_reach_one_goes_on(folder, quick):
    quick.setattr(lock, "_lock", lambda _: None)
    left(folder, host="elsewhere")
    ends = []
    inside = threading.Barrier(2)

    def come():
        inside.wait()
        try:
            with lock.held(folder, lambda _: None):
                ends.append("held")
        except RunError:
            ends.append("refused")

    others = [threading.Thread(target=come) for _ in range(2)]
    for thread in others:
        thread.start()
    for thread in others:
        thread.join()
    assert sorted(ends) == ["held", "refused"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[1, 2, 3]",
        b'{"pid": "1", "host": "a", "since": "b"}',
        b'{"pid": true, "host": "a", "since": "b"}',
        b'{"pid": 1, "host": "\\u001b[2J", "since": "b"}',
        b'{"pid": 1}',
        b"\xff" * 100_000,
        b"[" * 100_000,
    ],
    ids=lambda content: content[:30].decode("latin-1"),
)
def test_a_lock_that_names_nobody_is_taken(folder, content):
    folder.mkdir(parents=True)
    (folder / "lock").write_bytes(content)
    assert take(folder) == []


def test_a_link_and_a_pipe_are_refused(folder, tmp_path):
    folder.mkdir(parents=True)
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (folder / "lock").symlink_to(precious)
    assert f"{folder / 'lock'}: is a link or no regular file; remove it" in refused(folder)
    assert precious.read_text() == "mine"
    (folder / "lock").unlink()
    os.mkfifo(folder / "lock")
    assert "no regular file" in refused(folder)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    assert "file/run: cannot be written" in refused(tmp_path / "file" / "run")


def test_a_folder_that_is_removed_meanwhile_is_let_go_of(folder):
    with lock.held(folder, print):
        (folder / "lock").unlink()
        folder.rmdir()
    assert not folder.exists()


def test_the_next_owners_lock_is_not_removed(folder):
    """Where somebody removed the first one's by hand."""
    with lock.held(folder, print):
        (folder / "lock").unlink()
        left(folder, pid=7)
    assert json.loads((folder / "lock").read_text())["pid"] == 7
