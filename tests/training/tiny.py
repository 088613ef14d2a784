"""A small collection and small models, run in this process."""

from recordings import recording, wander
from rich.console import Console

from jaxbeh.config import load_config
from jaxbeh.data.report import ReadingReport
from jaxbeh.training import assemble as building
from jaxbeh.training import loop as looping
from jaxbeh.training.checkpoints import Checkpoints
from jaxbeh.training.dataset import build_dataset
from jaxbeh.training.progress import EpochProgress
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.training.stop import StopRequest

WINDOWS = (
    "window.length=32",
    "window.train_stride=16",
    "window.validation_stride=32",
    "training.batch_size=8",
)
CONV_BILSTM = ("model.channels=[4, 5, 6]", "model.hidden=7")


def collection(frames=150, videos=5):
    made = []
    for video in range(videos):
        pixels = wander(frames, seed=video)
        events = [
            ("mouse1,mouse2,sniff", 10, 40),
            ("mouse1,mouse2,mount", 60, 80),
            ("mouse1,mouse2,attack", 100, 130),
        ]
        made.append(recording(pixels, events, video_id=str(video)))
    return made


def settings(*overrides, model=CONV_BILSTM):
    return load_config("debug", [*WINDOWS, *model, *overrides])


def assembled(*overrides, model=CONV_BILSTM, devices=None, whole=None):
    config = settings(*overrides, model=model)
    dataset = build_dataset(collection(), config, ReadingReport())
    return config, dataset, building.assemble(config, dataset, devices, whole)


class StopAfter:
    """A stop request after so many steps, before each of which the loop asks on a CPU."""

    def __init__(self, steps):
        self._steps = steps

    @property
    def requested(self):
        self._steps -= 1
        return self._steps < 0


def run(made, config, dataset, path, on_epoch=None, on_checkpoint=None, stop=None):
    """Start or continue in a folder, by the steps of the command."""
    checkpoints = Checkpoints(path / "checkpoints", print)
    restored = checkpoints.latest()
    if restored is None:
        snapshot = building.first_snapshot(made, dataset)
    else:
        snapshot = building.resume(made, restored, path)
    folder = RunFolder(path)
    folder.cut_metrics(int(snapshot.loop.epoch))
    whole = building.run_of(
        made, config, folder, snapshot.normaliser, on_epoch or (lambda _: None), on_checkpoint
    )
    progress = EpochProgress(Console(quiet=True), config, 0)
    loop = looping.fit(whole, snapshot, checkpoints, stop or StopRequest(), progress)
    checkpoints.close()
    return loop
