"""What the commands do with a run, by its task: scene classes, actions of pairs, hidden poses."""

from collections.abc import Callable, Sequence

from jaxbeh.data.recording import Recording
from jaxbeh.data.report import ReadingReport
from jaxbeh.errors import RunError
from jaxbeh.settings.pairs import PairConfig, PoseConfig
from jaxbeh.settings.run import Config, SceneConfig
from jaxbeh.tasks.evaluation import Evaluator
from jaxbeh.tasks.first_weights import require_fitting
from jaxbeh.tasks.pair_evaluation import PairEvaluator
from jaxbeh.tasks.pairs import PairTask
from jaxbeh.tasks.poses import PoseTask
from jaxbeh.tasks.scene import SceneTask
from jaxbeh.tasks.scene_evaluation import SceneEvaluator
from jaxbeh.tasks.task import Task
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.wording import quoted


def prepare(recordings: Sequence[Recording], config: Config, report: ReadingReport) -> Task:
    """Make of recordings what a config trains on.

    Raises:
        RunError: no video teaches anything.
        DataError: no split can be made.
        SettingsError: the settings do not fit the data.
    """
    if isinstance(config, PairConfig):
        return PairTask.prepare(recordings, config, report)
    if isinstance(config, PoseConfig):
        return PoseTask.prepare(recordings, config, report)
    assert isinstance(config, SceneConfig)
    return SceneTask.prepare(recordings, config, report)


def require_actions(folder: RunFolder, config: Config) -> None:
    """Refuse a run that predicts no action.

    Raises:
        RunError: with what it is for.
    """
    if not config.labelled:
        raise RunError(
            f"{folder.path} is pre-training and predicts no action; start recipe v7 from it:\n"
            f"  python -m jaxbeh.train --config v7 --init-from {quoted(folder.path)}"
        )


def configs_of(folders: Sequence[RunFolder], tta: bool) -> list[Config]:
    """The settings of runs that can predict together; several, or views, only of pairs.

    Raises:
        RunError: one is no run, or predicts no action, or is to be averaged and cannot be.
    """
    configs = [folder.config() for folder in folders]
    for folder, config in zip(folders, configs, strict=True):
        require_actions(folder, config)
        if isinstance(config, SceneConfig) and (len(folders) > 1 or tta):
            raise RunError(
                f"{folder.path} is a run of scene classes, which is evaluated by itself: several "
                f"runs and --tta are for recipe v7"
            )
    return configs


def load(folders: Sequence[RunFolder], tta: bool, tell: Callable[[str], None]) -> Evaluator:
    """Trained runs, several only of pairs, as what predicts.

    Raises:
        RunError: runs that cannot be averaged, or predict nothing; one has no checkpoint, or a file
            of it is damaged.
        CheckpointError: a checkpoint does not fit its settings.
    """
    configs = configs_of(folders, tta)
    pairs = [
        (folder, config)
        for folder, config in zip(folders, configs, strict=True)
        if isinstance(config, PairConfig)
    ]
    if pairs:
        return PairEvaluator.load(pairs, tta, tell)
    assert isinstance(configs[0], SceneConfig)
    return SceneEvaluator.load(folders[0], configs[0], tell)


__all__ = ["Task", "configs_of", "load", "prepare", "require_actions", "require_fitting"]
