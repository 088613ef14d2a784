r"""Does letting a GPU's kernels run side by side change a bit, and what does it save?

    python benchmarks/side_by_side.py                                # on a GPU: v1 to v7
    python benchmarks/side_by_side.py --configs v6 --set training.epochs=20

Every recipe is trained twice on the synthetic default: with the kernels of all its programs one
after another, and with each waiting only for those whose results it uses. If the compiler overlooks
that one uses another's result, the states differ. It must not choose its kernels by their times
here, which differ from one compilation to the next: `--xla_gpu_autotune_level=0`.

One JSON line a recipe: whether the states are the same to the last bit after every epoch, and the
seconds of the fastest epoch, each way. Ends with 1 if a recipe's states are not.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_autotune_level=0"

import jax
from systems import train

from jaxbeh.collection import open_to_train, reading
from jaxbeh.config import load_config
from jaxbeh.settings.run import Config
from jaxbeh.tasks import prepare
from jaxbeh.tasks.task import Task
from jaxbeh.training.devices import SIDE_BY_SIDE, Devices

IN_TURN = dict.fromkeys(SIDE_BY_SIDE, "SERIALIZE")


def epochs_of(task: Task, config: Config, compiler_options: dict[str, str]) -> list[dict[str, Any]]:
    """What each epoch of a run says of itself, all its programs compiled with these options."""

    def jit(devices: Devices, function: Callable[..., Any], **options: Any) -> Any:
        options.pop("side_by_side", None)
        placement = devices.everywhere
        return jax.jit(
            function, out_shardings=placement, compiler_options=compiler_options, **options
        )

    with mock.patch.object(Devices, "jit", jit), tempfile.TemporaryDirectory() as folder:
        return train(task, config, Path(folder) / "run").folder.metrics()


def compare(name: str, overrides: list[str]) -> dict[str, Any]:
    """Train a recipe both ways."""
    config = load_config(name, ["training.checkpoint_every=1", *overrides])
    with reading() as told:
        _, recordings = open_to_train(None, config, told)
        task = prepare(recordings, config, told)
    ways = {"in_turn": IN_TURN, "side_by_side": SIDE_BY_SIDE}
    epochs = {way: epochs_of(task, config, options) for way, options in ways.items()}
    states = [[line["state_sha256"] for line in lines] for lines in epochs.values()]
    seconds = {way: min(line["seconds"] for line in lines) for way, lines in epochs.items()}
    return {
        "recipe": name,
        "same": states[0] == states[1],
        "epochs": len(states[0]),
        "state": states[0][-1],
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
    if not all(line["same"] for line in lines):
        raise SystemExit("side by side, what was trained is not the same")


if __name__ == "__main__":
    main()
