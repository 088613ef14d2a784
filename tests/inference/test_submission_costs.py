"""What a sound submission loses score by, against the metric."""

import numpy as np
import pandas as pd
import pytest
from recordings import motionless, recording

from jaxbeh.inference.submission import solution_table
from jaxbeh.inference.submission_costs import costs
from jaxbeh.inference.submission_rules import COLUMNS, violations
from jaxbeh.metrics.mabe import score
from jaxbeh.vocabulary import Triple

SNIFF, MOUNT = "mouse1,mouse2,sniff", "mouse1,mouse2,mount"


def video(name, lab="a", whitelist=(SNIFF, MOUNT), events=()):
    return recording(
        np.zeros((100, 2, 7, 2)), events, video_id=name, lab_id=lab, whitelist=whitelist
    )


def rows(*given):
    found = [(n, name, *text.split(","), *span) for n, (name, text, *span) in enumerate(given)]
    return pd.DataFrame(found, columns=COLUMNS)


def told(submission, videos, shown):
    assert violations(submission, videos) == []
    return [(item.row, item.column, item.value) for item in costs(submission, videos, shown)]


def test_a_whole_submission_costs_nothing():
    whole = rows(("v", SNIFF, 0, 10), ("v", MOUNT, 10, 20))
    assert told(whole, [video("v")], {"a": {"sniff", "mount"}}) == []


def test_an_action_that_the_lab_never_shows_costs_what_the_metric_takes():
    of = video("v", events=[(SNIFF, 0, 10)])
    clean, more = rows(("v", SNIFF, 0, 10)), [("v", MOUNT, 10, 20), ("v", MOUNT, 30, 40)]
    fouled = rows(("v", SNIFF, 0, 10), *more)
    assert score(solution_table([of]), clean) == 1
    assert score(solution_table([of]), fouled) == 0.5
    assert told(clean, [of], {"a": {"sniff"}}) == []
    assert told(fouled, [of], {"a": {"sniff"}}) == [(1, "action", "'mount'")]
    (found,) = costs(fouled, [of], {"a": {"sniff"}})
    assert "(2 rows)" in found.rule
    assert told(fouled, [of], {}) == []  # of a lab without annotations nothing is known


def test_an_action_without_a_row_is_told_of_if_the_lab_shows_it():
    only = rows(("v", SNIFF, 0, 10))
    assert told(only, [video("v")], {"a": {"sniff", "mount"}}) == [(None, "action", "'mount'")]
    assert told(only, [video("v", whitelist=(SNIFF,))], {"a": {"sniff", "mount"}}) == []


def test_videos_and_labs_without_a_row():
    only = rows(("v", SNIFF, 0, 10))
    videos = [video("v"), video("w"), video("x", lab="b"), video("y", lab="b")]
    found = told(only, videos, {"a": {"sniff"}, "b": {"sniff"}})
    assert found == [(None, "lab", "'b'"), (None, "video_id", "'w'")]


@pytest.mark.parametrize("whitelist", [frozenset(), None])
def test_a_video_in_which_nothing_was_looked_for_costs_nothing(whitelist):
    other = motionless(100, "w", "a", whitelist=whitelist)
    found = told(rows(("v", SNIFF, 0, 10)), [video("v"), other], {"a": {"sniff"}})
    assert found == ([] if whitelist is not None else [(None, "video_id", "'w'")])


def test_rows_keep_their_numbers():
    kept = rows(("v", SNIFF, 0, 5), ("v", SNIFF, 6, 9), ("v", MOUNT, 10, 20)).drop(index=[0])
    (found,) = costs(kept, [video("v")], {"a": {"sniff"}})
    assert found.row == 2
    assert Triple.parse(MOUNT).action in found.value
