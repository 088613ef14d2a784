"""The cache of packed trackings: found by content, trusted only when intact."""

import gc
import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from mabe_folder import rows, walk, write_parquet

from jaxbeh.data import cache as cache_module
from jaxbeh.data.cache import TrackingCache
from jaxbeh.data.mabe.tracking import read_tracking


@pytest.fixture
def entry(tmp_path):
    """A cache with one entry: the cache, its key, the tracking and its findings."""
    path = write_parquet(tmp_path / "1.parquet", rows(walk(), first_frame=500))
    cache = TrackingCache(tmp_path / "deep" / "cache")
    key = cache.key(path)
    tracking, _ = read_tracking(path)
    cache.store(key, tracking, {"missing": 3})
    return cache, key, tracking


def same(one, other):
    return np.array_equal(one.xy, other.xy) and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("origin", "step", "first_frame", "mice", "keypoints", "content_hash")
    )


def test_an_entry_comes_back_mapped_and_read_only(entry):
    cache, key, tracking = entry
    found, findings = cache.load(key)
    assert same(found, tracking)
    assert findings == {"missing": 3}
    assert isinstance(found.xy, np.memmap)
    assert not found.xy.flags.writeable
    assert isinstance(found.mice, tuple)
    assert found.origin.dtype == np.float64


def test_the_key_is_the_content_of_the_file(tmp_path):
    cache = TrackingCache(tmp_path)
    first = write_parquet(tmp_path / "1.parquet", rows(walk(seed=1)))
    other = write_parquet(tmp_path / "2.parquet", rows(walk(seed=2)))
    key = cache.key(first)
    assert cache.key(other) != key
    other.write_bytes(first.read_bytes())
    assert cache.key(other) == key


def test_another_format_finds_nothing(entry, tmp_path, monkeypatch):
    cache, key, _ = entry
    monkeypatch.setattr(cache_module, "FORMAT", cache_module.FORMAT + 1)
    assert cache.key(tmp_path / "1.parquet") != key


# Notes about files seen before


def notes(cache):
    return sorted(cache.folder.glob("*.seen"))


@pytest.fixture
def seen(entry, tmp_path, monkeypatch):
    """The cache, its key and the file; the file counts as old enough for a note."""
    cache, key, _ = entry
    monkeypatch.setattr(cache_module, "_SETTLED_SECONDS", -1.0)
    path = tmp_path / "1.parquet"
    assert cache.key(path) == key
    assert len(notes(cache)) == 1
    return cache, key, path


def test_a_file_seen_before_is_not_read_for_its_key(seen):
    cache, key, path = seen
    size, times = path.stat().st_size, (path.stat().st_atime_ns, path.stat().st_mtime_ns)
    (note,) = notes(cache)
    # A note about this very state is believed: the one thing that shows no reading.
    state = cache_module._state(path)
    note.write_text(cache_module._sealed({"file": state, "key": "5" * 64}))
    assert cache.key(path) == "5" * 64
    # Other content of the same size with the time of change set back has another ctime.
    path.write_bytes(b"x" * size)
    os.utime(path, ns=times)
    assert cache.key(path) not in {key, "5" * 64}


def test_a_file_just_changed_is_read_for_its_key_every_time(entry, tmp_path):
    cache, key, _ = entry
    path = tmp_path / "1.parquet"
    assert cache.key(path) == key
    assert notes(cache) == []


@pytest.mark.parametrize("change", ["moved", "copied", "replaced", "grown"])
def test_a_file_in_another_state_is_read_for_its_key(seen, tmp_path, change):
    cache, key, path = seen
    other = tmp_path / "other.parquet"
    if change == "moved":
        path = path.rename(other)
    elif change == "copied":
        other.write_bytes(path.read_bytes())
        path = other
    elif change == "replaced":
        other.write_bytes(path.read_bytes()[:-1] + b"!")
        other.replace(path)
    else:
        with path.open("ab") as file:
            file.write(b"!")
    assert (cache.key(path) == key) == (change in {"moved", "copied"})
    assert len(notes(cache)) == 2


def test_a_damaged_note_is_not_believed(seen):
    cache, key, path = seen
    (note,) = notes(cache)
    whole = note.read_bytes()
    draw = np.random.default_rng(0)
    damages = [b"", b"null", b"[]", b'{"entry": 3}', b"\xff" * 99, b"[" * 100_000, whole[:-1]]
    for place in draw.integers(0, len(whole), 60):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(draw.integers(8))
        damages.append(bytes(flipped))
    for damage in damages:
        note.write_bytes(damage)
        assert cache.key(path) == key
        assert note.read_bytes() == whole


def test_a_folder_that_takes_no_notes_does_no_harm(seen, tmp_path):
    _, key, path = seen
    (tmp_path / "file").write_text("")
    assert TrackingCache(tmp_path / "file").key(path) == key


