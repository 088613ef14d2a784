"""Put a run of pairs together: frames on the device, programs, a first snapshot, validation."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.pair_store import build_pair_store, grid_frames, pair_windows
from jaxbeh.data.store import starts_of
from jaxbeh.data.tracks import ActionVocabulary
from jaxbeh.errors import RunError
from jaxbeh.features.normaliser import Normaliser
from jaxbeh.settings.pairs import PairConfig, TrackConfig
from jaxbeh.training import optimiser, schedule
from jaxbeh.training.assemble import longest_call
from jaxbeh.training.compilation import Arguments, compile_ahead, taken_beside
from jaxbeh.training.devices import Devices
from jaxbeh.training.fetch import fetch
from jaxbeh.training.frames import Batches
from jaxbeh.training.layout import Budget, require_room
from jaxbeh.training.loop import Run, Validation
from jaxbeh.training.pairs.dataset import PairDataset
from jaxbeh.training.pairs.judge import lab_scores, mean_of_labs
from jaxbeh.training.pairs.loss import entry_weights
from jaxbeh.training.pairs.members import Members, labs_learnt, plan_members
from jaxbeh.training.pairs.programs import (
    Judged,
    PairData,
    build_track_programs,
    judge,
    judged_windows,
)
from jaxbeh.training.pairs.recipe import PairRecipe, TrackRecipe
from jaxbeh.training.plan import EpochPlan
from jaxbeh.training.programs import LEAST_WEIGHT, Programs
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.training.state import EpochSums, LoopState, Snapshot, TrainState


@dataclass(frozen=True)
class Assembled:
    """A run of tracks ready to be started or continued.

    Attributes:
        programs: compiled calls.
        state: shapes and dtypes of what is trained.
        plan: of the training epoch.
        data: on the devices.
        root: the run's key, on the device.
        rate: step → learning rate, before the loop's scale, on the host.
        cool: lowers the loop's scale after an epoch, where the schedule says so.
        recipe: what the programs are built from.
        members: the networks.
        devices: where all of it is.
        budget: what is taken of a device's memory.
        video: of each window, int32 `[n]`, on the host.
    """

    programs: Programs
    state: TrainState
    plan: EpochPlan
    data: PairData
    root: jax.Array
    rate: Callable[[int], float]
    cool: Callable[[LoopState], LoopState]
    recipe: TrackRecipe
    members: Members
    devices: Devices
    budget: Budget
    video: NDArray[np.int32]


def recipe_of(config: PairConfig, dataset: PairDataset) -> PairRecipe:
    """The recipe for a dataset's vocabulary and labs."""
    vocabulary = dataset.vocabulary
    return PairRecipe.from_config(
        config,
        dataset.slots,
        (len(vocabulary.alone), len(vocabulary.pair)),
        len(dataset.labs),
    )


def assemble(
    config: PairConfig,
    dataset: PairDataset,
    devices: Devices | None = None,
    members: Members | None = None,
) -> Assembled:
    """Build store and programs, and bring the store to the devices.

    Args:
        config: the run's settings.
        dataset: its videos.
        devices: all there are by default.
        members: all of the run's by default; fewer train to the same weights as among all.

    Raises:
        RunError: the frames do not fit on a device, or a fold leaves nothing to train on.
    """
    devices = devices or Devices.all()
    members = members or Members.all(dataset.folds, config.members.seeds)
    recipe = recipe_of(config, dataset)
    places = sum(grid_frames(dataset.recordings[track.video]) for track in dataset.tracks)
    validate = partial(judge, recipe, members, places, devices)
    weights = np.array(
        [
            entry_weights(dataset.frames_trained_on(fold), config.loss.balance)
            for fold in range(dataset.folds)
        ],
        np.float32,
    )
    return assemble_tracks(
        config, dataset, recipe, members, devices, weights[members.fold], validate
    )


def assemble_tracks(
    config: TrackConfig,
    dataset: PairDataset,
    recipe: TrackRecipe,
    members: Members,
    devices: Devices,
    weights: NDArray[np.float32],
    validate: Callable[[TrainState, PairData, Normaliser | None], Any],
) -> Assembled:
    """The same whatever is learnt: `recipe` says what, `validate` how it is judged.

    `weights`, `[m, c]`, say what a frame of each action weighs for each member.
    """
    window, settings = config.window, config.training
    own, tracks = dataset.recordings, dataset.tracks
    training = pair_windows(own, tracks, window.length, window.train_stride)
    tiles = pair_windows(own, tracks, window.length, window.length)
    both = (np.concatenate([training[0], tiles[0]]), np.concatenate([training[1], tiles[1]]))
    store = build_pair_store(
        own, tracks, dataset.slots, dataset.vocabulary, dataset.labs, both, dataset.bits or None
    )
    fold = dataset.track_fold
    seen = fold[training[0][:, 0]] != np.arange(dataset.folds, dtype=np.int32)[:, None]
    if not seen.any(axis=1).all():
        raise RunError("a fold leaves no window to train on; give fewer folds")
    # A step of v7's networks takes ten times as long as one of v6.
    batches = (settings.batch_size, longest_call(on_gpu=256), devices.count)
    plan = plan_members(seen, members.count, *batches)
    table = judged_windows(tiles[0], fold, members, settings.batch_size, len(training[0]))
    places = np.array([grid_frames(own[track.video]) for track in tracks], np.int64)
    leaves: dict[str, Any] = {
        "trained": seen[members.fold],
        "judged": table,
        "place": starts_of(places),
        "learnt": labs_learnt(members, dataset.lab_fold),
        "weights": weights,
    }
    data = PairData(store=store, **leaves)
    nbytes = sum(leaf.nbytes for leaf in jax.tree.leaves(data))
    course = schedule.build(config.optimizer, config.schedule, plan.steps, settings.epochs)
    rule = optimiser.build(config.optimizer, course.rate)
    programs = build_track_programs(recipe, rule, plan, members, devices, validate)
    root = devices.key(settings.seed)
    held = devices.shapes(data)
    arguments = Arguments.of(
        *(programs, devices, root, held, (plan.steps, members.count, plan.rows)),
        judged=held,
        normaliser=recipe.statistics,
        ordered=(held.trained,),
    )
    # Its steps are long, and were timed with the quickest kernels alone.
    programs = compile_ahead(programs, arguments, devices, in_every_way=True)
    budget = Budget(nbytes, taken_beside(programs.train, nbytes), devices.memory)
    require_room(devices, budget, members.count)
    return Assembled(
        programs=programs,
        state=arguments.state,
        plan=plan,
        data=devices.put(data),
        root=root,
        rate=schedule.on_host(course),
        cool=course.cool,
        recipe=recipe,
        members=members,
        devices=devices,
        budget=budget,
        video=np.array([track.video for track in tracks], np.int32)[both[0][:, 0]],
    )


