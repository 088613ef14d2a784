"""What the commands do with a run, by its task: the scene's classes, or pairs and their actions."""

from collections.abc import Sequence

from jaxbeh.data.recording import Recording
from jaxbeh.data.report import ReadingReport
from jaxbeh.pair_settings import PairConfig
from jaxbeh.settings import Config, SceneConfig
from jaxbeh.tasks.pairs import PairTask
from jaxbeh.tasks.scene import SceneTask
from jaxbeh.tasks.task import Task


def prepare(recordings: Sequence[Recording], config: Config, report: ReadingReport) -> Task:
    """Make of labelled recordings what a config trains on.

    Raises:
        RunError: no video teaches anything.
        DataError: no split can be made.
        SettingsError: the settings do not fit the data.
    """
    if isinstance(config, PairConfig):
        return PairTask.prepare(recordings, config, report)
    assert isinstance(config, SceneConfig)
    return SceneTask.prepare(recordings, config, report)


__all__ = ["Task", "prepare"]
