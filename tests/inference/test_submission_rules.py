"""All violations of a submission at once, each with its row and its weight."""

import numpy as np
import pandas as pd
import pytest
from recordings import recording

from jaxbeh.inference.submission_rules import COLUMNS, violations

VIDEO = recording(np.zeros((100, 2, 7, 2)), video_id="v")
GOOD = ("v", "mouse1", "mouse2", "sniff", 0, 10)


def found(*rows, recordings=(VIDEO,)):
    table = pd.DataFrame([(n, *row) for n, row in enumerate(rows)], columns=COLUMNS)
    return [(item.severity.value, item.row, item.column) for item in violations(table, recordings)]


def test_every_row_is_told_of_and_a_good_one_is_not():
    assert found(
        GOOD,
        ("w", *GOOD[1:]),
        ("v", "1", "mouse2", "sniff", 0, 10),
        ("v", "mouse2", "mouse2", "sniff", 0, 10),
        ("v", "mouse1", "mouse2", "rear", 0, 10),
        ("v", "mouse1", "mouse2", "sniff", 30, 20),
        ("v", "mouse1", "mouse2", "sniff", -5, 200),
        ("v", "mouse1", "mouse2", "attack", 5, 20),
        ("v", "mouse1", "mouse2", "sniff", "x", 20),
        ("v", "mouse1", "mouse2", "sniff", 40.0, 50),
    ) == [
        ("error", 8, "start_frame"),
        ("error", 9, "start_frame"),
        ("warning", 1, "video_id"),
        ("error", 2, "agent_id"),
        ("error", 3, "target_id"),
        ("warning", 4, "action"),
        ("error", 5, "stop_frame"),
        ("error", 6, "start_frame"),
        ("error", 6, "stop_frame"),
        ("error", 7, "action"),
    ]


def test_rows_that_do_not_count_do_not_clash():
    assert found(GOOD, ("v", "mouse1", "mouse2", "chase", 0, 10)) == [("warning", 1, "action")]
    assert found(GOOD, ("v", "mouse1", "mouse2", "mount", 9, 10)) == [("error", 1, "action")]


def test_a_file_of_which_no_row_counts_is_an_error():
    assert found(("w", *GOOD[1:])) == [("warning", 0, "video_id"), ("error", None, "")]


@pytest.mark.parametrize("number", [2**62, -(2**63), 2**40])
def test_huge_frames_do_not_overflow(number):
    rows = [GOOD, ("v", "mouse1", "mouse2", "sniff", 0, number)]
    assert found(*rows) == [("error", 1, "stop_frame")]


def test_other_columns_are_told_of_beside_the_rows_and_missing_ones_end_the_check():
    table = pd.DataFrame([(0, "w", *GOOD[1:], 0.5)], columns=[*COLUMNS, "score"])
    assert [item.row for item in violations(table, [VIDEO])] == [None, 0, None]
    without = violations(table.drop(columns="video_id"), [VIDEO])
    assert [(item.row, "write exactly row_id" in str(item)) for item in without] == [(None, True)]


def test_a_large_submission_of_nothing_but_mistakes():
    n = 100_000
    table = pd.DataFrame(
        {
            "row_id": np.arange(n),
            "video_id": "v",
            "agent_id": "mouse1",
            "target_id": "mouse2",
            "action": np.where(np.arange(n) % 2, "sniff", "mount"),
            "start_frame": np.arange(n),
            "stop_frame": np.arange(n) + 2,
        }
    )
    items = violations(table, [VIDEO])
    beyond = [item.row for item in items if item.column == "stop_frame"]
    assert beyond == list(range(99, n))
    assert [item.row for item in items if item.column == "action"] == list(range(1, n))
