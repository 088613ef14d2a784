"""A frame's features are those of its video, whatever window it is gathered in."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from recordings import SEVEN, recording, wander

from jaxbeh import features
from jaxbeh.data.scene import Labels
from jaxbeh.data.store import Scene, build_store, gather, window_table
from jaxbeh.features.projection import Projection, complete
from jaxbeh.settings.run import CoordinateSettings, EngineeredSettings, MotionSettings
from jaxbeh.vocabulary import SlotTable

FRAMES, RATES = (1, 2, 3, 30, 90), (10.0, 25.0, 30.0, 50.0, 120.0)


def scenes():
    made = []
    for count, rate in zip(FRAMES, RATES, strict=True):
        pixels = wander(count, seed=count)
        lost = np.random.default_rng(count).random(pixels.shape[:3]) < 0.2
        pixels[lost] = np.nan
        pixels[0, 0, 0] = 0.0  # at least one point is there
        labels = Labels(values=np.zeros(count, np.int8), looked_for=np.ones(2, bool))
        made.append(Scene(recording(pixels, video_id=str(count), fps=rate), labels))
    return made


@functools.partial(jax.jit, static_argnums=(0, 1))
def look(chosen, length, store):
    """Frame mask, features and their validity of all windows of a store."""
    index = jnp.arange(len(store.windows), dtype=jnp.int32)
    frames = gather(store, index, jnp.zeros_like(index), length, chosen.history)
    found = chosen.compute(frames.xy, frames.valid, frames.frame, frames.fps)
    projection = None
    if chosen.projected:
        rows = jnp.eye(chosen.components, chosen.projected, dtype=jnp.float32)
        projection = Projection(mean=jnp.zeros(chosen.projected), components=rows)
    return frames.mask, *complete(chosen, projection, found)


def by_frame(chosen, made, length, stride):
    """(video, frame) → all values that its windows give for it, with their validity."""
    windows = window_table([scene.recording.tracking.frames for scene in made], length, stride)
    store = build_store(made, SlotTable.build(SEVEN, {}), windows)
    mask, flat, valid = map(np.asarray, look(chosen, length, store))
    values: dict[tuple[int, int], list] = {}
    for row, (video, start, *_) in enumerate(windows):
        for step in np.flatnonzero(mask[row]):
            values.setdefault((video, start + step), []).append((flat[row, step], valid[row, step]))
    return values


@pytest.mark.parametrize(
    "settings", [CoordinateSettings(), MotionSettings(), EngineeredSettings()], ids=lambda s: s.name
)
def test_the_same_frame_in_two_windows_has_the_same_features(settings):
    chosen, made = features.build(settings), scenes()
    whole = by_frame(chosen, made, 90, 90)
    assert set(whole) == {(v, f) for v, count in enumerate(FRAMES) for f in range(count)}
    for length, stride in ((30, 7), (16, 16), (5, 2)):
        cut = by_frame(chosen, made, length, stride)
        assert cut.keys() == whole.keys()
        assert length == stride or max(map(len, cut.values())) > 1
        for place, found in cut.items():
            ((expected, known),) = whole[place]
            for values, valid in found:
                np.testing.assert_array_equal(valid, known)
                np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-4)


def test_each_video_is_taken_at_its_own_rate():
    """A mouse at a constant speed a frame has a speed a second that grows with the frame rate."""
    step = np.arange(20.0)[:, None, None, None] * np.array([0.3, 0.4])
    made = []
    for scene, rate in zip(scenes()[:3], (10.0, 25.0, 120.0), strict=True):
        moving = recording(np.broadcast_to(step, (20, 2, 7, 2)), fps=rate)
        labels = Labels(values=np.zeros(20, np.int8), looked_for=np.ones(2, bool))
        made.append(dataclasses.replace(scene, recording=moving, labels=labels))
    chosen = features.build(MotionSettings())
    speed = chosen.names.index("mouse1.nose.speed")
    for (video, _), found in by_frame(chosen, made, 8, 4).items():
        for values, _ in found:
            assert values[speed] == pytest.approx(0.5 * (10.0, 25.0, 120.0)[video], rel=0.05)
