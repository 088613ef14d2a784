"""Settings and records that are small to write and large to build, or hold themselves."""

import resource
import time

import pytest

from jaxbeh.config import MOST_BYTES, load_config
from jaxbeh.data.report import ReadingReport
from jaxbeh.data.split import split_videos
from jaxbeh.errors import DataError, RunError, SettingsError
from jaxbeh.regular import MOST_TEXT
from jaxbeh.settings.run import DataSettings
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.vocabulary import ClassMap


def lists(levels):
    """Lists of nine references to the list before."""
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


def merges(levels):
    lines = ["a0: &a0 {x: 1}"]
    for n in range(1, levels):
        lines.append(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (lists(12), "more than 20,000 values"),
        (merges(12), "more than 20,000 values"),
        ("a: &a [*a]", "one holds itself"),
        ("a: &a {b: *a}", "one holds itself"),
        ("[" * 100_000, "not valid YAML"),
        ("a: [" + "1," * 30_000 + "]", "more than 20,000 values"),
        ("a: " + "x" * MOST_BYTES, "has more than 1,048,576 bytes"),
        ("a: !!bool x", "not valid YAML"),
        ("a: !!int ''", "not valid YAML"),
        ("a: !!timestamp x", "not valid YAML"),
        ("a: " + "9" * 5000, "not valid YAML"),
        ("a: 1" + ":1" * 300 + ".0", "not valid YAML"),
    ],
    ids=lambda value: value[:30],
)
def test_yaml_that_grows(tmp_path, text, part):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(SettingsError) as caught:
        load_config(str(path))
    assert str(path) in str(caught.value)
    assert part in str(caught.value)
    assert len(str(caught.value)) < 2_000
    assert time.process_time() - began < 30  # billions of values would take hours
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 << 10


def test_references_that_a_person_writes_are_followed(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "base: debug\nwindow: {length: &l 8, train_stride: *l, validation_stride: *l}\n"
    )
    assert load_config(str(path)).window.train_stride == 8


DEEP = "[" * 100_000


@pytest.mark.parametrize("name", ["slots.json", "split.json", "run.json", "metrics.jsonl"])
def test_json_nested_without_end(tmp_path, name):
    (tmp_path / name).write_text(DEEP)
    run = RunFolder(tmp_path)
    if name == "metrics.jsonl":
        assert run.metrics() == []
        return
    read = {"slots.json": run.slots, "split.json": run.split, "run.json": run.record}[name]
    with pytest.raises(RunError, match=f"{name}: cannot be read"):
        read()


def test_a_text_of_any_length_is_not_read_whole(tmp_path):
    """64 MiB and a byte, without writing them."""
    path = tmp_path / "split.json"
    with path.open("wb") as stream:
        stream.truncate(MOST_TEXT + 1)
    with pytest.raises(DataError, match="67,108,864 bytes"):
        split_videos([], DataSettings(split_file=str(path)), 0, ClassMap.build([]), ReadingReport())
