"""The comparison of kernels side by side and in turn: its two runs, and what it says of them."""

import json

import pytest


def test_all_runs_are_made_and_a_cpu_trains_the_same(python, long):
    if not long:
        pytest.skip("only with --long: it compiles all programs three times, for half a minute")
    words = ("--configs", "debug", "--set", "training.epochs=2")
    done = python("benchmarks/side_by_side.py", *words, timeout=300)
    assert done.returncode == 0, done.stderr
    (line,) = [json.loads(line) for line in done.stdout.splitlines() if line[0] == "{"]
    assert line["same"]
    assert line["repeated"]
    assert line["epochs"] == 2
    assert set(line["epoch_seconds"]) == {"in_turn", "again", "side_by_side"}


def test_states_that_differ_are_told(monkeypatch):
    import side_by_side

    def epochs_of(*given):
        way = given[-1]["xla_gpu_command_buffer_scheduling_mode"]
        return [{"state_sha256": "a", "seconds": 1.0}, {"state_sha256": way, "seconds": 2.0}]

    monkeypatch.setattr(side_by_side, "epochs_of", epochs_of)
    found = side_by_side.compare("debug", [])
    assert found["repeated"]
    assert not found["same"]
    monkeypatch.setattr("sys.argv", ["side_by_side.py", "--configs", "debug"])
    with pytest.raises(SystemExit, match="not the same"):
        side_by_side.main()
