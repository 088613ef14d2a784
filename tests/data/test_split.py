"""Training and validation videos: no leak, every class on both sides, files checked."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import recording, wander

from jaxbeh.data.report import ReadingReport
from jaxbeh.data.split import split_videos
from jaxbeh.errors import DataError
from jaxbeh.settings.run import DataSettings
from jaxbeh.vocabulary import ClassMap

CLASSES = ClassMap.build([("background", []), ("social", ["sniff"]), ("aggressive", ["attack"])])
SNIFF, ATTACK = ("mouse1,mouse2,sniff", 0, 3), ("mouse1,mouse2,attack", 2, 5)


def video(name, content=None, events=()):
    seed = int(name) if content is None else content
    return recording(wander(6, seed=seed), events, video_id=str(name))


def split(videos, seed=42, **settings):
    report = ReadingReport()
    train, validation = split_videos(videos, DataSettings(**settings), seed, CLASSES, report)
    return train, validation, report.findings()


@pytest.mark.parametrize(("count", "expected"), [(2, 1), (3, 1), (10, 2), (22, 4), (100, 20)])
def test_a_fifth_of_the_videos_validates(count, expected):
    videos = [video(name) for name in range(count)]
    train, validation, findings = split(videos)
    assert len(validation) == expected
    assert sorted(train + validation) == sorted(str(name) for name in range(count))
    assert findings == []


def test_the_split_is_the_seed_s_and_not_the_order_s():
    videos = [video(name) for name in range(30)]
    train, validation, _ = split(videos)
    assert split(videos)[:2] == (train, validation)
    assert train == sorted(train, key=int)
    again = split(videos[::-1])
    assert (again[0], again[1]) == (train[::-1], validation[::-1])
    assert any(split(videos, seed=seed)[1] != validation for seed in range(3))


@given(
    contents=st.lists(st.integers(0, 6), min_size=2, max_size=20),
    seed=st.integers(0, 2**32 - 1),
    fraction=st.floats(0.01, 0.99),
)
def test_equal_tracking_is_never_on_both_sides(contents, seed, fraction):
    videos = [video(name, content) for name, content in enumerate(contents)]
    if len(set(contents)) < 2:
        with pytest.raises(DataError, match="at least two videos that differ"):
            split(videos, seed, validation_fraction=fraction)
        return
    train, validation, _ = split(videos, seed, validation_fraction=fraction)
    of_id = dict(zip((str(name) for name in range(len(contents))), contents, strict=True))
    assert train
    assert validation
    assert sorted(train + validation) == sorted(of_id)
    assert not {of_id[name] for name in train} & {of_id[name] for name in validation}


def test_an_animal_is_on_one_side_if_that_is_asked_for():
    videos = [replace(video(name), animals=(str(name // 2),)) for name in range(10)]
    apart = []
    for seed in range(5):
        report = ReadingReport()
        words = (videos, DataSettings(), seed, CLASSES, report)
        kept, drawn = split_videos(*words, animals=True)[1], split_videos(*words)[1]
        assert len(kept) == len(drawn) == 2
        assert len({int(name) // 2 for name in kept}) == 1
        apart.append(len({int(name) // 2 for name in drawn}) == 2)
    assert any(apart)


def test_a_large_group_does_not_swallow_the_split():
    videos = [video(name, content=0) for name in range(9)] + [video(9)]
    for seed in range(20):
        assert split(videos, seed)[1] == ["9"]


def test_a_class_of_two_videos_is_on_both_sides():
    for seed in range(30):
        events = {3: [SNIFF], 7: [SNIFF], 4: [ATTACK], 11: [ATTACK]}
        videos = [video(name, events=events.get(name, ())) for name in range(15)]
        train, validation, _ = split(videos, seed)
        for pair in ({"3", "7"}, {"4", "11"}):
            assert len(pair & set(train)) == len(pair & set(validation)) == 1


def test_a_class_whose_two_videos_are_one_recording_stays_together():
    videos = [video(1, 1, [SNIFF]), video(2, 1, [SNIFF])] + [video(name) for name in range(3, 12)]
    for seed in range(10):
        train, _, _ = split(videos, seed)
        assert len({"1", "2"} & set(train)) in (0, 2)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_videos(count):
    with pytest.raises(DataError, match="at least two videos that differ"):
        split([video(name) for name in range(count)])


@pytest.fixture
def listed(tmp_path):
    """Split five videos by a file of this content."""

    def run(content, videos=None):
        path = tmp_path / "split.json"
        text = content if isinstance(content, str) else json.dumps(content)
        path.write_text(text, encoding="utf-8")
        videos = videos or [video(name) for name in range(5)]
        return split(videos, split_file=str(path))

    return run


def test_a_split_file_is_followed(listed):
    train, validation, findings = listed({"validation": [4, "1"], "train": ["3", 0, "2"]})
    assert (train, validation, findings) == (["0", "2", "3"], ["1", "4"], [])


def test_videos_in_neither_list_are_left_out_and_reported(listed):
    train, validation, (finding,) = listed({"validation": [4], "train": [0, 2]})
    assert (train, validation) == (["0", "2"], ["4"])
    assert (finding.videos, finding.then) == (("1", "3"), "left out")


def test_equal_tracking_on_both_sides_of_a_file_is_reported(listed):
    videos = [video(1), video(2), video(3, content=1)]
    train, validation, (finding,) = listed({"train": [1, 2], "validation": [3]}, videos)
    assert (train, validation) == (["1", "2"], ["3"])
    assert finding.videos == ("3",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"train": ["0", "nine"], "validation": ["1"]}, "'nine' is not among the 5"),
        ({"train": ["0", "1"], "validation": ["1"]}, "'1' is in train and in validation"),
        ({"train": ["0", 0], "validation": ["1"]}, "train names '0' more than once"),
        ({"train": [], "validation": ["1"]}, r"train is \[\]"),
        ({"train": ["1"], "validation": "2"}, "validation is '2'"),
        ({"train": ["1"], "validation": [True]}, "validation holds True"),
        ({"train": ["1"], "validation": [2.0]}, "validation holds 2.0"),
        ({"train": ["1"], "validation": [None]}, "validation holds None"),
        ({"train": ["1"]}, "the keys train;"),
        ({"train": ["1"], "validation": ["2"], "test": ["3"]}, "the keys train, validation, test"),
        ({"train": "9" * 10**6, "validation": ["1"]}, "train is '999"),
        ({"train": ["9" * 10**6], "validation": ["1"]}, "'999"),
        ({"9" * 10**6: []}, "the keys 999"),
        ({"train": list(range(500_000)), "validation": ["x"]}, "more is not among"),
        (["1"], "holds no object"),
        ("train: [1]", "is not JSON"),
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_split_file_that_cannot_be_followed(listed, content, message):
    with pytest.raises(DataError, match=message) as caught:
        listed(content)
    assert "split.json" in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_split_file_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            split([video(0), video(1)], split_file=str(path))
    (tmp_path / "bytes.json").write_bytes(np.arange(128, 255, dtype=np.uint8).tobytes())
    with pytest.raises(DataError, match="is not JSON"):
        split([video(0), video(1)], split_file=str(tmp_path / "bytes.json"))
