"""The command that scores a run and predicts: `python -m jaxbeh.evaluate --run runs/v6`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxbeh.console import out, print_table

if TYPE_CHECKING:
    from jaxbeh.data.recording import Recording
    from jaxbeh.data.report import ReadingReport
    from jaxbeh.data.store import Scene
    from jaxbeh.inference.predictor import Predictor
    from jaxbeh.inference.scene_bouts import ActionFrequencies
    from jaxbeh.settings import Config
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
    test_only: Annotated[
        bool,
        typer.Option(
            "--test-only", help="Predict the test videos; read no labelled video and score none."
        ),
    ] = False,
) -> None:
    """Score a run's best checkpoint and write a submission for the test videos, if there are any.

    Scored are the run's validation videos, or, in a folder that has none of them, all labelled
    videos that the run was not trained on. Whole videos are predicted by overlapping windows.
    Figures go to evaluation.json in the run's folder: frame scores (macro_f1, accuracy, f1) and
    the challenge's F-score of the bouts (official_f).

    The submission is checked by every rule of the challenge before it is written.

    A run's folder that cannot be written to is enough to predict from: name the submission's place,
    and evaluation.json goes beside it.

    This is one process on one device, also for a run that was trained by several.
    """
    from jaxbeh.collection import cache_folder, keep_programs, reading
    from jaxbeh.data.mabe import read_labelled, read_test
    from jaxbeh.errors import DataError, RunError
    from jaxbeh.training.dataset import class_map
    from jaxbeh.training.run_folder import RunFolder

    keep_programs()
    folder = RunFolder(run)
    config = folder.config()
    root = data or Path(str(folder.record().get("data")))
    if data is None and not root.is_dir():
        raise RunError(f"{root}, which {run} was trained on, is gone; name a folder with --data")
    target = submission or run / "submission.csv"
    judged = folder
    if not os.access(run, os.W_OK):
        if submission is None:
            raise RunError(
                f"{run} cannot be written to; say by --submission PATH where the submission goes"
            )
        judged = RunFolder(target.parent)
    predictor = _load(folder, config)
    classes = class_map(config)
    frequencies = _frequencies(folder)
    with reading() as report:
        cache = cache_folder() / "tracking"
        labelled: Sequence[Recording] = ()
        unlabelled = not (root / "train.csv").exists() and (root / "test.csv").exists()
        if not (test_only or unlabelled):
            labelled = read_labelled(root, config.data, report, cache)
        listed = read_test(root, config.data, report, cache)
        known = _usable(predictor, labelled, classes, report, labelled=True)
        scored = _to_score(folder, known)
        test = _usable(predictor, listed, classes, report, labelled=False)
        for scene in test:
            if scene.recording.lab_id not in frequencies.labs:
                report.add(
                    f"lab {scene.recording.lab_id} was not trained on",
                    "action frequencies of all labs pooled",
                    scene.recording.video_id,
                )
    if scored:
        evaluation = _score(predictor, scored, classes, frequencies)
        judged.path.mkdir(parents=True, exist_ok=True)
        judged.write_evaluation(evaluation)
        _print_scores(evaluation)
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
        _predict(predictor, test, classes, frequencies, target)
    elif listed:
        raise DataError(
            f"{root}: none of its {len(listed)} test videos can be predicted; the table says why"
        )
    else:
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


def _frequencies(folder: "RunFolder") -> "ActionFrequencies":
    """What the training videos showed, by lab."""
    from jaxbeh.errors import DataError, RunError
    from jaxbeh.inference.scene_bouts import ActionFrequencies

    try:
        return ActionFrequencies.from_json(folder.actions())
    except DataError as error:
        raise RunError(f"{folder.path / 'actions.json'}: {error}") from None


def _usable(
    predictor: "Predictor",
    recordings: "Sequence[Recording]",
    classes: "ClassMap",
    report: "ReadingReport",
    labelled: bool,
) -> "tuple[Scene, ...]":
    """The videos that the model can take, and, if labelled, be scored on; others are reported."""
    from jaxbeh.training.dataset import scenes, with_something_to_tell_apart, with_what_is_needed

    slots = predictor.slots
    kept = with_what_is_needed(recordings, predictor.recipe.features, slots.aliases, report)
    if labelled:
        kept = with_something_to_tell_apart(kept, classes, report)
    return scenes(kept, slots, classes, report)


def _to_score(folder: "RunFolder", known: "tuple[Scene, ...]") -> "list[Scene]":
    """The run's validation videos, or all labelled videos that it was not trained on.

    Videos are known again by their content: another collection may use the same ids.
    """
    trained = set(folder.record().get("train_content", []))
    judged = set(folder.record().get("validation_content", []))
    fresh = [scene for scene in known if scene.recording.tracking.content_hash not in trained]
    own = [scene for scene in fresh if scene.recording.tracking.content_hash in judged]
    return own or fresh


def _score(
    predictor: "Predictor",
    known: "Sequence[Scene]",
    classes: "ClassMap",
    frequencies: "ActionFrequencies",
) -> dict[str, Any]:
    import numpy as np

    from jaxbeh.data.scene import UNKNOWN
    from jaxbeh.inference.scene_bouts import predict_scenes
    from jaxbeh.inference.submission import solution_table, submission_table
    from jaxbeh.metrics.frames import frame_scores
    from jaxbeh.metrics.mabe import score

    found = list(predictor.predict(known))
    count = len(classes.names)
    confusion = np.zeros((count, count), np.int64)
    for scene, probabilities in found:
        labelled = scene.labels.values != UNKNOWN
        truth, predicted = scene.labels.values[labelled], probabilities[labelled].argmax(axis=1)
        np.add.at(confusion, (truth, predicted), 1)
    scores = frame_scores(confusion)
    videos = [(scene.recording, probabilities) for scene, probabilities in found]
    bouts = predict_scenes(videos, classes, frequencies).bouts
    solution = solution_table(recording for recording, _ in videos)
    table = submission_table(bouts)
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
    test: "Sequence[Scene]",
    classes: "ClassMap",
    frequencies: "ActionFrequencies",
    target: Path,
) -> None:
    from jaxbeh.inference.scene_bouts import predict_scenes
    from jaxbeh.inference.submission import submission_table, write_submission

    videos = ((scene.recording, found) for scene, found in predictor.predict(test))
    predicted = predict_scenes(videos, classes, frequencies)
    if predicted.fallback:
        out.print(
            "Not one bout was predicted in the test videos; since an empty submission is an error "
            "for the challenge, the single most likely bout is written."
        )
    table = submission_table(predicted.bouts)
    write_submission(table, target, [scene.recording for scene in test])
    out.print(f"{target}: {len(table):,} bouts in {len(test)} test videos")


def _print_scores(evaluation: dict[str, Any]) -> None:
    print_table(
        "Frame scores",
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
    out.print(f"Scored: {evaluation['videos']} videos, {evaluation['frames']:,} frames.")
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
