"""The official score against the rules taken literally, as sets of frames, on random tables."""

import json
from collections import defaultdict

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbeh.errors import DataError
from jaxbeh.metrics.mabe import clashes, mean_of_means, score, score_table


def brute_force(solution, submission):
    """The rules, literally: a set of frames a (lab, video, agent, target, action)."""
    for table in (solution, submission):
        if len(table) == 0 or (table.start_frame > table.stop_frame).any():
            raise DataError("unusable")
    lab_of, listed = {}, {}
    true, found = defaultdict(set), defaultdict(set)
    for row in solution.itertuples():
        video = str(row.video_id)
        lab_of.setdefault(video, row.lab_id)
        listed.setdefault(video, set(json.loads(row.behaviors_labeled)))
        key = (video, row.agent_id, row.target_id, row.action)
        true[key] |= set(range(row.start_frame, row.stop_frame))
    owner = {}
    for row in submission.itertuples():
        video = str(row.video_id)
        if f"{row.agent_id},{row.target_id},{row.action}" not in listed.get(video, ()):
            continue
        key = (video, row.agent_id, row.target_id, row.action)
        found[key] |= set()
        for frame in range(row.start_frame, row.stop_frame):
            place = (video, row.agent_id, row.target_id, frame)
            if owner.setdefault(place, row.action) != row.action:
                raise DataError("multiple predictions")
            found[key].add(frame)
    counts = defaultdict(lambda: np.zeros(3, int))
    for key in set(true) | set(found):
        t, p = true.get(key, set()), found.get(key, set())
        counts[lab_of[key[0]], key[3]] += (len(t & p), len(p - t), len(t - p))
    labs = defaultdict(list)
    for (lab, _), (tp, fp, fn) in counts.items():
        labs[lab].append(2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0)
    return float(np.mean([np.mean(values) for values in labs.values()])), counts


ACTIONS = ["sniff", "attack", "=cmd", "a,b", "é_ö"]
MICE = ["mouse1", "mouse2"]
frame = st.integers(-3, 12)
span = st.tuples(frame, st.integers(0, 8)).map(lambda pair: (pair[0], pair[0] + pair[1]))
rows_of = st.tuples(
    st.sampled_from("1234"),
    st.sampled_from(MICE),
    st.sampled_from([*MICE, "self"]),
    st.sampled_from(ACTIONS),
    span,
)
odd_strings = st.sampled_from(["", "'mouse1','mouse2','sniff'", "mouse1,mouse2, sniff", "sniff"])
every_string = [f"{a},{t},{x}" for a in MICE for t in [*MICE, "self"] for x in ACTIONS]
whitelists = st.lists(st.sampled_from(every_string) | odd_strings, max_size=40)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(rows_of, min_size=1, max_size=12),
    st.lists(rows_of, min_size=1, max_size=12),
    st.fixed_dictionaries(dict.fromkeys("123", whitelists)),
    st.fixed_dictionaries({video: st.sampled_from("ab") for video in "123"}),
    st.booleans(),
)
def test_equals_sets_of_frames(true_rows, rows, lists, labs, ids_are_numbers):
    def table(source):
        flat = [(v, a, t, x, *span) for v, a, t, x, span in source]
        columns = ["video_id", "agent_id", "target_id", "action", "start_frame", "stop_frame"]
        return pd.DataFrame(flat, columns=columns)

    solution = table([row for row in true_rows if row[0] != "4"] or [("1", *true_rows[0][1:])])
    solution["lab_id"] = solution.video_id.map(labs)
    solution["behaviors_labeled"] = [json.dumps(lists[video]) for video in solution.video_id]
    submission = table(rows)
    if ids_are_numbers:
        submission["video_id"] = submission.video_id.astype(int)
    try:
        expected, counts = brute_force(solution, submission)
    except DataError:
        with pytest.raises(DataError, match="multiple predictions"):
            score(solution, submission)
        return
    assert score(solution, submission) == pytest.approx(expected, abs=1e-12)
    result = score_table(solution, submission)
    assert {(r.lab_id, r.action): (r.tp, r.fp, r.fn) for r in result.itertuples()} == {
        key: tuple(values) for key, values in counts.items()
    }
    assert list(result.columns) == ["lab_id", "action", "f", "tp", "fp", "fn"]


