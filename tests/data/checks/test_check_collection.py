"""A whole folder: every fault told with its file, none of them in the way of the next."""

import dataclasses

import pytest

from jaxbeh.data.checks import examine
from jaxbeh.data.checks.collection import worst_first
from jaxbeh.finding import CheckFinding, Severity
from jaxbeh.settings.run import DataSettings
from tests.data.mabe_folder import Video, rows, tracking_path, walk, write_folder

SETTINGS = DataSettings()
IN_ORDER = [
    Video(video_id=str(number), tracking=rows(walk(seed=number)), pix_per_cm=2.2)
    for number in range(3)
]
"""The nose of `walk` is 20 pixels from the tail base."""


def look(root):
    return examine(root, SETTINGS, lambda *_: None)


def checks(result):
    return {finding.check for finding in result.findings}


def test_a_folder_in_order(tmp_path):
    result = look(write_folder(tmp_path, IN_ORDER))
    assert result.findings == []
    assert (result.videos, result.unlabelled, result.frames) == (3, 0, 120)


def test_a_rate_that_no_video_has_is_no_reason_to_stop(tmp_path):
    twice = ((1, 2, "sniff", 3, 9), (1, 2, "sniff", 5, 10))
    root = write_folder(tmp_path, [dataclasses.replace(IN_ORDER[0], fps="1e-320", events=twice)])
    assert {(found.check, found.severity.value) for found in look(root).findings} == {
        ("fps-implausible", "error"),
        ("events-annotated-twice", "warning"),
    }


def test_nothing_to_train_on_is_told(tmp_path):
    bare = [dataclasses.replace(one, events=None, whitelist=None) for one in IN_ORDER]
    (found,) = look(write_folder(tmp_path / "bare", bare)).findings
    assert (found.check, found.severity.value) == ("no-labels", "warning")
    assert "none of its 3 videos" in found.what
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "train.csv").write_text("lab_id,video_id\n")
    (found,) = look(tmp_path / "none").findings
    assert (found.check, found.severity.value) == ("no-labels", "error")


def test_a_lab_whose_annotations_are_all_empty_is_told(tmp_path):
    quiet = [
        dataclasses.replace(IN_ORDER[0], video_id=str(number), tracking=rows(walk(seed=number)))
        for number in (3, 4, 5)
    ]
    quiet = [dataclasses.replace(one, events=()) for one in quiet]
    empty = [dataclasses.replace(one, lab_id="Quiet") for one in quiet[:2]]
    (found,) = look(write_folder(tmp_path, [*IN_ORDER, *empty, quiet[2]])).findings
    assert (found.check, found.severity.value) == ("lab-without-events", "warning")
    assert (found.lab_id, found.count) == ("Quiet", 2)
    assert "none of the lab's 2 videos" in found.what
    assert found.file.endswith("train_annotation/Quiet")


def test_bad_files_are_findings_and_the_others_are_looked_at(tmp_path):
    lost, torn, bare = (
        dataclasses.replace(IN_ORDER[0], video_id=name) for name in ("lost", "torn", "bare")
    )
    whole = [dataclasses.replace(IN_ORDER[1], events=((1, 2, "sniff", 3, 90),)), IN_ORDER[2]]
    root = write_folder(tmp_path, [lost, torn, bare, *whole])
    tracking_path(root, lost).unlink()
    path = tracking_path(root, torn)
    path.write_bytes(path.read_bytes()[:500])
    (root / "train_annotation" / "Lab" / "bare.parquet").unlink()
    result = look(root)
    assert {(found.check, found.video_id, found.severity.value) for found in result.findings} == {
        ("tracking-missing", "lost", "error"),
        ("tracking-unreadable", "torn", "error"),
        ("annotation-missing", "bare", "error"),
        ("events-beyond-end", "1", "warning"),
    }
    assert all(found.file.endswith(".parquet") and found.remedy for found in result.findings)
    assert result.videos == 5


@pytest.mark.parametrize(
    ("line", "part"),
    [("Lab,0\n", "lines 2 and 5"), ("Lab,..\n", "line 5"), ("Lab\n", "line 5: has 1 cells")],
)
def test_a_bad_line_of_the_table_does_not_hide_the_others(tmp_path, line, part):
    root = write_folder(tmp_path, IN_ORDER)
    table = root / "train.csv"
    table.write_text("lab_id,video_id\nLab,0\nLab,1\nLab,2\n" + line)
    result = look(root)
    (found,) = (found for found in result.findings if found.severity == Severity.ERROR)
    assert (found.check, found.file) == ("table-unreadable", str(table))
    assert part in found.what
    assert result.videos == 3


def test_no_table_at_all(tmp_path):
    result = look(tmp_path)
    assert checks(result) == {"table-unreadable"}
    assert result.findings[0].file == str(tmp_path / "train.csv")


def test_a_folder_to_predict_on_needs_no_train_csv(tmp_path):
    root = write_folder(tmp_path, IN_ORDER, IN_ORDER)
    (root / "train.csv").unlink()
    result = look(root)
    assert result.findings == []
    assert result.videos == 3


def test_test_videos_are_compared_with_those_trained_on(tmp_path):
    test = dataclasses.replace(IN_ORDER[1], video_id="77")
    result = look(write_folder(tmp_path, IN_ORDER, [test]))
    (found,) = result.findings
    assert (found.check, found.severity) == ("duplicate-content", Severity.WARNING)
    assert result.videos == 4


def test_videos_without_labels_are_counted_and_not_opened(tmp_path):
    bare = dataclasses.replace(
        IN_ORDER[0], video_id="9", events=None, whitelist=None, tracking=None
    )
    result = look(write_folder(tmp_path, [*IN_ORDER, bare]))
    assert result.findings == []
    assert (result.videos, result.unlabelled) == (3, 1)


def test_files_that_no_line_names(tmp_path):
    root = write_folder(tmp_path, IN_ORDER)
    path = tracking_path(root, IN_ORDER[0])
    path.with_name("00.parquet").write_bytes(b"")
    (found,) = look(root).findings
    assert (found.check, found.severity) == ("unlisted-files", Severity.NOTE)
    assert found.file.endswith("00.parquet")


def test_progress_counts_every_video(tmp_path):
    told = []
    examine(write_folder(tmp_path, IN_ORDER), SETTINGS, lambda *pair: told.append(pair))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_kinds_come_worst_first_and_their_worst_first():
    def finding(check, severity, count):
        return CheckFinding(
            check=check, severity=severity, file="f", what="", remedy=check, count=count
        )

    kinds = list(
        worst_first(
            [
                finding("a", Severity.NOTE, 1),
                finding("b", Severity.WARNING, 1),
                finding("b", Severity.WARNING, 5),
                finding("c", Severity.ERROR, 2),
            ]
        )
    )
    assert [[(one.check, one.count) for one in kind] for kind in kinds] == [
        [("c", 2)],
        [("b", 5), ("b", 1)],
        [("a", 1)],
    ]
