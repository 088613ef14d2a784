"""The command `jaxbeh validate-submission`: all that is wrong with a submission, row by row."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jaxbeh.console import out, print_table
from jaxbeh.wording import how_many

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from jaxbeh.data.recording import Recording
    from jaxbeh.inference.submission_rules import Violation


def validate_submission(
    submission: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV as it is handed in; of any system.")
    ],
    data: Annotated[
        Path,
        typer.Option(
            help="Folder in the MABe layout with the videos: those of test.csv, or those of "
            "train.csv where the file names none of test.csv's.",
            show_default=False,
        ),
    ],
    show: Annotated[int, typer.Option(min=0, help="How many rows are printed.")] = 20,
) -> None:
    """Say what is wrong with a submission: row, column, value, rule and remedy.

    The rules are those by which `jaxbeh evaluate` checks what it writes. Rows are numbered from 0,
    the line of names not counted.

    An error is something that the challenge refuses or that costs score. A warning is a row that
    the challenge passes over, since its video, agent, target and action were not looked for: it can
    never score. Of a file without errors, warnings also say what costs score without a word: labs,
    videos and actions that it has no row for, and actions that the annotations of a lab in
    train.csv never show.

    The exit code is 0 where there is no error, 1 where there is one or the data cannot be read, and
    2 where the command itself is wrong.
    """
    from jaxbeh.data.csv_table import read_csv_table
    from jaxbeh.errors import DataError
    from jaxbeh.inference.submission_rules import violations

    table = _with_numbers(read_csv_table(submission)).reset_index(drop=True)
    named = set(table["video_id"]) if "video_id" in table.columns else set()
    recordings = _recordings(data, named)
    if not recordings:
        raise DataError(
            f"{data}: it has no videos to check a submission against: neither test.csv with "
            f"test_tracking/ nor train.csv"
        )
    found = violations(table, recordings)
    errors = [item for item in found if item.severity == "error"]
    warnings = [item for item in found if item.severity != "error"]
    _print("Errors", errors, show)
    _print("Rows that can never score (warnings)", warnings, show)
    if not errors:
        counted = table.drop(index=[item.row for item in warnings])
        costly = _costs(counted, recordings, data)
        _print("What may cost score without a word (warnings)", costly, show)
        warnings += costly
    out.print(
        f"{submission}: {how_many(len(table), 'row')} for {how_many(len(recordings), 'video')}: "
        f"{how_many(len(errors), 'error')}, {how_many(len(warnings), 'warning')}"
    )
    if errors:
        raise typer.Exit(1)


def _costs(
    rows: "pd.DataFrame", recordings: "Sequence[Recording]", data: Path
) -> "list[Violation]":
    from jaxbeh.data.mabe import read_annotated_actions
    from jaxbeh.inference.submission_costs import costs

    trained = (data / "train.csv").exists()
    return costs(rows, recordings, read_annotated_actions(data) if trained else {})


def _with_numbers(table: "pd.DataFrame") -> "pd.DataFrame":
    """The columns of numbers as integers; cells that are none stay as they are written."""
    import re

    import pandas as pd

    whole = re.compile(r"-?[0-9]{1,18}")
    columns = {}
    for name in {"row_id", "start_frame", "stop_frame"} & set(table.columns):
        cells = [
            int(cell) if isinstance(cell, str) and whole.fullmatch(cell) else cell
            for cell in table[name]
        ]
        kind = "int64" if cells and all(isinstance(cell, int) for cell in cells) else object
        columns[name] = pd.Series(cells, dtype=kind, index=table.index)
    return table.assign(**columns)


def _recordings(data: Path, named: set[str]) -> "Sequence[Recording]":
    """The videos of `test.csv`, or the labelled ones where none of those is named."""
    from jaxbeh.collection import cache_folder, reading
    from jaxbeh.config import load_config
    from jaxbeh.data.mabe import read_labelled, read_test

    settings, cache = load_config("v6").data, cache_folder() / "tracking"
    with reading() as report:
        test = read_test(data, settings, report, cache)
        if named & {recording.video_id for recording in test} or not (data / "train.csv").exists():
            return test
        labelled = read_labelled(data, settings, report, cache)
        own = named & {recording.video_id for recording in labelled}
        return labelled if own or not test else test


def _print(title: str, found: "list[Violation]", show: int) -> None:
    if not found:
        return
    found = sorted(found, key=lambda item: -1 if item.row is None else item.row)
    print_table(
        title,
        ("row", "column", "value", "rule", "remedy"),
        [
            (
                "all" if item.row is None else str(item.row),
                item.column,
                item.value,
                item.rule,
                item.remedy,
            )
            for item in found[:show]
        ],
    )
    if len(found) > show:
        out.print(f"… and {len(found) - show:,} more; --show {len(found)} prints all")


def main() -> None:
    """Run the command on the words of the command line."""
    from jaxbeh.cli import run_command

    run_command(validate_submission)


if __name__ == "__main__":
    main()
