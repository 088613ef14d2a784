"""The pre-training of recipe v7: what is hidden of the tracks of all videos."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jaxbeh.data.recording import Recording
from jaxbeh.data.report import ReadingReport
from jaxbeh.settings.pairs import PoseConfig
from jaxbeh.tasks.first_weights import from_run
from jaxbeh.tasks.scene import where
from jaxbeh.tasks.task import Hooks, Job, Table
from jaxbeh.training.devices import Devices
from jaxbeh.training.layout import size
from jaxbeh.training.loop import Run
from jaxbeh.training.pairs import assemble as tracks
from jaxbeh.training.pairs.dataset import PairDataset
from jaxbeh.training.poses import assemble as building
from jaxbeh.training.poses.dataset import build_pose_dataset
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.training.state import Snapshot
from jaxbeh.vocabulary import SlotTable


@dataclass(frozen=True, eq=False)
class PoseTask:
    """See `Task`.

    Attributes:
        config: the run's settings.
        dataset: tracks, one part held out.
    """

    config: PoseConfig
    dataset: PairDataset

    @classmethod
    def prepare(
        cls, recordings: Sequence[Recording], config: PoseConfig, report: ReadingReport
    ) -> "PoseTask":
        """Find tracks and split; raises as `build_pose_dataset`."""
        return cls(config, build_pose_dataset(recordings, config, report))

    @property
    def slots(self) -> SlotTable:
        """The run's keypoint slots."""
        return self.dataset.slots

    def split(self) -> dict[str, list[str]]:
        """Video ids of either side."""
        return self.dataset.split()

    def tables(self) -> Sequence[Table]:
        """Either side."""
        dataset, rows = self.dataset, []
        for side, fold in (("train", -1), ("validation", 0)):
            videos = [dataset.recordings[video] for video in np.flatnonzero(dataset.fold == fold)]
            frames = sum(item.tracking.frames for item in videos)
            labs = len({item.lab_id for item in videos})
            found = int((dataset.track_fold == fold).sum())
            rows.append([side, len(videos), found, frames, labs])
        columns = ["", "videos", "tracks", "frames", "labs"]
        return [Table("Videos, labelled or not", columns, rows)]

    def notes(self) -> Sequence[str]:
        """Nothing."""
        return []

    def files(self) -> Mapping[str, str]:
        """None: a run of poses predicts no action."""
        return {}

    def content(self) -> Mapping[str, list[str]]:
        """Hashes of either side."""
        return self.dataset.content()

    def assemble(self, devices: Devices, shards: tuple[int, int] | None = None) -> Job:
        """See `Task`; all frames stay on the devices."""
        del shards
        made = building.assemble(self.config, self.dataset, devices)

        def run(folder: RunFolder, snapshot: Snapshot, hooks: Hooks) -> Run:
            assert snapshot.normaliser is not None
            validation = building.validation_of(made, snapshot.normaliser, self.config.score)
            return tracks.run_of(
                made,
                self.config,
                self.dataset,
                folder,
                validation,
                hooks.on_epoch,
                hooks.on_checkpoint,
            )

        plan = made.plan
        return Job(
            plan=(
                f"Epoch: {plan.steps:,} steps of {plan.rows} windows. Device: "
                f"{where(devices, plan.rows)}; all frames take {size(made.budget.frames)}. "
                f"{made.budget}."
            ),
            windows=plan.windows,
            shards=(1, 1),
            template=tracks.template(made),
            first=lambda: building.first_snapshot(made),
            first_from=lambda other, tell: from_run(
                building.first_snapshot(made), self, other, tell
            ),
            run=run,
        )

    def finish(self, folder: RunFolder, tell: Callable[[str], None]) -> Sequence[Table]:
        """Nothing is left to do."""
        del folder, tell
        return []
