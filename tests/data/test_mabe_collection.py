"""Whole folders: what is read, what is left out and why, what is refused."""

import json

import numpy as np
import pyarrow as pa
import pytest
from mabe_folder import (
    WHITELIST,
    Video,
    rows,
    table,
    tracking_path,
    walk,
    write_folder,
    write_parquet,
    write_table,
)

from jaxbeh.data.mabe import read_labelled, read_test
from jaxbeh.data.report import ReadingReport
from jaxbeh.errors import DataError
from jaxbeh.settings.run import DataSettings, EventScale
from jaxbeh.vocabulary import Triple


def read(root, settings=None, cache=None):
    report = ReadingReport()
    return read_labelled(root, settings or DataSettings(), report, cache), said(report)


def said(report):
    return {
        finding.what: (finding.then, finding.videos, finding.count) for finding in report.findings()
    }


def ids(recordings):
    return [recording.video_id for recording in recordings]


GOOD = Video("900", tracking=rows(walk(seed=9)))


def test_a_plain_collection_is_read_in_the_order_of_its_table(tmp_path):
    videos = [Video(name, tracking=rows(walk(seed=seed))) for seed, name in enumerate("312")]
    recordings, findings = read(write_folder(tmp_path, videos))
    assert ids(recordings) == ["3", "1", "2"]
    assert findings == {}
    first = recordings[0]
    assert (first.lab_id, first.fps, first.pixels_per_cm) == ("Lab", 30.0, 6.5)
    assert first.centre.tolist() == [400, 300]
    assert first.whitelist == {Triple.parse(text) for text in WHITELIST}
    assert first.events.triples == (Triple("mouse1", "mouse2", "sniff"),)
    assert (first.events.start.tolist(), first.events.stop.tolist()) == ([3], [9])
    assert np.allclose(first.tracking.pixels(), walk(seed=0), atol=first.tracking.step)


@pytest.mark.parametrize("fps", ["1e-320", "1e-5", "0.033", "1e300"])
def test_a_video_of_an_impossible_rate_is_left_out(tmp_path, fps):
    """On recipe v7's grid of 30 places a second it would have any number of places."""
    recordings, findings = read(write_folder(tmp_path, [Video("1", fps=fps), GOOD]))
    assert ids(recordings) == ["900"]
    assert findings["frames per second below 1 or above 100,000"] == ("left out", ("1",), 1)
    root = write_folder(tmp_path / "alone", [Video("1", fps="")])
    with pytest.raises(DataError, match="frames per second below 1"):
        read(root, DataSettings(default_fps=1e-5))


def test_every_video_has_its_own_rate_and_scale(tmp_path):
    videos = [Video("1", fps=10, pix_per_cm=5.5), Video("2", fps=120.0, pix_per_cm=65)]
    recordings, _ = read(write_folder(tmp_path, videos))
    assert [(item.fps, item.pixels_per_cm) for item in recordings] == [(10, 5.5), (120, 65)]


def test_what_is_missing_is_replaced_and_said_once(tmp_path):
    videos = [
        Video(name, fps=fps, pix_per_cm=None, width=None)
        for name, fps in (("1", None), ("2", 0), ("3", "NaN"), ("4", 25))
    ]
    recordings, findings = read(write_folder(tmp_path, videos), DataSettings(default_fps=50.0))
    assert [item.fps for item in recordings] == [50, 50, 50, 25]
    assert findings["no frames per second"] == (
        "taken as 50 (data.default_fps)",
        ("1", "2", "3"),
        3,
    )
    scale = findings["no pixels per centimetre: nose to tail base"]
    assert scale[1] == ("1", "2", "3", "4")
    assert findings["no usable picture size"] == (
        "the centre is the median position",
        ("1", "2", "3", "4"),
        4,
    )
    median = np.nanmedian(walk().reshape(-1, 2), axis=0)
    assert np.allclose(recordings[0].centre, median, atol=0.1)


def test_all_optional_columns_may_be_absent(tmp_path):
    without = [name for name in Video().cells() if name not in ("lab_id", "video_id")]
    recordings, findings = read(write_folder(tmp_path, [Video()], without=without))
    assert recordings[0].fps == 30
    assert recordings[0].whitelist == {Triple("mouse1", "mouse2", "sniff")}
    assert len(findings) == 4


