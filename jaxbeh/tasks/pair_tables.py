"""The figures of recipe v7 as tables, no wider than 100 columns."""

from collections.abc import Mapping, Sequence

from jaxbeh.inference.pairs.report import ActionFigures, Figures, Report
from jaxbeh.metrics.segments import OVERLAPS
from jaxbeh.tasks.task import Table
from jaxbeh.wording import how_many

MOST = 10
"""Actions of single labs that are printed, the worst."""


def report_tables(report: Report) -> Sequence[Table]:
    """All labs and each, each action, and the worst actions of single labs, worst first."""
    columns = ["F", f"{report.level * 100:g} %", *(f"≥ {at}" for at in OVERLAPS)]
    labs = {"all labs": report.overall, **report.labs}
    videos = how_many(report.videos, "video")
    return [
        Table(
            f"Official F by lab ({videos}), F1 of bouts by overlap, edit score, average "
            f"precision (AP), calibration error (CE)",
            ["lab", *columns, "edit", "AP", "CE"],
            [
                [lab, *_figures(of), of.edit, of.average_precision, of.calibration_error]
                for lab, of in labs.items()
            ],
        ),
        Table(
            "By action, the mean over labs, worst first",
            ["action", "labs", *columns, "AP", "CE"],
            [
                [
                    *(action, sum(action in of for of in report.labs_and_actions.values())),
                    *(*_figures(of), of.average_precision, of.calibration_error),
                ]
                for action, of in sorted(report.actions.items(), key=lambda row: _rank(row[1]))
            ],
        ),
        _worst(report.labs_and_actions),
    ]


def report_notes(report: Report) -> Sequence[str]:
    """What the figures are of, in words."""
    notes = [f"These are {report.scored}, their bouts by {report.decoded_by}."]
    if report.decoded_by == "values tuned on these very videos":
        notes.append("Such an F is too high: several folds (--folds 5) give an honest one.")
    elif report.tuned_f is not None:
        notes.append(
            f"By values tuned on these very videos F is {report.tuned_f:.4f}, which is no forecast."
        )
    return notes


def _worst(labs: Mapping[str, Mapping[str, ActionFigures]]) -> Table:
    rows = [
        (lab, action, of)
        for lab, actions in labs.items()
        for action, of in actions.items()
        if of.official_f is not None
    ]
    rows.sort(key=lambda row: _rank(row[2]))
    some = f"worst {MOST} of {len(rows)}" if len(rows) > MOST else "worst first"
    return Table(
        f"By lab and action, {some}; counts in frames",
        ["lab", "action", "F", "hits", "false", "missed", "bouts", "predicted"],
        [
            [
                *(lab, action, of.official_f, of.hits, of.false, of.missed),
                *(of.bouts, of.predicted_bouts),
            ]
            for lab, action, of in rows[:MOST]
        ],
    )


def _figures(of: Figures) -> list[object]:
    interval = None if of.low is None else f"{of.low:.3f}–{of.high:.3f}"
    return [of.official_f, interval, *of.segment_f1.values()]


def _rank(of: Figures) -> float:
    """By rising F; what the challenge does not count comes last."""
    return 2.0 if of.official_f is None else of.official_f
