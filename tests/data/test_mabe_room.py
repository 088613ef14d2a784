"""Memory while reading: threads share it, never more than there is, and nobody waits for ever."""

import sys
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxbeh.data.mabe.room import Room


@given(st.integers(1, 10), st.lists(st.integers(-3, 25), max_size=20))
def test_never_more_is_taken_than_there_is_and_all_get_their_turn(size, parts):
    room, lock = Room(size), threading.Lock()
    held, most, done = 0, 0, 0

    def take(part):
        nonlocal held, most, done
        share = min(max(part, 0), size)  # what is larger than the room has it alone
        with room.taken(part):
            with lock:
                held += share
                most = max(most, held)
            with lock:
                held -= share
                done += 1

    threads = [threading.Thread(target=take, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert done == len(parts)
    assert most <= size


def test_small_parts_are_held_together_and_a_large_one_waits_for_them():
    room, entered = Room(10), threading.Event()

    def take():
        with room.taken(100):
            entered.set()

    with room.taken(4), room.taken(4):
        thread = threading.Thread(target=take)
        thread.start()
        assert not entered.wait(0.05)
    thread.join(timeout=60)
    assert entered.is_set()


def test_a_failure_gives_the_room_back():
    room = Room(1)
    with pytest.raises(ZeroDivisionError), room.taken(1):
        raise ZeroDivisionError
    with room.taken(1):
        pass


PEAK = """
import re, sys
from pathlib import Path
from jaxbeh.data.mabe.tracking import read_tracking

def peak():  # getrusage would begin with what the process that started this one had
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) * 1024

small, large = map(Path, sys.argv[1:])
read_tracking(small)
before = peak()
read_tracking(large)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_row_takes_no_more_memory_than_the_room_counts_with(python, tmp_path):
    frames, mice, parts = (50_000, 150_000), 2, 10
    paths = [tmp_path / f"{length}.parquet" for length in frames]
    for path, length in zip(paths, frames, strict=True):
        points = length * mice * parts
        draw = np.random.default_rng(0)
        names = pa.array([f"part_{index}" for index in range(parts)])
        codes = np.tile(np.arange(parts, dtype=np.int32), length * mice)
        columns = {
            "video_frame": np.repeat(np.arange(length, dtype=np.int32), mice * parts),
            "mouse_id": np.tile(np.repeat(np.arange(1, mice + 1, dtype=np.int8), parts), length),
            "bodypart": pa.DictionaryArray.from_arrays(codes, names),
            "x": draw.normal(size=points).astype(np.float32),
            "y": draw.normal(size=points).astype(np.float32),
        }
        pq.write_table(pa.table(columns), path)
    # Beside other programs the allocator may give back late what a thread is done with: the least
    # of three is what reading takes.
    found = [python("-c", PEAK, *paths) for _ in range(3)]
    assert not any(done.stderr for done in found)
    more = (frames[1] - frames[0]) * mice * parts
    taken = min(int(done.stdout) for done in found)
    assert 8 * more < taken < 40 * more  # its two coordinates take 8 by themselves
