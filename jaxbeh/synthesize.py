"""The command that writes a synthetic collection: `python -m jaxbeh.synthesize --out DIR`."""

import os
from pathlib import Path
from typing import Annotated

import typer


def synthesize(
    out: Annotated[
        Path, typer.Option(help="Folder to write; absent or empty.", show_default=False)
    ],
    videos: Annotated[
        int | None,
        typer.Option(
            help="Labelled videos, at least 3. A fifth as many test videos come too.",
            show_default="22",
        ),
    ] = None,
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
    full_scale: Annotated[
        bool,
        typer.Option(
            "--full-scale",
            help="As many labs, videos and frames as the labelled part of the challenge, made on "
            "all cores; --videos takes a part of them, --frames shortens them.",
        ),
    ] = False,
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

    python -m jaxbeh.synthesize --out challenge-sized --full-scale
    """
    from rich.progress import Progress

    from jaxbeh import console
    from jaxbeh.data.synthetic import DEFAULT_LABS, FullScale, Plan
    from jaxbeh.data.synthetic import synthesize as write
    from jaxbeh.errors import SettingsError

    source: Plan | FullScale
    if full_scale:
        if labs is not None:
            raise SettingsError("--full-scale has its own labs; leave --labs out")
        source = FullScale(seed=seed, videos=videos, frames=frames)
    else:
        names = DEFAULT_LABS if labs is None else tuple(name.strip() for name in labs.split(","))
        source = Plan(videos=22 if videos is None else videos, seed=seed, labs=names, frames=frames)
    labelled, tested = source.count("train"), source.count("test")
    total = sum(source.length("train", index) for index in range(labelled))
    with Progress(console=console.out, disable=not console.out.is_terminal) as progress:
        bar = progress.add_task("frames", total=total)
        written = write(
            out,
            source,
            processes=(os.cpu_count() or 1) if full_scale else 1,
            on_video=lambda entry: progress.advance(bar, entry.frames),
        )
    tests = f"test videos {tested} ({written.test_frames:,} frames, their truth in solution.csv)"
    typer.echo(
        f"{out}: labelled videos {labelled} ({written.train_frames:,} frames, "
        f"{written.train_events:,} events), {tests if tested else 'no test videos'}"
    )
    typer.echo(f"seed {source.seed}, labs {', '.join(source.labs)}")


def main() -> None:
    """Run the command."""
    from jaxbeh.cli import run_command

    run_command(synthesize)


if __name__ == "__main__":
    main()
