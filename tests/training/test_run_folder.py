import json

import pytest

from jaxbeh.config import load_config
from jaxbeh.errors import RunError, SettingsError
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.vocabulary import SlotTable

CONFIG = load_config("debug")
SLOTS = SlotTable.build(["nose", "tail_base", "whisker"], {"snout": "nose"})
SPLIT = {"train": ["1", "2"], "validation": ["3"]}
RECORD = {"data_hash": "abc", "init_from": None, "parameters": 3}


def start(path, config=CONFIG, record=RECORD):
    folder = RunFolder(path)
    folder.start(config, SLOTS, SPLIT, {"actions.json": '{"lab": {}}'}, record)
    return folder


@pytest.fixture
def folder(tmp_path):
    return start(tmp_path / "runs" / "debug")


def test_reads_back_what_it_was_started_with(folder):
    again = RunFolder(folder.path)
    assert again.exists
    assert again.config() == CONFIG
    assert again.slots() == SLOTS
    assert again.split() == SPLIT
    assert again.text("actions.json") == '{"lab": {}}'
    assert again.record() == RECORD
    assert again.metrics() == []
    assert sorted(path.name for path in folder.path.iterdir()) == [
        "actions.json",
        "config.yaml",
        "metrics.jsonl",
        "run.json",
        "slots.json",
        "split.json",
    ]


def test_the_same_command_is_the_same_run(folder):
    folder.require_same(CONFIG, RECORD, SPLIT)
    folder.require_same(
        load_config("debug", ["training.checkpoint_every=1"]), {**RECORD, "data": "moved"}, SPLIT
    )


def refusal(folder, config=CONFIG, split=None, **record):
    with pytest.raises(RunError) as caught:
        folder.require_same(config, {**RECORD, **record}, split or SPLIT)
    return str(caught.value)


def test_other_settings_are_named_with_both_values_and_the_two_ways_on(folder):
    other = load_config(
        "debug", ["training.epochs=7", "loss.class_weights=null", "data.aliases={a: nose}"]
    )
    said = refusal(folder, other).splitlines()
    assert str(folder.path) in said[0]
    assert said[1:-2] == [
        "  data.aliases.a: the run has None, the command says 'nose'",
        "  loss.class_weights: the run has (1.0, 5.0, 8.0, 8.0), the command says None",
        "  training.epochs: the run has 3, the command says 7",
    ]
    assert "--run OTHER starts a run in another folder" in said[-2]
    assert f"--run OTHER --init-from {folder.path}" in said[-1]


def test_other_data_is_refused(folder):
    said = refusal(folder, data_hash="def")
    assert "  data (hash): the run has abc, the command brings def" in said.splitlines()
    assert "--init-from" in said


def test_another_split_is_refused(folder):
    """A split file is named in the settings, its content is not."""
    moved = {"train": SPLIT["train"] + SPLIT["validation"][:1], "validation": ["99"]}
    said = refusal(folder, split=moved)
    assert f"split: the train videos differ in {SPLIT['validation'][0]}" in said
    assert "split: the validation videos differ in" in said


def test_the_same_split_in_another_order_is_refused(folder):
    reordered = {side: videos[::-1] for side, videos in SPLIT.items()}
    assert "split: the train videos come in another order" in refusal(folder, split=reordered)


def test_the_same_videos_in_other_folds_are_refused(tmp_path):
    """Each is trained on and held out by turns: only the folds tell."""
    both = {"train": ["1", "2"], "validation": ["1", "2"]}
    folder = RunFolder(tmp_path)
    begun = {**both, "fold 1": ["1"], "fold 2": ["2"]}
    folder.start(CONFIG, SLOTS, begun, {}, RECORD)
    folder.require_same(CONFIG, RECORD, begun)
    said = refusal(folder, split={**both, "fold 1": ["2"], "fold 2": ["1"]})
    assert "split: the fold 1 videos differ in 1, 2" in said


def test_other_first_weights_are_refused(folder):
    said = refusal(folder, init_from="runs/v6")
    assert "  first weights: the run has None, the command brings runs/v6" in said.splitlines()


def test_a_run_is_not_started_over_another(folder):
    with pytest.raises(RunError, match=r"holds parts of another run.*--run"):
        start(folder.path)
    (folder.path / "run.json").unlink()
    start(folder.path)
    (folder.path / "run.json").unlink()
    folder.checkpoints.mkdir()
    with pytest.raises(RunError, match=r"holds parts of another run.*--run"):
        start(folder.path)


def test_somebody_elses_settings_file_is_not_overwritten(tmp_path):
    (tmp_path / "config.yaml").write_text("mine: 1\n")
    with pytest.raises(RunError, match=r"config\.yaml.*--run"):
        start(tmp_path)
    assert (tmp_path / "config.yaml").read_text() == "mine: 1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


def test_a_start_that_was_killed_is_repeated(folder):
    (folder.path / "run.json").unlink()
    (folder.path / "slots.json").unlink()
    assert not folder.exists
    start(folder.path)
    assert folder.exists


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"file/run: cannot be written.*choose another with --run"):
        start(tmp_path / "file" / "run")


LINES = [
    {"epoch": 1, "loss": 0.1},
    {"epoch": 2, "loss": 1e-300, "name": "ü\r\u2028"},
    {"epoch": 3, "f1": {"mating": None}},
]


