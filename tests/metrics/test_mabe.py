import json
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbeh.errors import DataError
from jaxbeh.metrics.mabe import (
    pooled_scores,
    score,
    score_table,
    unscored_rows,
    video_counts,
)

LIST = ["mouse1,mouse2,sniff", "mouse1,mouse2,attack", "mouse1,self,rear", "mouse2,mouse1,sniff"]


def truth(*rows, lab="lab", video="7", whitelist=LIST):
    return pd.DataFrame(
        [
            {
                "video_id": video,
                "agent_id": agent,
                "target_id": target,
                "action": action,
                "start_frame": start,
                "stop_frame": stop,
                "lab_id": lab,
                "behaviors_labeled": json.dumps(whitelist),
            }
            for agent, target, action, start, stop in rows
        ]
    )


def predicted(*rows, video="7"):
    columns = ["agent_id", "target_id", "action", "start_frame", "stop_frame"]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(0, "video_id", video)
    table.insert(0, "row_id", range(len(table)))
    return table


SNIFF = truth(("mouse1", "mouse2", "sniff", 0, 100))
HALF = ("mouse1", "mouse2", "sniff", 50, 150)


# The worked cases.


def test_half_overlap():
    assert score(SNIFF, predicted(HALF)) == 0.5
    row = score_table(SNIFF, predicted(HALF)).iloc[0]
    assert (row.lab_id, row.action, row.f, row.tp, row.fp, row.fn) == (
        "lab", "sniff", 0.5, 50, 50, 50,
    )  # fmt: skip


def test_a_listed_action_that_the_lab_never_has_adds_a_zero():
    attack = ("mouse1", "mouse2", "attack", 200, 210)
    assert score(SNIFF, predicted(HALF, attack)) == 0.25
    unlisted = truth(("mouse1", "mouse2", "sniff", 0, 100), whitelist=["mouse1,mouse2,sniff"])
    assert score(unlisted, predicted(HALF, attack)) == 0.5


def test_labs_weigh_alike_whatever_their_size():
    solution = pd.concat(
        [
            truth(("mouse1", "mouse2", "sniff", 0, 10_000), lab="a", video="1"),
            truth(("mouse1", "mouse2", "sniff", 0, 10), lab="b", video="2"),
        ]
    )
    assert score(solution, predicted(("mouse1", "mouse2", "sniff", 0, 10_000), video="1")) == 0.5


def test_actions_weigh_alike_whatever_their_size():
    solution = truth(
        ("mouse1", "mouse2", "sniff", 0, 10_000), ("mouse1", "mouse2", "attack", 20_000, 20_010)
    )
    assert score(solution, predicted(("mouse1", "mouse2", "sniff", 0, 10_000))) == 0.5


# The rules.


def test_rule_1_stop_is_exclusive():
    table = score_table(SNIFF, predicted(("mouse1", "mouse2", "sniff", 100, 110)))
    assert list(table.tp) == [0]
    assert list(table.fp) == [10]
    neighbours = predicted(
        ("mouse1", "mouse2", "sniff", 0, 100), ("mouse1", "mouse2", "attack", 100, 101)
    )
    assert score(SNIFF, neighbours) == 0.5


def test_rule_2_other_videos_are_ignored():
    rows = pd.concat([predicted(HALF), predicted(HALF, ("mouse9", "x", "y", 1, 2), video="8")])
    assert score(SNIFF, rows) == 0.5
    counts = unscored_rows(SNIFF, rows)
    assert (counts.unknown_video, counts.not_whitelisted, counts.rows) == (2, 0, 3)
    assert score(SNIFF, predicted(HALF, video="8")) == 0.0


def test_rule_3_only_the_exact_string_counts():
    rear = truth(("mouse1", "self", "rear", 0, 10))
    assert score(rear, predicted(("mouse1", "self", "rear", 0, 10))) == 1.0
    other = predicted(("mouse1", "mouse1", "rear", 0, 10))
    assert score(rear, other) == 0.0
    assert list(score_table(rear, other).fp) == [0]
    assert unscored_rows(rear, other).not_whitelisted == 1
    quoted = truth(("mouse1", "mouse2", "sniff", 0, 9), whitelist=["'mouse1','mouse2','sniff'"])
    assert score(quoted, predicted(("mouse1", "mouse2", "sniff", 0, 9))) == 0.0
    spaced = truth(("mouse1", "mouse2", "sniff", 0, 9), whitelist=["mouse1, mouse2, sniff"])
    assert score(spaced, predicted(("mouse1", "mouse2", "sniff", 0, 9))) == 0.0


def test_rule_3_the_first_row_of_the_video_says_what_is_listed():
    solution = pd.concat(
        [SNIFF, truth(("mouse1", "mouse2", "sniff", 100, 150), whitelist=["nothing"])]
    )
    assert score(solution, predicted(("mouse1", "mouse2", "sniff", 0, 150))) == 1.0
    assert score(solution[::-1], predicted(("mouse1", "mouse2", "sniff", 0, 150))) == 0.0
    solution.iloc[1, -1] = "not even JSON"
    assert score(solution, predicted(("mouse1", "mouse2", "sniff", 0, 150))) == 1.0


