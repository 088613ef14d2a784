"""Is a run the same on one device and on two? Six updates of v6, loss by loss.

    python benchmarks/same_losses.py                              # on two GPUs

    export JAX_PLATFORMS=cpu XLA_FLAGS=--xla_force_host_platform_device_count=2    # on a CPU
    python benchmarks/same_losses.py --config debug --batch 16 --frames 5000

The recipe as training runs it, on invented frames, in float32 with products of full precision: on
one device; on two, each with all frames; on two with the frames cut into blocks; and by way of
checkpoints from two devices to one and back, and from one to two and back. One JSON line a variant
with the loss of each update, then a table. Ends with 1 if a loss differs from one device's by more
than 1e-5.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from unittest import mock

import jax
import numpy as np
from invented_frames import KEYPOINTS, scenes

from jaxbeh.config import load_config
from jaxbeh.training import assemble as building
from jaxbeh.training.checkpoints import NOT_VALIDATED, Checkpoints, leaves_of
from jaxbeh.training.dataset import Dataset
from jaxbeh.training.devices import Devices
from jaxbeh.training.fetch import fetch
from jaxbeh.training.state import EpochSums, Snapshot, TrainState
from jaxbeh.vocabulary import SlotTable

UPDATES = 6
BOUND = 1e-5
VARIANTS = {
    "one device": [(1, "whole", UPDATES)],
    "two devices, frames whole": [(2, "whole", UPDATES)],
    "two devices, frames cut": [(2, "cut", UPDATES)],
    "two, one, two by checkpoints": [(2, "whole", 2), (1, "whole", 2), (2, "cut", 2)],
    "one, two, one by checkpoints": [(1, "whole", 2), (2, "whole", 2), (1, "whole", 2)],
}
"""Stretches of updates: on how many devices, how the frames are held, how many."""


class Trainer:
    """The programs of a recipe, one update a call."""

    def __init__(self, config_name: str, batch: int, frames: int) -> None:
        settings = [f"training.batch_size={batch}", "training.precision=float32"]
        self._config = load_config(config_name, settings)
        lengths = [min(frames, 20_000)] * max(1, frames // 20_000)
        slots = SlotTable.build(KEYPOINTS, {})
        self._dataset = Dataset(tuple(scenes(lengths)), tuple(scenes(lengths[:1], seed=1)), slots)
        self._on = cache(self._assemble)

    def _assemble(self, count: int, held: str) -> tuple[building.Assembled, Snapshot]:
        devices = Devices.of(jax.devices()[:count])
        with mock.patch.object(building, "longest_call", return_value=1):
            made = building.assemble(self._config, self._dataset, devices, held == "whole")
        return made, building.first_snapshot(made, self._dataset)

    def losses(self, stretches: Sequence[tuple[int, str, int]]) -> list[float]:
        """The loss of each update; a checkpoint is written behind each stretch, and restored."""
        found: list[float] = []
        with tempfile.TemporaryDirectory() as folder:
            checkpoints = Checkpoints(Path(folder), print)
            for count, held, updates in stretches:
                made, snapshot = self._on(count, held)
                restored = checkpoints.latest()
                if restored is not None:
                    snapshot = building.resume(made, restored, Path(folder))
                state, losses = train(made, snapshot, updates)
                found += losses
                after = leaves_of(snapshot.replace(train=fetch(state)))
                checkpoints.save(len(found), after, NOT_VALIDATED)
                checkpoints.wait()
            checkpoints.close()
        return found


def train(
    made: building.Assembled, snapshot: Snapshot, updates: int
) -> tuple[TrainState, list[float]]:
    """Some updates from a snapshot; the loss of each."""
    put = made.devices.put
    state, normaliser, scale = put((snapshot.train, snapshot.normaliser, snapshot.loop.rate_scale))
    order = made.programs.shuffle(made.root, state.step)
    losses = []
    for _ in range(updates):
        state, sums = made.programs.train(
            state, put(EpochSums.zero()), made.frames.train, order, normaliser, made.root, scale
        )
        losses.append(float(sums.loss) / float(sums.weight))
    return state, losses


def table(losses: dict[str, list[float]], apart: dict[str, float]) -> str:
    """Markdown: a row a variant."""
    rows = [
        ["", *(f"update {number}" for number in range(1, UPDATES + 1)), "apart, of the loss"],
        ["---"] * (UPDATES + 2),
    ]
    for name, found in losses.items():
        rows.append([name, *(f"{loss:.7f}" for loss in found), f"{apart[name]:.1e}"])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    """Read the command line, print JSON lines and a table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--config", default="v6", help="a recipe")
    options.add_argument("--batch", type=int, default=384, help="windows of an update")
    options.add_argument("--frames", type=int, default=240_000, help="in videos of up to 20,000")
    given = options.parse_args()
    if len(jax.devices()) < 2:
        raise SystemExit(f"two devices are needed; JAX sees {jax.devices()}")
    jax.config.update("jax_default_matmul_precision", "highest")
    trainer = Trainer(given.config, given.batch, given.frames)
    losses: dict[str, list[float]] = {}
    apart: dict[str, float] = {}
    worst = 0.0
    for name, stretches in VARIANTS.items():
        losses[name] = trainer.losses(stretches)
        expected = np.array(losses["one device"])
        difference = np.abs(losses[name] - expected)
        apart[name], worst = float((difference / expected).max()), max(worst, difference.max())
        line = {
            "variant": name,
            "device": jax.devices()[0].device_kind,
            "jax": jax.__version__,
            "config": given.config,
            "batch": given.batch,
            "losses": losses[name],
            "max_difference": float(difference.max()),
            "max_relative_difference": apart[name],
        }
        print(json.dumps(line), flush=True)
    print(table(losses, apart))
    if not worst <= BOUND:
        raise SystemExit(f"a loss is {worst:.1e} off one device's; {BOUND:.0e} is allowed")


if __name__ == "__main__":
    main()