def write_lines(folder):
    for line in LINES:
        folder.append_metrics(line)
    return (folder.path / "metrics.jsonl").read_bytes()


def test_metrics_are_lines_in_order(folder):
    raw = write_lines(folder)
    assert raw.count(b"\n") == 3
    assert folder.metrics() == LINES


@pytest.mark.parametrize("epoch", [0, 1, 2, 3, 4])
def test_cutting_keeps_earlier_lines_byte_for_byte(folder, epoch):
    raw = write_lines(folder)
    folder.cut_metrics(epoch)
    kept = (folder.path / "metrics.jsonl").read_bytes()
    assert kept == b"".join(raw.splitlines(keepends=True)[:epoch])
    assert folder.metrics() == LINES[:epoch]
    folder.append_metrics({"epoch": epoch + 1})
    assert folder.metrics()[-1] == {"epoch": epoch + 1}


def test_cutting_nothing_leaves_the_file_untouched(folder):
    write_lines(folder)
    path = folder.path / "metrics.jsonl"
    before = path.stat()
    folder.cut_metrics(3)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    "end",
    [
        b'{"epoch": 4, "lo',
        b'{"epoch": 4}',
        b"[4]\n",
        b'{"epo\n{"epoch": 4}\n',
        b"\xff\xfe\n",
        b"4\n",
    ],
)
def test_a_half_written_line_and_all_after_it_is_cut(folder, end):
    raw = write_lines(folder)
    path = folder.path / "metrics.jsonl"
    path.write_bytes(raw + end)
    assert folder.metrics() == LINES
    folder.cut_metrics(9)
    assert path.read_bytes() == raw


@pytest.mark.parametrize("line", ['{"epoch": "one"}', '{"loss": 3}', '{"epoch": null}'])
def test_a_line_without_an_epochs_number_is_cut(folder, line):
    raw = write_lines(folder)
    path = folder.path / "metrics.jsonl"
    path.write_bytes(raw + line.encode() + b"\n")
    folder.cut_metrics(9)
    assert path.read_bytes() == raw


def test_a_lost_metrics_file_is_made_again(folder):
    (folder.path / "metrics.jsonl").unlink()
    assert folder.metrics() == []
    folder.cut_metrics(2)
    assert (folder.path / "metrics.jsonl").read_bytes() == b""


def test_an_evaluation_is_written_as_json(folder):
    folder.write_evaluation({"macro_f1": 0.5, "official_f": None})
    text = (folder.path / "evaluation.json").read_text()
    assert json.loads(text) == {"macro_f1": 0.5, "official_f": None}


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_that_is_no_run_says_how_to_make_one(tmp_path, there):
    path = tmp_path / "nothing"
    if there:
        path.mkdir()
    assert not RunFolder(path).exists
    with pytest.raises(RunError) as caught:
        RunFolder(path).config()
    assert f"{path} is no run" in str(caught.value)
    assert f"python -m jaxbeh.train --config v6 --run {path}" in str(caught.value)


READERS = {
    "slots.json": RunFolder.slots,
    "split.json": RunFolder.split,
    "run.json": RunFolder.record,
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("content", [None, b"", b"{", b"[1]", b"\xff", b"null"])
def test_a_malformed_file_is_named(folder, name, content):
    path = folder.path / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RunError) as caught:
        READERS[name](folder)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("slots.json", {"names": ["nose"], "aliases": {}}),
        ("slots.json", {"names": [*SLOTS.names[:-1], 3], "aliases": {}}),
        ("slots.json", {"names": list(SLOTS.names), "aliases": {"a": 3}}),
        ("slots.json", {}),
        ("split.json", {"train": ["1"]}),
        ("split.json", {"train": ["1"], "validation": "3"}),
    ],
)
def test_json_of_another_kind_is_named(folder, name, content):
    (folder.path / name).write_text(json.dumps(content))
    with pytest.raises(RunError) as caught:
        READERS[name](folder)
    assert str(folder.path / name) in str(caught.value)


def test_a_lost_table_of_actions_is_named(folder):
    (folder.path / "actions.json").unlink()
    with pytest.raises(RunError, match=r"actions\.json: cannot be read"):
        folder.text("actions.json")


def test_settings_that_are_no_longer_valid_are_named(folder):
    (folder.path / "config.yaml").write_text("training: {epochs: 0}\n")
    with pytest.raises(SettingsError, match=r"config\.yaml does not make a run"):
        folder.config()


def test_the_records_that_predicting_needs_make_a_run_elsewhere(folder, tmp_path):
    target = RunFolder(tmp_path / "elsewhere" / "run")
    folder.copy_records(target.path)
    assert (target.config(), target.slots(), target.record()) == (CONFIG, SLOTS, RECORD)
    assert (target.path / "actions.json").read_text() == '{"lab": {}}'
    assert not (target.path / "split.json").exists()
    (folder.path / "decoding.json").write_text("{}")
    folder.copy_records(target.path)
    assert (target.path / "decoding.json").read_text() == "{}"


def test_a_record_that_is_missing_makes_no_run_elsewhere(folder, tmp_path):
    (folder.path / "slots.json").unlink()
    with pytest.raises(RunError, match=r"slots\.json.*restore it"):
        folder.copy_records(tmp_path / "elsewhere")
    assert not RunFolder(tmp_path / "elsewhere").exists
