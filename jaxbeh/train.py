"""The command that trains a recipe: `python -m jaxbeh.train --config v6 --data DIR`."""

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jaxbeh.console import out, print_table
from jaxbeh.wording import how_many, quoted

if TYPE_CHECKING:
    from jaxbeh.settings.run import Config
    from jaxbeh.tasks.task import Task
    from jaxbeh.training.checkpoints import Restored
    from jaxbeh.training.hosts import Hosts
    from jaxbeh.training.run_folder import RunFolder
    from jaxbeh.training.state import LoopState
    from jaxbeh.training.stop import StopRequest
    from jaxbeh.vocabulary import SlotTable


def train(
    config: Annotated[
        str, typer.Option(help="A recipe's name (v6, debug, …) or a YAML file of your own.")
    ] = "v6",
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder in the MABe layout: train.csv, train_tracking/, train_annotation/. "
            "Without it, a small synthetic collection is made once and trained on.",
            show_default=False,
        ),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the run. Without it, runs/CONFIG, or runs/CONFIG-synthetic where no "
            "data is given.",
            show_default=False,
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Override a setting, as in training.epochs=2. May be given several times.",
            show_default=False,
        ),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Recipe v7: parts that networks leave out by turns; as --set members.folds=N.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Recipe v7: networks a fold, all trained together; as --set members.seeds=N.",
            show_default=False,
        ),
    ] = None,
    init_from: Annotated[
        Path | None,
        typer.Option(help="Start from the best weights of another run.", show_default=False),
    ] = None,
    distributed: Annotated[
        bool,
        typer.Option(
            "--distributed",
            help="Be one of several processes, started with the same command on one or more "
            "machines: by Slurm's srun, or with JAX_COORDINATOR_ADDRESS=HOST:PORT, "
            "JAX_NUM_PROCESSES and JAX_PROCESS_ID in the environment of each.",
        ),
    ] = False,
) -> None:
    r"""Train a recipe; the same command continues a run that was interrupted.

    The run's folder holds the resolved settings (config.yaml), the split, the keypoint slots, one
    line an epoch (metrics.jsonl) and the checkpoints. Ctrl-C stops within seconds and saves first;
    an interrupted run continues to the very bits of an uninterrupted one.

    A file of your own may build on a recipe, and say for example

      base: v6

      classes:

        - {name: background}

        - {name: grooming, actions: \[selfgroom, allogroom]}

      loss: {class_weights: \[1, 5]}
    """
    from jaxbeh.config import load_config

    members = {"members.folds": folds, "members.seeds": seeds}
    given = [f"{key}={value}" for key, value in members.items() if value is not None]
    settings = load_config(config, [*(overrides or ()), *given])
    folder = run or Path("runs") / (Path(config).stem + ("" if data else "-synthetic"))
    code = train_run(
        settings, data, folder, init_from, distributed=distributed, leaves=not distributed
    )
    if code:
        raise typer.Exit(code)


def train_run(
    config: "Config",
    data: Path | None,
    path: Path,
    init_from: Path | None = None,
    on_checkpoint: Callable[[int], None] | None = None,
    distributed: bool = False,
    leaves: bool = False,
) -> int:
    """Start or continue a run; print what it is made of and how it goes.

    Args:
        config: the run's settings.
        data: a folder in the MABe layout, or `None` for the synthetic default.
        path: the run's folder.
        init_from: another run whose best weights are the first.
        on_checkpoint: called with the epoch after each checkpoint is on the disk.
        distributed: be one of several processes; each reads its share of the files, and only the
            first one writes, prints, and needs `path` and `init_from`.
        leaves: whether a signal that comes before there is anything to save ends the process.

    Returns:
        0, or 130 or 143 after SIGINT or SIGTERM.

    Raises:
        JaxbehError: settings, data or run folder cannot be used, or training failed.
    """
    from jaxbeh.training.stop import StopRequest

    with (
        ExitStack() as lock,
        StopRequest(partial(_leave, path, lock)) if leaves else nullcontext() as stop,
    ):
        from jaxbeh.collection import keep_programs
        from jaxbeh.machine.compiler import compare_few_kernels
        from jaxbeh.training.hosts import Hosts, connect
        from jaxbeh.training.lock import held

        compare_few_kernels()
        if distributed:
            out.print("Waiting for the other processes of the run, 5 minutes at most.")
        hosts = connect() if distributed else Hosts()
        if hosts.count == 1:
            # Of several, only the first would find a program in the cache; the others would wait
            # for its part in looking for the fastest kernels.
            keep_programs()
        out.quiet = out.quiet or not hosts.first
        with hosts.together():
            if hosts.first:
                lock.enter_context(held(path, out.print))
            return _train(hosts, config, data, path, init_from, on_checkpoint, stop)