def first_snapshot(assembled: Assembled, statistics: Normaliser | None = None) -> Snapshot:
    """A fresh state of all members, on the host, with the statistics that the recipe needs."""
    state = assembled.programs.init(assembled.root)
    return Snapshot(
        train=fetch(state), sums=EpochSums.zero(), loop=LoopState.start(), normaliser=statistics
    )


def template(assembled: Assembled) -> Snapshot:
    """A snapshot of shapes and dtypes, without computing anything."""
    return Snapshot(
        train=assembled.state,
        sums=EpochSums.zero(),
        loop=LoopState.start(),
        normaliser=assembled.recipe.statistics,
    )


def validation_of(assembled: Assembled, dataset: PairDataset, score: str) -> Validation:
    """Judge by the official F of what each member's likeliest actions are in its fold.

    Members of one seed cover all folds and are scored together; seeds are averaged.
    """
    tracks, own = dataset.tracks, dataset.recordings
    places = np.array([grid_frames(own[track.video]) for track in tracks], np.int64)
    start = starts_of(places)
    judged = np.flatnonzero(np.isin(dataset.track_fold, assembled.members.fold))

    def launch(state: TrainState) -> Judged:
        found: Judged = assembled.programs.validate(state, assembled.data, None)
        return found

    def summarise(found: Judged) -> dict[str, Any]:
        by_seed = [
            lab_scores(
                own,
                [tracks[index] for index in judged],
                [dataset.bits[index] for index in judged],
                [row[start[index] : start[index] + places[index]] for index in judged],
            )
            for row in np.asarray(found.decisions)
        ]
        return {
            "val_loss": float(found.loss) / max(float(found.weight), LEAST_WEIGHT),
            score: float(np.mean([mean_of_labs(scores) for scores in by_seed])),
            "val_f1": _by_action(by_seed, dataset.vocabulary),
            "val_labs": _by_lab(by_seed),
        }

    return Validation(launch=launch, summarise=summarise, score=score)


def _by_action(
    by_seed: list[dict[str, dict[int, float]]], vocabulary: ActionVocabulary
) -> dict[str, float | None]:
    """F of each action, the mean over seeds and the labs that have it; `None` where none has."""
    found: dict[str, list[float]] = {name: [] for name in (*vocabulary.alone, *vocabulary.pair)}
    for scores in by_seed:
        for of_lab in scores.values():
            for entry, value in of_lab.items():
                found[vocabulary.name(entry)].append(value)
    return {name: float(np.mean(values)) if values else None for name, values in found.items()}


def _by_lab(by_seed: list[dict[str, dict[int, float]]]) -> dict[str, float]:
    """Each lab's mean over its actions, the mean over seeds."""
    found: dict[str, list[float]] = {}
    for scores in by_seed:
        for lab, of_lab in scores.items():
            if of_lab:
                found.setdefault(lab, []).append(float(np.mean(list(of_lab.values()))))
    return {lab: float(np.mean(values)) for lab, values in sorted(found.items())}


def run_of(
    assembled: Assembled,
    config: TrackConfig,
    dataset: PairDataset,
    folder: RunFolder,
    validation: Validation,
    on_epoch: Callable[[Mapping[str, Any]], None],
    on_checkpoint: Callable[[int], None] | None,
) -> Run:
    """What the loop works with."""
    programs = with_data(assembled)
    plan = assembled.plan

    def deal(turn: int, data: PairData) -> jax.Array:
        del data
        return programs.shuffle(assembled.root, assembled.devices.put(np.int32(turn * plan.steps)))

    def videos(turn: int, windows: NDArray[np.int32]) -> list[str]:
        del turn
        found = np.unique(assembled.video[windows])
        return [dataset.recordings[video].video_id for video in found]

    return Run(
        folder=folder,
        programs=programs,
        plan=plan,
        devices=assembled.devices,
        batches=Batches(lambda _: assembled.data, deal, plan.steps, videos),
        root=assembled.root,
        rate=assembled.rate,
        cool=assembled.cool,
        validation=validation,
        settings=config.training,
        on_epoch=on_epoch,
        on_checkpoint=on_checkpoint,
    )


def with_data(assembled: Assembled) -> Programs:
    """The programs as the loop calls them: an order follows from key and step alone."""
    programs, trained = assembled.programs, assembled.data.trained

    def shuffle(root: jax.Array, step: jax.Array) -> jax.Array:
        return programs.shuffle(root, step, trained)

    return Programs(
        init=programs.init, shuffle=shuffle, train=programs.train, validate=programs.validate
    )
