"""Whole folders read for their tracks alone."""

import pytest
from mabe_folder import Video, rows, walk, write_folder

from jaxbeh.data.content import data_hash
from jaxbeh.data.mabe import read_labelled, read_tracks
from jaxbeh.data.report import ReadingReport
from jaxbeh.errors import DataError
from jaxbeh.settings.run import DataSettings


def read(root, cache=None):
    report = ReadingReport()
    found = read_tracks(root, DataSettings(), report, cache)
    return found, {item.what: (item.then, item.videos) for item in report.findings()}


def test_videos_are_read_whether_labelled_or_not(tmp_path):
    videos = [
        Video("3", tracking=rows(walk(seed=3))),
        Video("1", tracking=rows(walk(seed=1)), events=None, whitelist=None),
        Video("2", tracking=rows(walk(seed=2)), events=None),
    ]
    found, findings = read(write_folder(tmp_path, videos))
    assert [item.video_id for item in found] == ["3", "1", "2"]
    assert findings == {}
    assert all(item.events is None and item.whitelist is None for item in found)
    labelled = read_labelled(tmp_path, DataSettings(), ReadingReport(), None)
    assert [item.video_id for item in labelled] == ["3"]
    assert labelled[0].tracking.content_hash == found[0].tracking.content_hash
    assert data_hash(labelled) != data_hash(found[:1])


def test_no_annotation_is_opened(tmp_path):
    root = write_folder(tmp_path / "a", [Video("1", whitelist="no list at all")])
    (root / "train_annotation" / "Lab" / "1.parquet").write_bytes(b"no table")
    found, findings = read(root)
    assert [item.video_id for item in found] == ["1"]
    assert findings == {}


def test_what_cannot_be_read_is_left_out_and_said(tmp_path):
    root = write_folder(tmp_path, [Video("1"), Video("2", tracking=None)])
    found, findings = read(root)
    assert [item.video_id for item in found] == ["1"]
    assert [(then, videos) for then, videos in findings.values()] == [("left out", ("2",))]


def test_a_folder_of_nothing_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"train\.csv: there is no such file"):
        read(tmp_path)
    root = write_folder(tmp_path / "b", [Video("1", tracking=None)])
    with pytest.raises(DataError, match="none of its 1 videos can be trained on"):
        read(root)
