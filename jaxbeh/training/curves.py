"""The course of a run as a picture, where matplotlib is installed."""

import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jaxbeh.settings.run import Config

AVAILABLE = find_spec("matplotlib") is not None
"""Whether the extra `plots` is installed."""

_LARGEST = 1e100
"""Figures beyond, which no run writes, are not drawn."""


def draw_curves(lines: Sequence[Mapping[str, Any]], config: Config, path: Path) -> None:
    """Draw losses, scores and the learning rate over the epochs into a PNG file.

    Args:
        lines: of `metrics.jsonl`, at least one.
        config: says the score.
        path: the picture, replaced if it is there.
    """
    from matplotlib.figure import Figure

    epochs = [line["epoch"] for line in lines]
    figure = Figure(figsize=(7, 9), layout="constrained")
    losses, scores, rates = figure.subplots(3, 1, sharex=True)
    losses.plot(epochs, _numbers(lines, "train_loss"), label="training")
    losses.plot(epochs, _numbers(lines, "val_loss"), label="validation")
    losses.set_ylabel("loss")
    classes = [_mapping(line.get("val_f1")) for line in lines]
    for name in classes[0]:
        scores.plot(epochs, _numbers(classes, name), linewidth=1, alpha=0.7, label=name)
    scores.plot(epochs, _numbers(lines, config.score), color="black", label=config.score_name)
    scores.set_ylabel(f"validation {config.score_name}")
    scores.set_ylim(0, 1)
    rates.plot(epochs, _numbers(lines, "learning_rate"))
    rates.set_ylabel("learning rate")
    rates.set_xlabel("epoch")
    for axes in (losses, scores):
        axes.legend(fontsize="small")
    # Beside it first: a link of that name is replaced, and what it points to left as it is.
    temporary = path.with_name(f".{path.name}.partial")
    temporary.unlink(missing_ok=True)
    with temporary.open("xb") as stream:
        figure.savefig(stream, dpi=120, format="png")
    temporary.replace(path)


def _numbers(lines: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """A figure of each line; NaN, which leaves a gap, where a line has no such number."""
    values = [line.get(name) for line in lines]
    return [
        float(value) if isinstance(value, int | float) and abs(value) < _LARGEST else math.nan
        for value in values
    ]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
