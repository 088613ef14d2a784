"""The benchmark of reading runs from its documented commands, here on little data."""

import json
import sys

import pytest

from jaxbeh.data.synthetic import FullScale, synthesize

ROWS = 20_000
LINUX = sys.platform == "linux"


def lines(python, *words):
    done = python("benchmarks/read_speed.py", "--rounds", "1", *words)
    assert done.stderr == ""
    assert done.returncode == 0
    return {line["variant"]: line for line in map(json.loads, done.stdout.splitlines())}


def test_one_file(python):
    found = lines(python, "--rows", ROWS)
    variants = {"pandas pivot_table", "jaxbeh", "jaxbeh, cached"}
    if LINUX:
        variants |= {"pandas pivot_table, cold", "jaxbeh, cold"}
    assert set(found) == variants
    assert {line["rows"] for line in found.values()} == {found["jaxbeh"]["rows"]}
    assert found["jaxbeh"]["rows"] == pytest.approx(ROWS, rel=0.05)
    assert found["pandas pivot_table"]["times_pandas"] == 1.0


def test_a_collection(python, tmp_path):
    root = tmp_path / "mice"
    synthesize(root, FullScale(videos=3, frames=480))
    found = lines(python, "--collection", root)
    variants = {"cold", "cached", "cached, nothing in memory"}
    assert set(found) == (variants if LINUX else {"no cache, files in memory", "cached"})
    for line in found.values():
        assert (line["videos"], line["frames"]) == (3, 1440)
        assert 0 < line["points"] <= 1440 * 72
        assert line["packed_seconds"] >= line["seconds"] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["mice"]
