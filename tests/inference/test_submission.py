import json
import stat

import numpy as np
import pandas as pd
import pytest

from jaxbeh.data.recording import Events, Recording, Tracking
from jaxbeh.errors import DataError
from jaxbeh.inference.bouts import Bouts
from jaxbeh.inference.submission import (
    check_submission,
    solution_table,
    submission_table,
    write_submission,
)
from jaxbeh.inference.submission_rules import COLUMNS
from jaxbeh.metrics.mabe import SOLUTION_COLUMNS, score
from jaxbeh.vocabulary import Triple

SNIFF = Triple("mouse1", "mouse2", "sniff")
ATTACK = Triple("mouse1", "mouse2", "attack")
REAR = Triple("mouse1", "self", "rear")
ODD = Triple("mouse2", "self", '=HYPERLINK("x, y")')


def recording(video="0042", whitelist=(SNIFF, ATTACK, REAR, ODD), events=None, first_frame=10):
    tracking = Tracking(
        xy=np.zeros((90, 2, 1, 2), np.int16),
        origin=np.zeros(2),
        step=1.0,
        first_frame=first_frame,
        mice=(1, 2),
        keypoints=("nose",),
        content_hash="",
    )
    if events is not None:
        triples, start, stop = zip(*events, strict=True) if events else ((), (), ())
        events = Events(
            triples=tuple(triples), start=np.array(start, int), stop=np.array(stop, int)
        )
    return Recording(
        video_id=video,
        lab_id="lab",
        tracking=tracking,
        fps=30.0,
        pixels_per_cm=1.0,
        centre=np.zeros(2),
        whitelist=None if whitelist is None else frozenset(whitelist),
        events=events,
    )


VIDEO = recording()


def table(*rows, video="0042"):
    frame = pd.DataFrame(
        [(video, *triple, start, stop) for triple, start, stop in rows], columns=COLUMNS[1:]
    )
    frame.insert(0, "row_id", range(len(frame)))
    return frame


GOOD = table((SNIFF, 10, 20), (ATTACK, 20, 100), (REAR, 10, 100), (ODD, 99, 100))


def test_submission_table_has_the_columns_and_nothing_else():
    bouts = Bouts.of_recording(
        VIDEO, [SNIFF, REAR], np.array([0, 5]), np.array([5, 90]), np.array([0.5, 0.5])
    )
    made = submission_table(bouts)
    assert made.to_dict("split")["data"] == [
        [0, "0042", "mouse1", "mouse2", "sniff", 10, 15],
        [1, "0042", "mouse1", "self", "rear", 15, 100],
    ]
    assert list(made.columns) == [
        "row_id", "video_id", "agent_id", "target_id", "action", "start_frame", "stop_frame",
    ]  # fmt: skip
    check_submission(made, [VIDEO])
    assert list(submission_table(Bouts.empty()).columns) == list(COLUMNS)


def test_a_good_table_passes_to_the_last_frame():
    check_submission(GOOD, [VIDEO, recording("other")])


def test_the_same_action_twice_is_merged_by_the_metric_and_passes():
    check_submission(table((SNIFF, 10, 20), (SNIFF, 15, 30)), [VIDEO])


BROKEN = [
    (lambda t: t.drop(columns="row_id"), r"the columns are video_id.*write exactly row_id"),
    (lambda t: t.assign(score=1.0), "score; write exactly"),
    (lambda t: t[list(COLUMNS)[::-1]], "the columns are stop_frame"),
    (lambda t: t.iloc[:0], "there is no bout to write"),
    (lambda t: t.assign(row_id=0), r"row 1: row_id .*0.* is there twice"),
    (lambda t: t.assign(video_id=42), r"row 0: video_id .*42.* is not plain text"),
    (lambda t: t.assign(video_id="42"), "row 0: video_id '42' is none of the 1 videos"),
    (lambda t: t.assign(agent_id="1"), "row 0: .*agent '1'.*write mouse1"),
    (lambda t: t.assign(agent_id="Mouse1"), "row 0: .*agent 'Mouse1'"),
    (lambda t: t.assign(agent_id="mouse1\n"), "row 0: agent_id .* is not plain text"),
    (lambda t: t.assign(agent_id="mouse0"), "row 0: .*agent 'mouse0'"),
    (lambda t: t.assign(agent_id="self"), "row 0: .*agent 'self'"),
    (lambda t: t.assign(target_id="mouse1"), r"row 0: .*target 'mouse1'.*self"),
    (lambda t: t.assign(target_id=None), r"row 0: target_id .* is not plain text"),
    (lambda t: t.assign(action="social"), r"row 0: .*'mouse1,mouse2,social' was not looked for"),
    (lambda t: t.assign(action="a\rb"), r"row 0: action .* is not plain text"),
    (
        lambda t: t.assign(action=pd.Series(["a\ud800"] * 4, dtype=object)),
        r"row 0: action .* is not plain text",
    ),
    (
        lambda t: t.assign(start_frame=t.start_frame + 0.5),
        r"row 0: start_frame 10\.5 is no whole number",
    ),
    (lambda t: t.assign(start_frame="10"), "row 0: start_frame '10' is no whole number"),
    (lambda t: t.assign(stop_frame=t.start_frame), r"row 0: stop_frame .*10.* is not after"),
    (lambda t: t.assign(stop_frame=9), r"row 0: stop_frame .*9.* is not after start_frame"),
    (lambda t: t.assign(start_frame=-1), r"row 0: start_frame .*-1.* is before.*frames 10 … 99"),
    (lambda t: t.assign(start_frame=9), r"row 0: start_frame .*9.* is before the video"),
    (lambda t: t.assign(stop_frame=101), r"row 0: stop_frame .*101.* is beyond.*frames 10 … 99"),
    (lambda t: t.assign(start_frame=10), "rows 0 and 1 both cover frame 10 of video 0042"),
]


