"""Put a run together: stores on the device, programs, a first or restored snapshot, the loop."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial, reduce
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
from jaxbeh.settings.run import SceneConfig
from jaxbeh.training import optimiser, schedule
from jaxbeh.training.checkpoints import Checkpoints, Restored, fill, leaves_of
from jaxbeh.training.compilation import ALL, JUDGED, Arguments, compile_ahead, taken_beside
from jaxbeh.training.dataset import Dataset, labelled_store, tiling_windows
from jaxbeh.training.devices import Devices
from jaxbeh.training.fetch import fetch
from jaxbeh.training.frames import Batches, Frames
from jaxbeh.training.layout import (
    Budget,
    Layout,
    choose,
    in_shards,
    require_room,
    resident,
)
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
        state: shapes and dtypes of what is trained.
        plan: of the training epoch.
        turn: of the training on one shard; the same where all frames stay on the devices.
        frames: stores, brought to the devices when they are first asked for.
        held: where they are, in words.
        parts: training videos of each shard; one shard where all frames stay on the devices.
        shards: how many shards the two sides have.
        budget: what is taken of a device's memory.
        validation_plan: of the validation pass, or of that of a shard.
        root: the run's key, on the device.
        rate: step → learning rate, before the loop's scale, on the host.
        cool: lowers the loop's scale after an epoch, where the schedule says so.
        recipe: what the programs are built from.
        devices: where all of it is.
        videos: ids of the training videos.
        windows: the video of each training window, int32 `[n]`, on the host.
        validation_windows: how many are judged.
    """

    programs: Programs
    state: TrainState
    plan: EpochPlan
    turn: EpochPlan
    frames: Frames
    held: str
    parts: tuple[NDArray[np.intp], ...]
    shards: tuple[int, int]
    budget: Budget
    validation_plan: EpochPlan
    root: jax.Array
    rate: Callable[[int], float]
    cool: Callable[[LoopState], LoopState]
    recipe: Recipe
    devices: Devices
    videos: tuple[str, ...]
    windows: NDArray[np.int32]
    validation_windows: int


def longest_call(on_gpu: int = 640) -> int:
    """Steps of one call: a signal is answered between two calls, so they last seconds at most.

    A step of v6 takes half a second on two cores and less than a millisecond on an H200, where a
    call costs more than a millisecond beside its steps; on a GPU ten times slower a call takes six
    seconds.
    """
    return 1 if jax.default_backend() == "cpu" else on_gpu


def assemble(
    config: SceneConfig,
    dataset: Dataset,
    devices: Devices | None = None,
    whole: bool | None = None,
    shards: tuple[int, int] | None = None,
) -> Assembled:
    """Decide where the frames go, and compile the programs; nothing is copied yet.

    Args:
        config: the run's settings.
        dataset: its videos.
        devices: all there are by default.
        whole: whether each device holds all frames; by default if they fit.
        shards: how many the two sides have, as a run began; by default one each if that fits.

    Raises:
        RunError: the devices cannot share a batch or hold frames and step, or a side has no
            labelled frame.
    """
    devices = devices or Devices.all()
    window, settings = config.window, config.training
    train = labelled_store(dataset.train, dataset.slots, window.length, window.train_stride)
    validation = labelled_store(
        dataset.validation, dataset.slots, window.length, window.validation_stride
    )
    videos = tuple(scene.recording.video_id for scene in dataset.train)
    if shards is not None and shards != (1, 1):
        layout, given = in_shards(devices, train, validation, shards), True
    else:
        layout, given = resident(devices, train, validation, whole is not False), whole is not None
    # All programs at the same time where the frames alone fit. Else this layout will be left: only
    # what its step takes is asked.
    fits = given or devices.has_room(layout.nbytes)
    made, arguments = _build(config, layout, videos, ALL if fits else JUDGED)
    # A step on blocks or shards takes a little more than it was chosen by.
    while not given and not devices.has_room(made.budget.frames + made.budget.step):
        layout = choose(devices, train, validation, made.budget.step, settings.batch_size)
        if shards is not None and layout.shards != shards:
            break
        made, arguments = _build(config, layout, videos, JUDGED)
    require_room(devices, made.budget)
    return replace(made, programs=compile_ahead(made.programs, arguments, devices))


