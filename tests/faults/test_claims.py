"""Sizes that are claimed and not there, or there and packed into nothing: no room is made for them.

Each file is read by a process of its own, which may ask for 1 GB more than it has.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from jaxbeh.data.mabe import parquet
from jaxbeh.data.mabe.annotation import MOST_EVENTS
from jaxbeh.data.mabe.parquet import FileError
from jaxbeh.data.mabe.tracking import read_tracking
from tests.conftest import ROOT
from tests.data.mabe_folder import annotation, rows, table, walk, write_parquet
from tests.faults import thrift

READ = """
import json, re, resource, sys
from pathlib import Path
from jaxbeh.data.mabe.annotation import read_annotation
from jaxbeh.data.mabe.tracking import read_tracking
from jaxbeh.errors import DataError

def kilobytes(name):
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

read = {"tracking": read_tracking, "events": read_annotation}[sys.argv[1]]
read(Path(sys.argv[3]))  # threads and libraries of the first time
limit = (kilobytes("VmSize") << 10) + (1 << 30)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
before = kilobytes("VmHWM")
try:
    read(Path(sys.argv[2]))
    said = "read"
except DataError as error:
    said = str(error)
print(json.dumps([said, (kilobytes("VmHWM") - before) >> 10]))
"""


def read(tmp_path, kind, data):
    """What reading says, and the megabytes that it took at its worst moment."""
    path, sane = tmp_path / "1.parquet", tmp_path / "sane.parquet"
    path.write_bytes(data)
    write_parquet(sane, rows(walk(300)) if kind == "tracking" else annotation(EVENTS))
    done = subprocess.run(
        [sys.executable, "-c", READ, kind, path, sane],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    said, megabytes = json.loads(done.stdout)
    assert megabytes < 500
    return said


EVENTS = [(1, 2, "sniff", 3, 9)] * 50
HUGE = 10**12


def packed(tmp_path, content, **options):
    return write_parquet(tmp_path / "made.parquet", content, **options).read_bytes()


def with_claims(data, rows_of_file=None, rows_of_group=None, values=None):
    """The file with other numbers of rows and values in its footer."""
    footer, body = thrift.footer(data)
    for group in footer[4][1][1]:
        if rows_of_group is not None:
            group[3] = (thrift.I64, rows_of_group)
        for column in group[1][1][1]:
            if values is not None:
                column[3][1][5] = (thrift.I64, values)
    if rows_of_file is not None:
        footer[3] = (thrift.I64, rows_of_file)
    return thrift.with_footer(body, footer)


CLAIMS = [
    {"rows_of_file": HUGE},
    {"rows_of_group": HUGE},
    {"values": HUGE},
    {"rows_of_file": HUGE, "rows_of_group": HUGE},
    {"rows_of_file": HUGE, "rows_of_group": HUGE, "values": HUGE},
    {"rows_of_file": 2**63 - 1, "rows_of_group": 2**63 - 1},
    {"rows_of_file": -1, "rows_of_group": -1},
]


def test_the_footer_is_written_as_it_was_read(tmp_path):
    """Else the tests below would refuse for another reason than they say."""
    data = packed(tmp_path, rows(walk(300)))
    assert with_claims(data) == data


@pytest.mark.parametrize("claims", CLAIMS, ids=str)
def test_rows_that_are_not_there(tmp_path, claims):
    said = read(tmp_path, "tracking", with_claims(packed(tmp_path, rows(walk(300))), **claims))
    assert said == "read" or "cannot be read" in said
    said = read(tmp_path, "events", with_claims(packed(tmp_path, annotation(EVENTS)), **claims))
    assert said == "read" or "cannot be read" in said


@pytest.mark.parametrize("claims", [{}, *CLAIMS[:5]], ids=str)
@pytest.mark.parametrize("frame", [2**28, 2**31, 2**62])
def test_a_wrong_frame_number_whatever_the_footer_claims(tmp_path, frame, claims):
    """28 bits are 2 GB, which a claim of 10¹² rows would have made plausible."""
    content = table(
        [*range(10), frame], [1] * 11, ["nose"] * 11, [1] * 11, [1] * 11,
        types={"video_frame": pa.int64()},
    )  # fmt: skip
    said = read(tmp_path, "tracking", with_claims(packed(tmp_path, content), **claims))
    assert f"frames 0 to {frame}" in said
    assert "correct the frame numbers" in said


def moved_page(data, column, unpacked):
    """The file with a page of one column that claims another size when it is unpacked."""
    footer, body = thrift.footer(data)
    meta = footer[4][1][1][0][1][1][1][column][3][1]
    start = meta[11][1] if 11 in meta else meta[9][1]
    chunk = body[start : start + meta[7][1]]
    header, length = thrift.read(chunk)
    header[2] = (thrift.I32, unpacked)
    head = thrift.write(header)
    longer = len(head) - length
    if 11 in meta:
        meta[11], meta[9] = (
            (thrift.I64, len(body)),
            (thrift.I64, meta[9][1] - start + len(body) + longer),
        )
    else:
        meta[9] = (thrift.I64, len(body))
    meta[7] = (thrift.I64, len(chunk) + longer)
    return thrift.with_footer(body + head + chunk[length:], footer)


@pytest.mark.parametrize("column", [0, 2, 3])
def test_a_page_or_dictionary_that_claims_two_gigabytes(tmp_path, column):
    data = packed(tmp_path, rows(walk(300)))
    whole = read(tmp_path, "tracking", moved_page(data, column, thrift_size(data, column)))
    assert whole == "read"
    said = read(tmp_path, "tracking", moved_page(data, column, 2**31 - 1))
    assert "claims to unpack" in said
    assert "2,147,483,647 bytes" in said
    assert "impossible size" in read(tmp_path, "tracking", moved_page(data, column, -5))


def thrift_size(data, column):
    footer, body = thrift.footer(data)
    meta = footer[4][1][1][0][1][1][1][column][3][1]
    return thrift.read(body, meta[11][1] if 11 in meta else meta[9][1])[0][2][1]


@pytest.mark.parametrize("codec", ["zstd", "gzip", "brotli"])
def test_a_name_of_200_megabytes_in_some_kilobytes(tmp_path, codec):
    content = table([0], [1], ["x" * 200_000_000], [1.0], [1.0])
    data = packed(tmp_path, content, compression=codec, write_statistics=False)
    del content
    assert len(data) < 250_000
    assert "claims to unpack" in read(tmp_path, "tracking", data)


def test_more_rows_than_their_bytes_can_hold(tmp_path, monkeypatch):
    """One run-length of a dictionary may stand for a billion rows."""
    monkeypatch.setattr(parquet, "SPARE_ROWS", 100_000)
    monkeypatch.setattr(parquet, "ROWS_PER_BYTE", 8)
    many = 3_000_000
    content = pa.table(
        {
            "video_frame": pa.array(np.zeros(many, np.int32)),
            "mouse_id": pa.array(np.ones(many, np.int8)),
            "bodypart": pa.DictionaryArray.from_arrays(np.zeros(many, np.int32), ["nose"]),
            "x": pa.array(np.zeros(many, np.float32)),
            "y": pa.array(np.zeros(many, np.float32)),
        }
    )
    path = write_parquet(tmp_path / "1.parquet", content, data_page_size=2**30, compression="zstd")
    assert path.stat().st_size * parquet.ROWS_PER_BYTE < many - 100_000
    with pytest.raises(FileError, match="which no tracking packs into"):
        read_tracking(path)


def test_more_events_than_anybody_makes(tmp_path):
    many = MOST_EVENTS + 1
    content = pa.table(
        {
            "agent_id": pa.array(np.ones(many, np.int8)),
            "target_id": pa.array(np.ones(many, np.int8)),
            "action": pa.DictionaryArray.from_arrays(np.zeros(many, np.int32), ["rear"]),
            "start_frame": pa.array(np.zeros(many, np.int32)),
            "stop_frame": pa.array(np.ones(many, np.int32)),
        }
    )
    said = read(tmp_path, "events", packed(tmp_path, content))
    assert "more than 1,000,000 events" in said


def test_a_schema_of_ten_thousand_levels(tmp_path):
    footer, body = thrift.footer(packed(tmp_path, rows(walk(300))))
    root, *leaves = footer[2][1][1]
    root[5] = (thrift.I32, root[5][1] + 1)
    level = {3: (thrift.I32, 1), 4: (thrift.BINARY, b"g"), 5: (thrift.I32, 1)}
    end = {1: (thrift.I32, 1), 3: (thrift.I32, 1), 4: (thrift.BINARY, b"leaf")}
    footer[2] = (thrift.LIST, (thrift.STRUCT, [root, *leaves, *[level] * 10_000, end]))
    assert "cannot be read" in read(tmp_path, "tracking", thrift.with_footer(body, footer))


@pytest.mark.parametrize("codec", ["none", "snappy", "gzip", "brotli", "zstd", "lz4"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("dictionary", [True, False])
def test_what_other_writers_write_is_not_taken_for_a_bomb(tmp_path, codec, version, dictionary):
    content = rows(walk(500))
    plain, _ = read_tracking(write_parquet(tmp_path / "plain.parquet", content))
    for size in (100, 1 << 28):
        path = write_parquet(
            tmp_path / "1.parquet", content, compression=codec, data_page_version=version,
            use_dictionary=dictionary, data_page_size=size, write_page_index=True,
            write_page_checksum=True, row_group_size=1700,
        )  # fmt: skip
        found, _ = read_tracking(path)
        assert found.content_hash == plain.content_hash
