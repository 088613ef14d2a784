"""Put a run together: stores on the device, programs, a first or restored snapshot, the loop."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.store import FrameStore
from jaxbeh.errors import RunError
from jaxbeh.features import normaliser as statistics
from jaxbeh.features import projection
from jaxbeh.features.normaliser import Normaliser
from jaxbeh.metrics.frames import frame_scores
from jaxbeh.settings import SceneConfig
from jaxbeh.training import optimiser, schedule
from jaxbeh.training.checkpoints import Checkpoints, Restored, fill, leaves_of
from jaxbeh.training.dataset import Dataset, labelled_store, tiling_windows
from jaxbeh.training.devices import Devices
from jaxbeh.training.fetch import fetch
from jaxbeh.training.loop import Run, Validation
from jaxbeh.training.plan import EpochPlan
from jaxbeh.training.programs import (
    Programs,
    ValidationSums,
    build_programs,
    coordinate_comoments,
    feature_moments,
)
from jaxbeh.training.recipe import Recipe
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.training.state import EpochSums, LoopState, Snapshot, TrainState

T = TypeVar("T")

SCORE = "val_macro_f1"
"""The figure that early stopping and the best checkpoint watch."""


@dataclass(frozen=True)
class Assembled:
    """A run ready to be started or continued.

    Attributes:
        programs: compiled calls.
        plan: of the training epoch.
        train: training store, on the device.
        validation: validation store, on the device.
        validation_plan: of the validation pass.
        root: the run's key, on the device.
        rate: step → learning rate, before the loop's scale, on the host.
        cool: lowers the loop's scale after an epoch, where the schedule says so.
        recipe: what the programs are built from.
        devices: where all of it is.
        videos: ids of the training store's videos.
    """

    programs: Programs
    plan: EpochPlan
    train: FrameStore
    validation: FrameStore
    validation_plan: EpochPlan
    root: jax.Array
    rate: Callable[[int], float]
    cool: Callable[[LoopState], LoopState]
    recipe: Recipe
    devices: Devices
    videos: tuple[str, ...]


def longest_call() -> int:
    """Steps of one call: a signal is answered between two calls, so they last seconds at most.

    A step of v6 takes about a second on two cores and about two milliseconds on an H100.
    """
    return 1 if jax.default_backend() == "cpu" else 256


def assemble(
    config: SceneConfig, dataset: Dataset, devices: Devices | None = None, whole: bool | None = None
) -> Assembled:
    """Build stores and programs, and bring the stores to the devices.

    Args:
        config: the run's settings.
        dataset: its videos.
        devices: all there are by default.
        whole: whether each device holds all frames; by default if they fit.

    Raises:
        RunError: the devices cannot share a batch or hold the frames, or a side has no labelled
            frame.
    """
    devices = devices or Devices.all()
    window, settings = config.window, config.training
    train = labelled_store(dataset.train, dataset.slots, window.length, window.train_stride)
    validation = labelled_store(
        dataset.validation, dataset.slots, window.length, window.validation_stride
    )
    batches = (settings.batch_size, longest_call(), devices.count)
    plan = EpochPlan.build(len(train.windows), *batches)
    judged = EpochPlan.build(len(validation.windows), *batches)
    devices.require_shared(plan)
    devices.require_shared(judged)
    devices.require_room(train, validation)
    whole = devices.fits_whole(train, validation) if whole is None else whole
    recipe = Recipe.from_config(config, devices.mesh if devices.count > 1 else None)
    course = schedule.build(config.optimizer, config.schedule, plan.steps, settings.epochs)
    rule = optimiser.build(config.optimizer, course.rate)
    programs = build_programs(recipe, rule, plan, judged, devices)
    host = jax.local_devices(backend="cpu")[0]

    def rate(step: int) -> float:
        with jax.default_device(host), jax.transfer_guard("allow"):
            return float(course.rate(np.int32(step)))

    return Assembled(
        programs=programs,
        plan=plan,
        train=devices.place(train, whole),
        validation=devices.place(validation, whole),
        validation_plan=judged,
        root=jax.random.wrap_key_data(
            devices.put(jax.random.key_data(jax.random.key(settings.seed)))
        ),
        rate=rate,
        cool=course.cool,
        recipe=recipe,
        devices=devices,
        videos=tuple(scene.recording.video_id for scene in dataset.train),
    )


def fit_normaliser(assembled: Assembled, dataset: Dataset) -> Normaliser:
    """Statistics of every training frame, each counted once (on the host)."""
    windows = tiling_windows(dataset.train, assembled.recipe.length)
    devices = assembled.devices
    plan = EpochPlan.build(len(windows), assembled.plan.rows, 1, devices.count)
    windows = devices.put(windows)
    store = assembled.train.replace(windows=windows)  # type: ignore[attr-defined]  # by struct
    features = assembled.recipe.features
    jit = partial(jax.jit, out_shardings=devices.everywhere)
    fixed = (assembled.recipe, plan, devices)
    fitted = None
    if features.projected:
        pairs = fetch(jit(partial(coordinate_comoments, *fixed))(store))
        fitted = projection.fit(_rows(pairs, plan.steps), features.components)
    placed = devices.put(fitted)
    rows = fetch(jit(partial(feature_moments, *fixed))(store, placed))
    return statistics.fit(_rows(rows, plan.steps), fitted)


def _rows(stacked: T, steps: int) -> Iterator[T]:
    """A pytree whose leaves have a row a step → one a step."""
    return (jax.tree.map(itemgetter(step), stacked) for step in range(steps))


def first_snapshot(assembled: Assembled, dataset: Dataset) -> Snapshot:
    """A fresh state and the normaliser, on the host."""
    normaliser = fit_normaliser(assembled, dataset)
    state = assembled.programs.init(assembled.root)
    return Snapshot(
        train=fetch(state), sums=EpochSums.zero(), loop=LoopState.start(), normaliser=normaliser
    )


def template(assembled: Assembled) -> Snapshot:
    """A snapshot of shapes and dtypes, without computing anything."""
    return Snapshot(
        train=jax.eval_shape(assembled.programs.init, assembled.root),
        sums=EpochSums.zero(),
        loop=LoopState.start(),
        normaliser=Normaliser.template(assembled.recipe.features),
    )


def count_parameters(snapshot: Snapshot) -> int:
    """Numbers that training fits (BatchNorm's running statistics are not among them)."""
    return sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(snapshot.train.params))


