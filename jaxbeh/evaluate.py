"""The command that scores a run and predicts: `python -m jaxbeh.evaluate --run runs/v6`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jaxbeh.console import out, print_table
from jaxbeh.wording import how_many

if TYPE_CHECKING:
    from jaxbeh.data.recording import Recording
    from jaxbeh.tasks.evaluation import Evaluator, Scored
    from jaxbeh.training.run_folder import RunFolder


def evaluate(
    run: Annotated[
        list[Path],
        typer.Option(
            help="Folder of a trained run. Runs of recipe v7 may be several (--run A --run B): "
            "their probabilities are averaged, and thresholds tuned anew on the videos that all "
            "held out, and kept. Without these, or with --test-only, what was kept for these very "
            "runs is used, or else the first one's.",
            show_default=False,
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder in the MABe layout. Without it, the data that the run was trained on.",
            show_default=False,
        ),
    ] = None,
    submission: Annotated[
        Path | None,
        typer.Option(
            help="Where the submission for the test videos goes. Without it, submission.csv in the "
            "run's folder.",
            show_default=False,
        ),
    ] = None,
    test_only: Annotated[
        bool,
        typer.Option(
            "--test-only", help="Predict the test videos; read no labelled video and score none."
        ),
    ] = False,
    tta: Annotated[
        bool,
        typer.Option(
            "--tta",
            help="Average views of each video, too: mirrored, and with twice the windows. Only for "
            "recipe v7; takes four times as long.",
        ),
    ] = False,
) -> None:
    """Score a run's best checkpoint and write a submission for the test videos, if there are any.

    Scored are the run's validation videos, or, in a folder that has none of them, all labelled
    videos that the run was not trained on. Whole videos are predicted by overlapping windows.
    Figures go to evaluation.json in the run's folder: frame scores (macro_f1, accuracy, f1) and
    the challenge's F-score of the bouts (official_f).

    Recipe v7 has held out each video of its folds once: those are scored, each predicted by the
    networks that did not see it and decoded by values tuned on the other folds. Its figures are
    more, by lab and action; docs/figures.md says what each is. Thresholds tuned for the mean of
    several runs, or for --tta, are kept in a file decoding-….json beside evaluation.json.

    The submission is checked by every rule of the challenge before it is written.

    A run's folder that cannot be written to is enough to predict from: name the submission's place,
    and evaluation.json goes beside it.

    This is one process on one device, also for a run that was trained by several.
    """
    from jaxbeh.collection import cache_folder, keep_programs, reading
    from jaxbeh.data.mabe import read_labelled, read_test
    from jaxbeh.errors import DataError, RunError
    from jaxbeh.machine.compiler import compare_few_kernels
    from jaxbeh.tasks import load
    from jaxbeh.training.run_folder import RunFolder

    compare_few_kernels()
    keep_programs()
    folder = RunFolder(run[0])
    config = folder.config()
    root = data or Path(str(folder.record().get("data")))
    if data is None and not root.is_dir():
        raise RunError(f"{root}, which {run[0]} was trained on, is gone; name a folder with --data")
    target = submission or run[0] / "submission.csv"
    judged = folder
    if not os.access(run[0], os.W_OK):
        if submission is None:
            raise RunError(
                f"{run[0]} cannot be written to; say by --submission PATH where the submission goes"
            )
        judged = RunFolder(target.parent)
    evaluator = load([RunFolder(path) for path in run], tta, out.print)
    with reading() as report:
        cache = cache_folder() / "tracking"
        labelled: Sequence[Recording] = ()
        unlabelled = not (root / "train.csv").exists() and (root / "test.csv").exists()
        if not (test_only or unlabelled):
            labelled = read_labelled(root, config.data, report, cache)
        listed = read_test(root, config.data, report, cache)
        known = evaluator.usable(labelled, report, labelled=True)
        held_out, fresh = _to_score([RunFolder(path) for path in run], known)
        test = evaluator.usable(listed, report, labelled=False)
    scored = held_out or fresh
    if scored:
        if held_out:
            found, evaluator = evaluator.score_held_out(held_out)
        else:
            found = evaluator.score(fresh)
        judged.path.mkdir(parents=True, exist_ok=True)
        judged.write_evaluation(found.figures)
        for name, text in found.files.items():
            judged.add_text(name, text)
        _print_scores(found)
        for name in found.files:
            out.print(
                f"{judged.path / name}: thresholds tuned for this mean, which --test-only and "
                f"jaxbeh bundle take from a run's folder",
            )
        if len(scored) < len(known):
            out.print(
                f"{len(known) - len(scored)} further labelled videos are not scored: the run was "
                f"trained on them, or its own validation videos are here and they are others."
            )
    elif test_only and not listed:
        raise DataError(f"{root}: has no test videos to predict (test.csv and test_tracking/)")
    elif not listed:
        raise DataError(
            f"{root}: nothing to do: it has no labelled video that can be scored (none that the "
            f"run was not trained on), and no test videos (test.csv and test_tracking/)"
        )
    elif not test_only:
        out.print(
            f"{root} has no labelled video that the run was not trained on: nothing is scored."
        )
    if test:
        _predict(evaluator, test, target)
    elif listed:
        raise DataError(
            f"{root}: none of its {len(listed)} test videos can be predicted; the table says why"
        )
    else:
        out.print(f"{root} has no test videos: no submission is written.")


def _to_score(
    folders: "list[RunFolder]", known: "Sequence[Recording]"
) -> "tuple[list[Recording], list[Recording]]":
    """The videos that every run held out, and those that no run was trained on.

    Videos are known again by their content: another collection may use the same ids.
    """
    trained, held_out = set(), []
    for folder in folders:
        record = folder.record()
        sides = [set(record.get(f"{side}_content", [])) for side in ("train", "validation")]
        trained |= sides[0]
        # By turns in folds: each video is trained on by some networks and held out by others.
        held_out.append(sides[1] if sides[0] == sides[1] else sides[1] - sides[0])
    by_all = set.intersection(*held_out)
    own = [item for item in known if item.tracking.content_hash in by_all]
    return own, [item for item in known if item.tracking.content_hash not in trained]


def _predict(evaluator: "Evaluator", test: "Sequence[Recording]", target: Path) -> None:
    from jaxbeh.inference.submission import submission_table, write_submission

    bouts, fallback = evaluator.bouts(test)
    if fallback:
        out.print(
            "Not one bout was predicted in the test videos; since an empty submission is an error "
            "for the challenge, the single most likely bout is written."
        )
    write_submission(submission_table(bouts), target, test)
    out.print(f"{target}: {how_many(len(bouts), 'bout')} in {how_many(len(test), 'test video')}")


def _print_scores(found: "Scored") -> None:
    for table in found.tables:
        print_table(*table)
    for note in found.notes:
        out.print(note)
    out.print(
        f"Scored: {how_many(found.figures['videos'], 'video')}, {how_many(found.frames, 'frame')}."
    )
    official = found.official
    other = " (another measure than macro-F1)" if "macro_f1" in found.figures else ""
    out.print(
        f"Challenge F-score of the bouts{other}: "
        + ("none, there is no event to find or no bout" if official is None else f"{official:.4f}")
    )


def main() -> None:
    """Run the command on the words of the command line."""
    from jaxbeh.cli import run_command

    run_command(evaluate)


if __name__ == "__main__":
    main()
