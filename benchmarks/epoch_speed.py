"""Whole epochs of v6 at the challenge's scale, from invented frames, on one device and on several.

    python benchmarks/epoch_speed.py                       # 226,506 + 30,354 windows; a GPU
    python benchmarks/epoch_speed.py --scale 0.01          # a hundredth: minutes on two cores
    python benchmarks/epoch_speed.py --devices 1 2 --batch 384 1536

Runs the programs of a training run as its loop runs them: the shuffle, the calls of some steps,
validation, one fetch an epoch. `--batch` counts the windows of a step on each device. Numbers of
devices take turns, round by round, in one process.

One JSON line a variant: seconds of compilation, of the first epoch with it, and of the others
(median, and largest less smallest); steps and windows a second; the seconds by which a checkpoint
makes an epoch longer (fetched before it, hashed and written beside it, as training does) and those
of a hundred epochs with one every fifth; and the share of the matrix units' measured ceiling that
the arithmetic of `FLOPS_A_WINDOW` comes to. A process that measures one variant gives the peak
memory of the fullest device as well. With 1 among `--devices`, several have an efficiency: their
windows a second over those of as many single devices.

Where a step's time goes, in milliseconds a step, medians over the same rounds (`beside` and
`exchange` with 1 among `--devices`):

- `step`: the loop's calls of the training program, nothing else;
- `host`: what is saved when the calls are queued, and not waited for one by one (less than nothing
  where that is lost in the spread);
- `input`: a program that only gathers the step's windows;
- `beside`: every device trains by itself, all at once: the same step with nothing exchanged;
- `exchange`: `step` less `beside`; sums of gradients and statistics, and waiting for each other;
- `gradients`: a program that only sums the gradients over the devices.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from invented_frames import KEYPOINTS, scenes
from jax import Array, lax
from jax.sharding import PartitionSpec
from jax.typing import DTypeLike

from jaxbeh.config import load_config
from jaxbeh.data.store import WINDOWS, FrameStore, build_store, gather, nbytes, window_table
from jaxbeh.features.normaliser import Normaliser
from jaxbeh.machine.compiler import compare_few_kernels
from jaxbeh.settings.run import Config
from jaxbeh.training import optimiser, schedule
from jaxbeh.training.assemble import longest_call
from jaxbeh.training.checkpoints import NOT_VALIDATED, Checkpoints, leaves_of
from jaxbeh.training.compilation import Arguments, compile_ahead
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
SUMS = 100
"""How often a call of the program that only sums gradients sums them."""
CHECKPOINTS = 5
"""Of epochs that begin with one."""


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
    return 2 * size**3 / min(seconds(lambda: product(draw, draw)) for _ in range(5))


def seconds(work: Callable[[], object]) -> float:
    """How long it takes until its arrays are there."""
    began = time.perf_counter()
    jax.block_until_ready(work())
    return time.perf_counter() - began


def only_gather(
    recipe: Recipe, plan: EpochPlan, devices: Devices, store: FrameStore, order: Array
) -> Array:
    """Gather the windows of an epoch's steps; each device adds up its own, so that none is lost."""

    def body(total: Array, windows: Array) -> tuple[Array, None]:
        windows = lax.with_sharding_constraint(windows, devices.by_window)
        frames = gather(
            store, windows, jnp.zeros_like(windows), recipe.length, recipe.features.history
        )
        seen = frames.xy.sum(axis=(1, 2, 3, 4)) + frames.labels.astype(jnp.float32).sum(axis=1)
        return total + seen, None

    nothing = lax.with_sharding_constraint(jnp.zeros(plan.rows, jnp.float32), devices.by_window)
    return lax.scan(body, nothing, order)[0]


def only_sum(devices: Devices) -> Callable[[object], object]:
    """Average a pytree, whose leaves have a row a device, over the devices, `SUMS` times."""

    def body(tree: object, _: None) -> tuple[object, None]:
        return jax.tree.map(lambda leaf: lax.psum(leaf, WINDOWS) / devices.count, tree), None

    def of_device(tree: object) -> object:
        return lax.scan(body, tree, length=SUMS)[0]

    by_device = PartitionSpec(WINDOWS)
    return jax.shard_map(
        of_device, mesh=devices.mesh, in_specs=by_device, out_specs=by_device, check_vma=False
    )


