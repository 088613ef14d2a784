"""The command `jaxbeh bundle`: all that a machine without a network needs to predict."""

import hashlib
import json
import platform
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxbeh.console import out as console
from jaxbeh.wording import how_many, quoted

if TYPE_CHECKING:
    from jaxbeh.training.run_folder import RunFolder

FORMAT = 1
"""Of `manifest.json`; raised whenever an older notebook could not use a bundle."""

OLDEST_PYTHON = 11
"""The minor version of Python 3."""


class Gpu(StrEnum):
    """The extras of jaxbeh that bring JAX for a GPU."""

    CUDA12 = "cuda12"
    CUDA13 = "cuda13"


def bundle(
    run: Annotated[
        list[Path],
        typer.Option(
            help="Folder of a trained run; its best checkpoint is taken. Give it again for "
            "further runs.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder to write; absent or empty.", show_default=False)
    ],
    python: Annotated[
        str | None,
        typer.Option(
            help="Version of the Python there, such as 3.12.", show_default="the running one"
        ),
    ] = None,
    gpu: Annotated[
        Gpu | None,
        typer.Option(help="JAX for this CUDA. Without it, JAX for the CPU.", show_default=False),
    ] = None,
) -> None:
    """Put trained runs and all software that predicting needs into one folder.

    The folder is for a Linux machine of x86_64 that has Python with pip and no network, such as a
    notebook of a Kaggle competition: notebooks/kaggle_submission.ipynb predicts from it.

    It holds wheels/ (jaxbeh and its dependencies), runs/ (of each run the best checkpoint, settings
    and tables) and manifest.json: versions, and the sha256 of every file.

    Of several runs (recipe v7) the mean predicts. Thresholds tuned for it come along if jaxbeh
    evaluate has scored these runs together before.

    pip gets the wheels, from where it gets them otherwise. The folder appears when it is complete.

    Examples:
    jaxbeh bundle --run runs/v6 --out bundle --python 3.12

    jaxbeh bundle --run runs/a --run runs/b --out bundle --gpu cuda12
    """
    from jaxbeh import __version__
    from jaxbeh.data.partial import PartialFolder, refuse_occupied
    from jaxbeh.tasks import configs_of
    from jaxbeh.training.run_folder import RunFolder
    from jaxbeh.wheels import collect_wheels

    version = _python(python)
    refuse_occupied(out)
    folders = [RunFolder(path) for path in run]
    partial = PartialFolder.make(out)
    try:
        runs = [
            _copy_run(folder, partial.path, name)
            for folder, name in zip(folders, _names(run), strict=True)
        ]
        configs_of(folders, tta=False)
        _copy_mean_decodings(folders, partial.path, runs)
        console.print(f"Getting wheels for Python {version} on Linux x86_64 …")
        extras = [gpu.value] if gpu else []
        packages = collect_wheels(partial.path / "wheels", version, extras)
        files = _files(partial.path)
        manifest = {
            "format": FORMAT,
            "jaxbeh": __version__,
            "python": version,
            "requirement": f"jaxbeh[{gpu.value}]" if gpu else "jaxbeh",
            "packages": packages,
            "runs": runs,
            "files": files,
        }
        (partial.path / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
        partial.rename(out)
    finally:
        partial.remove()
    size = sum(file["bytes"] for file in files.values())
    for record in runs:
        console.print(
            f"{record['folder']}: step {record['step']}, validation score {record['score']:.4f}",
        )
    console.print(
        f"{out}: {how_many(len(runs), 'run')}, {how_many(len(packages), 'wheel')}, "
        f"{size / 1e6:,.0f} MB",
    )


def _python(version: str | None) -> str:
    """A version that jaxbeh runs on.

    Raises:
        SettingsError: it is none.
    """
    from jaxbeh.errors import SettingsError

    if version is None:
        version = ".".join(platform.python_version_tuple()[:2])
    found = re.fullmatch(r"3\.([0-9]{1,3})", version)
    if not found or int(found[1]) < OLDEST_PYTHON:
        raise SettingsError(
            f"--python {version!r} is no version that jaxbeh runs on; give one such as 3.12, at "
            f"least 3.{OLDEST_PYTHON}"
        )
    return version


def _names(runs: list[Path]) -> list[str]:
    """The runs' names in the bundle: their folders', numbered where several have the same."""
    names: list[str] = []
    for path in runs:
        name = path.resolve().name
        taken = sum(other == name for other in (one.resolve().name for one in runs[: len(names)]))
        names.append(f"{name}-{taken + 1}" if taken else name)
    return names


def _copy_run(folder: "RunFolder", bundle: Path, name: str) -> dict[str, Any]:
    """Copy what predicting needs of a run, and tell what it is."""
    from jaxbeh.errors import RunError
    from jaxbeh.tasks import require_actions
    from jaxbeh.training.checkpoints import Checkpoints
    from jaxbeh.training.run_folder import RunFolder

    require_actions(folder, folder.config())
    target = RunFolder(bundle / "runs" / name)
    best = None
    if folder.checkpoints.is_dir():
        checkpoints = Checkpoints(folder.checkpoints, console.print, read_only=True)
        best = checkpoints.copy_best(target.checkpoints)
    if best is None:
        raise RunError(f"{folder.path}: has no checkpoint yet; train it for an epoch at least")
    folder.copy_records(target.path)
    return {
        "folder": f"runs/{name}",
        "step": best.step,
        "score": best.score,
        "state_sha256": best.sha256,
        "trained_with": folder.record().get("packages", {}),
    }


def _copy_mean_decodings(
    folders: "list[RunFolder]", bundle: Path, runs: list[dict[str, Any]]
) -> None:
    """Copy what was tuned for the mean of the runs, with and without --tta, to the first one."""
    from jaxbeh.inference.pairs.mean_decoding import Mean, kept_for
    from jaxbeh.training.run_folder import RunFolder

    for tta in (False, True):
        mean = Mean.of([record["state_sha256"] for record in runs], tta)
        kept = kept_for(mean, folders)
        if kept:
            RunFolder(bundle / runs[0]["folder"]).add_text(mean.file, kept.to_json())
            views = "with" if tta else "without"
            console.print(f"Thresholds tuned {views} --tta on {kept.videos} videos come along")
        elif not (tta or mean.is_one_run):
            words = " ".join(f"--run {quoted(folder.path)}" for folder in folders)
            console.print(
                f"No thresholds are tuned for the mean of these runs: it will be decoded by those "
                f"of {folders[0].path} by itself. To tune them, give this first, and then bundle "
                f"again:\n  jaxbeh evaluate {words} --data DIR",
            )


def _files(bundle: Path) -> dict[str, dict[str, Any]]:
    """Sha256 and size of every file of the wheels and runs, by its path in the bundle."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(path for part in ("runs", "wheels") for path in (bundle / part).rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            found[path.relative_to(bundle).as_posix()] = {
                "sha256": digest,
                "bytes": path.stat().st_size,
            }
    return found


def main() -> None:
    """Run the command on the words of the command line."""
    from jaxbeh.cli import run_command

    run_command(bundle)


if __name__ == "__main__":
    main()
