"""How a run shows itself: a bar on a terminal, a plain line an epoch elsewhere."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class EpochProgress:
    """Shows the epochs of one run.

    Args:
        console: where to.
        epochs: the run's last epoch, if it is not stopped early.
        done: epochs completed before.
    """

    def __init__(self, console: Console, epochs: int, done: int) -> None:
        self._console = console
        self._epochs = epochs
        self._bar = Progress(
            TextColumn("epoch"),
            MofNCompleteColumn(),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=epochs, completed=done, figures="compiling")

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
        figures = (
            f"loss {line['train_loss']:.4f}  val loss {line['val_loss']:.4f}  "
            f"macro-F1 {line['val_macro_f1']:.4f}{' *' if best else '  '}  {rate:,.0f} windows/s"
            f"{f'  {skipped} skipped' if skipped else ''}"
        )
        self._bar.update(self._task, completed=line["epoch"], figures=figures)
        if not self._console.is_terminal:
            self._console.print(
                f"epoch {line['epoch']}/{self._epochs}  {figures}  {line['seconds']:.1f} s"
            )
