"""The benchmark of v6's step, by ours alone and as small as it goes."""

import json


def test_a_round_is_timed_and_loses(python):
    words = ("--variants", "jaxbeh-float32", "--batch", 8, "--steps", 1, "--rounds", 2)
    done = python("benchmarks/train_speed.py", *words, timeout=300)
    assert done.returncode == 0, done.stderr
    about, line = [json.loads(line) for line in done.stdout.splitlines()]
    assert (about["batch"], about["rounds"]) == (8, 2)
    assert line["variant"] == "jaxbeh-float32"
    assert line["ms_a_step"] > 0
    assert 0 < line["loss"] < 10


def test_a_variant_that_fails_is_told(python):
    words = ("--variants", "torch-graph-bfloat16", "--batch", 8, "--steps", 1, "--rounds", 1)
    done = python("benchmarks/train_speed.py", *words, timeout=300)
    assert done.returncode == 0, done.stderr
    _, line = [json.loads(line) for line in done.stdout.splitlines()]
    assert line["variant"] == "torch-graph-bfloat16"
    assert line["failed"]
