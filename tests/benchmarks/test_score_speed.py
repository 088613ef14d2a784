"""The benchmark of scoring runs from its documented command, here on little data."""

import json


def test_one_line(python):
    done = python("benchmarks/score_speed.py", "--videos", 3, "--bouts", 9, "--rounds", 1)
    assert (done.returncode, done.stderr) == (0, "")
    line = json.loads(done.stdout)
    assert (line["videos"], line["bouts"]) == (3, 9)
    assert line["seconds"] > 0
    assert 0 < line["score"] < 1
