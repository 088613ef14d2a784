"""Prediction of whole videos by v6: frames a second on the device, and from files to bouts.

    python benchmarks/predict_speed.py --frames 20000000         # a GPU
    python benchmarks/predict_speed.py --frames 20000            # two cores
    python benchmarks/predict_speed.py --collection DIR          # also from the files of a folder

Untrained weights; the work is the same. One JSON line for the device (frames already there, every
window of every video, overlapping by half), one for invented videos in memory until their
probabilities are back, one for a single recording of 600,000 frames with the process's peak memory,
and with `--collection` one from its files (in the cache or not: the first and a second round) to
the bouts of its labelled videos.
"""

import argparse
import json
import resource
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from invented_frames import KEYPOINTS, scenes

from jaxbeh.collection import keep_programs, open_labelled, reading
from jaxbeh.config import load_config
from jaxbeh.data.shards import Room
from jaxbeh.data.store import build_store, window_table
from jaxbeh.features.normaliser import Normaliser
from jaxbeh.inference import predictor as predicting
from jaxbeh.inference.predictor import Predictor, Sums
from jaxbeh.inference.scene_bouts import ActionFrequencies, predict_scenes
from jaxbeh.machine.compiler import compare_few_kernels
from jaxbeh.training.dataset import class_map
from jaxbeh.training.dataset import scenes as labelled_scenes
from jaxbeh.training.programs import init_state
from jaxbeh.training.recipe import Recipe
from jaxbeh.vocabulary import SlotTable

LONG = 600_000


def untrained(keypoints: Sequence[str], overrides: Sequence[str] = ()) -> Predictor:
    """v6 with its first weights."""
    recipe = Recipe.from_config(load_config("v6", overrides))
    state = jax.jit(partial(init_state, recipe, optax.identity()))(jax.random.key(0))
    count = len(recipe.features.names)
    normaliser = Normaliser(jnp.zeros(count), jnp.full(count, 20.0))
    return Predictor(recipe, SlotTable.build(keypoints, {}), state, normaliser)


def on_device(frames: int) -> dict[str, object]:
    """Every window of invented videos, frames and results staying on the device."""
    made = untrained(KEYPOINTS)
    length = made.recipe.length
    group = min(frames, predicting._FRAMES_AT_ONCE)
    lengths = [min(20_000, group)] * max(1, group // 20_000)
    windows = window_table(lengths, length, length // 2)
    known = scenes(lengths)
    room = Room.of([(known, windows)]).rounded()
    store = jax.device_put(room.fill(build_store(known, made.slots, windows)))
    rows = min(predicting._BATCH, room.windows)
    batches = []
    for first in range(0, len(windows), rows):
        index = np.arange(first, first + rows, dtype=np.int32)
        batches.append(jnp.asarray(np.where(index < len(windows), index, -1)))

    def run(sums: Sums) -> Sums:
        for index in batches:
            sums = made._add(made.state, store, made.normaliser, sums, index)
        return sums

    sums = Sums(jnp.zeros((room.frames, 4)), jnp.zeros((room.frames,)))
    began = time.perf_counter()
    sums = jax.block_until_ready(run(sums))
    first_s = time.perf_counter() - began
    repeats = max(1, frames // sum(lengths))
    times = []
    for _ in range(3):
        began = time.perf_counter()
        for _ in range(repeats):
            sums = run(sums)
        jax.block_until_ready(sums)
        times.append(time.perf_counter() - began)
    return {
        "measured": "device",
        "frames": repeats * sum(lengths),
        "first_s": round(first_s, 2),
        "frames_a_second": round(repeats * sum(lengths) / sorted(times)[1]),
        "programs_compiled": made._add._cache_size(),
    }


def from_memory(lengths: Sequence[int], name: str) -> dict[str, object]:
    """Videos on the host until their probabilities are back there; a second round is timed."""
    made = untrained(KEYPOINTS)
    known = scenes(lengths)
    times = []
    for _ in range(2):
        began = time.perf_counter()
        for _, probabilities in made.predict(known):
            assert np.isfinite(probabilities).all()
        times.append(time.perf_counter() - began)
    return {
        "measured": name,
        "frames": sum(lengths),
        "first_s": round(times[0], 2),
        "second_s": round(times[1], 2),
        "frames_a_second": round(sum(lengths) / times[1]),
        "programs_compiled": made._add._cache_size(),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3),
    }


def from_files(folder: Path) -> list[dict[str, object]]:
    """From the files of a collection to bouts, twice; compiled programs are kept, as commands do.

    The weights are made between reading and predicting, in no one's time.
    """
    keep_programs()
    config = load_config("v6")
    lines: list[dict[str, object]] = []
    for number in ("first", "second"):
        began = time.perf_counter()
        with reading() as report:
            _, recordings = open_labelled(folder, config, report)
        read = time.perf_counter() - began
        made = untrained({name for item in recordings for name in item.tracking.keypoints})
        begun = time.perf_counter()
        known = labelled_scenes(recordings, made.slots, class_map(config), report)
        frequencies = ActionFrequencies.build(recordings)
        videos = ((scene.recording, found) for scene, found in made.predict(known))
        bouts = predict_scenes(videos, class_map(config), frequencies).bouts
        predicted = time.perf_counter() - begun
        frames = sum(scene.recording.tracking.frames for scene in known)
        lines.append(
            {
                "measured": f"files to bouts, {number} round",
                "videos": len(known),
                "frames": frames,
                "read_s": round(read, 2),
                "predict_s": round(predicted, 2),
                "bouts": len(bouts),
                "frames_a_second": round(frames / (read + predicted)),
            }
        )
    return lines


def main() -> None:
    """Read the command line, print JSON lines."""
    compare_few_kernels()
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--frames", type=int, default=20_000)
    options.add_argument("--collection", type=Path)
    given = options.parse_args()
    print(json.dumps({"device": jax.devices()[0].device_kind, "jax": jax.__version__}), flush=True)
    print(json.dumps(on_device(given.frames)), flush=True)
    lengths = [min(20_000, given.frames)] * max(1, given.frames // 20_000)
    print(json.dumps(from_memory(lengths, "videos in memory")), flush=True)
    if given.frames >= LONG:
        print(json.dumps(from_memory([LONG], "one recording of 600,000 frames")), flush=True)
    if given.collection:
        for line in from_files(given.collection):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
