"""The command `jaxbeh compare`: several runs side by side."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from jaxbeh.console import print_table

if TYPE_CHECKING:
    from jaxbeh.training.run_folder import RunFolder


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN…", help="Folders of runs.")],
) -> None:
    """Put runs side by side: what they reached, how long they took, in which settings they differ.

    Windows/s is the median over the epochs, validation included.
    """
    from jaxbeh.training.run_folder import RunFolder

    folders = [RunFolder(path) for path in runs]
    settings = [folder.settings() for folder in folders]
    rows = [[figure, *cells] for figure, cells in _figures(folders).items()]
    for key in sorted({key for values in settings for key in values}):
        cells = [_cell(values[key]) if key in values else "–" for values in settings]
        if len(set(cells)) > 1:
            rows.append([key, *cells])
    print_table("Runs", ["", *(str(path) for path in runs)], rows)


def _figures(folders: "list[RunFolder]") -> dict[str, list[str]]:
    """One row a figure, one cell a run."""
    outcomes = [_outcome(folder) for folder in folders]
    names = dict.fromkeys(name for outcome in outcomes for name in outcome)
    return {name: [outcome.get(name, "–") for outcome in outcomes] for name in names}


def _outcome(folder: "RunFolder") -> dict[str, str]:
    from statistics import median

    from jaxbeh.errors import RunError

    config, record, lines = folder.config(), folder.record(), folder.metrics()
    devices = record.get("devices", {})
    made = {
        "parameters": f"{record['parameters']:,}" if "parameters" in record else "–",
        "device": f"{devices.get('count', '–')} × {devices.get('kind', '–')}",
    }
    if not lines:
        blank = (f"best {config.score_name}", "in epoch", "epochs", "minutes", "windows/s")
        return dict.fromkeys(blank, "–") | made
    for line in lines:
        for key in (config.score, "seconds"):
            value = line.get(key)
            number = isinstance(value, float) or (isinstance(value, int) and abs(value) < 10**18)
            if not number or (key == "seconds" and line[key] <= 0):
                raise RunError(
                    f"{folder.path / 'metrics.jsonl'}: epoch {line['epoch']} has no number {key}; "
                    f"restore the file"
                )
    best = max(lines, key=lambda line: line[config.score])
    seconds = [line["seconds"] for line in lines]
    return {
        f"best {config.score_name}": f"{best[config.score]:.4f}",
        "in epoch": str(best["epoch"]),
        "epochs": str(len(lines)),
        "minutes": f"{sum(seconds) / 60:.1f}",
        "windows/s": f"{record['windows'] / median(seconds):,.0f}" if "windows" in record else "–",
    } | made


def _cell(value: object) -> str:
    """A setting as a reader would write it: no braces, quotes or brackets."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_cell(part)}" for key, part in value.items())
    if isinstance(value, tuple) and value:
        between = "; " if isinstance(value[0], Mapping) else ", "
        return between.join(map(_cell, value))
    return "none" if value is None or value == () else str(value)


def main() -> None:
    """Run the command on the words of the command line."""
    from jaxbeh.cli import run_command

    run_command(compare)


if __name__ == "__main__":
    main()