@pytest.mark.parametrize(("change", "message"), BROKEN)
def test_refuses_with_row_value_and_remedy_and_writes_nothing(change, message, tmp_path):
    with pytest.raises(DataError, match=message):
        check_submission(change(GOOD), [VIDEO])
    path = tmp_path / "deep" / "submission.csv"
    with pytest.raises(DataError, match=message):
        write_submission(change(GOOD), path, [VIDEO])
    assert not list(tmp_path.iterdir())


def test_a_start_before_frame_zero_is_refused_even_where_the_video_has_such_frames():
    with pytest.raises(DataError, match="is before"):
        check_submission(table((SNIFF, -5, 3)), [recording(first_frame=-10)])


def test_where_nobody_says_what_was_looked_for_the_mice_must_be_tracked():
    check_submission(
        table((Triple("mouse2", "mouse1", "new"), 10, 20)), [recording(whitelist=None)]
    )
    with pytest.raises(DataError, match="'mouse1,mouse3,sniff' names mouse3, which is not tracked"):
        check_submission(
            table((Triple("mouse1", "mouse3", "sniff"), 10, 20)), [recording(whitelist=None)]
        )


def test_pairs_of_different_videos_and_targets_do_not_clash():
    both = pd.concat([table((SNIFF, 10, 20), (REAR, 10, 20)), table((ATTACK, 10, 20), video="b")])
    check_submission(both.assign(row_id=range(3)), [VIDEO, recording("b")])


def test_written_as_it_stands_and_read_back_the_same(tmp_path):
    path = tmp_path / "new" / "folder" / "submission.csv"
    write_submission(GOOD, path, [VIDEO])
    raw = path.read_bytes()
    assert raw.startswith(
        b"row_id,video_id,agent_id,target_id,action,start_frame,stop_frame\n"
        b"0,0042,mouse1,mouse2,sniff,10,20\n"
    )
    assert b"\r" not in raw
    back = pd.read_csv(path, dtype={"video_id": str})
    assert back["action"].tolist() == [*["sniff", "attack", "rear"], ODD.action]
    assert back.to_dict("records") == GOOD.to_dict("records")
    assert [item.name for item in path.parent.iterdir()] == ["submission.csv"]
    assert stat.S_IMODE(path.stat().st_mode) & 0o600 == 0o600


def test_a_bad_table_leaves_the_old_submission_alone(tmp_path):
    path = tmp_path / "submission.csv"
    write_submission(GOOD, path, [VIDEO])
    before = path.read_bytes()
    with pytest.raises(DataError):
        write_submission(GOOD.assign(action="social"), path, [VIDEO])
    assert path.read_bytes() == before
    write_submission(table((SNIFF, 10, 11)), path, [VIDEO])
    assert len(path.read_bytes()) < len(before)


def test_places_that_cannot_be_written_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"file/submission.csv: the submission cannot be written"):
        write_submission(GOOD, tmp_path / "file" / "submission.csv", [VIDEO])
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="folder: the submission cannot be written"):
        write_submission(GOOD, tmp_path / "folder", [VIDEO])
    assert sorted(item.name for item in tmp_path.iterdir()) == ["file", "folder"]


# The solution.


def test_solution_is_in_file_numbering_and_only_of_what_was_looked_for():
    chase = Triple("mouse1", "mouse2", "chase")
    labelled = recording(events=[(SNIFF, 0, 5), (REAR, 3, 90), (chase, 0, 9)])
    made = solution_table([labelled, recording("silent", events=[])])
    assert list(made.columns) == list(SOLUTION_COLUMNS)
    assert made.iloc[:, :7].to_dict("split")["data"] == [
        ["0042", "mouse1", "mouse2", "sniff", 10, 15, "lab"],
        ["0042", "mouse1", "self", "rear", 13, 100, "lab"],
    ]
    assert json.loads(made["behaviors_labeled"].iloc[0]) == sorted(
        map(str, [SNIFF, ATTACK, REAR, ODD])
    )


def test_the_solution_itself_is_a_perfect_submission(tmp_path):
    labelled = recording(events=[(SNIFF, 0, 5), (REAR, 3, 90), (ODD, 0, 9)])
    solution = solution_table([labelled])
    answer = solution[list(COLUMNS[1:])].copy()
    answer.insert(0, "row_id", range(len(answer)))
    assert score(solution, answer) == 1.0
    write_submission(answer, tmp_path / "s.csv", [labelled])
    assert score(solution, pd.read_csv(tmp_path / "s.csv", dtype={"video_id": str})) == 1.0


def test_solution_refuses_videos_without_labels_and_may_be_empty():
    with pytest.raises(DataError, match="video 0042 of lab lab has no labels"):
        solution_table([VIDEO])
    empty = solution_table([])
    assert list(empty.columns) == list(SOLUTION_COLUMNS)
    with pytest.raises(DataError, match="solution: the table has no rows"):
        score(empty, GOOD)
