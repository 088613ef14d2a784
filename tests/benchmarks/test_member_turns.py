"""The benchmark of members together and in turns, with a small model."""

import json

import pytest

SMALL = (
    "data.synthetic_videos=4",
    "window={length: 32, train_stride: 32}",
    "network={stem: 8, width: 8, encoder: {name: tcn, channels: [8], dropout: 0.2}}",
)


def test_both_forms_lose_the_same_and_turns_take_less_memory(python, long):
    if not long:
        pytest.skip("only with --long: tests/training/pairs/test_pair_programs.py has the same")
    words = ("--members", "2x2", "--rounds", 2, "--set", *SMALL)
    done = python("benchmarks/member_turns.py", *words, timeout=300)
    assert done.returncode == 0, done.stderr
    at_once, turns = [json.loads(line) for line in done.stdout.splitlines() if line[0] == "{"]
    assert [line["form"] for line in (at_once, turns)] == ["together", "in_turns"]
    assert at_once["members"] == turns["members"] == 4
    assert at_once["loss"] == pytest.approx(turns["loss"], rel=1e-4)
    assert turns["step_bytes"] < at_once["step_bytes"] / 2
