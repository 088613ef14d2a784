"""One training step of v6: jaxbeh beside PyTorch, in the same run.

    python benchmarks/train_speed.py                # needs torch
    python benchmarks/train_speed.py --variants jaxbeh-float32,torch-eager-float32 --steps 3

Frames are on the device for all; each step gathers its windows, computes v6's 288 features,
standardises them, adds noise, and trains the same network (3,003,204 parameters) by AdamW with
clipped gradients and dropout. PyTorch is given the exact rewrites that jaxbeh uses; `…-original`
has the original's own form. Variants take turns, round by round, each in a process of its own. One
JSON line a variant: median milliseconds a step, the rounds' spread, the loss it reached (to see
that it learns), compilation or warm-up, and for jaxbeh's how many times the best PyTorch's speed
that is.

`--profile jaxbeh-bfloat16` prints where the time of a step goes instead, kernel by kernel.
"""

import argparse
import collections
import gzip
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from subprocess import PIPE

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import numpy as np
from invented_frames import KEYPOINTS, scenes

from jaxbeh.config import load_config
from jaxbeh.data.store import FrameStore, build_store, window_table
from jaxbeh.features.normaliser import Normaliser
from jaxbeh.machine.compiler import compare_few_kernels
from jaxbeh.training import optimiser, schedule
from jaxbeh.training.compilation import Arguments, compile_ahead
from jaxbeh.training.devices import Devices
from jaxbeh.training.plan import EpochPlan
from jaxbeh.training.programs import build_programs
from jaxbeh.training.recipe import Recipe
from jaxbeh.training.state import EpochSums
from jaxbeh.vocabulary import KEYPOINT_SLOTS, MOUSE_SLOTS, SlotTable

FRAMES = 2_000_000
FEATURES = 288


@dataclass
class Variant:
    """A way of training, warmed up.

    Attributes:
        run: trains some steps and gives the last loss, with the device at rest.
        preparation: seconds that compilation and the first steps took.
    """

    run: Callable[[], float]
    preparation: float


