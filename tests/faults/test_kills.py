"""SIGKILL at any moment loses nothing that was saved, and the same command ends in the same bits.

8 kills here, 240 with `--long`. Each kill is drawn from its number; the moment also depends on how
fast the machine is just then.
"""

import collections
import os
import re
import signal
import time

import numpy as np

from tests.faults.runs import EPOCHS, empty, lines, listed, wait_until

KILLS, KILLS_LONG = 8, 240


def count_lines(run):
    path = run / "metrics.jsonl"
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def inside(folder):
    try:
        return os.listdir(folder)  # noqa: PTH208  # as fast as can be
    except (FileNotFoundError, NotADirectoryError):
        return []


def being_written(run):
    return any("orbax-checkpoint-tmp" in name for name in inside(run / "checkpoints"))


def being_deleted(run):
    return bool(inside(run / "checkpoints" / "deleted"))


def strike(run, process, number):
    """Wait for the moment that the kill's number says, and kill; false if the run ended before."""
    draw = np.random.default_rng(number)
    more = count_lines(run) + int(draw.integers(1, 5))
    aims = {
        "start": (lambda: True, draw.uniform(0, 2)),
        "epoch": (lambda: count_lines(run) >= more, draw.uniform(0, 0.2)),
        "write": (lambda: count_lines(run) >= more and being_written(run), draw.uniform(0, 0.02)),
        "delete": (lambda: count_lines(run) >= more and being_deleted(run), 0),
    }
    moment, later = aims[["epoch", "delete", "write", "start", "delete", "write"][number % 6]]
    if not wait_until(moment, process):
        return False
    time.sleep(later)
    os.kill(process, signal.SIGKILL)
    return True


def continued_at(said):
    """The step that a start went on from; 0 where there was no checkpoint; `None` before that."""
    found = re.search(r"Continuing .* after epoch \d+, step (\d+)", said)
    began = re.search(r"^epoch \d+/", said, re.MULTILINE)
    return int(found[1]) if found else 0 if began else None


def test_killed_at_any_moment_and_continued_to_the_same_bits(
    runs, straight, tmp_path, long, capsys
):
    expected = lines(straight)
    steps = max(listed(straight, print)) // EPOCHS
    hashes = {line["epoch"] * steps: line["state_sha256"] for line in expected}
    assert len(hashes) == EPOCHS
    run, told, seen, newest = tmp_path / "run", [], collections.Counter(), 0
    number = 0
    while seen["kills"] < (KILLS_LONG if long else KILLS):
        process = runs.start(run)
        struck = strike(run, process, number)
        code, said = runs.end()
        number += 1
        # It went on from the newest step that was listed, and none of them was damaged.
        assert continued_at(said) in (newest, None), said
        assert "passed over" not in said
        if code == 0:
            seen["ends"] += 1
            complete(run, straight)
            empty(run)
            newest = 0
            continue
        assert (struck, code) == (True, -signal.SIGKILL), said
        seen["kills"] += 1
        seen["while a step was written"] += being_written(run)
        seen["while a step was deleted"] += being_deleted(run)
        kept = listed(run, told.append)
        assert told == []
        assert kept == {step: hashes[step] for step in kept}, f"kill {number}"
        seen["steps looked at"] += len(kept)
        newest = max(kept, default=0)
        whole = lines(run)
        assert whole == expected[: len(whole)]
        assert len(whole) * steps >= newest
    runs.finish(run)
    complete(run, straight)
    if long:
        with capsys.disabled():
            print(dict(seen))  # noqa: T201  # the figures of docs/reliability.md
        assert seen["while a step was written"] > KILLS_LONG / 10
        assert seen["while a step was deleted"] > KILLS_LONG / 20


def complete(run, straight):
    """A run that came to its end is the straight one, and nothing else is left in it."""
    assert lines(run) == lines(straight)
    assert [line["epoch"] for line in lines(run)] == list(range(1, EPOCHS + 1))
    assert listed(run, print) == listed(straight, print)
    assert names(run / "checkpoints") == names(straight / "checkpoints")
    assert names(run) == names(straight)


def names(folder):
    return sorted(path.name for path in folder.iterdir())
