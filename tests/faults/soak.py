"""Trains, restarts and predicts in one process, round after round, and tells what it holds.

`python -m tests.faults.soak MINUTES` prints a line of JSON a round: bytes of host memory in use,
bytes of arrays on the devices, open files and threads.
"""

import ctypes
import gc
import json
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

import jax
import numpy as np
from tiny import StopAfter, assembled, run

from jaxbeh.inference.predictor import Predictor
from jaxbeh.training import assemble as building
from jaxbeh.training.checkpoints import NOT_VALIDATED, Checkpoints, leaves_of
from jaxbeh.training.run_folder import RunFolder

SETTINGS = (
    "model={name: mlp, hidden: [512, 256]}",
    "training.epochs=30",
    "training.checkpoint_every=10",
    "training.patience=null",
)
"""A handful of checkpoints a round, as in a run of the default recipe."""


def host_bytes():
    """Memory of this process, without the pages of files that it maps and what it has freed."""
    ctypes.CDLL(None).malloc_trim(0)
    text = Path("/proc/self/status").read_text()
    return int(text.partition("RssAnon:")[2].split()[0]) * 1024


def device_bytes():
    """Arrays that are alive, or what a device itself says where it does."""
    said = [device.memory_stats() for device in jax.local_devices()]
    if all(said):
        return sum(stats["bytes_in_use"] for stats in said)
    return sum(array.nbytes for array in jax.live_arrays())


def main(minutes):
    """Rounds until the time is up."""
    until = time.monotonic() + 60 * minutes
    config, dataset, made = assembled(*SETTINGS, model=())
    # Once, as in a process of its own: what it compiles is compiled for each snapshot anew.
    first = leaves_of(building.first_snapshot(made, dataset))
    predictor, hashes = None, set()
    with tempfile.TemporaryDirectory() as scratch:
        while time.monotonic() < until:
            folder = Path(scratch) / "run"
            begun = Checkpoints(folder / "checkpoints", print)
            begun.save(0, first, NOT_VALIDATED)
            begun.close()
            run(made, config, dataset, folder, stop=StopAfter(15 * made.plan.steps))
            run(made, config, dataset, folder)
            lines = RunFolder(folder).metrics()
            assert [line["epoch"] for line in lines] == list(range(1, 31))
            hashes.add(lines[-1]["state_sha256"])
            best = Checkpoints(folder / "checkpoints", print, read_only=True).best()
            if predictor is None:
                predictor = Predictor.restore(made.recipe, dataset.slots, best.leaves, folder)
            for _, probabilities in predictor.predict(dataset.validation):
                np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)
            shutil.rmtree(folder)
            gc.collect()
            held = {
                "host": host_bytes(),
                "device": device_bytes(),
                "files": len(list(Path("/proc/self/fd").iterdir())),
                "threads": threading.active_count(),
            }
            sys.stdout.write(json.dumps(held) + "\n")
            sys.stdout.flush()
    assert len(hashes) == 1, "rounds of the same run ended in other bits"


if __name__ == "__main__":
    main(float(sys.argv[1]))