def invented_store(config, frames: int) -> FrameStore:
    """A store of invented frames in videos of 20,000, with v6's windows."""
    lengths = [20_000] * max(1, frames // 20_000)
    window = config.window
    made = scenes(lengths)
    slots = SlotTable.build(KEYPOINTS, {})
    return build_store(made, slots, window_table(lengths, window.length, window.train_stride))


def neutral() -> tuple[np.ndarray, np.ndarray]:
    """A mean and a deviation of v6's features that leave them about as large as real ones."""
    heavy = np.arange(FEATURES) >= FEATURES // 2
    return np.where(heavy, 2, 0).astype(np.float32), np.where(heavy, 2, 20).astype(np.float32)


def jaxbeh_variant(precision: str, batch: int, steps: int) -> Variant:
    """The programs of a run, called as the loop calls them."""
    config = load_config("v6", [f"training.precision={precision}", f"training.batch_size={batch}"])
    recipe = Recipe.from_config(config)
    devices = Devices.of(jax.devices()[:1])
    store = devices.put(invented_store(config, FRAMES))
    windows = len(store.windows) // (batch * steps) * batch * steps
    plan = EpochPlan(windows=windows, steps=windows // batch, rows=batch, steps_per_call=steps)
    course = schedule.build(config.optimizer, config.schedule, plan.steps, config.training.epochs)
    rule = optimiser.build(config.optimizer, course.rate)
    root, normaliser = devices.key(0), devices.put(Normaliser(*neutral()))
    began = time.perf_counter()
    programs = build_programs(recipe, rule, plan, plan, devices)
    arguments = Arguments.of(
        *(programs, devices, root, store, (plan.steps, plan.rows)),
        judged=store,
        normaliser=normaliser,
    )
    programs = compile_ahead(programs, arguments, devices)
    state, sums, one = programs.init(root), *devices.put((EpochSums.zero(), np.float32(1)))
    order = programs.shuffle(root, state.step)

    def run() -> float:
        nonlocal state, sums
        state, sums = programs.train(state, sums, store, order, normaliser, root, one)
        loss = float(sums.loss) / float(sums.weight)
        sums = devices.put(EpochSums.zero())
        return loss

    run()
    return Variant(run, time.perf_counter() - began)


def torch_variant(form: str, precision: str, original: bool, batch: int, steps: int) -> Variant:
    """The twin in PyTorch."""
    import torch
    from torch_model import Batches, build_step

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    device = "cuda" if torch.cuda.is_available() else "cpu"
    coordinates = np.zeros((FRAMES, MOUSE_SLOTS * len(KEYPOINT_SLOTS) * 2), np.int16)
    walk = np.concatenate([scene.recording.tracking.xy for scene in scenes([20_000])])
    coordinates[:, :28] = np.resize(walk.reshape(-1, 28), (FRAMES, 28))
    labels = np.resize(scenes([20_000])[0].labels.values, FRAMES)
    batches = Batches(coordinates, labels, *neutral(), batch, device)
    began = time.perf_counter()
    step = build_step(batches, form, not original, precision)

    def run() -> float:
        for _ in range(steps):
            loss = step()
        return float(loss)

    run()
    return Variant(run, time.perf_counter() - began)


def makers() -> dict[str, Callable[[int, int], Variant]]:
    """All variants that this machine can run, by name."""
    found: dict[str, Callable[[int, int], Variant]] = {}
    for precision in ("float32", "bfloat16"):
        found[f"jaxbeh-{precision}"] = partial(jaxbeh_variant, precision)
    gpu = jax.default_backend() == "gpu"
    for form in ("eager", "compile", *(["graph"] if gpu else [])):
        for precision in ("float32", "bfloat16"):
            found[f"torch-{form}-{precision}"] = partial(torch_variant, form, precision, False)
    for precision in ("float32", "bfloat16"):
        name = f"torch-eager-{precision}-original"
        found[name] = partial(torch_variant, "eager", precision, True)
    return found


class Worker:
    """A variant in a process of its own, so that neither memory nor a failure is shared."""

    def __init__(self, name: str, batch: int, steps: int) -> None:
        words = [sys.executable, __file__, "--work", name, "--batch", str(batch)]
        self._process = subprocess.Popen(
            [*words, "--steps", str(steps)], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True
        )
        self.ready = self._answer()

    def run(self) -> dict[str, float]:
        """One round."""
        print(file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, float]:
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(self._process.stderr.read().strip()[-300:])


def work(name: str, batch: int, steps: int) -> None:
    """Be a worker: prepare, then run a round for every line that comes."""
    variant = makers()[name](batch, steps)
    print(json.dumps({"preparation": variant.preparation}), flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        loss = variant.run()
        spent = (time.perf_counter() - began) / steps * 1e3
        print(json.dumps({"milliseconds": spent, "loss": loss}), flush=True)


def measure(names: list[str], batch: int, steps: int, rounds: int) -> Iterator[dict[str, object]]:
    """Prepare every variant, then let them take turns."""
    workers: dict[str, Worker] = {}
    for name in names:
        try:
            workers[name] = Worker(name, batch, steps)
        except RuntimeError as error:
            yield {"variant": name, "failed": str(error)}
    answers: dict[str, list[dict[str, float]]] = {name: [] for name in workers}
    for _ in range(rounds):
        for name, worker in workers.items():
            answers[name].append(worker.run())
    times = {name: [one["milliseconds"] for one in found] for name, found in answers.items()}
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        line: dict[str, object] = {
            "variant": name,
            "ms_a_step": round(median, 3),
            "spread_ms": round(max(times[name]) - min(times[name]), 3),
            "windows_a_second": round(batch / median * 1e3),
            "loss": round(answers[name][-1]["loss"], 3),
            "preparation_s": round(workers[name].ready["preparation"], 1),
        }
        if name.startswith("jaxbeh"):
            for kind in ("float32", ""):
                others = [
                    value for other, value in medians.items() if "torch" in other and kind in other
                ]
                if others:
                    key = f"times_the_best_torch{'_' * bool(kind)}{kind}"
                    line[key] = round(min(others) / median, 2)
        yield line


def profile(name: str, batch: int, steps: int) -> None:
    """Print the kernels of a step by the time they take."""
    variant = makers()[name](batch, steps)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            variant.run()
        trace = next(Path(folder).rglob("*.trace.json.gz"))
        events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    streams = {
        (event["pid"], event["tid"])
        for event in events
        if event.get("name") == "thread_name" and "tream" in event["args"]["name"]
    }
    time_of: collections.Counter[str] = collections.Counter()
    count: collections.Counter[str] = collections.Counter()
    for event in events:
        if event.get("ph") == "X" and (event["pid"], event["tid"]) in streams:
            label = event["name"]
            source = event.get("args", {}).get("name", "")
            key = f"{label[:60]:60} {source[-90:]}"
            time_of[key] += event["dur"] / steps
            count[key] += 1
    print(f"{sum(time_of.values()):.1f} us busy a step, {sum(count.values()) / steps:.0f} kernels")
    for key, spent in time_of.most_common(120):
        print(f"{spent:8.2f} us x{count[key] / steps:5.1f}  {key}")


def main() -> None:
    """Read the command line, print JSON lines."""
    compare_few_kernels()
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--variants", default=",".join(makers()))
    options.add_argument("--batch", type=int, default=384)
    options.add_argument("--steps", type=int, default=100 if jax.default_backend() == "gpu" else 2)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--profile", metavar="VARIANT")
    options.add_argument("--work", metavar="VARIANT", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.work:
        work(given.work, given.batch, given.steps)
        return
    if given.profile:
        profile(given.profile, given.batch, given.steps)
        return
    print(
        json.dumps(
            {
                "machine": platform.processor() or platform.machine(),
                "device": jax.devices()[0].device_kind,
                "jax": jax.__version__,
                "batch": given.batch,
                "steps": given.steps,
                "rounds": given.rounds,
            }
        ),
        flush=True,
    )
    for line in measure(given.variants.split(","), given.batch, given.steps, given.rounds):
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
