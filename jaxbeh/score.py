"""The command `jaxbeh score`: the competition's F-score of a submission, by lab and action."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jaxbeh.console import out, print_table
from jaxbeh.wording import how_many

if TYPE_CHECKING:
    import pandas as pd


def score(
    solution: Annotated[
        Path,
        typer.Argument(
            metavar="SOLUTION",
            help="CSV of the true events, with lab_id and behaviors_labeled (a JSON list).",
        ),
    ],
    submission: Annotated[
        Path, typer.Argument(metavar="SUBMISSION", help="CSV as it is handed in.")
    ],
    bootstrap: Annotated[
        int,
        typer.Option(
            min=0,
            help="Print a 95 % interval of the score from so many draws of the videos within their "
            "labs.",
        ),
    ] = 0,
) -> None:
    """Score a submission by the MABe 2025 rules: F by lab and action, lab means, the mean of labs.

    Rows that the rules pass over are counted below the tables.
    """
    from jaxbeh.data.csv_table import read_csv_table
    from jaxbeh.errors import DataError
    from jaxbeh.metrics.mabe import mean_of_means, pooled_scores, unscored_rows, video_counts

    truth, rows = read_csv_table(solution), read_csv_table(submission)
    try:
        counts = video_counts(truth, rows)
    except DataError as error:
        raise DataError(f"{error}\n(solution: {solution}, submission: {submission})") from None
    scores = pooled_scores(counts)
    print_table(
        "F-score by lab and action, counts in frames",
        ("lab", "action", "F", "hits", "false", "missed"),
        scores.astype(object).to_numpy().tolist(),
    )
    means = scores.groupby("lab_id")["f"].agg(["mean", "size"])
    print_table(
        "F-score by lab",
        ("lab", "F", "actions"),
        means.reset_index().astype(object).to_numpy().tolist(),
    )
    unscored = unscored_rows(truth, rows)
    if unscored.unknown_video:
        out.print(
            f"{unscored.unknown_video} of {unscored.rows} rows are of videos that the solution "
            f"does not have; they are ignored."
        )
    if unscored.not_whitelisted:
        out.print(
            f"{unscored.not_whitelisted} of {unscored.rows} rows name an agent, target and action "
            f"that behaviors_labeled of their video does not list; they are ignored."
        )
    labs = how_many(len(means), "lab")
    line = f"F-score (mean over {labs}): {mean_of_means(scores):.6f}"
    out.print(line + (_interval(counts, bootstrap) if bootstrap else ""))


def _interval(counts: "pd.DataFrame", draws: int) -> str:
    from jaxbeh.metrics.bootstrap import Videos, interval, official_score

    videos = Videos.of_counts(counts)
    if len(videos.ids) == len(set(videos.labs)):
        return ", no interval: no lab has two videos to draw from"
    found = interval(official_score(counts, videos), videos, draws=draws)
    return (
        f", {found.level:.0%} interval {found.low:.6f} to {found.high:.6f} "
        f"({draws:,} draws of {len(videos.ids):,} videos within labs)"
    )


def main() -> None:
    """Run the command on the words of the command line."""
    from jaxbeh.cli import run_command

    run_command(score)


if __name__ == "__main__":
    main()
