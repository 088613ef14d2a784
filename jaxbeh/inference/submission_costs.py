"""What costs a sound submission score without a word: what it lacks, and what it need not say.

A submission that breaks no rule (`submission_rules.py`) can still lose by the way in which the
challenge averages; see `metrics/mabe.py`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

import pandas as pd

from jaxbeh.data.recording import Recording
from jaxbeh.finding import Severity
from jaxbeh.inference.submission_rules import Violation
from jaxbeh.wording import how_many


def costs(
    rows: pd.DataFrame, recordings: Sequence[Recording], shown: Mapping[str, AbstractSet[str]]
) -> list[Violation]:
    """Warnings, those of rows first.

    - A row whose action the lab's annotations never show: unless the videos of the submission do, a
      0 for this action enters the lab's mean. Told once a lab and action, at its first row.
    - An action that the lab's annotations show and that was looked for here, without a row: if the
      videos show it, it counts 0.
    - A video in which something was looked for, without a row: all that it shows is missed.
    - A lab without any row: it counts 0. Told instead of its videos and actions.

    Args:
        rows: those that count: `video_id`, `action` as text, in a table whose index numbers them.
        recordings: the videos that the submission is of; those in which nothing was looked for
            cost nothing.
        shown: the actions that the annotations of each lab show; nothing is said of the actions of
            a lab that is not there.
    """
    judged = [item for item in recordings if item.whitelist is None or item.whitelist]
    lab_of = {item.video_id: item.lab_id for item in judged}
    rows = rows[rows["video_id"].isin(lab_of.keys())]
    rows = rows.assign(lab_id=rows["video_id"].map(lab_of))
    named = {str(lab): set(own["action"]) for lab, own in rows.groupby("lab_id")}
    missing = [lab for lab in sorted(set(lab_of.values())) if lab not in named]
    silent = [
        _of_all("video_id", video, f"of lab {lab} has no row: what it shows is missed", _LOOK)
        for video, lab in lab_of.items()
        if lab in named and video not in set(rows["video_id"])
    ]
    return [
        *_never_shown(rows, shown),
        *(
            _of_all("lab", lab, "has no row in any of its videos, and counts 0", _LOOK)
            for lab in missing
        ),
        *_never_named(judged, named, shown),
        *silent,
    ]


_LOOK = "predict it; if it is left out by mistake, look for its videos' ids"


def _never_shown(rows: pd.DataFrame, shown: Mapping[str, AbstractSet[str]]) -> Iterable[Violation]:
    for key, own in rows.groupby(["lab_id", "action"], sort=False):
        lab, action = map(str, key)
        if lab in shown and action not in shown[lab]:
            count = how_many(len(own), "row")
            yield Violation(
                severity=Severity.WARNING,
                row=int(own.index[0]),
                column="action",
                value=repr(action),
                rule=f"is in no annotation of lab {lab} ({count}): unless its videos here show "
                f"it, it adds a 0 to the mean over the lab's actions",
                remedy="leave it out where you are not sure",
            )


def _never_named(
    recordings: Iterable[Recording],
    named: Mapping[str, AbstractSet[str]],
    shown: Mapping[str, AbstractSet[str]],
) -> Iterable[Violation]:
    looked_for: dict[str, set[str]] = defaultdict(set)
    for recording in recordings:
        looked_for[recording.lab_id] |= {triple.action for triple in recording.whitelist or ()}
    for lab, actions in sorted(named.items()):
        for action in sorted(looked_for[lab] & shown.get(lab, set()) - actions):
            yield _of_all(
                "action",
                action,
                f"was looked for in lab {lab}, whose annotations show it, and has no row there: it "
                f"counts 0 if the videos show it",
                "predict it where it is likely enough",
            )


def _of_all(column: str, value: str, rule: str, remedy: str) -> Violation:
    return Violation(
        severity=Severity.WARNING,
        row=None,
        column=column,
        value=repr(value),
        rule=rule,
        remedy=remedy,
    )