class Variant:
    """A run's programs on some devices, compiled, and run for a first epoch.

    Attributes:
        plan: of the training epoch.
        judged: windows of the validation pass.
        compiled: seconds of compilation.
        first: seconds of the first epoch, with compilation.
        measured: what was measured in the rounds, by name, in seconds.
        loss: of the last epoch.
    """

    def __init__(
        self, config: Config, stores: tuple[FrameStore, FrameStore], chosen: Sequence[jax.Device]
    ) -> None:
        self.devices = devices = Devices.of(chosen)
        train, judged = stores
        sizes = (config.training.batch_size, longest_call(), devices.count)
        self.plan = EpochPlan.build(len(train.windows), *sizes)
        validation = EpochPlan.build(len(judged.windows), *sizes)
        devices.require_shared(self.plan)
        devices.require_shared(validation)
        self.judged = validation.windows
        recipe = Recipe.from_config(config, devices.mesh if devices.count > 1 else None)
        self.dtype = recipe.precision
        course = schedule.build(
            config.optimizer, config.schedule, self.plan.steps, config.training.epochs
        )
        rule = optimiser.build(config.optimizer, course.rate)
        built = build_programs(recipe, rule, self.plan, validation, devices)
        self._train, self._judged = (devices.place(store, whole=True) for store in stores)
        count = len(recipe.features.names)
        self._normaliser = devices.put(
            Normaliser(np.zeros(count, np.float32), np.full(count, 20, np.float32))
        )
        self._root, self._one = devices.put((jax.random.key(0), np.float32(1)))
        gathering = partial(only_gather, recipe, self.plan, devices)
        self._gather = jax.jit(gathering, out_shardings=devices.by_window)
        self.measured: defaultdict[str, list[float]] = defaultdict(list)
        began = time.perf_counter()
        self._sums = devices.put(EpochSums.zero())
        arguments = Arguments.of(
            *(built, devices, self._root, self._train, (self.plan.steps, self.plan.rows)),
            judged=self._judged,
            normaliser=self._normaliser,
        )
        self._programs = compile_ahead(built, arguments, devices)
        self.compiled = time.perf_counter() - began
        self._state = self._programs.init(self._root)
        self.epoch()
        self.first = time.perf_counter() - began
        if devices.count > 1:
            rows = jax.tree.map(
                lambda leaf: np.zeros((devices.count, *leaf.shape), leaf.dtype), self._state.params
            )
            self._rows = jax.device_put(rows, devices.by_window)
            self._sum = jax.jit(only_sum(devices))
        self.parts()
        self.measured.clear()

    def call(self) -> EpochSums:
        """Launch the next steps of the epoch."""
        self._state, self._sums = self._programs.train(
            *(self._state, self._sums, self._train, self._order),
            *(self._normaliser, self._root, self._one),
        )
        return self._sums

    @property
    def calls(self) -> int:
        """Calls of an epoch."""
        return self.plan.steps // self.plan.steps_per_call

    def epoch(self, to_write: Callable[[], None] = lambda: None) -> None:
        """An epoch as the loop runs it, with what is left to write of the one before."""
        began = time.perf_counter()
        self._order = self._programs.shuffle(self._root, self._state.step)

        def call() -> EpochSums:
            sums = self.call()
            to_write()
            return sums

        stepping = seconds(call)
        stepping += sum(seconds(self.call) for _ in range(self.calls - 1))
        judged = self._programs.validate(self._state, self._judged, self._normaliser)
        sums, _ = fetch((self._sums, judged))
        self._sums = self.devices.put(EpochSums.zero())
        self.loss = float(sums.loss) / float(sums.weight)
        self.measured["epoch"].append(time.perf_counter() - began)
        self.measured["step"].append(stepping / self.plan.steps)

    def parts(self) -> None:
        """Parts of an epoch's steps, each by itself."""
        steps = self.plan.steps
        queued = seconds(lambda: [self.call() for _ in range(self.calls)][-1])
        gathered = seconds(lambda: self._gather(self._train, self._order))
        self.measured["queued"].append(queued / steps)
        self.measured["input"].append(gathered / steps)
        if self.devices.count > 1:
            self.measured["gradients"].append(seconds(lambda: self._sum(self._rows)) / SUMS)

    def with_checkpoints(self) -> list[float]:
        """Seconds of epochs that begin with a checkpoint, as the loop makes it."""
        measured, self.measured = self.measured, defaultdict(list)
        spent = []
        with tempfile.TemporaryDirectory() as folder:
            checkpoints = Checkpoints(Path(folder), print)
            for _ in range(CHECKPOINTS):
                began = time.perf_counter()
                leaves = leaves_of(fetch(self._state))
                step = int(self._state.step)
                self.epoch(partial(checkpoints.save, step, leaves, NOT_VALIDATED))
                spent.append(time.perf_counter() - began)
            checkpoints.close()
        self.measured = measured
        return spent


def beside(single: Sequence[Variant]) -> float:
    """Seconds of a step where each device trains by itself, all at once."""
    calls, steps = single[0].calls, single[0].plan.steps
    return sum(seconds(lambda: [one.call() for one in single]) for _ in range(calls)) / steps


