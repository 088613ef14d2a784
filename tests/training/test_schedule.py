"""The learning rate: warm-up and cosine, plateau, constant."""

import numpy as np
import pytest

from jaxbeh.config import load_config
from jaxbeh.training.schedule import build
from jaxbeh.training.state import LoopState


def schedule(*overrides, steps=5, epochs=100):
    config = load_config("v6", overrides)
    return build(config.optimizer, config.schedule, steps, epochs)


@pytest.mark.parametrize("epochs", [1, 2, 100])
def test_the_rate_warms_up_and_ends_at_its_floor(epochs):
    rate = schedule(epochs=epochs).rate
    values = [float(rate(step)) for step in range(5 * epochs + 1)]
    warmup = min(15, 5 * epochs // 3)
    assert values[0] == pytest.approx(4e-4 / warmup)
    assert values[warmup] == pytest.approx(4e-4) == max(values)
    assert values[-1] == pytest.approx(1e-5)
    assert values[:warmup] == sorted(values[:warmup])


@pytest.mark.parametrize("name", ["constant", "plateau"])
def test_the_rate_of_a_step_is_the_same_throughout(name):
    rate = schedule(f"schedule.name={name}").rate
    assert {float(rate(step)) for step in (0, 1, 77, 499)} == {4e-4}


def scales(made, scores):
    loop, seen = LoopState.start(), []
    for score in scores:
        loop = made.cool(loop.after(score))
        seen.append(float(loop.rate_scale))
    return seen


def test_a_plateau_halves_the_rate_after_its_patience_and_counts_anew():
    made = schedule("schedule.name=plateau")
    rising = [0.1, 0.2, 0.3]
    assert scales(made, rising) == [1, 1, 1]
    # The sixth epoch without a better score is the first of the next five.
    assert scales(made, rising + [0.3] * 11) == [1] * 7 + [0.5] * 5 + [0.25] * 2
    # A better score begins the count again.
    assert scales(made, [0.3] * 5 + [0.4] + [0.3] * 5) == [1] * 10 + [0.5]


def test_a_plateau_never_falls_below_its_floor():
    made = schedule("schedule.name=plateau", "schedule.patience=1", "schedule.floor=1e-4")
    seen = scales(made, [0.5] * 9)
    assert seen[:3] == [1, 0.5, 0.25]
    assert set(seen[2:]) == {0.25}
    assert 4e-4 * seen[-1] == pytest.approx(1e-4)


@pytest.mark.parametrize("name", ["constant", "warmup_cosine"])
def test_other_schedules_know_no_plateau(name):
    assert scales(schedule(f"schedule.name={name}"), [0.5] * 20) == [1] * 20


def test_counting_keeps_its_dtypes():
    loop = schedule("schedule.name=plateau", "schedule.patience=1").cool(
        LoopState.start().after(0.5).after(0.5)
    )
    assert (loop.rate_scale.dtype, loop.stalled.dtype) == (np.float32, np.int32)