def test_a_missing_whitelist_is_all_that_occurs_in_the_lab_said_once_a_lab(tmp_path):
    videos = [
        Video("1", "A", whitelist=None, events=[(1, 2, "sniff", 0, 5)]),
        Video("2", "A", whitelist="[]", events=[(2, 2, "rear", 0, 5)]),
        Video("3", "A", whitelist=["mouse1,mouse2,attack"], events=[(1, 2, "attack", 0, 5)]),
        Video("4", "B", whitelist=None, events=[(1, 2, "bite", 0, 5)]),
    ]
    recordings, findings = read(write_folder(tmp_path, videos))
    sniff, rear, attack = (
        Triple("mouse1", "mouse2", "sniff"),
        Triple("mouse2", "self", "rear"),
        Triple("mouse1", "mouse2", "attack"),
    )
    assert [item.whitelist for item in recordings] == [
        {sniff, rear, attack},
        {sniff, rear, attack},
        {attack},
        {Triple("mouse1", "mouse2", "bite")},
    ]
    assert findings["no behaviors_labeled in lab A"] == (
        "taken to be the 3 (agent, target, action) of its annotation files",
        ("1", "2"),
        2,
    )
    assert findings["no behaviors_labeled in lab B"][1] == ("4",)


def test_a_whitelisted_video_without_annotation_is_unknown_not_absent(tmp_path):
    recordings, findings = read(write_folder(tmp_path, [Video("1", events=None), GOOD]))
    assert ids(recordings) == ["900"]
    ((what, finding),) = findings.items()
    assert "unknown, not absent" in what
    assert finding == ("left out", ("1",), 1)


def test_an_annotation_without_rows_says_absent(tmp_path):
    (recording,), findings = read(write_folder(tmp_path, [Video(events=[])]))
    assert recording.events.triples == ()
    assert len(recording.whitelist) == 3
    assert findings == {}


def test_the_tracking_of_unlabelled_videos_is_never_opened(tmp_path):
    unlabelled = [Video(str(name), events=None, whitelist=None, tracking=None) for name in range(5)]
    root = write_folder(tmp_path, [*unlabelled, GOOD])
    trap = tracking_path(root, unlabelled[0])
    trap.write_bytes(b"not read")
    recordings, findings = read(root)
    assert ids(recordings) == ["900"]
    assert findings == {
        "videos without labels": ("their tracking is not read", ("0", "1", "2", "3", "4"), 5)
    }


def test_events_that_were_not_looked_for_are_kept_and_counted(tmp_path):
    video = Video(events=[(1, 2, "sniff", 0, 5), (2, 1, "sniff", 7, 9), (1, 2, "climb", 7, 9)])
    (recording,), findings = read(write_folder(tmp_path, [video]))
    assert len(recording.events.triples) == 3
    assert findings["events of actions that were not looked for"] == (
        "unknown, not absent, if a class above the background has them",
        ("101",),
        2,
    )


def test_stray_quotes_and_both_spellings_of_self(tmp_path):
    video = Video(
        whitelist=["'mouse1','mouse2','sniff'", "mouse2,mouse2,rear"],
        events=[(1, 2, "sniff", 0, 5), (2, 2, "rear", 0, 5)],
    )
    _, findings = read(write_folder(tmp_path, [video]))
    assert findings == {}


def test_event_scale_holds_for_its_lab_and_rate_and_is_reported(tmp_path):
    events = [(1, 2, "sniff", 30, 36)]
    videos = [
        Video("1", "Snail", fps=25, events=events),
        Video("2", "Snail", fps=30, events=events),
        Video("3", "Other", fps=25, events=events),
    ]
    settings = DataSettings(event_scale=(EventScale(lab="Snail", fps=25.0, factor=25 / 30),))
    recordings, findings = read(write_folder(tmp_path, videos), settings)
    assert [(int(item.events.start[0]), int(item.events.stop[0])) for item in recordings] == [
        (25, 30),
        (30, 36),
        (30, 36),
    ]
    ((_, finding),) = findings.items()
    assert finding == ("their frames are multiplied by 0.8333", ("1",), 1)


def test_lengths_come_from_the_tracking_not_from_the_table(tmp_path):
    video = Video(
        tracking=rows(walk(50), first_frame=500),
        events=[(1, 2, "sniff", 540, 900)],
        more={"video_duration_sec": 1},
    )
    (recording,), findings = read(write_folder(tmp_path, [video]))
    assert (recording.tracking.frames, recording.tracking.first_frame) == (50, 500)
    assert recording.events.stop.tolist() == [50]
    assert findings["events that reach beyond the tracked frames"] == ("clipped", ("101",), 1)


