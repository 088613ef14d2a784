"""The command that writes a synthetic collection: `python -m jaxbeh.synthesize --out DIR`."""

from pathlib import Path
from typing import Annotated

import typer


def synthesize(
    out: Annotated[
        Path, typer.Option(help="Folder to write; absent or empty.", show_default=False)
    ],
    videos: Annotated[
        int, typer.Option(help="Labelled videos, at least 3. A fifth as many test videos come too.")
    ] = 22,
    seed: Annotated[int, typer.Option(help="The same seed gives the same files.")] = 2025,
    labs: Annotated[
        str | None,
        typer.Option(
            help="Names with commas between; the videos go round them. Without it, five labs that "
            "all track the seven keypoints of the engineered features.",
            show_default=False,
        ),
    ] = None,
    frames: Annotated[
        int | None,
        typer.Option(
            help="Frames in every video, at least 200. Without it, each has 1,500 to 4,000.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a made-up collection of mouse videos in the MABe layout.

    Invented labs differ in keypoints, frame rate, scale, arena and in the
    actions they look for. Their mice roam, approach, sniff, follow, mount,
    attack and chase; they also lie, sit and pass by one another, which looks
    the same in a single frame. Points are lost, coordinates jitter, and the
    labels have a person's small mistakes.

    The folder holds train.csv, train_tracking/ and train_annotation/, and
    test.csv with test_tracking/, whose truth is in solution.csv.

    Labs: Synthetic-CRIM13, Synthetic-CalMS21, Synthetic-ElegantMink,
    Synthetic-UppityFerret, Synthetic-SparklingTapir (the default) and
    Synthetic-AdaptableSnail (four mice), Synthetic-BoisterousParrot,
    Synthetic-JovialSwallow, Synthetic-LyricalHare, Synthetic-PleasantMeerkat.

    Examples:
    python -m jaxbeh.synthesize --out mice

    python -m jaxbeh.synthesize --out mice --labs Synthetic-CRIM13 --frames 500
    """
    from jaxbeh.data.synthetic import DEFAULT_LABS, Plan
    from jaxbeh.data.synthetic import synthesize as write

    names = DEFAULT_LABS if labs is None else tuple(name.strip() for name in labs.split(","))
    plan = Plan(videos=videos, seed=seed, labs=names, frames=frames)
    written = write(out, plan)
    typer.echo(
        f"{out}: labelled videos {plan.videos} ({written.train_frames:,} frames, "
        f"{written.train_events:,} events), test videos {plan.test_videos} "
        f"({written.test_frames:,} frames, their truth in solution.csv)"
    )
    typer.echo(f"seed {plan.seed}, labs {', '.join(plan.labs)}")


def main() -> None:
    """Run the command."""
    from jaxbeh.cli import run_command

    run_command(synthesize)


if __name__ == "__main__":
    main()
