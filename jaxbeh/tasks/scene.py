"""Recipes v1 to v6: one class a frame for the whole scene."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import jax

from jaxbeh.data.recording import Recording
from jaxbeh.data.report import ReadingReport
from jaxbeh.inference.scene_bouts import ActionFrequencies
from jaxbeh.settings.run import SceneConfig
from jaxbeh.tasks.task import Hooks, Job, Table
from jaxbeh.training import assemble as building
from jaxbeh.training.dataset import Dataset, build_dataset, class_frames, content, unseen_actions
from jaxbeh.training.devices import Devices
from jaxbeh.training.loop import Run
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.training.state import Snapshot
from jaxbeh.vocabulary import SlotTable


@dataclass(frozen=True, eq=False)
class SceneTask:
    """See `Task`.

    Attributes:
        config: the run's settings.
        dataset: the two sides of the split.
        unseen: actions that a class names and no video shows.
    """

    config: SceneConfig
    dataset: Dataset
    unseen: tuple[str, ...]

    @classmethod
    def prepare(
        cls, recordings: Sequence[Recording], config: SceneConfig, report: ReadingReport
    ) -> "SceneTask":
        """Label, split and slot; raises as `build_dataset`."""
        dataset = build_dataset(recordings, config, report)
        return cls(config, dataset, tuple(unseen_actions(recordings, config)))

    @property
    def slots(self) -> SlotTable:
        """The run's keypoint slots."""
        return self.dataset.slots

    def split(self) -> dict[str, list[str]]:
        """Video ids of either side."""
        return self.dataset.split()

    def tables(self) -> Sequence[Table]:
        """Labelled frames of each class."""
        names = [item.name for item in self.config.classes]
        rows: list[list[object]] = []
        sides = (("train", self.dataset.train), ("validation", self.dataset.validation))
        for side, scenes in sides:
            frames = sum(scene.recording.tracking.frames for scene in scenes)
            rows.append([side, len(scenes), frames, *class_frames(scenes, len(names))])
        title = "Split: labelled frames of each class"
        return [Table(title, ["", "videos", "frames", *names], rows)]

    def notes(self) -> Sequence[str]:
        """Actions that are never shown."""
        if not self.unseen:
            return []
        return [f"Actions of the classes that the data never shows: {', '.join(self.unseen)}"]

    def files(self) -> Mapping[str, str]:
        """How often each triple was annotated."""
        counted = ActionFrequencies.build(scene.recording for scene in self.dataset.train)
        return {"actions.json": counted.to_json()}

    def content(self) -> Mapping[str, list[str]]:
        """Hashes of either side."""
        return {
            "train_content": content(self.dataset.train),
            "validation_content": content(self.dataset.validation),
        }

    def assemble(self, devices: Devices, shards: tuple[int, int] | None = None) -> Job:
        """See `Task`."""
        made = building.assemble(self.config, self.dataset, devices, shards=shards)
        template = building.template(made)

        def run(folder: RunFolder, snapshot: Snapshot, hooks: Hooks) -> Run:
            assert snapshot.normaliser is not None
            return building.run_of(
                made,
                self.config,
                folder,
                snapshot.normaliser,
                hooks.on_epoch,
                hooks.on_checkpoint,
            )

        return Job(
            plan=_plan(made),
            windows=made.plan.windows,
            shards=made.shards,
            template=template,
            first=lambda: building.first_snapshot(made, self.dataset),
            first_from=lambda other, tell: building.from_weights(
                building.first_snapshot(made, self.dataset), other, tell
            ),
            run=run,
        )

    def finish(self, folder: RunFolder, tell: Callable[[str], None]) -> Sequence[Table]:
        """Nothing is left to do."""
        del folder, tell
        return []


def _plan(made: building.Assembled) -> str:
    plan = made.plan
    return (
        f"Epoch: {plan.windows:,} windows in {plan.steps:,} steps of "
        f"{plan.windows / plan.steps:.0f}, {made.validation_windows:,} validation windows. "
        f"Device: {where(made.devices, plan.rows)}; {made.held}. {made.budget}."
    )


def where(devices: Devices, rows: int) -> str:
    """The devices of a run and what each takes of a batch of so many rows, in words."""
    kind = devices.mesh.devices.flat[0].device_kind
    words = f"{jax.default_backend()} ({kind})"
    if devices.count > 1:
        words = f"{devices.count} × {words}, {rows // devices.count} windows of a step on each"
    if devices.hosts.count > 1:
        words = f"{words}, in {devices.hosts.count} processes"
    return words
