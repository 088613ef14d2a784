"""What the commands share: the user's cache, opening a collection by way of it, and telling."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path

from jaxbeh.console import out, print_table
from jaxbeh.data.mabe import read_labelled, read_tracks
from jaxbeh.data.mabe.sharing import Peers
from jaxbeh.data.recording import Recording
from jaxbeh.data.report import ReadingReport
from jaxbeh.data.synthetic import ensure_default
from jaxbeh.settings.run import Config


def cache_folder() -> Path:
    """The user's cache folder; read files and the synthetic default are kept under it."""
    return user_cache_path("jaxbeh", appauthor=False)


def programs_folder() -> Path:
    """Where JAX keeps compiled programs: the folder it was told, or one in the user's cache."""
    return Path(os.environ.get("JAX_COMPILATION_CACHE_DIR") or cache_folder() / "programs")


def keep_programs() -> None:
    """Have JAX keep compiled programs in the user's cache, unless it was told a folder already."""
    import jax

    if not jax.config.jax_compilation_cache_dir:  # type: ignore[attr-defined]  # made at run time
        jax.config.update("jax_compilation_cache_dir", str(programs_folder()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def open_labelled(
    data: Path | None, config: Config, report: ReadingReport, peers: Peers | None = None
) -> tuple[Path, Sequence[Recording]]:
    """Read the labelled videos of a folder, or of the synthetic default where none is given.

    With peers, which are other processes, each reads its share of the tracking files.
    """
    folder = _folder(data, config)
    return folder, read_labelled(folder, config.data, report, _trackings(), peers)


def open_to_train(
    data: Path | None, config: Config, report: ReadingReport, peers: Peers | None = None
) -> tuple[Path, Sequence[Recording]]:
    """Read what a config trains on: as `open_labelled`, or all videos without their labels."""
    if config.labelled:
        return open_labelled(data, config, report, peers)
    folder = _folder(data, config)
    return folder, read_tracks(folder, config.data, report, _trackings(), peers)


def _folder(data: Path | None, config: Config) -> Path:
    if data is None:
        data = ensure_default(cache_folder(), config.data.synthetic_videos)
        out.print(f"No --data: training on a synthetic collection, kept in {data}")
    return data


def _trackings() -> Path:
    return cache_folder() / "tracking"


@contextmanager
def reading() -> Iterator[ReadingReport]:
    """A report to read with, printed at the end, also where reading ends in a refusal."""
    report = ReadingReport()
    try:
        yield report
    finally:
        _print_report(report)


def _print_report(report: ReadingReport) -> None:
    """Print what reading met and did, if anything."""
    findings = report.findings()
    if findings:
        print_table(
            "Met while reading",
            ["what", "then", "videos", "count", "such as"],
            [
                (item.what, item.then, len(item.videos), item.count, ", ".join(item.videos[:3]))
                for item in findings
            ],
        )