def measure(
    config: Config,
    stores: tuple[FrameStore, FrameStore],
    batch: int,
    counts: Sequence[int],
    rounds: int,
) -> Iterator[dict[str, object]]:
    """Let numbers of devices take turns; the lines that are printed."""

    def build(chosen: Sequence[jax.Device]) -> Variant:
        windows = {"batch_size": batch * len(chosen)}
        training = config.training.model_copy(update=windows)
        return Variant(config.model_copy(update={"training": training}), stores, chosen)

    devices = jax.devices()
    # Several devices are compared with as many that train by themselves.
    single = [build([device]) for device in devices[: max(counts)]] if 1 in counts else []
    several = [build(devices[:count]) for count in sorted({*counts} - {1})]
    variants = [*single[:1], *several]
    for _ in range(rounds):
        for variant in variants:
            variant.epoch()
            variant.parts()
            if single and variant in several:
                alone = single[: variant.devices.count]
                variant.measured["beside"].append(beside(alone))
    for variant in variants:
        line = describe(variant)
        if single and variant in several:
            shared = variant.devices.count * rate(single[0])
            line["efficiency"] = round(rate(variant) / shared, 3)
        yield line


def rate(variant: Variant) -> float:
    """Windows a second, those of validation included."""
    return (variant.plan.windows + variant.judged) / statistics.median(variant.measured["epoch"])


def describe(variant: Variant) -> dict[str, object]:
    """The line of one variant."""
    plan, count, times = variant.plan, variant.devices.count, variant.measured["epoch"]
    middle = {name: statistics.median(found) for name, found in variant.measured.items()}
    parts = {"host": middle["step"] - middle["queued"], "input": middle["input"]}
    if "beside" in middle:
        parts |= {"beside": middle["beside"], "exchange": middle["step"] - middle["beside"]}
    if count > 1:
        parts["gradients"] = middle["gradients"]
    epoch = middle["epoch"]
    checkpoint = statistics.median(variant.with_checkpoints()) - epoch
    spent = 3 * FLOPS_A_WINDOW * (plan.windows + variant.judged / 3) / epoch / count
    return {
        "device": f"{count} x {jax.devices()[0].device_kind}",
        "jax": jax.__version__,
        "precision": str(jnp.dtype(variant.dtype)),
        "batch_a_device": plan.rows // count,
        "windows": [plan.windows, variant.judged],
        "steps": plan.steps,
        "compile_s": round(variant.compiled, 2),
        "first_epoch_s": round(variant.first, 2),
        "epoch_s": round(epoch, 3),
        "epoch_spread_s": round(max(times) - min(times), 3),
        "steps_a_second": round(plan.steps / epoch, 1),
        "windows_a_second": round(rate(variant)),
        "step_ms": round(middle["step"] * 1e3, 4),
        "step_spread_ms": round(np.ptp(variant.measured["step"]) * 1e3, 4),
        "of_it_ms": {name: round(part * 1e3, 4) for name, part in parts.items()},
        "checkpoint_s": round(checkpoint, 3),
        "hundred_epochs_s": round(variant.first + 99 * epoch + 20 * checkpoint, 1),
        "share_of_matrix_ceiling": round(spent / ceiling(variant.dtype), 4),
        "loss": round(variant.loss, 3),
    }


def main() -> None:
    """Read the command line, print JSON lines."""
    compare_few_kernels()
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--config", default="v6", help="a recipe; the arithmetic is v6's")
    options.add_argument("--scale", type=float, default=1.0, help="share of the windows")
    options.add_argument("--batch", type=int, nargs="+", default=[384], help="windows of a device")
    options.add_argument("--devices", type=int, nargs="+", default=[1])
    options.add_argument("--rounds", type=int, default=3, help="after the first epoch of each")
    options.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"))
    given = options.parse_args()
    if len(jax.devices()) < max(given.devices):
        raise SystemExit(f"--devices {max(given.devices)}: JAX sees {jax.devices()}")
    config = load_config(given.config, [f"training.precision={given.precision}"])
    window, scale = config.window, given.scale
    sides = ((TRAIN_WINDOWS, window.train_stride), (VALIDATION_WINDOWS, window.validation_stride))
    train, judged = (
        invented_store(round(scale * windows), window.length, stride) for windows, stride in sides
    )
    held = {
        "frames": int(train.frames.sum() + judged.frames.sum()),
        "store_mb": round((nbytes(train) + nbytes(judged)) / 1e6),
    }
    for batch in given.batch:
        for line in measure(config, (train, judged), batch, given.devices, given.rounds):
            if len(given.batch) == len(given.devices) == 1:
                memory = [device.memory_stats() or {} for device in jax.devices()]
                peak = max(one.get("peak_bytes_in_use", 0) for one in memory)
                line["peak_memory_mb"] = round(peak / 1e6)
            print(json.dumps(line | held), flush=True)


if __name__ == "__main__":
    main()