def _build(
    config: SceneConfig, layout: Layout, videos: tuple[str, ...], compiled: tuple[str, ...]
) -> tuple[Assembled, Arguments]:
    """Programs for frames that are held in a certain way, these of them compiled."""
    devices, settings = layout.devices, config.training
    batches = (settings.batch_size, longest_call(), devices.count)
    turn = EpochPlan.build(max(layout.train.windows), *batches)
    judged = EpochPlan.build(max(layout.validation.windows), *batches)
    devices.require_shared(turn)
    devices.require_shared(judged)
    plan = replace(
        turn, windows=sum(layout.train.windows), steps=turn.steps * len(layout.train.parts)
    )
    recipe = Recipe.from_config(config, devices.mesh if devices.count > 1 else None)
    course = schedule.build(config.optimizer, config.schedule, plan.steps, settings.epochs)
    rule = optimiser.build(config.optimizer, course.rate)
    programs = build_programs(recipe, rule, turn, judged, devices, layout.rotates)
    root = devices.key(settings.seed)
    store = layout.shapes(layout.train)
    arguments = Arguments.of(
        *(programs, devices, root, store, (turn.steps, turn.rows)),
        judged=layout.shapes(layout.validation),
        normaliser=Normaliser.template(recipe.features),
        ordered=(store.windows,) if layout.rotates else (),
    )
    held = layout.train.room.nbytes(layout.train.store, 1 if layout.whole else devices.count)
    programs = compile_ahead(programs, arguments, devices, compiled)
    step = taken_beside(programs.train, held)
    made = Assembled(
        programs=programs,
        state=arguments.state,
        plan=plan,
        turn=turn,
        frames=layout.frames(settings.seed),
        held=layout.in_words(),
        parts=layout.train.parts,
        shards=layout.shards,
        budget=Budget(layout.nbytes, step, devices.memory),
        validation_plan=judged,
        root=root,
        rate=schedule.on_host(course),
        cool=course.cool,
        recipe=recipe,
        devices=devices,
        videos=videos,
        windows=np.array(layout.train.store.windows[:, 0]),
        validation_windows=sum(layout.validation.windows),
    )
    return made, arguments


def fit_normaliser(assembled: Assembled, dataset: Dataset) -> Normaliser:
    """Statistics of every training frame, each counted once (on the host)."""
    devices, features = assembled.devices, assembled.recipe.features
    tables = [
        tiling_windows([dataset.train[video] for video in part], assembled.recipe.length)
        for part in assembled.parts
    ]
    plan = EpochPlan.build(max(map(len, tables)), assembled.plan.rows, 1, devices.count)
    tables = [
        np.pad(table, ((0, plan.windows - len(table)), (0, 0)), constant_values=-1)
        for table in tables
    ]
    fixed = (assembled.recipe, plan, devices)

    def over_all_frames(program: Callable[..., T], *more: Any) -> Iterator[T]:
        for store in assembled.frames.with_windows(tables):
            yield from _rows(fetch(program(store, *more)), plan.steps)

    fitted = None
    if features.projected:
        pairs = over_all_frames(devices.jit(partial(coordinate_comoments, *fixed)))
        fitted = projection.fit(pairs, features.components)
    program = devices.jit(partial(feature_moments, *fixed))
    return statistics.fit(over_all_frames(program, devices.put(fitted)), fitted)


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
        train=assembled.state,
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

    def launch(state: TrainState) -> list[ValidationSums]:
        found: list[ValidationSums] = []
        for store in assembled.frames.to_judge():
            found.append(assembled.programs.validate(state, store, normaliser))
            jax.block_until_ready(found)  # the next shard takes the memory of this one
        return found

    def summarise(found: list[ValidationSums]) -> dict[str, Any]:
        sums = reduce(partial(jax.tree.map, np.add), found)
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
    return Run(
        folder=folder,
        programs=assembled.programs,
        plan=assembled.plan,
        devices=assembled.devices,
        batches=batches_of(assembled),
        root=assembled.root,
        rate=assembled.rate,
        cool=assembled.cool,
        validation=validation_of(assembled, normaliser, names),
        settings=config.training,
        on_epoch=on_epoch,
        on_checkpoint=on_checkpoint,
    )


def batches_of(assembled: Assembled) -> Batches:
    """What each call of the training program works on."""
    shuffle, steps = assembled.programs.shuffle, assembled.turn.steps

    def deal(turn: int, store: FrameStore) -> jax.Array:
        step = assembled.devices.put(np.int32(turn * steps))
        of_shard = () if assembled.shards == (1, 1) else (store.windows,)
        return shuffle(assembled.root, step, *of_shard)

    def videos(turn: int, windows: NDArray[np.int32]) -> list[str]:
        part = assembled.parts[assembled.frames.shard(turn)]
        own = assembled.windows[np.isin(assembled.windows, part)]
        return [assembled.videos[video] for video in np.unique(own[windows])]

    return Batches(assembled.frames.to_train, deal, steps, videos)