def random_pair(rng, number):
    """A solution and a submission whose labs and videos carry the pair's number."""
    lists = [[s for s in every_string if rng.random() < 0.6] for _ in range(3)]
    labs = rng.choice(["a", "b"], 3)

    def rows(videos):
        count = rng.integers(1, 9)
        start = rng.integers(-3, 30, count)
        return pd.DataFrame(
            {
                "video_id": [f"{number}-{video}" for video in rng.integers(0, videos, count)],
                "agent_id": rng.choice(MICE, count),
                "target_id": rng.choice([*MICE, "self"], count),
                "action": rng.choice(ACTIONS, count),
                "start_frame": start,
                "stop_frame": start + rng.integers(0, 9, count),
            }
        )

    solution = rows(3)
    video = solution.video_id.str.rsplit("-").str[-1].astype(int)
    solution["lab_id"] = [f"{number:02}{labs[index]}" for index in video]
    solution["behaviors_labeled"] = [json.dumps(lists[index]) for index in video]
    return solution, rows(4)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_equals_sets_of_frames_on_a_thousand_pairs(seed):
    """Twenty times fifty pairs: each is labs of its own in one table, so one call scores all."""
    rng = np.random.default_rng(seed)
    pairs, scores, expected = [], [], {}
    for number in range(50):
        while True:
            pair = random_pair(rng, number)
            try:
                value, counts = brute_force(*pair)
            except DataError:  # a refusal would be that of all fifty; tried one by one above
                continue
            break
        pairs.append(pair)
        scores.append((value, len(set(pair[0].lab_id))))
        expected |= {key: tuple(frames) for key, frames in counts.items()}
    solution, submission = (
        pd.concat(tables, ignore_index=True) for tables in zip(*pairs, strict=True)
    )
    table = score_table(solution, submission)
    assert {(r.lab_id, r.action): (r.tp, r.fp, r.fn) for r in table.itertuples()} == expected
    pair_of_row = table.lab_id.str[:2]
    for number, (value, _) in enumerate(scores):
        own = mean_of_means(table[pair_of_row == f"{number:02}"])
        assert own == pytest.approx(value, abs=1e-12)
    whole = sum(value * labs for value, labs in scores) / sum(labs for _, labs in scores)
    assert score(solution, submission) == pytest.approx(whole, abs=1e-12)


clash_rows = st.lists(
    st.tuples(st.sampled_from("12"), st.sampled_from("abc"), st.integers(0, 12), st.integers(0, 6)),
    max_size=10,
)


@settings(max_examples=60, deadline=None)
@given(clash_rows)
def test_every_clash_is_one_and_no_clashing_row_is_passed_over(spans):
    columns = ["agent_id", "action", "start_frame", "stop_frame"]
    table = pd.DataFrame([(m, x, a, a + n) for m, x, a, n in spans], columns=columns)
    table = table.astype({"start_frame": np.int64, "stop_frame": np.int64})
    table = table.assign(video_id="1", target_id="self")
    frames = [set(range(row.start_frame, row.stop_frame)) for row in table.itertuples()]

    def clash(one, other):
        apart = table.agent_id[one] != table.agent_id[other]
        return (
            not apart and table.action[one] != table.action[other] and frames[one] & frames[other]
        )

    found = clashes(table)
    for first, second, frame in found:
        assert first < second
        assert min(clash(first, second)) == frame
    later = {
        max(one, other, key=lambda n: (table.start_frame[n], n))
        for one in table.index
        for other in table.index[:one]
        if clash(one, other)
    }
    assert len(found) == len(later)
