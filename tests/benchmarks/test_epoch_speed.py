"""The benchmark of whole epochs, on one simulated device and on two, with a small model."""

import json

import pytest

RECIPE = """
base: debug
features: {name: coordinates}
model: {name: mlp, hidden: [8, 8]}
"""


def test_one_device_and_two_take_turns(python, tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(RECIPE)
    words = ("--config", path, "--scale", 0.001, "--batch", 32, "--devices", 1, 2, "--rounds", 2)
    done = python("benchmarks/epoch_speed.py", *words, timeout=300)
    assert done.stderr == ""
    assert done.returncode == 0
    one, two = map(json.loads, done.stdout.splitlines())
    assert [line["device"] for line in (one, two)] == ["1 x cpu", "2 x cpu"]
    assert one["windows"] == two["windows"] == [227, 30]
    assert [line["steps"] for line in (one, two)] == [8, 4]
    assert two["efficiency"] == pytest.approx(
        two["windows_a_second"] / one["windows_a_second"] / 2, abs=2e-3
    )
    assert "efficiency" not in one
    assert set(one["of_it_ms"]) == {"host", "input"}
    assert set(two["of_it_ms"]) == {"host", "input", "beside", "exchange", "gradients"}
    for line in (one, two):
        assert line["of_it_ms"]["input"] > 0
        assert line["step_ms"] * line["steps"] < 1e3 * line["epoch_s"] + 1
    exchanged = two["step_ms"] - two["of_it_ms"]["beside"]
    assert two["of_it_ms"]["exchange"] == pytest.approx(exchanged, abs=1e-3)


def test_more_devices_than_there_are_is_refused(python):
    done = python("benchmarks/epoch_speed.py", "--devices", 3)
    assert done.returncode == 1
    assert done.stderr.startswith("--devices 3: JAX sees [")