BAD = {
    "there is no tracking file": Video("1", tracking=None),
    "no column 'bodypart'": Video("1", tracking=rows(walk()).drop_columns(["bodypart"])),
    "holds double in column 'mouse_id'": Video(
        "1", tracking=table([0], [1], ["nose"], [1], [1], types={"mouse_id": pa.float64()})
    ),
    "mouse_id 5 is outside 1 to 4": Video("1", tracking=rows(walk(), mice=[1, 5])),
    "has no rows": Video("1", tracking=rows(walk()).slice(0, 0)),
    "every position is missing": Video("1", tracking=table([0], [1], ["nose"], [np.nan], [np.nan])),
    "video_frame -3 is negative": Video("1", tracking=rows(walk(), first_frame=-3)),
    "correct the frame numbers": Video(
        "1", tracking=table([0, 2**31 - 1], [1, 1], ["nose"] * 2, [1, 2], [1, 2])
    ),
    "fill pix_per_cm_approx": Video(
        "1", tracking=rows(walk(keypoints=1), keypoints=["nose"]), pix_per_cm=None
    ),
    "is not JSON": Video("1", whitelist="[mouse1"),
    "'sniff' is not 'agent,target,action'": Video("1", whitelist=["sniff"]),
    "no column 'target_id'": Video("1", events=pa.table({"agent_id": [1]})),
}


@pytest.mark.parametrize(("reason", "video"), BAD.items(), ids=list(BAD))
def test_a_video_that_cannot_be_used_is_left_out_with_the_reason(tmp_path, reason, video):
    recordings, findings = read(write_folder(tmp_path / "two", [video, GOOD]))
    assert ids(recordings) == ["900"]
    ((what, finding),) = findings.items()
    assert reason in what
    assert finding == ("left out", ("1",), 1)
    root = write_folder(tmp_path / "one", [video])
    with pytest.raises(DataError) as caught:
        read(root)
    assert str(root / "train.csv") in str(caught.value)
    assert "none of its 1 videos can be trained on" in str(caught.value)
    assert reason in str(caught.value)


def test_a_truncated_file_is_left_out_and_one_line_gathers_the_like(tmp_path):
    videos = [Video("1", tracking=None), Video("2"), Video("3", tracking=None), GOOD]
    root = write_folder(tmp_path, videos)
    path = tracking_path(root, videos[1])
    path.write_bytes(path.read_bytes()[:-9])
    recordings, findings = read(root)
    assert ids(recordings) == ["900"]
    assert findings["there is no tracking file"] == ("left out", ("1", "3"), 2)
    assert [finding[1] for what, finding in findings.items() if "cannot be read" in what] == [
        ("2",)
    ]


def test_points_and_rows_that_were_mended_are_counted(tmp_path):
    pixels = walk(60)
    pixels[20:25] = np.nan
    pixels[30, 0, 0] = 1e7
    content = rows(pixels)
    columns = content.to_pydict()
    columns["x"][3] = float("nan")
    columns["bodypart"][7] = None
    content = pa.concat_tables([table(*columns.values()), content.slice(100, 2)])
    _, findings = read(write_folder(tmp_path, [Video(tracking=content)]))
    assert {what: count for what, (_, _, count) in findings.items()} == {
        "rows without frame, mouse or body part": 1,
        "points that are NaN, null or infinite": 1,
        "rows that repeat a frame, mouse and body part": 2,
        "points farther than 50 body lengths from the median position": 1,
        "frames without any tracked point": 5,
    }


def test_nothing_of_a_collection(tmp_path):
    with pytest.raises(DataError, match="does not exist; a collection is a folder"):
        read(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="is no folder"):
        read(tmp_path / "file")
    with pytest.raises(DataError, match=r"train\.csv: there is no such file; a collection"):
        read(tmp_path)
    (tmp_path / "train.csv").mkdir()
    with pytest.raises(DataError, match=r"train\.csv: cannot be read"):
        read(tmp_path)


def test_a_collection_without_any_label_is_refused(tmp_path):
    root = write_folder(
        tmp_path, [Video(str(name), events=None, whitelist=None) for name in range(9)]
    )
    with pytest.raises(
        DataError, match=r"none of its 9 videos .*\n.*without labels: 9 \(0, 1, 2, …\)"
    ):
        read(root)


