"""The comparison of kernels side by side and in turn: its three runs, what it says of them."""

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


@pytest.mark.parametrize(
    ("states", "said"),
    [("aab", "side by side, what was trained is not the same"), ("aba", "undecided")],
)
def test_states_that_differ_are_told(states, said, monkeypatch, capsys):
    import side_by_side

    made = iter(states)

    def epochs_of(*_):
        return [{"state_sha256": "0", "seconds": 1.0}, {"state_sha256": next(made), "seconds": 2.0}]

    monkeypatch.setattr(side_by_side, "epochs_of", epochs_of)
    monkeypatch.setattr("sys.argv", ["side_by_side.py", "--configs", "debug"])
    with pytest.raises(SystemExit, match=said):
        side_by_side.main()
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (line["repeated"], line["same"]) == (states == "aab", states == "aba")
