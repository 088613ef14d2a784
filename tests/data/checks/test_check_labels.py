"""Events and whitelists: each oddity by name, nothing else beside it."""

import json

import pytest
from cases import case, mice

from jaxbeh.data.checks.duplicates import Content, duplicates
from jaxbeh.data.checks.events import events_in_time, events_of_mice, overlapping_events
from jaxbeh.data.checks.names import formula_names
from jaxbeh.data.checks.rows import passed_over
from jaxbeh.data.checks.whitelist import whitelist
from jaxbeh.finding import Severity

SNIFF, ATTACK, BACK = "mouse1,mouse2,sniff", "mouse1,mouse2,attack", "mouse2,mouse1,sniff"
EVENTS = (events_in_time, events_of_mice, overlapping_events)


def look(*events, checks=EVENTS, **more):
    """(check, severity, count) of what is found; the video has 600 frames at 30 fps."""
    made = case(events=events, **more)
    return [
        (found.check, found.severity.value, found.count)
        for check in checks
        for found in check(made)
    ]


def test_events_in_order_are_not_told():
    assert look((SNIFF, 0, 10), (ATTACK, 10, 600), (BACK, 5, 20), ("mouse1,self,rear", 0, 9)) == []
    assert look() == []
    assert [check(case(events=None)) for check in EVENTS] == [[], [], []]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ((SNIFF, 9, 9), ("empty-events", "note", 1)),
        ((SNIFF, 9, 3), ("empty-events", "note", 1)),
        ((SNIFF, 600, 700), ("events-outside", "warning", 1)),
        ((SNIFF, -9, 0), ("events-outside", "warning", 1)),
        ((SNIFF, 590, 601), ("events-beyond-end", "note", 1)),
        ((SNIFF, 590, 630), ("events-beyond-end", "note", 1)),
        ((SNIFF, 590, 631), ("events-beyond-end", "warning", 1)),
        ((SNIFF, -1, 5), ("events-beyond-end", "note", 1)),
        (("mouse3,self,rear", 0, 9), ("events-of-untracked-mice", "warning", 1)),
    ],
)
def test_an_odd_event(event, expected):
    assert look(event, (ATTACK, 30, 40)) == [expected]


def test_events_at_another_rate_are_scaled_before_they_are_judged():
    assert look((SNIFF, 600, 720), event_factor=25 / 30) == []
    assert look((SNIFF, 600, 720))[0][0] == "events-outside"


def test_events_that_the_reader_drops_are_counted():
    assert look(incomplete=2, strangers=3) == [
        ("incomplete-events", "warning", 2),
        ("events-of-untracked-mice", "warning", 3),
    ]


def test_one_action_twice_at_a_time():
    assert look((SNIFF, 0, 10), (SNIFF, 9, 20), (SNIFF, 20, 30)) == [
        ("events-annotated-twice", "warning", 1)
    ]
    assert look(*[(SNIFF, 0, 10)] * 3) == [("events-annotated-twice", "warning", 2)]


def test_two_actions_of_one_pair_at_a_time():
    made = case(events=[(SNIFF, 0, 100), (ATTACK, 10, 20), (ATTACK, 50, 60), (BACK, 10, 20)])
    (found,) = overlapping_events(made)
    assert (found.check, found.severity, found.count) == ("overlapping-events", Severity.NOTE, 2)
    assert "sniff and attack (mouse1 → mouse2) at frame 10 (0:00:00)" in found.what


def test_the_other_direction_and_self_actions_do_not_conflict():
    assert look((SNIFF, 0, 100), (BACK, 0, 100), ("mouse1,self,rear", 0, 100)) == []


# Whitelists


def of_list(behaviors, *events, **more):
    text = behaviors if isinstance(behaviors, str | None) else json.dumps(behaviors)
    return look(*events, behaviors=text, checks=[whitelist], **more)


def test_a_list_in_order():
    assert of_list([SNIFF, ATTACK, "mouse1,self,rear"], (SNIFF, 0, 9)) == []


@pytest.mark.parametrize(
    ("behaviors", "expected"),
    [
        (None, [("whitelist-missing", "note", 1)]),
        ("[]", [("whitelist-missing", "note", 1)]),
        ("sniff", [("whitelist-unreadable", "error", 1)]),
        (["mouse1,sniff"], [("whitelist-unreadable", "error", 1)]),
        ([SNIFF, SNIFF], [("whitelist-duplicates", "note", 1)]),
        (["'mouse1','mouse2','sniff'"], [("whitelist-spelling", "note", 1)]),
        ([SNIFF, "'mouse1','mouse2','sniff'"], [("whitelist-duplicates", "note", 1)]),
        (["mouse1,mouse1,rear", SNIFF], [("whitelist-spelling", "note", 1)]),
        ([SNIFF, "mouse3,self,rear"], [("whitelist-untracked-mice", "warning", 1)]),
        ([ATTACK], [("events-not-whitelisted", "warning", 1)]),
    ],
)
def test_an_odd_list(behaviors, expected):
    assert of_list(behaviors, (SNIFF, 0, 9)) == expected


def test_a_test_video_needs_no_list():
    assert whitelist(case(events=None, behaviors=None)) == []


@pytest.mark.parametrize("action", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_names_that_a_spreadsheet_takes_for_formulas(action):
    listed = json.dumps([SNIFF, f"mouse1,self,{action}"])
    (found,) = formula_names(case(behaviors=listed))
    assert (found.check, found.count, found.severity) == ("formula-names", 1, Severity.WARNING)
    assert repr(action) in found.what
    (found,) = formula_names(case(events=[(f"mouse1,self,{action}", 0, 9)]))
    assert found.count == 1


def test_other_names_are_none():
    assert formula_names(case(events=[(SNIFF, 0, 9)], behaviors=json.dumps([ATTACK]))) == []
    assert formula_names(case(behaviors="no list")) == []


# Rows and content


def test_what_reading_passed_over():
    (found,) = passed_over(case(met={"repeated": 12, "missing": 5, "untracked_frames": 3}))
    assert (found.check, found.count) == ("repeated-rows", 12)
    assert "the last one is used" in found.what


def content(video, side="train", digest="a"):
    return Content(video, "Lab", f"{video}.parquet", side, digest)


def test_equal_content_is_told_once_with_all_who_have_it():
    (found,) = duplicates(
        [content("1"), content("2", digest="b"), content("3"), content("4", digest="c")]
    )
    assert (found.severity, found.count, found.video_id) == (Severity.NOTE, 2, "1")
    assert "video 1 (Lab, train) has the same tracking as 3 (Lab, train)" in found.what


def test_a_test_video_that_is_trained_on_is_a_warning():
    (found,) = duplicates([content("1"), content("9", "test")])
    assert found.severity == Severity.WARNING
    assert "9 (Lab, test)" in found.what


def test_many_equals_do_not_make_a_long_line():
    (found,) = duplicates(content(str(number)) for number in range(400))
    assert "and 394 more" in found.what
    assert len(found.what) < 300


def test_mice_of_the_case_are_where_the_tests_think():
    assert mice().shape == (600, 2, 4, 2)
