"""How a run shows itself: a bar on a terminal, a plain line an epoch elsewhere."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jaxbeh.settings.run import Config


class EpochProgress:
    """Shows the epochs of one run.

    Args:
        console: where to.
        config: says the last epoch, if the run is not stopped early, and the score.
        done: epochs completed before.
    """

    def __init__(self, console: Console, config: Config, done: int) -> None:
        self._console = console
        self._config = config
        self._bar = Progress(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(
            "", total=config.training.epochs, completed=done, figures="compiling"
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def within(self, epoch: int, share: float) -> None:
        """Move the bar inside an epoch (`epoch` of them are complete)."""
        self._bar.update(self._task, completed=epoch + share)

    def epoch(self, line: Mapping[str, Any], windows: int, best: bool) -> None:
        """Show a finished epoch: its line of `metrics.jsonl` and the windows it trained on."""
        rate = windows / line["seconds"]
        skipped = line.get("skipped_updates")
        name, score = self._config.score_name, line[self._config.score]
        figures = (
            f"loss {line['train_loss']:.4f}  val loss {line['val_loss']:.4f}  "
            f"{name} {score:.4f}{' *' if best else '  '}  {rate:,.0f} windows/s"
            f"{f'  {skipped} skipped' if skipped else ''}"
        )
        self._bar.update(self._task, completed=line["epoch"], figures=figures)
        if not self._console.is_terminal:
            count = f"{line['epoch']}/{self._config.training.epochs}"
            self._console.print(f"epoch {count}  {figures}  {line['seconds']:.1f} s")
