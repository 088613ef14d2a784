"""The benchmark of the recurrence, with kernels that Pallas interprets."""

import dataclasses
from functools import partial

import pytest
import recurrence_speed
from recurrence_speed import AT_ONCE, BACKWARD, BY_STEP, FORWARD, drawn, measure

from jaxbeh.models.fused_launch import all_at_once, step_by_step

HIDDEN = 64


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch):
    """Programs are interpreted one after another: where they would wait, each has all units."""

    def ways_of(run):
        tile = dataclasses.replace(AT_ONCE[run].tile, units=HIDDEN)
        whole = dataclasses.replace(AT_ONCE[run], tile=tile)
        return {
            "by_step": partial(step_by_step, run, BY_STEP[run], True),
            "at_once": partial(all_at_once, run, whole, 2, True),
        }

    monkeypatch.setattr(recurrence_speed, "ways_of", ways_of)
    monkeypatch.setattr(recurrence_speed, "CALLS", 2)


@pytest.mark.parametrize("run", [FORWARD, BACKWARD], ids=["forward", "backward"])
def test_both_ways_make_the_same_every_time(run):
    """To the rounding of bfloat16; both are timed."""
    one, other = (drawn(3, 70, HIDDEN, seed)[run] for seed in (0, 1))
    line = measure(run, one, other, repeats=2)
    assert line["apart"] < 0.05
    assert line["differed"] == 0
    assert all(median > 0 for median, _ in line["microseconds"].values())


def test_a_difference_is_seen():
    """Of one number among many."""
    given = drawn(2, 8, HIDDEN, seed=0)[FORWARD][0]
    assert recurrence_speed.apart((given,), (given,)) == 0
    assert recurrence_speed.apart((given.at[1, 2, 3].add(1),), (given,)) > 0.5
