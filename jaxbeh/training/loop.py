"""The loop: epochs of compiled calls, validation, checkpoints, early stopping, resume.

It knows no metric: a `Validation` tells it what to run on the device and how to read the result.
What there is to do for an epoch on the host alone is done while the device begins the next one.
"""

import math
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import jax
from jax import Array

from jaxbeh.errors import RunError
from jaxbeh.settings.run import TrainingSettings
from jaxbeh.training import nonfinite
from jaxbeh.training.checkpoints import NOT_VALIDATED, Checkpoints, content_hash, leaves_of
from jaxbeh.training.devices import Devices
from jaxbeh.training.fetch import fetch
from jaxbeh.training.frames import Batches
from jaxbeh.training.leaves_file import Leaves
from jaxbeh.training.plan import EpochPlan
from jaxbeh.training.programs import LEAST_WEIGHT, Programs
from jaxbeh.training.progress import EpochProgress
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.training.state import EpochSums, LoopState, Snapshot, TrainState
from jaxbeh.training.stop import StopRequest


@dataclass(frozen=True)
class Validation:
    """How a run is judged after each epoch.

    Attributes:
        launch: starts the work on the device; gives a pytree of arrays.
        summarise: reads the same pytree on the host; gives the figures of the epoch's line.
        score: the figure that is to grow.
    """

    launch: Callable[[TrainState], Any]
    summarise: Callable[[Any], dict[str, Any]]
    score: str


@dataclass(frozen=True)
class Run:
    """What the loop works with.

    Attributes:
        folder: where lines and checkpoints go.
        programs: compiled calls.
        plan: of the training epoch.
        devices: where the run's arrays are.
        batches: training frames and the order of their windows, as the programs take them.
        root: the run's key, on the device; all randomness is folded in from it.
        rate: step → learning rate, before the loop's scale, on the host.
        cool: lowers the loop's scale after an epoch, where the schedule says so.
        validation: how an epoch is judged.
        settings: of the loop.
        on_epoch: called with each epoch's line of `metrics.jsonl`.
        on_checkpoint: called with the epoch after each checkpoint is on the disk.
    """

    folder: RunFolder
    programs: Programs
    plan: EpochPlan
    devices: Devices
    batches: Batches
    root: Array
    rate: Callable[[int], float]
    cool: Callable[[LoopState], LoopState]
    validation: Validation
    settings: TrainingSettings
    on_epoch: Callable[[Mapping[str, Any]], None]
    on_checkpoint: Callable[[int], None] | None = None


def fit(
    run: Run,
    snapshot: Snapshot,
    checkpoints: Checkpoints | None,
    stop: StopRequest,
    progress: EpochProgress,
) -> LoopState:
    """Train from a snapshot (on the host) to the run's end, or until a stop is requested.

    Args:
        run: what to work with.
        snapshot: where to start, the same in every process.
        checkpoints: where they are kept; `None` in a process that writes and shows nothing.
        stop: asked before each call; a request to one process stops all, at the same step.
        progress: shows it.

    Returns:
        Where the loop stands; `finished` says whether it came to its end.

    Raises:
        RunError: a loss or gradient was not finite, or no line could be written; the checkpoints
            made before are kept.
        CheckpointError: a checkpoint could not be written. It or a line that could not, after an
            epoch that something else ended, has that as its context.
    """
    settings, plan, loop = run.settings, run.plan, snapshot.loop
    put = run.devices.put
    state, normaliser, sums = put((snapshot.train, snapshot.normaliser, snapshot.sums))
    step = int(snapshot.train.step)
    # Whatever ends this block, the last epoch is written down, and its checkpoint on the disk.
    with jax.transfer_guard("disallow"), ExitStack() as to_end, ExitStack() as to_write:
        if checkpoints is not None:
            to_end.callback(checkpoints.wait)
        while not loop.finished(settings.epochs, settings.patience):
            began, first = time.perf_counter(), step
            scale = put(loop.rate_scale)
            while step < (int(loop.epoch) + 1) * plan.steps:
                if run.devices.hosts.any(f"step {step}", stop.requested):
                    to_write.close()
                    _require_finite(run, loop, fetch(sums))
                    if checkpoints is not None:
                        middle = Snapshot(train=state, sums=sums, loop=loop, normaliser=normaliser)
                        checkpoints.save(step, leaves_of(fetch(middle)), NOT_VALIDATED)
                    return loop
                store, order = run.batches.at(step)
                state, sums = run.programs.train(
                    state, sums, store, order, normaliser, run.root, scale
                )
                to_write.close()
                jax.block_until_ready(sums)  # so that a signal never waits for queued calls
                stop.something_to_save = True
                step += plan.steps_per_call
                progress.within(int(loop.epoch), step / plan.steps - int(loop.epoch))
            # A process that failed to write has not come here: the others must not wait for it on
            # their devices.
            run.devices.hosts.exchange(f"validation after step {step}", "")
            judged = run.validation.launch(state)
            trained, judged = fetch((sums, judged))
            _require_finite(run, loop, trained)
            sums = put(EpochSums.zero())
            line, loop = _close_epoch(run, loop, trained, judged, step)
            if checkpoints is None:
                continue
            best = loop.best_epoch == loop.epoch
            ended = loop.finished(settings.epochs, settings.patience)
            leaves = None
            if best or ended or loop.epoch % settings.checkpoint_every == 0:
                leaves = leaves_of(
                    fetch(Snapshot(train=state, sums=sums, loop=loop, normaliser=normaliser))
                )
            line["seconds"] = round(time.perf_counter() - began, 3)
            # Of an epoch that was gone on with, those of its other steps.
            windows = plan.windows * (step - first) // plan.steps
            to_write.callback(
                _write_down, run, checkpoints, progress, line, leaves, step, windows, bool(best)
            )
    return loop


