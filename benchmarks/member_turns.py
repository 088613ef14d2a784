"""One training step of v7, its networks together and in turns: memory and time.

    python benchmarks/member_turns.py                        # 3 × 1 and 5 × 2 networks
    python benchmarks/member_turns.py --members 6x3 --forms in_turns

The recipe as training runs it, on its synthetic default; `--set` overrides settings. A CPU takes
the networks in turns and an accelerator takes them together (`jaxbeh/training/pairs/members.py`);
here both do both, in one process, round by round. One JSON line for each number of networks and
form: windows of a batch of one network, bytes that a step takes beside the frames (by XLA's count,
which a run prints and refuses by), median milliseconds a step and the rounds' spread.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import jax
import numpy as np

from jaxbeh.collection import open_labelled, reading
from jaxbeh.config import load_config
from jaxbeh.settings.pairs import PairConfig
from jaxbeh.training.pairs import assemble as building
from jaxbeh.training.pairs import programs
from jaxbeh.training.pairs.dataset import PairDataset, build_pair_dataset
from jaxbeh.training.pairs.members import in_turns, together
from jaxbeh.training.state import EpochSums

FORMS: dict[str, Callable[..., Any]] = {"together": together, "in_turns": in_turns}


class Variant:
    """A form of the training program, warmed up by a call."""

    def __init__(self, form: str, config: PairConfig, dataset: PairDataset) -> None:
        with mock.patch.object(programs, "each_member", FORMS[form]):
            self.made = building.assemble(config, dataset)
        made, put = self.made, self.made.devices.put
        snapshot = building.first_snapshot(made)
        self._carry = put((snapshot.train, snapshot.sums))
        order = building.with_data(made).shuffle(made.root, put(np.int32(0)))
        self._rest = (made.data, order, None, made.root, put(np.float32(1)))
        self.milliseconds()

    def milliseconds(self) -> float:
        """Of a step, by one call of the program."""
        began = time.perf_counter()
        self._carry = self.made.programs.train(*self._carry, *self._rest)
        jax.block_until_ready(self._carry)
        return 1e3 * (time.perf_counter() - began) / self.made.plan.steps_per_call

    def loss(self) -> float:
        """Mean of all steps so far."""
        sums: EpochSums = self._carry[1]
        return float(sums.loss) / float(sums.weight)


def measure(
    folds: int, seeds: int, forms: list[str], overrides: list[str], rounds: int
) -> list[dict[str, Any]]:
    """A line a form."""
    members = f"members={{folds: {folds}, seeds: {seeds}}}"
    config = load_config("v7", [members, *overrides])
    assert isinstance(config, PairConfig)
    with reading() as told:
        _, recordings = open_labelled(None, config, told)
        dataset = build_pair_dataset(recordings, config, told)
    variants = {form: Variant(form, config, dataset) for form in forms}
    times: dict[str, list[float]] = {form: [] for form in forms}
    for _ in range(rounds):
        for form, variant in variants.items():
            times[form].append(variant.milliseconds())
    return [
        {
            "members": variant.made.members.count,
            "form": form,
            "windows": variant.made.plan.rows,
            "step_bytes": variant.made.budget.step,
            "ms_a_step": round(statistics.median(times[form]), 1),
            "spread": round(max(times[form]) - min(times[form]), 1),
            "loss": round(variant.loss(), 5),
            "device": jax.devices()[0].device_kind,
            "jax": jax.__version__,
            "load": round(os.getloadavg()[0], 1),
        }
        for form, variant in variants.items()
    ]


def main() -> None:
    """Read the command line, print JSON lines."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--members", nargs="+", default=["3x1", "5x2"], help="folds x seeds")
    options.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--set", nargs="+", action="extend", default=[], dest="overrides")
    given = options.parse_args()
    for members in given.members:
        folds, seeds = map(int, members.split("x"))
        for line in measure(folds, seeds, given.forms, given.overrides, given.rounds):
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
