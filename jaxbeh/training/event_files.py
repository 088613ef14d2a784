"""The epochs' figures as TensorBoard event files, where tensorboardX is installed."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

AVAILABLE = find_spec("tensorboardX") is not None
"""Whether the extra `tensorboard` is installed."""


@contextmanager
def writing(folder: Path | None, epoch: int) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Write event files for `tensorboard --logdir`.

    Args:
        folder: where to; made if need be. `None` writes nothing.
        epoch: epochs completed before; TensorBoard forgets what older files say of later ones.

    Yields:
        A function that adds an epoch's line of `metrics.jsonl`: every number in it, nested ones
        under their group (`val_f1/social`). It does nothing where tensorboardX is absent.
    """
    if folder is None or not AVAILABLE:
        yield _nothing
        return
    from tensorboardX import SummaryWriter

    writer = SummaryWriter(str(folder), purge_step=epoch + 1, flush_secs=10)
    try:
        yield lambda line: _add(writer, line)
    finally:
        writer.close()


def _nothing(line: Mapping[str, Any]) -> None:
    del line


def _add(writer: Any, line: Mapping[str, Any]) -> None:
    for name, value in line.items():
        group = value if isinstance(value, Mapping) else {"": value}
        for part, number in group.items():
            if isinstance(number, int | float) and name != "epoch":
                tag = f"{name}/{part}" if part else name
                writer.add_scalar(tag, number, line["epoch"])
    writer.flush()
