"""Whole epochs of v6 at the challenge's scale, from invented frames on the device.

    python benchmarks/epoch_speed.py                       # 226,506 + 30,354 windows; a GPU
    python benchmarks/epoch_speed.py --scale 0.01          # a hundredth: minutes on two cores
    python benchmarks/epoch_speed.py --devices 2 --batch 768

Runs the programs of a training run as its loop runs them: the shuffle, the calls of some steps,
validation, one fetch an epoch. One JSON line: seconds of compiling and of each epoch, steps and
windows a second, the seconds of a hundred epochs by that with a checkpoint every fifth (written and
waited for, the way training does), peak memory of the fullest device, and the share of the matrix
units' measured ceiling that the arithmetic of `FLOPS_A_WINDOW` comes to.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from invented_frames import KEYPOINTS, scenes
from jax.typing import DTypeLike

from jaxbeh.config import load_config
from jaxbeh.data.store import FrameStore, build_store, nbytes, window_table
from jaxbeh.features.normaliser import Normaliser
from jaxbeh.training import optimiser, schedule
from jaxbeh.training.assemble import longest_call
from jaxbeh.training.checkpoints import NOT_VALIDATED, Checkpoints, leaves_of
from jaxbeh.training.devices import Devices
from jaxbeh.training.fetch import fetch
from jaxbeh.training.plan import EpochPlan
from jaxbeh.training.programs import build_programs
from jaxbeh.training.recipe import Recipe
from jaxbeh.training.state import EpochSums
from jaxbeh.vocabulary import SlotTable

TRAIN_WINDOWS, VALIDATION_WINDOWS = 226_506, 30_354
FLOPS_A_WINDOW = 86.3e6
"""Of v6's forward pass, the head's first product before the upsampling; training takes 3 times."""


def invented_store(windows: int, length: int, stride: int) -> FrameStore:
    """A store on the host with this many windows, in videos of up to 20,000 frames."""
    per_video = (20_000 - length) // stride + 1
    counts = [per_video] * (windows // per_video)
    counts += [windows % per_video] * (windows % per_video > 0)
    lengths = [(count - 1) * stride + length for count in counts]
    table = window_table(lengths, length, stride)
    return build_store(scenes(lengths), SlotTable.build(KEYPOINTS, {}), table)


def ceiling(dtype: DTypeLike) -> float:
    """FLOP a second of a large product on one device, the best of five."""
    size = 8192 if jax.default_backend() == "gpu" else 1024
    draw = jax.random.normal(jax.random.key(0), (size, size)).astype(dtype)
    product = jax.jit(lambda left, right: left @ right)
    product(draw, draw).block_until_ready()
    times = []
    for _ in range(5):
        began = time.perf_counter()
        product(draw, draw).block_until_ready()
        times.append(time.perf_counter() - began)
    return 2 * size**3 / min(times)


def measure(scale: float, batch: int, devices: int, epochs: int, precision: str) -> dict:
    """Compile, run some epochs, write a checkpoint; the line that is printed."""
    config = load_config("v6", [f"training.precision={precision}", f"training.batch_size={batch}"])
    window, chosen = config.window, Devices.of(jax.devices()[:devices])
    train = invented_store(round(scale * TRAIN_WINDOWS), window.length, window.train_stride)
    judged = invented_store(
        round(scale * VALIDATION_WINDOWS), window.length, window.validation_stride
    )
    held = nbytes(train) + nbytes(judged)
    frames = int(train.frames.sum() + judged.frames.sum())
    plan = EpochPlan.build(len(train.windows), batch, longest_call())
    validation = EpochPlan.build(len(judged.windows), batch, longest_call())
    recipe = Recipe.from_config(config, chosen.mesh if devices > 1 else None)
    course = schedule.build(config.optimizer, config.schedule, plan.steps, config.training.epochs)
    rule = optimiser.build(config.optimizer, course.rate)
    programs = build_programs(recipe, rule, plan, validation, chosen)
    put = chosen.put
    train, judged = chosen.place(train, whole=True), chosen.place(judged, whole=True)
    count = len(recipe.features.names)
    normaliser = put(Normaliser(np.zeros(count, np.float32), np.full(count, 20, np.float32)))
    root, one = put(jax.random.key(0)), put(np.float32(1))

    began = time.perf_counter()
    state, sums = programs.init(root), put(EpochSums.zero())

    def epoch(state, sums):
        order = programs.shuffle(root, state.step)
        for _ in range(plan.steps // plan.steps_per_call):
            state, sums = programs.train(state, sums, train, order, normaliser, root, one)
            jax.block_until_ready(sums)
        fetched, _ = fetch((sums, programs.validate(state, judged, normaliser)))
        return state, put(EpochSums.zero()), float(fetched.loss) / float(fetched.weight)

    state, sums, loss = epoch(state, sums)
    first = time.perf_counter() - began
    times = []
    for _ in range(epochs):
        began = time.perf_counter()
        state, sums, loss = epoch(state, sums)
        times.append(time.perf_counter() - began)
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder), print)
        began = time.perf_counter()
        checkpoints.save(int(state.step), leaves_of(fetch(state)), NOT_VALIDATED)
        checkpoints.wait()
        checkpoint = time.perf_counter() - began
        checkpoints.close()
    seconds = statistics.median(times)
    windows = plan.windows + validation.windows / 3
    spent = 3 * FLOPS_A_WINDOW * windows / seconds / devices
    memory = [device.memory_stats() or {} for device in chosen.mesh.devices.flat]
    return {
        "device": f"{devices} x {jax.devices()[0].device_kind}",
        "jax": jax.__version__,
        "precision": str(jnp.dtype(recipe.model.dtype)),
        "batch": batch,
        "windows": [plan.windows, validation.windows],
        "frames": frames,
        "store_mb": round(held / 1e6),
        "steps": plan.steps,
        "first_epoch_s": round(first, 2),
        "epoch_s": round(seconds, 3),
        "epoch_spread_s": round(max(times) - min(times), 3),
        "steps_a_second": round(plan.steps / seconds, 1),
        "windows_a_second": round((plan.windows + validation.windows) / seconds),
        "checkpoint_s": round(checkpoint, 2),
        "hundred_epochs_s": round(first + 99 * seconds + 20 * checkpoint, 1),
        "peak_memory_mb": round(max(one.get("peak_bytes_in_use", 0) for one in memory) / 1e6),
        "share_of_matrix_ceiling": round(spent / ceiling(recipe.model.dtype), 4),
        "loss": round(loss, 3),
    }


def main() -> None:
    """Read the command line, print a JSON line."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--scale", type=float, default=1.0, help="share of the windows")
    options.add_argument("--batch", type=int, default=384, help="windows of a step, all devices")
    options.add_argument("--devices", type=int, default=1)
    options.add_argument("--epochs", type=int, default=3, help="after the first, which compiles")
    options.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"))
    given = options.parse_args()
    line = measure(given.scale, given.batch, given.devices, given.epochs, given.precision)
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