def _leave(path: Path, lock: ExitStack, code: int) -> None:
    """End the process from any thread, whatever the main one does."""
    lock.close()
    out.show_cursor()
    out.print(
        f"{path}: stopped, nothing is to be saved just now; the same command goes on from here",
    )
    sys.stdout.flush()
    os._exit(code)


def _train(
    hosts: "Hosts",
    config: "Config",
    data: Path | None,
    path: Path,
    init_from: Path | None,
    on_checkpoint: Callable[[int], None] | None,
    stop: "StopRequest | None",
) -> int:
    from jaxbeh.collection import open_to_train, reading
    from jaxbeh.config import to_yaml
    from jaxbeh.data.content import data_hash
    from jaxbeh.provenance import versions
    from jaxbeh.tasks import prepare, require_fitting
    from jaxbeh.tasks.task import Hooks
    from jaxbeh.training import assemble as building
    from jaxbeh.training import curves, event_files
    from jaxbeh.training.checkpoints import Checkpoints, fill
    from jaxbeh.training.devices import Devices
    from jaxbeh.training.loop import fit
    from jaxbeh.training.progress import EpochProgress
    from jaxbeh.training.run_folder import RunFolder
    from jaxbeh.training.state import LoopState
    from jaxbeh.training.stop import StopRequest

    hosts.require_same("the settings", f"{to_yaml(config)} {init_from}")
    other = RunFolder(init_from) if init_from and hosts.first else None
    if other is not None:
        require_fitting(config, other)
    with reading() as report:
        peers = hosts if hosts.count > 1 else None
        root, recordings = open_to_train(data, config, report, peers)
        task = prepare(recordings, config, report)
    for note in task.notes():
        out.print(note)
    _print_slots(task.slots)
    for table in task.tables():
        print_table(*table)
    made_of = {
        "data_hash": data_hash(recordings),
        "init_from": str(init_from) if init_from else None,
    }
    hosts.require_same("the data", str(made_of["data_hash"]))
    hosts.require_same("split and slots", f"{task.split()} {task.slots.to_json()}")

    # Resume, in this order: 1. the folder is this run's, or there is none; 2. the newest intact
    # checkpoint says how far it is: later lines of metrics are cut, and a run that is finished ends
    # here; 3. stores and programs are built; 4. the checkpoint fills the state; 5. a new run's
    # folder is made, now that nothing is left to be refused: the corrected command would find it
    # there, made from something else; 6. the loop goes on from the state's own step. Folder and
    # checkpoints are the first process's; the others have the state from it.
    folder = RunFolder(path)
    checkpoints, restored, loop = None, None, LoopState.start()
    if hosts.first and folder.exists:
        folder.require_same(config, made_of, task.split())
        _print_changed_versions(folder.record())
        checkpoints = Checkpoints(folder.checkpoints, out.print)
        restored = checkpoints.latest()
        if restored is not None:
            loop = _loop_of(restored, folder)
        folder.cut_metrics(int(loop.epoch))
    over = loop.finished(config.training.epochs, config.training.patience)
    if hosts.any("the end of the run", over):
        if checkpoints is not None:
            checkpoints.close()
        if hosts.first:
            _end(task, folder, config, loop, "is finished already")
        out.print("To start another: --run OTHER, and --init-from to begin with these weights.")
        return 0
    job = task.assemble(Devices.all(hosts), _begun_in(hosts, folder))
    parameters = building.count_parameters(job.template)
    out.print(f"Model: {parameters:,} parameters. {job.plan}")
    resumed = hosts.any("a checkpoint to resume from", restored is not None)
    if restored is not None:
        snapshot = fill(job.template, restored.leaves, folder.checkpoints)
    elif resumed:
        snapshot = job.template
    else:
        snapshot = job.first() if other is None else job.first_from(other, out.print)
    if hosts.first and not folder.exists:
        record = {
            **made_of,
            "data": str(root.resolve()),
            "parameters": parameters,
            "windows": job.windows,
            "train_shards": job.shards[0],
            "validation_shards": job.shards[1],
            **versions(),
            **task.content(),
        }
        folder.start(config, task.slots, task.split(), task.files(), record)
    if hosts.first and checkpoints is None:
        checkpoints = Checkpoints(folder.checkpoints, out.print)
    snapshot = hosts.from_first(snapshot)
    done = int(snapshot.loop.epoch)
    if resumed:
        out.print(f"Continuing {path} after epoch {done}, step {int(snapshot.train.step)}")
    with nullcontext(stop) if stop else StopRequest() as stop:
        figures = path / "tensorboard" if hosts.first else None
        with (
            event_files.writing(figures, done) as on_epoch,
            EpochProgress(out, config, done) as progress,
        ):
            run = job.run(folder, snapshot, Hooks(on_epoch, on_checkpoint))
            loop = fit(run, snapshot, checkpoints, stop, progress)
        if checkpoints is not None:
            checkpoints.close()
        stop.something_to_save = False  # what is left can be done again
        # A process that was not told to stop ends as the one that was.
        code = max(map(int, hosts.exchange("the end", str(stop.exit_code))))
    if not loop.finished(config.training.epochs, config.training.patience):
        out.print(
            f"Stopped in epoch {int(loop.epoch) + 1}, in {folder.checkpoints} all saved; the same "
            f"command continues."
        )
        return code
    if hosts.first:
        _end(task, folder, config, loop, "is finished")
    if hosts.first and curves.AVAILABLE:
        curves.draw_curves(folder.metrics(), config, path / "curves.png")
    elif not curves.AVAILABLE:
        out.print("No curves.png: it needs matplotlib (pip install '.[plots]').")
    if config.labelled:
        out.print(
            f"Score it, and predict test videos: python -m jaxbeh.evaluate --run {quoted(path)}"
        )
    else:
        of = f" --data {quoted(data)}" if data else ""
        out.print(
            f"Start recipe v7 from it: python -m jaxbeh.train --config v7 --init-from "
            f"{quoted(path)}{of}"
        )
    return 0


