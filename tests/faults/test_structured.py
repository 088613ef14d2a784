"""Well-formed files of any content: every table, list and mapping that its format can hold."""

import contextlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jaxbeh.config import bundled_configs, load_config
from jaxbeh.data.mabe.annotation import place_events, read_annotation
from jaxbeh.data.mabe.tracking import read_tracking
from jaxbeh.data.mabe.videos import parse_whitelist, read_videos
from jaxbeh.data.report import ReadingReport
from jaxbeh.errors import JaxbehError
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.vocabulary import SlotTable


@pytest.fixture
def examples(long):
    """20 examples, or 500; hypothesis takes the number before it starts."""
    return 500 if long else 20


def check(strategy, look, examples):
    """Try a property on so many examples."""
    settings(max_examples=examples, suppress_health_check=list(HealthCheck))(
        given(strategy)(look)
    )()


@contextlib.contextmanager
def refused_with(path):
    """What is raised is ours and names the file."""
    said = str(path)
    try:
        yield
    except JaxbehError as error:
        said = str(error)
    assert str(path) in said
    assert len(said) < 20_000


def columns(strategies):
    """Columns of one length, each of one of its types; any may be absent."""

    def of_length(length):
        def column(options):
            kind, values = options
            return st.lists(st.none() | values, min_size=length, max_size=length).map(
                lambda cells: pa.array(cells, kind)
            )

        return st.fixed_dictionaries(
            {name: st.sampled_from(options).flatmap(column) for name, options in strategies.items()}
        )

    return st.integers(0, 6).flatmap(of_length)


def whole(bits):
    return (getattr(pa, f"int{bits}")(), st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))


SMALL = (pa.int64(), st.integers(0, 3))
TEXT = (pa.string(), st.text(max_size=5))
REAL = (pa.float64(), st.floats())
PLACE = (pa.float32(), st.floats(-1e3, 1e3, width=32))
ODD = (pa.bool_(), st.booleans()), (pa.uint64(), st.integers(0, 2**64 - 1)), TEXT
ODD += ((pa.large_string(), st.text(max_size=3)), (pa.binary(), st.binary(max_size=3)))
ODD += ((pa.list_(pa.int8()), st.lists(st.integers(0, 9), max_size=2)), (pa.null(), st.nothing()))
ODD += ((pa.timestamp("us"), st.datetimes()), (pa.date32(), st.dates()))
INTEGER = [SMALL, SMALL, SMALL, whole(8), whole(32), whole(64), *ODD]
WORDS = [TEXT, (pa.string(), st.sampled_from(["nose", "tail_base"])), *ODD]
NUMBERS = [PLACE, PLACE, REAL, *ODD]


def written(folder, cells, drawn):
    path = Path(folder) / "1.parquet"
    names = [name for name in cells if name not in drawn]
    pq.write_table(pa.table({name: cells[name] for name in names}), path)
    return path


def test_tracking_tables_of_any_types(examples):
    names = {"video_frame": INTEGER, "mouse_id": INTEGER, "bodypart": WORDS}
    names |= {"x": NUMBERS, "y": NUMBERS}

    def look(drawn):
        cells, absent = drawn
        with TemporaryDirectory() as folder:
            path = written(folder, cells, absent)
            with refused_with(path):
                tracking, _ = read_tracking(path)
                assert tracking.frames >= 1
                assert tracking.valid.any()

    check(
        st.tuples(columns(names), st.just([]) | st.lists(st.sampled_from([*names]))), look, examples
    )


def test_annotation_tables_of_any_types(examples):
    names = dict.fromkeys(("agent_id", "target_id", "start_frame", "stop_frame"), INTEGER)
    names["action"] = WORDS

    def look(cells):
        with TemporaryDirectory() as folder:
            path = written(folder, cells, [])
            with refused_with(path):
                events = place_events(read_annotation(path), 3, 20, 0.5, ReadingReport(), "1")
                assert (events.start >= 0).all()
                assert (events.start < events.stop).all()
                assert (events.stop <= 20).all()

    check(columns(names), look, examples)


def test_tables_of_videos_of_any_text(examples):
    cell = st.text(max_size=8) | st.sampled_from(["30", "nan", "-1", "1e400", "[]", "..", "CON"])
    row = st.lists(cell, min_size=4, max_size=4)

    def look(rows):
        with TemporaryDirectory() as folder:
            path = Path(folder) / "train.csv"
            lines = [["lab_id", "video_id", "frames_per_second", "behaviors_labeled"], *rows]
            quoted = (
                ",".join('"' + cell.replace('"', '""') + '"' for cell in line) for line in lines
            )
            path.write_text("\n".join(quoted) + "\n", "utf-8", "surrogatepass", newline="")
            with refused_with(path):
                for video in read_videos(path):
                    inside = (Path(folder) / video.lab_id / video.video_id).resolve()
                    assert inside.is_relative_to(Path(folder).resolve())
                    assert inside.name == video.video_id

    check(st.lists(row, max_size=4), look, examples)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=10,
)


def test_whitelists_of_any_json(examples):
    def look(value):
        text = json.dumps(value)
        with contextlib.suppress(JaxbehError):
            assert all(len(triple) == 3 for triple in parse_whitelist(text) or ())

    parts = st.lists(st.sampled_from(["mouse1", "self", "'mouse2'", "sniff", "", " ", "mouse0"]))
    check(JSON | st.lists(parts.map(",".join)), look, examples)


def test_records_of_a_run_of_any_json(examples):
    def look(values):
        with TemporaryDirectory() as folder:
            run = RunFolder(Path(folder))
            slots = SlotTable.build(["nose"], {})
            record = {"data_hash": "", "init_from": None}
            run.start(load_config("debug"), slots, {"train": [], "validation": []}, {}, record)
            for name, value in values.items():
                (Path(folder) / name).write_text(json.dumps(value))
            for read in (run.slots, run.split, run.record, run.metrics):
                with refused_with(folder):
                    read()

    keys = st.sampled_from(["names", "aliases", "train", "validation", "parameters", "devices"])
    value = JSON | st.dictionaries(keys, JSON)
    files = st.sampled_from(["slots.json", "split.json", "run.json", "metrics.jsonl"])
    check(st.dictionaries(files, value, min_size=1), look, examples)


def test_settings_of_any_yaml(examples):
    known = yaml.safe_load(bundled_configs()["v6"].read_text())

    def look(changes):
        with TemporaryDirectory() as folder:
            path = Path(folder) / "mine.yaml"
            path.write_text(yaml.safe_dump({"base": "debug", **changes}), "utf-8")
            with refused_with(path):
                load_config(str(path))

    block = st.sampled_from([*known])
    inner = st.sampled_from(
        sorted({key for one in known.values() if isinstance(one, dict) for key in one})
    )
    check(st.dictionaries(block, JSON | st.dictionaries(inner, JSON), min_size=1), look, examples)
