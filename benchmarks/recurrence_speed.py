r"""v6's recurrence on a GPU: a kernel for each step against one for all steps, whose programs wait.

    python benchmarks/recurrence_speed.py                    # 12 steps of 256 units each way
    python benchmarks/recurrence_speed.py --rows 64 --repeats 1000

One JSON line a number of rows and a pass. For each of both ways, in turns: microseconds of a pass,
the median and spread of rounds of a hundred in one program. `apart` is the largest difference of
what both make, by the root mean square of each tensor. `differed` counts the numbers that were not
the same to the bit when the kernel for all steps ran again, `--repeats` times, after others: a wait
that does not hold would show there. Ends with 1 if any was, or the ways are apart.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxbeh.models.fused_launch import all_at_once, step_by_step
from jaxbeh.models.fused_recurrence import AT_ONCE, BY_STEP, programs_at_a_time
from jaxbeh.models.fused_step import BACKWARD, FORWARD, Pass

Way = Callable[..., tuple[Array, ...]]
CALLS = 100
BOUND = 0.1
"""Of `apart`: the rounding of bfloat16, carried on for some steps."""


def ways_of(run: Pass) -> dict[str, Way]:
    """Both ways to run a pass."""
    programs = programs_at_a_time(False)
    return {
        "by_step": partial(step_by_step, run, BY_STEP[run], False),
        "at_once": partial(all_at_once, run, AT_ONCE[run], programs, False),
    }


def drawn(steps: int, rows: int, hidden: int, seed: int) -> dict[Pass, tuple[Array, ...]]:
    """What each pass is given: a layer at random, windows that end at different steps."""
    draw = np.random.default_rng(seed)
    gates = jnp.asarray(draw.normal(size=(steps, rows, 8 * hidden)), jnp.bfloat16)
    bias = jnp.asarray(0.5 * draw.normal(size=8 * hidden), jnp.float32)
    weights = jnp.asarray(draw.normal(size=(2, hidden, 4 * hidden)) / hidden**0.5, jnp.bfloat16)
    lengths = draw.integers(1, steps + 1, rows)
    lengths[: rows // 2] = steps
    valid = jnp.asarray(np.arange(steps)[:, None] < lengths, jnp.float32)
    outer = jnp.asarray(draw.normal(size=(steps, rows, 2 * hidden)), jnp.bfloat16)
    forward = (gates, valid, bias, weights)
    _, _, opened, cells = ways_of(FORWARD)["by_step"](*forward)
    return {
        FORWARD: forward,
        BACKWARD: (outer, valid, opened, cells, jnp.swapaxes(weights, 1, 2)),
    }


def repeated(way: Way) -> Callable[..., Array]:
    """Many calls in one program, each of which needs a number of the one before."""

    def run(*given: Array) -> Array:
        def once(_: Array, tie: Array) -> Array:
            first = given[0] + (tie * 0).astype(given[0].dtype)
            made = way(lax.optimization_barrier(first), *given[1:])
            return sum((one[0, 0, 0].astype(jnp.float32) for one in made), jnp.float32(0))

        return lax.fori_loop(0, CALLS, once, jnp.float32(0))

    return jax.jit(run)


def apart(one: Sequence[Array], other: Sequence[Array]) -> float:
    """The largest difference."""
    gaps = []
    for a, b in zip(jax.device_get(one), jax.device_get(other), strict=True):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        gaps.append(np.abs(a - b).max() / np.sqrt(np.mean(b**2)))
    return round(float(max(gaps)), 5)


def differed(way: Way, given: Sequence[Array], other: Sequence[Array], repeats: int) -> int:
    """How many numbers were not the same again."""
    run = jax.jit(way)
    first = run(*given)
    count = jax.jit(lambda a, b: sum(jnp.sum(x != y) for x, y in zip(a, b, strict=True)))
    total = 0
    for _ in range(repeats):
        jax.block_until_ready(run(*other))
        total += int(count(run(*given), first))
    return total


def measure(run: Pass, given: Sequence[Array], other: Sequence[Array], repeats: int) -> dict:
    """A line."""
    ways = ways_of(run)
    made = {name: jax.jit(way)(*given) for name, way in ways.items()}
    programs = {name: repeated(way) for name, way in ways.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(8):
        for name, program in programs.items():
            began = time.perf_counter()
            jax.block_until_ready(program(*given))
            if number:  # the first one compiles
                times[name].append((time.perf_counter() - began) / CALLS * 1e6)
    micros = {
        name: [round(statistics.median(found), 1), round(max(found) - min(found), 1)]
        for name, found in times.items()
    }
    return {
        "microseconds": micros,
        "apart": apart(made["at_once"], made["by_step"]),
        "differed": differed(ways["at_once"], given, other, repeats),
    }


def main() -> None:
    """Read the command line, print JSON lines."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--steps", type=int, default=12)
    options.add_argument("--rows", type=int, nargs="+", default=[384, 1536])
    options.add_argument("--hidden", type=int, default=256)
    options.add_argument("--repeats", type=int, default=200)
    given = options.parse_args()
    if not programs_at_a_time(False):
        options.error("this needs a GPU on which the kernel for all steps is taken: H100 or H200")
    right = True
    for rows in given.rows:
        inputs = [drawn(given.steps, rows, given.hidden, seed) for seed in (0, 1)]
        for name, run in (("forward", FORWARD), ("backward", BACKWARD)):
            line = {"pass": name, "steps": given.steps, "rows": rows, "hidden": given.hidden}
            line |= measure(run, *(one[run] for one in inputs), given.repeats)
            print(json.dumps(line | {"device": jax.devices()[0].device_kind}), flush=True)
            right = right and line["differed"] == 0 and line["apart"] < BOUND
    if not right:
        raise SystemExit("the kernel for all steps is not right")


if __name__ == "__main__":
    main()