def _loop_of(restored: "Restored", folder: "RunFolder") -> "LoopState":
    """Where the loop stood, without the shapes of the rest."""
    from jaxbeh.training.checkpoints import fill
    from jaxbeh.training.state import LoopState

    own = {path: leaf for path, leaf in restored.leaves.items() if path.startswith("loop.")}
    return fill({"loop": LoopState.start()}, own, folder.checkpoints)["loop"]


def _begun_in(hosts: "Hosts", folder: "RunFolder") -> tuple[int, int] | None:
    """The shards that a run's frames were divided into when it began; `None` in a new one."""
    begun = ""
    if hosts.first and folder.exists:
        record = folder.record()
        begun = f"{record.get('train_shards', 1)} {record.get('validation_shards', 1)}"
    first = hosts.exchange("the shards", begun)[0]
    if not first:
        return None
    train, validation = map(int, first.split())
    return train, validation


def _print_slots(slots: "SlotTable") -> None:
    used = [(slot, name) for slot, name in enumerate(slots.names) if name is not None]
    sources: dict[str, list[str]] = {}
    for own, name in slots.aliases.items():
        sources.setdefault(name, []).append(own)
    print_table(
        "Keypoint slots",
        ["slot", "keypoint", "also called"],
        [(slot, name, ", ".join(sources.get(name, []))) for slot, name in used],
    )


def _print_changed_versions(record: "dict[str, Any]") -> None:
    from jaxbeh.provenance import versions

    now = versions()
    before = {**record.get("packages", {}), "devices": record.get("devices")}
    changed = [
        f"{name} was {before[name]}, is {value}"
        for name, value in {**now["packages"], "devices": now["devices"]}.items()
        if name in before and before[name] != value
    ]
    if changed:
        out.print(
            f"Begun elsewhere ({'; '.join(changed)}): the run continues, but not to the very bits "
            f"that it would have come to there."
        )


def _end(task: "Task", folder: "RunFolder", config: "Config", loop: "LoopState", is_: str) -> None:
    """Do what is left after the last epoch, and say what the run came to."""
    for table in task.finish(folder, out.print):
        print_table(*table)
    out.print(
        f"{folder.path} {is_}: {how_many(int(loop.epoch), 'epoch')}, best validation "
        f"{config.score_name} {float(loop.best_score):.4f} in epoch {int(loop.best_epoch)}"
    )


def main() -> None:
    """Run the command on the words of the command line."""
    from jaxbeh.cli import run_command

    run_command(train)


if __name__ == "__main__":
    main()
