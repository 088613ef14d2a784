"""Whole videos: every frame is predicted, and by the mean of the windows that hold it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from recordings import recording, wander

from jaxbeh import features, models
from jaxbeh.data.report import ReadingReport
from jaxbeh.data.store import build_store, gather, window_table
from jaxbeh.features.normaliser import Normaliser
from jaxbeh.inference import predictor as predicting
from jaxbeh.inference.predictor import Predictor
from jaxbeh.settings.models import MLPSettings
from jaxbeh.settings.run import MotionSettings
from jaxbeh.training.dataset import scenes
from jaxbeh.training.recipe import Recipe, model_inputs
from jaxbeh.training.state import TrainState
from jaxbeh.vocabulary import ClassMap, SlotTable

LENGTH = 32
CLASSES = ClassMap.build([("none", ()), ("social", ("sniff",)), ("mating", ("mount",))])
FRAMES = (1, 31, 33, 48, 49, 100)


class WhereInTheWindow(nn.Module):
    """Logits that depend on a frame's place in its window alone, so that windows disagree."""

    @nn.compact
    def __call__(self, inputs, train):
        del train
        self.param("unused", nn.initializers.zeros, (1,))
        place = jnp.arange(inputs.mask.shape[1], dtype=jnp.float32) / 10
        return jnp.broadcast_to(
            jnp.stack([jnp.zeros_like(place), place, -place], -1), (*inputs.mask.shape, 3)
        )


@pytest.fixture(scope="module")
def videos():
    made = [recording(wander(count, seed=count), video_id=str(count)) for count in FRAMES]
    made.append(recording(wander(70), video_id="sniff", whitelist=("mouse1,mouse2,sniff",)))
    slots = SlotTable.build(made[0].tracking.keypoints, {})
    return slots, scenes(made, slots, CLASSES, ReadingReport())


def predictor(model, slots):
    chosen = features.build(MotionSettings())
    recipe = Recipe(
        model=model,
        features=chosen,
        length=LENGTH,
        jitter=0,
        noise=0.0,
        mixup=0.0,
        class_weights=(1.0, 1.0, 1.0),
        label_smoothing=0.0,
        skip_nonfinite=False,
        precision=jnp.float32,
    )
    count = len(chosen.names)
    normaliser = Normaliser(mean=jnp.zeros(count), deviation=jnp.full(count, 3.0))
    blank = models.Inputs(
        flat=jnp.zeros((1, LENGTH, count)),
        points=jnp.zeros((1, LENGTH, 4, 18, 2)),
        points_valid=jnp.zeros((1, LENGTH, 4, 18), bool),
        mask=jnp.ones((1, LENGTH), bool),
    )
    variables = model.init(jax.random.key(5), blank, train=False)
    state = TrainState(
        step=jnp.int32(0), params=variables["params"], batch_stats={}, opt_state=None
    )
    return Predictor(recipe, slots, state, normaliser)


def in_one_window(recipe, store, frames, state, normaliser):
    """Probabilities of a video's frames, all of them in a single window."""
    zero = jnp.zeros(1, jnp.int32)
    inputs = model_inputs(
        recipe, normaliser, gather(store, zero, zero, frames, recipe.features.history)
    )
    logits = recipe.model.apply({"params": state.params}, inputs, train=False)[0]
    return jax.nn.softmax(jnp.where(store.looked_for, logits, -jnp.inf))


def test_a_frames_probabilities_are_those_of_the_frame_in_its_video(videos):
    """A model of single frames gives in any window what it gives in the video as a whole."""
    slots, known = videos
    made = predictor(models.build(MLPSettings(hidden=(8,)), 3), slots)
    found = list(made.predict(known))
    assert [scene.recording.video_id for scene, _ in found] == [*map(str, FRAMES), "sniff"]
    for scene, probabilities in found:
        frames = scene.recording.tracking.frames
        assert probabilities.shape == (frames, 3)
        store = build_store([scene], slots, window_table([frames], frames, frames))
        compute = jax.jit(in_one_window, static_argnums=(0, 2))
        expected = compute(made.recipe, store, frames, made.state, made.normaliser)
        np.testing.assert_allclose(probabilities, expected, atol=1e-5)


def test_a_frames_probabilities_are_the_mean_over_its_windows(videos):
    slots, known = videos
    for scene, probabilities in predictor(WhereInTheWindow(), slots).predict(known):
        frames, allowed = scene.recording.tracking.frames, scene.labels.looked_for
        starts = range(0, max(frames - LENGTH, 0) + LENGTH // 2, LENGTH // 2)
        for frame in range(frames):
            places = [frame - start for start in starts if 0 <= frame - start < LENGTH]
            assert len(places) in (1, 2)
            each = np.exp([[0, place / 10, -place / 10] for place in places]) * allowed
            mean = (each / each.sum(1, keepdims=True)).mean(0)
            np.testing.assert_allclose(probabilities[frame], mean, atol=1e-5)


def test_a_class_not_looked_for_has_probability_zero(videos):
    slots, known = videos
    *_, (scene, probabilities) = predictor(WhereInTheWindow(), slots).predict(known)
    assert scene.recording.video_id == "sniff"
    assert (probabilities[:, 2] == 0).all()
    np.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)


def test_groups_of_any_videos_go_through_one_compiled_program(videos, monkeypatch):
    slots, known = videos
    model = models.build(MLPSettings(hidden=(8,)), 3)
    whole = list(predictor(model, slots).predict(known))
    monkeypatch.setattr(predicting, "_FRAMES_AT_ONCE", 90)
    monkeypatch.setattr(predicting, "_BATCH", 2)
    made = predictor(model, slots)
    parts = list(made.predict(known))
    assert made._add._cache_size() == 1
    for (scene, wanted), (other, found) in zip(whole, parts, strict=True):
        assert scene is other
        np.testing.assert_allclose(found, wanted, atol=1e-6)
