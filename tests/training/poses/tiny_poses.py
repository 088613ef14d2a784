"""A run of pre-training of seconds, on the videos of `tiny_pairs`."""

import jax
from rich.console import Console

from jaxbeh.config import load_config
from jaxbeh.data.report import ReadingReport
from jaxbeh.settings.pairs import PoseConfig
from jaxbeh.tasks import prepare
from jaxbeh.tasks.task import Hooks
from jaxbeh.training.checkpoints import Checkpoints, fill
from jaxbeh.training.devices import Devices
from jaxbeh.training.loop import fit
from jaxbeh.training.progress import EpochProgress
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.training.stop import StopRequest

NETWORK = (
    "network={stem: 8, lab_embedding: 4, width: 12}",
    "network.encoder={name: tcn, channels: [8, 8], dropout: 0.2}",
)
SETTINGS = (
    *NETWORK,
    "window={length: 32, train_stride: 16}",
    "hiding.longest_seconds=0.5",
    "training={epochs: 4, batch_size: 8}",
    "optimizer.learning_rate=1e-2",
)


def pose_config(*overrides) -> PoseConfig:
    return load_config("v7-poses", [*SETTINGS, *overrides])


def run(config, videos, path, stop=None):
    """Start or continue a run in a folder, by the steps of the command."""
    task = prepare(videos, config, ReadingReport())
    folder = RunFolder(path)
    if not folder.exists:
        folder.start(config, task.slots, task.split(), task.files(), {})
    job = task.assemble(Devices.of(jax.devices()[:1]))
    checkpoints = Checkpoints(folder.checkpoints, print)
    restored = checkpoints.latest()
    snapshot = fill(job.template, restored.leaves, path) if restored else job.first()
    folder.cut_metrics(int(snapshot.loop.epoch))
    whole = job.run(folder, snapshot, Hooks(lambda _: None, None))
    quiet = EpochProgress(Console(quiet=True), config, 0)
    fit(whole, snapshot, checkpoints, stop or StopRequest(), quiet)
    checkpoints.close()
    return whole
