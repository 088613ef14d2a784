"""Recipe v7: actions of each mouse, alone and to each other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jaxbeh.data.recording import Recording
from jaxbeh.data.report import ReadingReport
from jaxbeh.inference.pairs.held_out import DECODING, tune_on_held_out
from jaxbeh.inference.pairs.records import Known
from jaxbeh.inference.pairs.report import HELD_OUT, Report
from jaxbeh.inference.scene_bouts import ActionFrequencies
from jaxbeh.settings.pairs import PairConfig
from jaxbeh.tasks.first_weights import from_run
from jaxbeh.tasks.pair_tables import report_notes, report_tables
from jaxbeh.tasks.scene import where
from jaxbeh.tasks.task import Hooks, Job, Table
from jaxbeh.training.devices import Devices
from jaxbeh.training.layout import size
from jaxbeh.training.loop import Run
from jaxbeh.training.pairs import assemble as building
from jaxbeh.training.pairs.dataset import PairDataset, build_pair_dataset
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.training.state import Snapshot
from jaxbeh.vocabulary import SlotTable
from jaxbeh.wording import how_many


@dataclass(frozen=True, eq=False)
class PairTask:
    """See `Task`.

    Attributes:
        config: the run's settings.
        dataset: tracks and folds.
    """

    config: PairConfig
    dataset: PairDataset

    @classmethod
    def prepare(
        cls, recordings: Sequence[Recording], config: PairConfig, report: ReadingReport
    ) -> "PairTask":
        """Find tracks and folds; raises as `build_pair_dataset`."""
        return cls(config, build_pair_dataset(recordings, config, report))

    @property
    def slots(self) -> SlotTable:
        """The run's keypoint slots."""
        return self.dataset.slots

    def split(self) -> dict[str, list[str]]:
        """Video ids, those trained on and held out by any member, and by fold."""
        return self.dataset.split()

    def tables(self) -> Sequence[Table]:
        """Folds and actions."""
        dataset = self.dataset
        frames = [recording.tracking.frames for recording in dataset.recordings]
        folds: list[list[object]] = []
        for fold in range(dataset.folds):
            videos = np.flatnonzero(dataset.fold == fold).tolist()
            labs = {dataset.recordings[video].lab_id for video in videos}
            tracks = int((dataset.track_fold == fold).sum())
            shown = len(videos), tracks, sum(frames[video] for video in videos), len(labs)
            folds.append([fold + 1, *shown])
        names = dataset.vocabulary
        actions: list[list[object]] = [
            [
                names.name(entry),
                "alone" if entry < len(names.alone) else "to another",
                int(seen),
                int(looked_for),
            ]
            for entry, (seen, looked_for) in enumerate(dataset.entry_frames)
        ]
        return [
            Table("Held out", ["fold", "videos", "tracks", "frames", "labs"], folds),
            Table("Actions", ["action", "", "frames", "of frames looked at"], actions),
        ]

    def notes(self) -> Sequence[str]:
        """Actions that are never shown, and labs that show none."""
        notes = []
        entries = np.flatnonzero(self.dataset.entry_frames[:, 0] == 0)
        if names := sorted({self.dataset.vocabulary.name(int(entry)) for entry in entries}):
            notes.append(f"Actions that were looked for and are never shown: {', '.join(names)}")
        shown = ActionFrequencies.build(self.dataset.recordings).labs
        if labs := [lab for lab, frames in sorted(shown.items()) if not frames]:
            notes.append(
                f"Labs without an event that was looked for: {', '.join(labs)}. Where a lab's "
                f"videos show nothing, no bout is predicted"
            )
        return notes

    def files(self) -> Mapping[str, str]:
        """Vocabulary, labs and members, and how often each triple was annotated."""
        dataset = self.dataset
        known = Known(
            vocabulary=dataset.vocabulary,
            labs=dataset.labs,
            lab_fold=dataset.lab_fold,
            folds=dataset.folds,
            seeds=self.config.members.seeds,
        )
        counted = ActionFrequencies.build(dataset.recordings)
        return {"known.json": known.to_json(), "actions.json": counted.to_json()}

    def content(self) -> Mapping[str, list[str]]:
        """Hashes of what any member trained on, and of what any held out."""
        return self.dataset.content()

    def assemble(self, devices: Devices, shards: tuple[int, int] | None = None) -> Job:
        """See `Task`; all frames stay on the devices."""
        del shards
        made = building.assemble(self.config, self.dataset, devices)

        def run(folder: RunFolder, snapshot: Snapshot, hooks: Hooks) -> Run:
            del snapshot
            return building.run_of(
                made,
                self.config,
                self.dataset,
                folder,
                building.validation_of(made, self.dataset, self.config.score),
                hooks.on_epoch,
                hooks.on_checkpoint,
            )

        plan = made.plan
        return Job(
            plan=(
                f"{_networks(self.dataset.folds, self.config.members.seeds)} Epoch: "
                f"{how_many(plan.steps, 'step')} of {plan.rows} windows for each. "
                f"Device: {where(devices, plan.rows)}; all frames take "
                f"{size(made.budget.frames)}. {made.budget}."
            ),
            windows=plan.windows,
            shards=(1, 1),
            template=building.template(made),
            first=lambda: building.first_snapshot(made),
            first_from=lambda other, tell: from_run(
                building.first_snapshot(made), self, other, tell
            ),
            run=run,
        )

    def finish(self, folder: RunFolder, tell: Callable[[str], None]) -> Sequence[Table]:
        """Predict what each member held out, and tune the decoding on it."""
        if not folder.has(DECODING):
            tell("Predicting the videos held out, and tuning thresholds on them")
            tune_on_held_out(self.config, self.dataset, folder, tell)
        report = folder.parsed(HELD_OUT, Report.from_json)
        for note in report_notes(report):
            tell(note)
        return report_tables(report)


def _networks(folds: int, seeds: int) -> str:
    if folds * seeds == 1:
        return "It is one network."
    return (
        f"All are {how_many(folds * seeds, 'network')} "
        f"({how_many(folds, 'fold')} × {how_many(seeds, 'seed')})."
    )
