"""Run by `test_devices.py` in a process that sees eight devices, and by `two_hosts.py`."""

import json
import sys
from pathlib import Path

import jax
import numpy as np
from tiny import CONV_BILSTM, StopAfter, assembled, run

from jaxbeh.training import assemble as building
from jaxbeh.training.devices import Devices
from jaxbeh.training.run_folder import RunFolder

PADDED = (
    "model={name: tcn, channels: [4, 4], dropout: 0.3}",
    "augmentation.mixup=0.2",
    "training.batch_size=48",
    # Adam's first updates are as large for a gradient that is rounding as for any other.
    "optimizer.learning_rate=1e-4",
)
"""Of 36 windows a step, which eight devices and fewer pad to 40 rows, and three to 48."""


def train(count, held, hosts=None, model=CONV_BILSTM):
    """Six updates and a validation."""
    _, dataset, made = assembled(
        model=model, devices=Devices.of(jax.devices()[: int(count)], hosts), whole=held == "whole"
    )
    first = building.first_snapshot(made, dataset)
    put = made.devices.put
    state, sums, normaliser = put((first.train, first.sums, first.normaliser))
    scale, losses = put(first.loop.rate_scale), []
    for _ in range(6):
        order = made.programs.shuffle(made.root, state.step)
        state, sums = made.programs.train(
            state, sums, made.frames.train, order, normaliser, made.root, scale
        )
        losses.append(float(sums.loss) / float(sums.weight))
        if len(losses) == 1:
            # Later the biases in front of a normalisation, which nothing steers, have moved by the
            # rounding of gradients that are 0, and the running means with them.
            statistics = [np.asarray(leaf).ravel() for leaf in jax.tree.leaves(state.batch_stats)]
    judged = made.programs.validate(state, made.frames.validation, normaliser)
    shard = made.frames.train.points.addressable_shards[0].data
    return {
        "devices": made.devices.count,
        "points": made.frames.train.points.shape[0],
        "points_on_each": shard.shape[0],
        "windows_on_each": made.plan.rows // made.devices.count,
        "losses": losses,
        "mean": np.asarray(first.normaliser.mean).tolist(),
        "statistics": np.concatenate([*statistics, np.zeros(0)]).tolist(),
        "confusion": np.asarray(judged.confusion).tolist(),
    }


def padded(*counts):
    """The same updates with more rows of padding in a batch."""
    return [train(count, "whole", model=PADDED) for count in counts]


def resume(_, path, before, after):
    """An epoch on some devices, the next on others."""
    for count, stopping in ((before, True), (after, False)):
        config, dataset, made = assembled(
            "training.epochs=2", devices=Devices.of(jax.devices()[: int(count)])
        )
        stop = StopAfter(made.plan.steps) if stopping else None
        run(made, config, dataset, Path(path), stop=stop)
    lines = RunFolder(Path(path)).metrics()
    return {
        "epochs": [line["epoch"] for line in lines],
        "losses": [line["train_loss"] for line in lines],
    }


if __name__ == "__main__":
    name, *words = sys.argv[1:]
    sys.stdout.write(
        json.dumps({"train": train, "padded": padded, "resume": resume}[name](*words)) + "\n"
    )
