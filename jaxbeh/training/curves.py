"""The course of a run as a picture, where matplotlib is installed."""

import math
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxbeh.settings.run import Config

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AVAILABLE = find_spec("matplotlib") is not None
"""Whether the extra `plots` is installed."""

_LARGEST = 1e100
"""Figures beyond, which no run writes, are not drawn."""

_STYLES = ("-", "--", ":", "-.")
"""Each with the ten colours that matplotlib tells apart."""

_INSIDE = 6
"""Of so many classes and more the names stand beside the panel, which they would cover."""


def draw_curves(lines: Sequence[Mapping[str, Any]], config: Config, path: Path) -> None:
    """Draw losses, scores and the learning rate over the epochs into a PNG file.

    Args:
        lines: of `metrics.jsonl`, at least one.
        config: says the score.
        path: the picture, replaced if it is there.
    """
    figure = drawn(lines, config)
    # Beside it first: a link of that name is replaced, and what it points to left as it is.
    temporary = path.with_name(f".{path.name}.partial")
    temporary.unlink(missing_ok=True)
    with temporary.open("xb") as stream:
        figure.savefig(stream, dpi=120, format="png")
    temporary.replace(path)


def drawn(lines: Sequence[Mapping[str, Any]], config: Config) -> "Figure":
    """The picture of `draw_curves`."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    epochs = [line["epoch"] for line in lines]
    marker = "o" if len(lines) == 1 else ""  # a single epoch makes no line
    classes = [_mapping(line.get("val_f1")) for line in lines]
    columns = 0 if len(classes[0]) < _INSIDE else min(4, 1 + len(classes[0]) // 16)
    figure = Figure(figsize=(7 + 1.3 * columns, 9), layout="constrained")
    losses, scores, rates = figure.subplots(3, 1, sharex=True)
    losses.plot(epochs, _numbers(lines, "train_loss"), marker=marker, label="training")
    losses.plot(epochs, _numbers(lines, "val_loss"), marker=marker, label="validation")
    losses.set_ylabel("loss")
    losses.legend(fontsize="small")
    for index, name in enumerate(classes[0]):
        scores.plot(
            epochs,
            _numbers(classes, name),
            color=f"C{index % 10}",
            linestyle=_STYLES[index // 10 % len(_STYLES)],
            linewidth=1,
            marker=marker,
            alpha=0.7,
            label=name,
        )
    scores.plot(
        epochs,
        _numbers(lines, config.score),
        color="black",
        marker=marker,
        label=config.score_name,
    )
    scores.set_ylabel(f"validation {config.score_name}")
    scores.set_ylim(0, 1)
    if columns:
        scores.legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1, 1), ncols=columns)
    else:
        scores.legend(fontsize="small")
    rates.plot(epochs, _numbers(lines, "learning_rate"), marker=marker)
    rates.set_ylabel("learning rate")
    rates.set_xlabel("epoch")
    rates.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


def _numbers(lines: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """A figure of each line; NaN, which leaves a gap, where a line has no such number."""
    values = [line.get(name) for line in lines]
    return [
        float(value) if isinstance(value, int | float) and abs(value) < _LARGEST else math.nan
        for value in values
    ]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
