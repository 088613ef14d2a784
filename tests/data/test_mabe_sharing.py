"""Several readers of one collection: each file is read once, and all have what one would have."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mabe_folder import Video, rows, tracking_path, walk, write_folder

from jaxbeh.data.content import data_hash
from jaxbeh.data.mabe import read_labelled
from jaxbeh.data.mabe.sharing import share_out
from jaxbeh.data.report import ReadingReport
from jaxbeh.errors import DataError
from jaxbeh.settings.run import DataSettings


@given(st.lists(st.integers(0, 10**9), max_size=60), st.integers(1, 9))
def test_each_file_is_read_once_and_nobody_has_much_more(sizes, parts):
    shares = share_out(sizes, parts)
    assert len(shares) == parts
    assert sorted(index for share in shares for index in share) == list(range(len(sizes)))
    assert all(share == sorted(share) for share in shares)
    loads = [sum(sizes[index] for index in share) for share in shares]
    assert max(loads) - min(loads) <= max(sizes, default=0)


@given(st.integers(0, 40), st.integers(1, 9))
def test_files_of_equal_size_are_shared_by_number(count, parts):
    numbers = [len(share) for share in share_out([0] * count, parts)]
    assert max(numbers) - min(numbers) <= 1


class Reader:
    """One of several threads that read together."""

    def __init__(self, index, blobs, barrier):
        self.index, self.count = index, len(blobs)
        self._blobs, self._barrier = blobs, barrier

    def require_same(self, what, value):
        if self._all(value.encode()) != [value.encode()] * self.count:
            raise DataError(what)

    def gather(self, mine):
        return [np.frombuffer(blob, np.uint8) for blob in self._all(mine)]

    def _all(self, mine):
        self._blobs[self.index] = mine
        self._barrier.wait(30)
        found = list(self._blobs)
        self._barrier.wait(30)
        return found


def read(root, cache, peers=None):
    report = ReadingReport()
    return read_labelled(root, DataSettings(), report, cache, peers), report.findings()


def read_by(count, roots, cache):
    blobs, barrier = [b""] * count, threading.Barrier(count)
    with ThreadPoolExecutor(count) as threads:
        work = [
            threads.submit(read, root, cache / str(index), Reader(index, blobs, barrier))
            for index, root in zip(range(count), roots, strict=True)
        ]
        return [item.result() for item in work]


@pytest.fixture
def folder(tmp_path):
    """Six videos of several lengths, a broken one and a missing one, scales and rates missing."""
    videos = [
        Video(str(seed), tracking=rows(walk(frames=20 + 17 * seed, seed=seed)), **missing)
        for seed, missing in enumerate([{}, {"fps": None}, {}, {"pix_per_cm": None}, {}, {}])
    ]
    root = write_folder(tmp_path / "collection", [*videos, Video("gone", tracking=None)])
    broken = tracking_path(root, videos[4])
    broken.write_bytes(bytes(broken.stat().st_size))
    return root


@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_what_several_read_is_what_one_reads(count, folder, tmp_path):
    recordings, findings = read(folder, None)
    assert [item.video_id for item in recordings] == ["0", "1", "2", "3", "5"]
    for cached in (False, True):
        for found, said in read_by(count, [folder] * count, tmp_path / "cache"):
            assert said == findings
            assert data_hash(found) == data_hash(recordings)
            for mine, other in zip(found, recordings, strict=True):
                np.testing.assert_array_equal(mine.tracking.xy, other.tracking.xy)
                assert mine.tracking.xy.flags.aligned
        entries = list((tmp_path / "cache").glob("*/*.npy"))
        assert len(entries) == len({entry.name for entry in entries}) == 5, cached


def test_different_files_are_refused(folder, tmp_path):
    videos = [Video(str(seed), tracking=rows(walk(seed=seed))) for seed in range(6)]
    other = write_folder(tmp_path / "other", videos)
    with pytest.raises(DataError, match="the tracking files and their sizes"):
        read_by(2, [folder, other], tmp_path / "cache")
