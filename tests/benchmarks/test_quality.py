"""The commands that compare systems and variants, on four short videos with small networks."""

import itertools
import json
from types import SimpleNamespace

import pair_variants
import pytest

from jaxbeh.data.synthetic import DEFAULT_LABS, Plan, synthesize

SMALL = (
    "window={length: 32, train_stride: 32}",
    "network={stem: 8, width: 8, lab_embedding: 4, encoder: {name: tcn, channels: [8, 8]}}",
)
COMMON = ("--folds", 2, "--seeds", 1, "--scale", 0.1, "--draws", 20, "--set", *SMALL)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "mice"
    synthesize(folder, Plan(videos=4, labs=DEFAULT_LABS[:2], frames=300))
    return folder


def lines_of(done):
    assert done.stderr == ""
    assert done.returncode == 0
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_systems_are_compared_on_the_same_videos(python, data, tmp_path):
    folder = tmp_path / "kept"
    words = ("--data", data, "--systems", "v1", "v7", "boosting", "--trees", 20, "--frames", 1000)
    done = python("benchmarks/quality.py", *words, *COMMON, "--folder", folder, timeout=500)
    *systems, apart = lines_of(done)
    assert [line["system"] for line in systems] == ["v1", "v7", "boosting"]
    for line in systems:
        assert (line["videos"], line["folds"], line["seeds"]) == (4, 2, 1)
        for name in ("actions", "official", "scene"):
            found = line[name]
            assert 0 <= found["low"] <= found["high"] <= 1
            assert found["seeds"] == [found["value"]]
    _, v7, boosting = systems
    for name in ("actions", "official", "scene"):
        expected = v7[name]["value"] - boosting[name]["value"]
        assert apart[name]["value"] == pytest.approx(expected, abs=2e-4)
    for line in (v7, boosting):
        assert 0 <= line["tuned_f"] <= 1  # below the honest one where labs share thresholds
        assert 0 < line["mean_average_precision"] <= 1
    table = [row.split(" | ")[0] for row in done.stdout.splitlines() if row.startswith("| ")]
    assert table[-4:] == ["| v1", "| v7", "| boosting", "| v7 − boosting"]
    # What was trained is kept, and says the same again.
    assert {path.name for path in folder.iterdir()} == {"v1-0", "v7", "v7.finished"}
    inode = (folder / "v1-0" / "fold-0" / "config.yaml").stat().st_ino
    words = ("--data", data, "--systems", "v1", *COMMON, "--folder", folder)
    (again,) = lines_of(python("benchmarks/quality.py", *words, timeout=500))
    assert again | {"train_s": 0, "decode_s": 0} == systems[0] | {"train_s": 0, "decode_s": 0}
    assert (folder / "v1-0" / "fold-0" / "config.yaml").stat().st_ino == inode


def test_variants_are_compared_on_the_same_videos(python, data, long):
    if not long:
        pytest.skip("only with --long: it trains as the test above does, for half a minute")
    words = ("--data", data, "--variants", "base", "--add", "free", "augmentation.mirror=0.0")
    done = python("benchmarks/pair_variants.py", *words, *COMMON, timeout=500)
    base, free = lines_of(done)
    assert [base["variant"], free["variant"]] == ["base", "free"]
    assert "less_first" not in base
    expected = free["official"]["value"] - base["official"]["value"]
    assert free["less_first"]["official"]["value"] == pytest.approx(expected, abs=2e-4)
    for line in (base, free):
        assert line["members"] == 2
        assert line["best"] >= line["last"] >= 0
        assert line["pair_frames_a_second"] > 0
    assert {"mirror", "overlap", "all"} <= base.keys()
    assert "mirror" not in free


def test_a_variant_of_other_folds_is_refused(python, data):
    words = ("--data", data, "--variants", "base", "--add", "more", "members.folds=3")
    done = python("benchmarks/pair_variants.py", *words, "--folds", 2, "--tta", timeout=100)
    assert done.returncode == 2
    assert "more: a variant cannot change data or members" in done.stderr


def test_the_time_of_a_step_is_that_of_a_call_shared_out(monkeypatch):
    run = SimpleNamespace(
        programs=SimpleNamespace(init=lambda _: 0, train=lambda state, sums, *_: (state, sums)),
        devices=SimpleNamespace(put=lambda tree: tree),
        batches=SimpleNamespace(at=lambda _: (None, None)),
        plan=SimpleNamespace(steps_per_call=4),
        root=None,
    )
    clock = map(float, itertools.count())  # a call is between two looks at it
    monkeypatch.setattr(pair_variants.time, "perf_counter", lambda: next(clock))
    assert pair_variants.milliseconds_a_step(run, seconds=2.0) == 250.0