# Entries


def test_storing_gives_the_tracking_back_mapped(entry):
    cache, _, tracking = entry
    kept = cache.store("7" * 64, tracking, {})
    assert same(kept, tracking)
    assert isinstance(kept.xy, np.memmap)
    assert not kept.xy.flags.writeable


def test_what_is_not_there_is_not_found(tmp_path):
    assert TrackingCache(tmp_path / "none").load("0" * 64) is None


@pytest.mark.parametrize("suffix", ["npy", "json"])
def test_any_damage_makes_an_entry_absent(entry, suffix):
    cache, key, tracking = entry
    path = cache.folder / f"{key}.{suffix}"
    whole = path.read_bytes()
    draw = np.random.default_rng(0)
    damages = [
        b"",
        whole[:-1],
        whole + b"\0",
        b"[]",
        b"{}",
        b"null",
        b'{"entry": []}',
        b"\xff" * 99,
    ]
    for place in draw.integers(0, len(whole), 60):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(draw.integers(8))
        damages.append(bytes(flipped))
    for damage in damages:
        path.write_bytes(damage)
        assert cache.load(key) is None
        cache.store(key, tracking, {})
        assert same(cache.load(key)[0], tracking)
    path.unlink()
    assert cache.load(key) is None


def test_what_a_killed_process_left_is_removed_an_hour_later(entry):
    cache, key, tracking = entry
    old, new = (cache.folder / f".{key}.npy-{name}" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"part")
    for path in (old, cache.folder / f"{key}.npy"):
        os.utime(path, (time.time() - 3700,) * 2)
    cache.remove_abandoned()
    assert not old.exists()
    assert new.exists()
    assert same(cache.load(key)[0], tracking)
    TrackingCache(cache.folder / "none").remove_abandoned()


def test_an_entry_of_another_file_is_not_taken(entry):
    cache, key, _ = entry
    other = "0" * 64
    for suffix in ("npy", "json"):
        (cache.folder / f"{other}.{suffix}").write_bytes(
            (cache.folder / f"{key}.{suffix}").read_bytes()
        )
    assert cache.load(other) is None


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("pickles-were-loaded",)


def test_forged_entries_with_right_checksums_are_neither_unpickled_nor_believed(
    entry, monkeypatch, tmp_path
):
    cache, key, tracking = entry
    monkeypatch.chdir(tmp_path)
    forgeries = [
        np.array([Bomb()], dtype=object),
        tracking.xy.astype(np.float64),
        tracking.xy[:, :1],
        tracking.xy[..., 0],
        np.int16(3),
    ]
    counts, fields = cache.folder / f"{key}.npy", cache.folder / f"{key}.json"
    known = json.loads(fields.read_text())["entry"]
    for forgery in forgeries:
        with counts.open("wb") as file:
            np.save(file, forgery, allow_pickle=True)
        sealed = cache_module._sealed(known | {"xy_sha256": cache_module._sha256(counts)})
        fields.write_text(sealed)
        assert cache.load(key) is None
    assert not (tmp_path / "pickles-were-loaded").exists()
    counts.write_bytes(b"\x93NUMPY\x01\x00\x06\x00{(((((")
    fields.write_text(cache_module._sealed(known | {"xy_sha256": cache_module._sha256(counts)}))
    assert cache.load(key) is None


def test_a_failed_write_leaves_nothing_behind_and_the_old_entry_whole(entry, monkeypatch):
    cache, key, tracking = entry
    before = sorted(path.name for path in cache.folder.iterdir())

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space left"):
        cache.store(key, tracking, {})
    assert sorted(path.name for path in cache.folder.iterdir()) == before
    assert cache.load(key) is not None


def test_the_array_is_written_before_what_vouches_for_it(entry, monkeypatch):
    """Killed between the two files, a new entry is absent, not half there."""
    cache, _, tracking = entry
    monkeypatch.setattr(cache_module, "_sealed", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cache.store("1" * 64, tracking, {})
    assert (cache.folder / f"{'1' * 64}.npy").exists()
    assert cache.load("1" * 64) is None


@pytest.fixture
def _threads_that_meet():
    """Threads change wherever Python collects its garbage, and it does so all the time."""
    threshold, interval = gc.get_threshold(), sys.getswitchinterval()

    def give_way(*_):
        time.sleep(0)

    sys.setswitchinterval(1e-6)
    gc.set_threshold(5)
    gc.callbacks.append(give_way)
    yield
    gc.callbacks.remove(give_way)
    gc.set_threshold(*threshold)
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("_threads_that_meet")
def test_many_threads_can_load_at_a_time(entry):
    """Python's parser, which numpy reads the head of a file by, is not made for that."""
    cache, key, tracking = entry
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: cache.load(key), range(1600)))
    assert all(same(tracking, one) for one, _ in found[:: len(found) // 8])
    assert len(found) == 1600
