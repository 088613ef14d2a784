"""The course of a run as a picture, where matplotlib is installed."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jaxbeh.settings import Config

AVAILABLE = find_spec("matplotlib") is not None
"""Whether the extra `plots` is installed."""


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
    losses.plot(epochs, [line["train_loss"] for line in lines], label="training")
    losses.plot(epochs, [line["val_loss"] for line in lines], label="validation")
    losses.set_ylabel("loss")
    for name in lines[0].get("val_f1", ()):
        values = [line["val_f1"][name] for line in lines]
        shown = [float("nan") if value is None else value for value in values]
        scores.plot(epochs, shown, linewidth=1, alpha=0.7, label=name)
    scores.plot(
        epochs, [line[config.score] for line in lines], color="black", label=config.score_name
    )
    scores.set_ylabel(f"validation {config.score_name}")
    scores.set_ylim(0, 1)
    rates.plot(epochs, [line["learning_rate"] for line in lines])
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
