"""Synthetic bodies move as asked; synthetic annotators write what they should."""

import itertools

import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.synthetic import LABS
from jaxbeh.data.synthetic.annotator import annotate
from jaxbeh.data.synthetic.body import keypoints
from jaxbeh.data.synthetic.mouse import CHANNELS, STEP
from jaxbeh.data.synthetic.scene import Deed
from jaxbeh.vocabulary import Triple


def still_states(seconds: float, **channels: float) -> NDArray[np.float64]:
    """One mouse at (10, 20) facing along x, with some channels set."""
    values = {"x": 10.0, "y": 20.0, "stretch": 1.0, "hertz": 1.0, **channels}
    row = [values.get(name, 0.0) for name in CHANNELS]
    return np.tile(np.array(row), (int(seconds / STEP) + 2, 1, 1))


def test_a_straight_body_has_its_length_and_its_sides() -> None:
    names = ("nose", "tail_base", "hip_left", "hip_right", "ear_left", "ear_right", "body_center")
    body = keypoints(
        still_states(1.0), np.array([8.6]), names, np.array([0.5]), np.random.default_rng(0)
    )[0, 0]
    at = dict(zip(names, body, strict=True))
    assert np.allclose(at["body_center"], (10.0, 20.0))
    assert np.isclose(at["nose"][0] - at["tail_base"][0], 8.6, atol=0.3)
    assert np.isclose(at["nose"][1], 20.0)
    # Facing along x with y to the left of it, left has the larger y.
    assert at["hip_left"][1] > 20.0 > at["hip_right"][1]
    assert at["ear_left"][1] > 20.0 > at["ear_right"][1]


def test_thrusts_have_the_amplitude_and_the_rhythm_asked_for() -> None:
    fps = 100.0
    times = np.arange(0.0, 4.0, 1 / fps)
    body = keypoints(
        still_states(4.1, thrust=0.4, hertz=5.0),
        np.array([8.6]),
        ("body_center",),
        times,
        np.random.default_rng(0),
    )[:, 0, 0]
    along = body[:, 0] - body[:, 0].mean()
    assert np.isclose(np.abs(along).max(), 0.4, rtol=0.1)
    assert np.allclose(body[:, 1], 20.0)
    spectrum = np.abs(np.fft.rfft(along))
    assert np.isclose(np.fft.rfftfreq(len(along), 1 / fps)[spectrum.argmax()], 5.0, atol=0.3)


def test_a_mouse_walks_at_the_same_speed_at_every_frame_rate() -> None:
    states = still_states(3.0)
    states[:, 0, CHANNELS.index("x")] += 6.0 * STEP * np.arange(len(states))
    for fps in (10.0, 25.0, 120.0):
        times = np.arange(0.2, 2.8, 1 / fps)
        body = keypoints(states, np.array([8.6]), ("body_center",), times, np.random.default_rng(0))
        assert np.allclose(np.diff(body[:, 0, 0, 0]) * fps, 6.0)


def test_annotators_write_only_what_the_lab_looks_for_and_nearly_when_it_was() -> None:
    lab = LABS["Synthetic-CRIM13"]
    deeds = [Deed("sniff", 0, 1, 10.0 * index, 10.0 * index + 4.0) for index in range(200)] + [
        Deed("sniff", 1, 0, 5.0, 6.0),
        Deed("chase", 0, 1, 6.0, 7.0),
        Deed("freeze", 0, 0, 1.0, 9.0),
    ]
    events = annotate(deeds, lab, 25.0, 60_000, np.random.default_rng(0))
    assert {event.triple for event in events} == {Triple("mouse1", "mouse2", "sniff")}
    assert 185 <= len(events) < 200
    starts = np.array([event.start for event in events])
    errors = starts - 250 * np.round(starts / 250)
    assert 0.5 < errors.std() < 3.0
    assert np.abs(errors).max() <= 10


def test_annotators_never_overlap_themselves_nor_leave_the_video() -> None:
    lab = LABS["Synthetic-CRIM13"]
    deeds = [Deed(name, 0, 1, 0.5 * at, 0.5 * at + 0.5) for at in range(40) for name in ("sniff",)]
    deeds += [Deed("attack", 0, 1, 0.5 * at + 0.4, 0.5 * at + 0.8) for at in range(0, 40, 3)]
    events = annotate(deeds, lab, 25.0, 400, np.random.default_rng(1))
    assert all(one.stop <= other.start for one, other in itertools.pairwise(events))
    assert max(event.stop for event in events) <= 400
