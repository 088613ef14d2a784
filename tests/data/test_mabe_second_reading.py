"""What a second reading of a collection costs, counted without a clock."""

import sys
from pathlib import Path

import numpy as np
import pytest
from mabe_folder import Video, rows, walk, write_folder

from jaxbeh.data import cache as cache_module
from jaxbeh.data.mabe import read_labelled
from jaxbeh.data.report import ReadingReport
from jaxbeh.settings.run import DataSettings


def read(root, cache):
    return read_labelled(root, DataSettings(), ReadingReport(), cache)


def bytes_read():
    """What this process has read from files so far; pages of mapped files are not in it."""
    counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counts["rchar"])


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's count of bytes")
def test_a_second_reading_reads_the_cache_once_and_no_tracking_file(tmp_path, monkeypatch):
    monkeypatch.setattr(cache_module, "_SETTLED_SECONDS", -1.0)
    videos = [Video(str(index), tracking=rows(walk(6000, seed=index))) for index in range(3)]
    root = write_folder(tmp_path / "data", videos)
    cache = tmp_path / "cache"
    first = read(root, cache)
    kept = sum(path.stat().st_size for path in cache.glob("*.npy"))
    files = [path.stat().st_size for path in (root / "train_tracking").rglob("*.parquet")]
    assert min(files) > 200_000
    before = bytes_read()
    second = read(root, cache)
    assert kept <= bytes_read() - before < kept + min(files)
    for recordings in (first, second):
        assert all(isinstance(item.tracking.xy, np.memmap) for item in recordings)
