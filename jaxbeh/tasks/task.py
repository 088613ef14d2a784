"""What a run of any task has to say and to do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from jaxbeh.training.devices import Devices
from jaxbeh.training.loop import Run
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.training.state import Snapshot
from jaxbeh.vocabulary import SlotTable


class Table(NamedTuple):
    """A table to print."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class Hooks:
    """Who is told of a run's progress.

    Attributes:
        on_epoch: called with each epoch's line of `metrics.jsonl`.
        on_checkpoint: called with the epoch after each checkpoint is on the disk.
    """

    on_epoch: Callable[[Mapping[str, Any]], None]
    on_checkpoint: Callable[[int], None] | None


@dataclass(frozen=True)
class Job:
    """A run ready to be started or continued.

    Attributes:
        plan: what an epoch is and where it runs, in words.
        windows: windows of an epoch.
        shards: how many shards the frames of the two sides are trained on and judged in.
        template: a snapshot's shapes and dtypes.
        first: makes the first snapshot, on the host.
        first_from: makes it from another run's best weights, and tells what stays fresh.
        run: what the loop works with, from a snapshot.
    """

    plan: str
    windows: int
    shards: tuple[int, int]
    template: Snapshot
    first: Callable[[], Snapshot]
    first_from: Callable[[RunFolder, Callable[[str], None]], Snapshot]
    run: Callable[[RunFolder, Snapshot, Hooks], Run]


class Task(Protocol):
    """Videos, and what is to be learnt from them."""

    @property
    def slots(self) -> SlotTable:
        """The run's keypoint slots."""

    def split(self) -> dict[str, list[str]]:
        """Video ids, as `split.json` holds them."""

    def tables(self) -> Sequence[Table]:
        """What the run is made of."""

    def notes(self) -> Sequence[str]:
        """What the user may want to know beside the tables."""

    def files(self) -> Mapping[str, str]:
        """Further texts that prediction needs, by their name in the run's folder."""

    def content(self) -> Mapping[str, list[str]]:
        """Content hashes of the videos, as `run.json` holds them."""

    def assemble(self, devices: Devices, shards: tuple[int, int] | None = None) -> Job:
        """Decide how the devices hold the frames, and build the programs.

        Args:
            devices: of the run.
            shards: what the job had when the run began; `None` in a new run.

        Raises:
            RunError: they do not fit.
        """

    def finish(self, folder: RunFolder, tell: Callable[[str], None]) -> Sequence[Table]:
        """What is left to do after the last epoch; done again if it was done before."""
