r"""Does letting a GPU's kernels run side by side change a bit, and what does it save?

    python benchmarks/side_by_side.py                                # on a GPU: v1 to v7
    python benchmarks/side_by_side.py --configs v6 --set training.epochs=20

Every recipe is trained on the synthetic default with the kernels of all its programs one after
another, the same again, and as training compiles them: each waits only for those whose results it
uses. If the compiler overlooks that one uses another's result, the states differ. What kernels it
chooses by their times for the first run it keeps for the others.

One JSON line a recipe: whether the states of the second run are the first's to the last bit after
every epoch (`repeated`; otherwise nothing is decided) and those of the third (`same`), and the
seconds of the fastest epoch, each way. Ends with 1 unless both hold.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import jax
from systems import train

from jaxbeh.collection import open_to_train, reading
from jaxbeh.config import load_config
from jaxbeh.settings.run import Config
from jaxbeh.tasks import prepare
from jaxbeh.tasks.task import Task
from jaxbeh.training import compilation

Options = dict[str, str | bool]
IN_TURN: Options = {"xla_gpu_command_buffer_scheduling_mode": "SERIALIZE"}


def in_turn(_: Any, __: Any, extra: Options) -> Options:
    """In place of `compilation.options`."""
    return IN_TURN | extra


WAYS: dict[str, Callable[..., Options | None]] = {
    "in_turn": in_turn,
    "again": in_turn,
    "side_by_side": compilation.options,
}


def epochs_of(
    task: Task, config: Config, options: Callable[..., Options | None], kernels: str
) -> list[dict[str, Any]]:
    """What each epoch of a run says of itself.

    Args:
        task: what is trained.
        config: its settings.
        options: the compiler's for a program, as `compilation.options`.
        kernels: a folder that keeps which kernels were chosen.
    """
    kept = {"xla_gpu_per_fusion_autotune_cache_dir": kernels}

    def both(*given: Any) -> Options:
        return (options(*given) or {}) | kept

    with mock.patch.object(compilation, "options", both), tempfile.TemporaryDirectory() as folder:
        return train(task, config, Path(folder) / "run").folder.metrics()


def compare(name: str, overrides: list[str]) -> dict[str, Any]:
    """Train a recipe all ways."""
    config = load_config(name, ["training.checkpoint_every=1", *overrides])
    with reading() as told:
        _, recordings = open_to_train(None, config, told)
        task = prepare(recordings, config, told)
    with tempfile.TemporaryDirectory() as kernels:
        epochs = {way: epochs_of(task, config, given, kernels) for way, given in WAYS.items()}
    states = {way: [line["state_sha256"] for line in lines] for way, lines in epochs.items()}
    seconds = {way: min(line["seconds"] for line in lines) for way, lines in epochs.items()}
    return {
        "recipe": name,
        "repeated": states["again"] == states["in_turn"],
        "same": states["side_by_side"] == states["in_turn"],
        "epochs": len(states["in_turn"]),
        "state": states["in_turn"][-1],
        "epoch_seconds": seconds,
    }


def main() -> None:
    """Read the command line, print JSON lines."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--configs", nargs="+", default=["v1", "v2", "v3", "v5", "v6", "v7"])
    options.add_argument("--set", nargs="+", action="extend", default=[], dest="overrides")
    given = options.parse_args()
    lines = []
    for name in given.configs:
        lines.append(compare(name, ["training.epochs=3", *given.overrides]))
        device = {"device": jax.devices()[0].device_kind, "jax": jax.__version__}
        print(json.dumps(lines[-1] | device), flush=True)
    if not all(line["repeated"] for line in lines):
        raise SystemExit("undecided: in turn, what was trained twice is not the same")
    if not all(line["same"] for line in lines):
        raise SystemExit("side by side, what was trained is not the same")


if __name__ == "__main__":
    main()
