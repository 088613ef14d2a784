"""The command that scores a run and predicts: `python -m jaxbeh.evaluate --run runs/v6`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxbeh.console import out, print_table

if TYPE_CHECKING:
    from jaxbeh.config import Config
    from jaxbeh.data.recording import Recording
    from jaxbeh.data.report import ReadingReport
    from jaxbeh.inference.predictor import Predictor
    from jaxbeh.inference.scene_bouts import ActionFrequencies
    from jaxbeh.training.run_folder import RunFolder
    from jaxbeh.vocabulary import ClassMap


def evaluate(
    run: Annotated[Path, typer.Option(help="Folder of a trained run.", show_default=False)],
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
) -> None:
    """Score a run's best checkpoint and write a submission for the test videos, if there are any.

    Scored are the run's validation videos, or, in a folder that has none of them, all labelled
    videos that the run was not trained on. Whole videos are predicted by overlapping windows.
    Figures go to evaluation.json in the run's folder: frame scores (macro_f1, accuracy, f1) and
    the challenge's F-score of the bouts (official_f).

    The submission is checked by every rule of the challenge before it is written.
    """
    from jaxbeh.collection import cache_folder, print_report
    from jaxbeh.data.mabe import read_labelled, read_test
    from jaxbeh.data.report import ReadingReport
    from jaxbeh.errors import DataError, RunError
    from jaxbeh.inference.scene_bouts import ActionFrequencies
    from jaxbeh.training.dataset import class_map
    from jaxbeh.training.run_folder import RunFolder

    folder = RunFolder(run)
    config = folder.config()
    root = data or Path(str(folder.record().get("data")))
    if data is None and not root.is_dir():
        raise RunError(f"{root}, which {run} was trained on, is gone; name a folder with --data")
    report, cache = ReadingReport(), cache_folder() / "tracking"
    predictor = _load(folder, config)
    classes = class_map(config)
    frequencies = ActionFrequencies.from_json(folder.actions())
    labelled: Sequence[Recording] = ()
    if (root / "train.csv").exists() or not (root / "test.csv").exists():
        labelled = read_labelled(root, config.data, report, cache)
    chosen = _to_score(folder, labelled)
    test = read_test(root, config.data, report, cache)
    if not chosen and not test:
        raise DataError(
            f"{root}: nothing to do: all its labelled videos were trained on, and it has no test "
            f"videos (test.csv and test_tracking/)"
        )
    evaluation = _score(predictor, chosen, classes, frequencies, report) if chosen else None
    if test:
        target = submission or run / "submission.csv"
        _predict(predictor, test, classes, frequencies, target, report)
    print_report(report)
    if evaluation is not None:
        folder.write_evaluation(evaluation)
        _print_scores(evaluation)
    else:
        out.print(
            f"{root} has no labelled video that the run was not trained on: nothing is scored."
        )
    if not test:
        out.print(f"{root} has no test videos: no submission is written.")


def _load(folder: "RunFolder", config: "Config") -> "Predictor":
    """The best checkpoint as a predictor."""
    from jaxbeh.errors import RunError
    from jaxbeh.inference.predictor import Predictor
    from jaxbeh.training.checkpoints import Checkpoints
    from jaxbeh.training.recipe import Recipe

    if folder.checkpoints.is_dir():
        restored = Checkpoints(folder.checkpoints, out.print, read_only=True).best()
    else:
        restored = None
    if restored is None:
        raise RunError(f"{folder.path}: has no checkpoint yet; train it for an epoch at least")
    return Predictor.restore(
        Recipe.from_config(config), folder.slots(), restored.leaves, folder.checkpoints
    )


def _to_score(folder: "RunFolder", labelled: "Sequence[Recording]") -> "list[Recording]":
    """The run's validation videos, or all labelled videos that it was not trained on."""
    split = folder.split()
    trained = set(folder.record().get("train_content", []))
    fresh = [item for item in labelled if item.tracking.content_hash not in trained]
    own = [item for item in fresh if item.video_id in split["validation"]]
    return own or fresh


def _score(
    predictor: "Predictor",
    recordings: "Sequence[Recording]",
    classes: "ClassMap",
    frequencies: "ActionFrequencies",
    report: "ReadingReport",
) -> dict[str, Any]:
    import numpy as np

    from jaxbeh.data.scene import UNKNOWN
    from jaxbeh.inference.scene_bouts import predict_scenes
    from jaxbeh.inference.submission import solution_table, submission_table
    from jaxbeh.metrics.frames import frame_scores
    from jaxbeh.metrics.mabe import score
    from jaxbeh.training.dataset import scenes

    found = list(predictor.predict(scenes(recordings, predictor.slots, classes, report)))
    count = len(classes.names)
    confusion = np.zeros((count, count), np.int64)
    for scene, probabilities in found:
        known = scene.labels.values != UNKNOWN
        np.add.at(confusion, (scene.labels.values[known], probabilities[known].argmax(axis=1)), 1)
    scores = frame_scores(confusion)
    videos = [(scene.recording, probabilities) for scene, probabilities in found]
    predicted = predict_scenes(videos, classes, frequencies)
    solution = solution_table(recording for recording, _ in videos)
    table = submission_table(predicted.bouts)
    official = score(solution, table) if len(solution) and len(table) else None
    return {
        "macro_f1": scores.macro_f1,
        "accuracy": scores.accuracy,
        "f1": dict(zip(classes.names, scores.f1, strict=True)),
        "official_f": official,
        "videos": len(found),
        "frames": scores.frames,
    }


def _predict(
    predictor: "Predictor",
    test: "Sequence[Recording]",
    classes: "ClassMap",
    frequencies: "ActionFrequencies",
    target: Path,
    report: "ReadingReport",
) -> None:
    from jaxbeh.inference.scene_bouts import predict_scenes
    from jaxbeh.inference.submission import submission_table, write_submission
    from jaxbeh.training.dataset import scenes

    for recording in test:
        if recording.lab_id not in frequencies.labs:
            report.add(
                f"lab {recording.lab_id} was not trained on",
                "action frequencies of all labs pooled",
                recording.video_id,
            )
    known = scenes(test, predictor.slots, classes, report)
    videos = ((scene.recording, found) for scene, found in predictor.predict(known))
    predicted = predict_scenes(videos, classes, frequencies)
    if predicted.fallback:
        out.print(
            "Not one bout was predicted in the test videos; since an empty submission is an error "
            "for the challenge, the single most likely bout is written."
        )
    table = submission_table(predicted.bouts)
    write_submission(table, target, test)
    out.print(f"{target}: {len(table):,} bouts in {len(test)} test videos")


def _print_scores(evaluation: dict[str, Any]) -> None:
    print_table(
        f"Frame scores over {evaluation['videos']} videos, {evaluation['frames']:,} frames",
        ["class", "F1"],
        [
            *(
                (name, "no true frame" if f1 is None else f"{f1:.4f}")
                for name, f1 in evaluation["f1"].items()
            ),
            ("macro-F1", f"{evaluation['macro_f1']:.4f}"),
            ("accuracy", f"{evaluation['accuracy']:.4f}"),
        ],
    )
    official = evaluation["official_f"]
    out.print(
        "Challenge F-score of the bouts (another measure than macro-F1): "
        + ("none, there is no event to find or no bout" if official is None else f"{official:.4f}")
    )


def main() -> None:
    """Run the command on the words of the command line."""
    from jaxbeh.cli import run_command

    run_command(evaluate)


if __name__ == "__main__":
    main()