def test_errors_of_the_table_refuse_the_collection(tmp_path):
    root = write_folder(tmp_path, [Video("1"), Video("2")])
    write_table(root / "train.csv", [Video("1"), Video("1")])
    with pytest.raises(DataError, match="lines 2 and 3"):
        read(root)


def test_an_id_cannot_lead_out_of_the_folder(tmp_path):
    write_parquet(tmp_path / "secret" / "1.parquet", rows(walk()))
    root = write_folder(tmp_path / "data", [Video("2")])
    write_table(root / "train.csv", [Video("1", lab_id="../../secret")])
    with pytest.raises(DataError, match="cannot name a file"):
        read(root)


def test_a_name_too_long_for_a_file_is_left_out(tmp_path):
    root = write_folder(tmp_path, [GOOD])
    write_table(root / "train.csv", [Video("9" * 300), GOOD])
    recordings, findings = read(root)
    assert ids(recordings) == ["900"]
    assert any("cannot be read" in what for what in findings)


def test_test_videos(tmp_path):
    test = [
        Video("7", "Unseen", tracking=rows(walk(seed=7)), whitelist=None),
        Video("5", "Lab", tracking=rows(walk(seed=5)), whitelist=["mouse1,self,rear"], fps=None),
        Video("6", "Lab", tracking=None),
        Video("8", "Lab", whitelist="{"),
    ]
    report = ReadingReport()
    recordings = read_test(write_folder(tmp_path, [GOOD], test), DataSettings(), report, None)
    assert ids(recordings) == ["7", "5"]
    assert recordings[0].whitelist is None
    assert recordings[1].whitelist == {Triple("mouse1", "self", "rear")}
    assert all(item.events is None for item in recordings)
    findings = said(report)
    assert findings["there is no tracking file"] == ("left out", ("6",), 1)
    assert sum(then == "left out" for then, _, _ in findings.values()) == 2
    assert findings["no frames per second"][1] == ("5",)


def test_nothing_to_predict(tmp_path):
    root = write_folder(tmp_path, [GOOD])
    assert read_test(root, DataSettings(), ReadingReport(), None) == ()
    write_table(root / "test.csv", [Video("7")])
    assert read_test(root, DataSettings(), ReadingReport(), None) == ()
    (root / "test_tracking").mkdir()
    with pytest.raises(DataError, match=r"test\.csv: none of its 1 videos can be predicted on"):
        read_test(root, DataSettings(), ReadingReport(), None)


def test_the_cache_changes_nothing_but_the_time(tmp_path):
    videos = [
        Video("1", tracking=rows(walk(), first_frame=3), pix_per_cm=None),
        Video("2", tracking=table([0, 0, 1], [1, 1, 1], ["nose"] * 3, [1, 2, np.nan], [1, 2, 3])),
        Video("3", tracking=None),
    ]
    root = write_folder(tmp_path / "data", videos)
    plain, without = read(root)
    first, filling = read(root, cache=tmp_path / "cache")
    second, filled = read(root, cache=tmp_path / "cache")
    assert without == filling == filled
    for recordings in (first, second):
        for one, other in zip(plain, recordings, strict=True):
            assert np.array_equal(one.tracking.xy, other.tracking.xy)
            assert one.tracking.content_hash == other.tracking.content_hash
            assert one.pixels_per_cm == other.pixels_per_cm
    assert isinstance(second[0].tracking.xy, np.memmap)
    assert len(list((tmp_path / "cache").iterdir())) == 4


def test_a_cache_that_cannot_be_written_is_said_once(tmp_path):
    root = write_folder(tmp_path / "data", [Video("1"), GOOD])
    (tmp_path / "cache").write_text("a file where the folder should be")
    recordings, findings = read(root, cache=tmp_path / "cache")
    assert ids(recordings) == ["1", "900"]
    ((what, finding),) = findings.items()
    assert "cannot be written" in what
    assert finding == ("read afresh every time", ("1", "900"), 2)


def test_reading_imports_no_jax(python, tmp_path):
    root = write_folder(tmp_path, [GOOD])
    code = (
        "import sys; from pathlib import Path; from jaxbeh.settings.run import DataSettings;"
        "from jaxbeh.data.mabe import read_labelled; from jaxbeh.data.report import ReadingReport;"
        f"read_labelled(Path({json.dumps(str(root))}), DataSettings(), ReadingReport(), None);"
        "assert 'jax' not in sys.modules"
    )
    result = python("-c", code)
    assert result.returncode == 0, result.stderr
