"""The benchmark of v6's step, as small as it goes: ours, and a variant that cannot run here."""

import json


def test_a_round_is_timed_and_what_fails_is_told(python):
    variants = "jaxbeh-float32,torch-graph-bfloat16"
    words = ("--variants", variants, "--batch", 8, "--steps", 1, "--rounds", 2)
    done = python("benchmarks/train_speed.py", *words, timeout=300)
    assert done.returncode == 0, done.stderr
    about, failed, line = [json.loads(line) for line in done.stdout.splitlines()]
    assert (about["batch"], about["rounds"]) == (8, 2)
    assert failed["variant"] == "torch-graph-bfloat16"
    assert failed["failed"]
    assert line["variant"] == "jaxbeh-float32"
    assert line["ms_a_step"] > 0
    assert 0 < line["loss"] < 10