def _write_down(
    run: Run,
    checkpoints: Checkpoints,
    progress: EpochProgress,
    line: Mapping[str, Any],
    leaves: Leaves | None,
    step: int,
    windows: int,
    best: bool,
) -> None:
    """Write an epoch's line and begin its checkpoint, where it has one; show it.

    Args:
        run: what the loop works with.
        checkpoints: where they are kept.
        progress: shows it.
        line: of `metrics.jsonl`, but for the hash of what is saved.
        leaves: to be saved, on the host.
        step: updates made.
        windows: trained on within the line's seconds.
        best: whether the score is the best so far.

    Raises:
        RunError: the line could not be written.
        CheckpointError: the checkpoint before could not be, or this one cannot.
    """
    if leaves is not None:
        line = {**line, "state_sha256": content_hash(leaves)}
    # The line first: a kill between the two repeats the epoch, and cuts the line then.
    run.folder.append_metrics(line)
    progress.epoch(line, windows, best=best)
    run.on_epoch(line)
    if leaves is not None:
        checkpoints.save(step, leaves, line[run.validation.score], line["state_sha256"])
        if run.on_checkpoint is not None:
            checkpoints.wait()
            run.on_checkpoint(line["epoch"])


def _require_finite(run: Run, loop: LoopState, sums: EpochSums) -> None:
    """Refuse to go on, or to save, after an update that was not finite and was not skipped.

    Raises:
        RunError: with the step, its learning rate and its batch's videos.
    """
    step, skipped = int(sums.first_nonfinite), int(sums.skipped)
    if step < 0 or 0 < skipped < run.plan.steps:
        return
    videos = nonfinite.listed(run.batches.videos(step))
    rate = run.rate(step) * float(loop.rate_scale)
    all_of_them = " and in all others of its epoch: no update is left" if skipped else ""
    begin = ""
    if loop.best_epoch:
        begin = f", and --init-from {run.folder.path} to begin with the best weights of this one"
    raise RunError(
        f"the loss or its gradient was not finite in step {step + 1} (epoch {int(loop.epoch) + 1}, "
        f"learning rate {rate:.2e}){all_of_them}. Its windows are of the videos {videos}. "
        f"Checkpoints made before are kept in {run.folder.checkpoints}. Look at the videos with "
        f"`jaxbeh doctor --data`; lower optimizer.learning_rate, or leave such updates out by "
        f"training.skip_nonfinite=true, in a run of its own (--run OTHER{begin})"
    )


def _close_epoch(
    run: Run, loop: LoopState, trained: EpochSums, judged: Any, step: int
) -> tuple[dict[str, Any], LoopState]:
    """Divide the sums, once; the epoch's line and the loop's next state.

    Raises:
        RunError: the validation loss is not finite, though every update was.
    """
    epoch = int(loop.epoch) + 1
    figures = run.validation.summarise(judged)
    rate = run.rate(step - 1) * float(loop.rate_scale)
    if not math.isfinite(figures["val_loss"]):
        raise RunError(
            f"the validation loss is {figures['val_loss']} after epoch {epoch} (step {step}, "
            f"learning rate {rate:.2e}), though every update was finite. Checkpoints made before "
            f"are kept in {run.folder.checkpoints}. Either the weights grow without bound: lower "
            f"optimizer.learning_rate, in a run of its own (--run OTHER). Or a validation video "
            f"holds numbers that no training video is like: `jaxbeh doctor --data` looks for them"
        )
    line = {
        "epoch": epoch,
        "train_loss": float(trained.loss) / max(float(trained.weight), LEAST_WEIGHT),
        **figures,
        "learning_rate": rate,
    }
    if run.settings.skip_nonfinite:
        line["skipped_updates"] = int(trained.skipped)
    return line, run.cool(loop.after(figures[run.validation.score]))
