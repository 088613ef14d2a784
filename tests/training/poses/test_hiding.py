"""What is hidden of windows, what is left in view, what is to be said."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from pydantic import ValidationError
from tiny_poses import pose_config

from jaxbeh.data.pair_store import GRID_HZ, PairFrames
from jaxbeh.features.normaliser import Normaliser
from jaxbeh.features.pairwise import OWN, RELATION
from jaxbeh.settings.pairs import HidingSettings
from jaxbeh.training.poses.hiding import FEATURES, hidden, huber
from jaxbeh.training.poses.recipe import PoseRecipe, shown_in_part
from jaxbeh.vocabulary import KEYPOINT_SLOTS, SlotTable

FRAMES, SLOTS = 48, len(KEYPOINT_SLOTS)
KEYS = jax.random.split(jax.random.key(3), 200)
compiled = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


def masks(**settings):
    chosen = HidingSettings(**{"spans": 0, "keypoints": 0.0, **settings})
    return np.asarray(hidden(KEYS, chosen, FRAMES, SLOTS, GRID_HZ))


def test_a_span_hides_all_of_a_body_for_so_long():
    gone = masks(spans=1, longest_seconds=0.5)
    whole = gone.any(axis=-1)
    assert (gone == whole[..., None]).all()
    assert whole.sum(axis=1).max() <= 15
    assert whole.any(axis=1).mean() > 0.8  # a very short one may fall between two frames
    starts = np.diff(whole.astype(int), axis=1, prepend=0) == 1
    assert starts.sum(axis=1).max() == 1
    assert (whole[:, :, 0] != whole[:, :, 1]).any(axis=1).mean() > 0.9  # each body its own
    assert masks(spans=3, longest_seconds=0.5).mean() > 1.8 * gone.mean()


def test_keypoints_are_hidden_one_by_one():
    gone = masks(keypoints=0.4, longest_seconds=1.0)
    share = gone.any(axis=1).mean()
    assert 0.3 < share < 0.45
    assert not gone.all(axis=(2, 3)).any()


def test_a_window_draws_from_its_own_key():
    chosen = HidingSettings()
    alone = hidden(KEYS[5:6], chosen, FRAMES, SLOTS, GRID_HZ)
    np.testing.assert_array_equal(alone[0], hidden(KEYS, chosen, FRAMES, SLOTS, GRID_HZ)[5])


def test_hiding_nothing_is_refused():
    with pytest.raises(ValidationError, match="nothing is hidden"):
        HidingSettings(spans=0, keypoints=0.0)


RECIPE = PoseRecipe.from_config(
    pose_config("hiding={spans: 2, keypoints: 0.3, longest_seconds: 0.5}"),
    SlotTable.build(KEYPOINT_SLOTS, {}),
)
STATISTICS = Normaliser(mean=jnp.full(FEATURES, 0.25), deviation=jnp.full(FEATURES, 2.0))
FEW = KEYS[:4]


def windows(seed=0):
    draw = np.random.default_rng(seed)
    shape = (len(FEW), FRAMES, 2, SLOTS)
    body = np.cumsum(draw.normal(0, 0.3, (*shape[:3], 1, 2)), axis=1)
    xy = body + draw.normal(0, 3, (len(FEW), 1, 2, SLOTS, 2)) + draw.normal(0, 0.05, (*shape, 2))
    valid = draw.random(shape) < 0.9
    valid[:, 40:] = False
    mask = np.arange(FRAMES) < np.full((len(FEW), 1), 40)
    return PairFrames(
        xy=jnp.asarray(np.where(valid[..., None], xy, 0), jnp.float32),
        valid=jnp.asarray(valid),
        mask=jnp.asarray(mask),
        lab=jnp.zeros(len(FEW), jnp.int32),
        known=jnp.zeros((len(FEW), 0), bool),
        seen=jnp.zeros((len(FEW), FRAMES, 0), bool),
    )


@compiled
def lesson(frames):
    return shown_in_part(RECIPE, frames, FEW, STATISTICS)


def test_nothing_of_what_is_hidden_is_left_in_what_is_shown():
    """An enemy moves the hidden keypoints: the network is shown the same, to the last bit."""
    frames = windows()
    gone = hidden(FEW, RECIPE.hiding, FRAMES, SLOTS, GRID_HZ)
    moved = frames.replace(xy=jnp.where(gone[..., None], frames.xy * -3.0 + 7.0, frames.xy))
    (shown, wanted), (same, other) = lesson(frames), lesson(moved)
    for left, right in zip(jax.tree.leaves(shown), jax.tree.leaves(same), strict=True):
        np.testing.assert_array_equal(left, right)
    assert (np.asarray(wanted.true) != np.asarray(other.true)).mean() > 0.1


def test_what_is_wanted_is_known_and_not_shown():
    frames = windows()
    shown, wanted = lesson(frames)
    counted = np.asarray(wanted.counted)
    assert counted.shape == (len(FEW), FRAMES, FEATURES)
    assert 0.1 < counted[:, :40].mean() < 0.7
    assert not counted[:, 40:].any()  # padding
    gone = np.asarray(hidden(FEW, RECIPE.hiding, FRAMES, SLOTS, GRID_HZ))
    untouched = ~gone.any(axis=(2, 3))
    for frames_away in (1, 2):  # speeds and accelerations look so far
        for way in (-1, 1):
            near = np.roll(gone.any(axis=(2, 3)), way * frames_away, axis=1)
            untouched &= ~near
    assert untouched.any()
    assert not counted[untouched].any()
    assert float(jnp.abs(shown.own).max()) > 0


def test_flags_are_not_to_be_said():
    flags = sum(name.endswith("valid") for name in OWN)
    others = sum(name.endswith("valid") for name in RELATION)
    assert 2 * (len(OWN) - flags) + len(RELATION) - others == FEATURES
    # A known coordinate, standardised by a mean of 0.25 and a deviation of 2.
    frames = windows()
    _, wanted = lesson(frames)
    assert np.abs(np.asarray(wanted.true)).max() < (5 + 0.25) / 2 + 1e-3


def test_the_loss_against_sums_written_out():
    draw = np.random.default_rng(0)
    said, true = (draw.normal(0, 2, (3, 5, 4)).astype(np.float32) for _ in range(2))
    counted = draw.random((3, 5, 4)) < 0.4
    total = 0.0
    for error in np.abs(said - true)[counted].astype(float):
        total += error**2 / 2 if error < 1 else error - 0.5
    loss, weight = huber(jnp.asarray(said), jnp.asarray(true), jnp.asarray(counted))
    assert float(loss) == pytest.approx(total, rel=1e-5)
    assert float(weight) == counted.sum()