def resume(assembled: Assembled, restored: Restored, folder: Path) -> Snapshot:
    """The snapshot that a checkpoint holds, on the host.

    Raises:
        CheckpointError: it does not fit the run's model and optimiser.
    """
    return fill(template(assembled), restored.leaves, folder)


def from_weights(snapshot: Snapshot, other: RunFolder, tell: Callable[[str], None]) -> Snapshot:
    """Start from another run's best weights and its input statistics.

    Leaves of another shape (the head of a model with other classes) stay fresh, and are named.

    Raises:
        RunError: the other run has no checkpoint, or nothing in it fits.
    """
    restored = Checkpoints(other.checkpoints, tell, read_only=True).best()
    if restored is None:
        raise RunError(f"{other.path}: has no checkpoint to start from")
    mine = leaves_of(snapshot)
    wanted = [
        path
        for path in mine
        if path.startswith(("train.params", "train.batch_stats", "normaliser"))
    ]
    fitting = [
        path
        for path in wanted
        if path in restored.leaves
        and restored.leaves[path].shape == mine[path].shape
        and restored.leaves[path].dtype == mine[path].dtype
    ]
    if not any(path.startswith("train.params") for path in fitting):
        raise RunError(f"{other.path}: none of its weights fits this model")
    if len(fitting) < len(wanted):
        tell(f"weights that stay fresh: {', '.join(sorted(set(wanted) - set(fitting)))}")
    return fill(snapshot, mine | {path: restored.leaves[path] for path in fitting}, other.path)


def validation_of(
    assembled: Assembled, normaliser: Normaliser, names: tuple[str, ...]
) -> Validation:
    """Judge by macro-F1 over labelled validation frames."""
    normaliser = assembled.devices.put(normaliser)

    def launch(state: TrainState) -> ValidationSums:
        found: ValidationSums = assembled.programs.validate(state, assembled.validation, normaliser)
        return found

    def summarise(sums: ValidationSums) -> dict[str, Any]:
        scores = frame_scores(np.asarray(sums.confusion, np.int64))
        return {
            "val_loss": float(sums.loss) / float(sums.weight),
            SCORE: scores.macro_f1,
            "val_f1": dict(zip(names, scores.f1, strict=True)),
            "val_accuracy": scores.accuracy,
            "val_classes": scores.classes_counted,
        }

    return Validation(launch=launch, summarise=summarise, score=SCORE)


def run_of(
    assembled: Assembled,
    config: SceneConfig,
    folder: RunFolder,
    normaliser: Normaliser,
    on_epoch: Callable[[Mapping[str, Any]], None],
    on_checkpoint: Callable[[int], None] | None,
) -> Run:
    """What the loop works with."""
    names = tuple(item.name for item in config.classes)

    def videos_of(windows: NDArray[np.int32]) -> list[str]:
        table = np.asarray(fetch(assembled.train.windows))
        return [assembled.videos[video] for video in np.sort(table[windows, 0])]

    return Run(
        folder=folder,
        programs=assembled.programs,
        plan=assembled.plan,
        devices=assembled.devices,
        store=assembled.train,
        videos=videos_of,
        root=assembled.root,
        rate=assembled.rate,
        cool=assembled.cool,
        validation=validation_of(assembled, normaliser, names),
        settings=config.training,
        on_epoch=on_epoch,
        on_checkpoint=on_checkpoint,
    )
