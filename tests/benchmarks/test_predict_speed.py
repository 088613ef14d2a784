"""The benchmark of prediction, on few frames."""

import json


def test_all_ways_are_timed_with_one_program_each(python):
    done = python("benchmarks/predict_speed.py", "--frames", 3000, timeout=300)
    assert done.returncode == 0, done.stderr
    _, *lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["measured"] for line in lines][:2] == ["device", "videos in memory"]
    assert all(line["programs_compiled"] == 1 for line in lines)
    assert all(line["frames_a_second"] > 0 for line in lines)
