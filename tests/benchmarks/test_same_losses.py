"""The benchmark that compares two devices with one, here simulated, with a small model."""

import json

RECIPE = "base: debug\nmodel: {name: mlp, hidden: [8, 8]}\n"


def test_two_devices_have_the_losses_of_one(python, tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(RECIPE)
    words = ("--config", path, "--batch", 16, "--frames", 2000)
    done = python("benchmarks/same_losses.py", *words, timeout=300)
    assert done.stderr == ""
    assert done.returncode == 0
    said = done.stdout.splitlines()
    one, *others = [json.loads(line) for line in said if line.startswith("{")]
    assert len(others) == 4
    assert len({*one["losses"]}) == 6
    assert one["max_difference"] == 0
    for line in others:
        apart = [abs(a - b) for a, b in zip(line["losses"], one["losses"], strict=True)]
        assert max(apart) == line["max_difference"] <= 1e-5
        assert 0 <= line["max_relative_difference"] <= 1e-5
    assert [row.split(" | ")[0] for row in said[-5:]] == [
        f"| {line['variant']}" for line in (one, *others)
    ]