def test_rule_4_two_actions_on_one_frame_are_refused_with_both_rows():
    rows = predicted(
        ("mouse2", "mouse1", "sniff", 0, 500),
        ("mouse1", "mouse2", "sniff", 0, 100),
        ("mouse1", "mouse2", "sniff", 20, 30),
        ("mouse1", "mouse2", "attack", 99, 120),
    )
    with pytest.raises(DataError, match=r"rows 1 and 3 both cover frame 99 of video 7.*'attack'"):
        score(SNIFF, rows)


def test_rule_4_comes_after_the_filter_and_merges_the_same_action():
    unlisted = truth(("mouse1", "mouse2", "sniff", 0, 100), whitelist=["mouse1,mouse2,sniff"])
    rows = predicted(HALF, HALF, ("mouse1", "mouse2", "attack", 60, 70))
    assert score(unlisted, rows) == 0.5
    assert list(score_table(unlisted, rows).fp) == [50]


def test_rule_4_other_targets_and_videos_do_not_clash():
    solution = pd.concat([SNIFF, truth(("mouse1", "mouse2", "attack", 0, 100), video="8")])
    rows = pd.concat(
        [
            predicted(("mouse1", "mouse2", "sniff", 0, 100), ("mouse1", "self", "rear", 0, 100)),
            predicted(("mouse1", "mouse2", "attack", 0, 100), video="8"),
        ]
    )
    assert score(solution, rows) == pytest.approx(2 / 3)


def test_rule_5_frames_are_pooled_over_videos_and_pairs_of_a_lab():
    solution = pd.concat(
        [
            truth(("mouse1", "mouse2", "sniff", 0, 90), ("mouse2", "mouse1", "sniff", 0, 5)),
            truth(("mouse1", "mouse2", "sniff", 0, 5), video="8"),
        ]
    )
    table = score_table(solution, predicted(("mouse1", "mouse2", "sniff", 0, 90)))
    assert list(table.f) == [180 / 190]
    assert list(table.fn) == [10]


def test_rule_5_a_zero_denominator_is_zero():
    assert score(truth(("mouse1", "mouse2", "sniff", 5, 5)), predicted(("a", "b", "c", 0, 1))) == 0


def test_rule_7_even_a_bout_without_frames_counts_as_predicted():
    whole = ("mouse1", "mouse2", "sniff", 0, 100)
    assert score(SNIFF, predicted(whole)) == 1.0
    assert score(SNIFF, predicted(whole, ("mouse1", "mouse2", "attack", 10, 10))) == 0.5


def test_rule_7_the_truth_of_another_lab_is_not_this_ones():
    solution = pd.concat(
        [SNIFF.assign(lab_id="a"), truth(("mouse1", "mouse2", "attack", 0, 9), lab="b", video="8")]
    )
    rows = predicted(
        ("mouse1", "mouse2", "sniff", 0, 100), ("mouse1", "mouse2", "attack", 100, 101)
    )
    assert score(solution, rows) == (0.5 + 0) / 2


def test_rule_8_what_is_never_predicted_counts_zero():
    both = truth(("mouse1", "mouse2", "sniff", 0, 9), ("mouse1", "self", "rear", 0, 9))
    assert score(both, predicted(("mouse1", "self", "rear", 0, 9))) == 0.5
    with pytest.raises(DataError, match="submission: the table has no rows"):
        score(SNIFF, predicted())
    with pytest.raises(DataError, match="solution: the table has no rows"):
        score(SNIFF.iloc[:0], predicted(HALF))


def test_rule_9_overlapping_true_events_of_one_key_are_united():
    solution = truth(("mouse1", "self", "rear", 0, 60), ("mouse1", "self", "rear", 40, 100))
    table = score_table(solution, predicted(("mouse1", "self", "rear", 0, 100)))
    assert list(table.tp) == [100]


# Types and enemies.


@pytest.mark.parametrize("kind", [int, str, float, object])
def test_video_ids_are_compared_as_text(kind):
    def cast(table, to):
        return table.assign(video_id=table.video_id.astype(int).astype(to))

    assert score(cast(SNIFF, kind), predicted(HALF)) == 0.5
    assert score(SNIFF, cast(predicted(HALF), kind)) == 0.5


def test_the_inputs_are_left_alone_and_their_index_does_not_matter():
    solution, rows = SNIFF.set_index(pd.Index([5])), predicted(HALF).set_index(pd.Index(["a"]))
    copies = solution.copy(), rows.copy()
    assert score(solution, rows) == 0.5
    pd.testing.assert_frame_equal(solution, copies[0])
    pd.testing.assert_frame_equal(rows, copies[1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="action"), "column 'action' is missing"),
        (lambda t: pd.concat([t, t[["action"]]], axis=1), "'action' is there more than once"),
        (lambda t: t.assign(start_frame=200), r"row 0: start_frame 200 is after stop_frame 1"),
        (lambda t: t.assign(start_frame="abc"), "row 0: start_frame is 'abc'"),
        (lambda t: t.assign(start_frame=0.5), "row 0: start_frame is .*0.5"),
        (lambda t: t.assign(start_frame=np.nan), "row 0: start_frame is .*nan"),
        (lambda t: t.assign(start_frame=-np.inf), "row 0: start_frame is .*inf"),
        (lambda t: t.assign(start_frame=-(2**60)), "row 0: start_frame is"),
        (lambda t: t.assign(agent_id=None), "row 0: agent_id is missing"),
        (lambda t: t.assign(video_id=np.nan), "row 0: video_id is missing"),
    ],
)
@pytest.mark.parametrize("which", ["solution", "submission"])
def test_refuses_a_table_and_names_it(which, change, message):
    tables = {"solution": SNIFF, "submission": predicted(HALF)}
    tables[which] = change(tables[which])
    with pytest.raises(DataError, match=f"{which}.*{message}"):
        score(**tables)


def test_a_backward_row_of_an_unknown_video_is_still_an_error():
    rows = pd.concat([predicted(HALF), predicted(("a", "b", "c", 9, 8), video="unknown")])
    with pytest.raises(DataError, match="submission row 1"):
        score(SNIFF, rows)


@pytest.mark.parametrize("cell", ["", "[1, 2]", '"sniff"', "{}", "[", "nan", None, 3, "[" * 99_999])
def test_refuses_a_malformed_list(cell):
    solution = SNIFF.astype({"behaviors_labeled": object})
    solution.loc[0, "behaviors_labeled"] = cell
    with pytest.raises(DataError, match=r"solution row 0: behaviors_labeled of video 7"):
        score(solution, predicted(HALF))


def test_an_empty_list_allows_nothing():
    nothing = truth(("mouse1", "mouse2", "sniff", 0, 100), whitelist=[])
    assert score(nothing, predicted(HALF)) == 0.0


def test_refuses_a_video_in_two_labs():
    solution = pd.concat([SNIFF, SNIFF.assign(lab_id="other")])
    with pytest.raises(DataError, match=r"video 7 is in labs lab, other \(rows 0, 1\)"):
        score(solution, predicted(HALF))


def test_counts_of_videos_make_the_score():
    solution = pd.concat(
        [
            truth(("mouse1", "mouse2", "sniff", 0, 100), ("mouse1", "self", "rear", 0, 9)),
            truth(("mouse1", "mouse2", "sniff", 0, 50), video="8"),
        ]
    )
    rows = predicted(HALF, ("mouse1", "mouse2", "attack", 200, 200))
    counts = video_counts(solution, rows)
    assert counts.to_dict("split")["data"] == [
        ["lab", "7", "attack", 0, 0, 0],
        ["lab", "7", "rear", 0, 0, 9],
        ["lab", "7", "sniff", 50, 50, 50],
        ["lab", "8", "sniff", 0, 0, 50],
    ]
    pd.testing.assert_frame_equal(pooled_scores(counts), score_table(solution, rows))


frame = st.integers(-3, 12)
span = st.tuples(frame, st.integers(0, 8)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@settings(max_examples=20, deadline=None)
@given(st.lists(span.filter(lambda s: s[0] < s[1]), min_size=1, max_size=6), st.integers(1, 5))
def test_more_wrong_frames_score_lower_and_perfect_is_one(spans, extra):
    rows = [("mouse1", "mouse2", "sniff", *span) for span in spans]
    solution = truth(*rows)
    assert score(solution, predicted(*rows)) == 1.0
    wrong = [("mouse1", "mouse2", "sniff", 100, 100 + extra + more) for more in (0, 1)]
    scores = [score(solution, predicted(*rows, row)) for row in wrong]
    assert 1.0 > scores[0] > scores[1]


def test_a_large_table_takes_seconds_at_most():
    rng = np.random.default_rng(0)
    n = 50_000
    start = rng.integers(0, 5_000_000, n)
    common = {
        "video_id": rng.integers(0, 800, n),
        "agent_id": "mouse1",
        "target_id": "mouse2",
        "start_frame": start,
        "stop_frame": start + rng.integers(1, 900, n),
    }
    solution = pd.DataFrame(
        {**common, "action": rng.choice(["sniff", "attack"], n), "lab_id": "lab"}
    )
    solution["behaviors_labeled"] = json.dumps(LIST)
    begun = time.process_time()
    result = score_table(solution, pd.DataFrame({**common, "action": "sniff"}))
    assert time.process_time() - begun < 5
    assert result.tp.sum() > 5_000_000
