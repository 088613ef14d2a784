"""Augmentation of pair windows: what it changes, what it leaves, from what it draws."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbeh.features.mirroring import CANONICAL, mirror_points
from jaxbeh.settings.pairs import PairAugmentationSettings
from jaxbeh.training.pairs.augmentation import augment, gaps, smooth_noise

KEY = jax.random.key(11)
OFF = {"mirror": 0.0, "scale": 0.0}
ALL = PairAugmentationSettings(noise_cm=0.3, keypoint_dropout=0.2, gaps=0.3)


def windows(count=6, frames=40, seed=0):
    draw = np.random.default_rng(seed)
    valid = draw.random((count, frames, 2, 18)) < 0.7
    valid[:, 30:] = False
    xy = np.where(valid[..., None], draw.normal(0, 9, (*valid.shape, 2)), 0)
    return jnp.asarray(xy, jnp.float32), jnp.asarray(valid)


# Less time goes into these programs' running than into their compilation.
compiled = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})


@functools.cache
def program(settings):
    return compiled(lambda key, xy, valid: augment(key, xy, valid, settings, 30.0, CANONICAL))


def changed(xy, valid, key=KEY, **settings):
    return program(PairAugmentationSettings(**{**OFF, **settings}))(key, xy, valid)


def test_all_off_changes_nothing():
    xy, valid = windows()
    found, left = changed(xy, valid)
    np.testing.assert_array_equal(found, xy)
    np.testing.assert_array_equal(left, valid)


def test_what_is_invalid_stays_so_and_is_zero():
    xy, valid = windows()
    found, left = program(ALL)(KEY, xy, valid)
    assert (found.dtype, left.dtype) == (jnp.float32, bool)
    assert not np.asarray(found)[~np.asarray(left)].any()
    assert not left[:, 30:].any()
    _, unturned = changed(xy, valid, keypoint_dropout=0.2, gaps=0.3)
    assert not (unturned & ~valid).any()


def test_a_share_of_the_windows_is_mirrored_whole():
    xy, valid = windows(count=400, frames=3)
    found, left = changed(xy, valid, mirror=0.3)
    mirrored, mirrored_valid = mirror_points(xy, valid)
    as_before = np.all(found == xy, axis=(1, 2, 3, 4)) & np.all(left == valid, axis=(1, 2, 3))
    turned = np.all(found == mirrored, axis=(1, 2, 3, 4))
    turned &= np.all(left == mirrored_valid, axis=(1, 2, 3))
    assert np.all(as_before ^ turned)
    assert 0.2 < np.mean(turned) < 0.4


def test_lent_slots_are_mirrored_as_they_are_told():
    xy, valid = windows(count=2)
    settings, slots = PairAugmentationSettings(mirror=1.0, scale=0.0), range(18)
    found, left = augment(KEY, xy, valid, settings, 30.0, slots)
    np.testing.assert_array_equal(found, xy * jnp.array([-1.0, 1.0]))
    np.testing.assert_array_equal(left, valid)
    assert tuple(slots) != CANONICAL


def test_one_factor_a_window_scales_both_bodies():
    xy, valid = windows(count=300, frames=3)
    found, _ = changed(xy, valid, scale=0.1)
    factors = []
    for one, other in zip(np.asarray(found), np.asarray(xy), strict=True):
        ratio = one[other != 0] / other[other != 0]
        np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
        factors.append(ratio[0])
    assert 0.9 <= min(factors) < 0.92
    assert 1.08 < max(factors) <= 1.1


def test_a_keypoint_is_missing_from_a_window_of_both_bodies_or_is_not():
    xy = jnp.ones((300, 5, 2, 18, 2))
    _, left = changed(xy, jnp.ones(xy.shape[:-1], bool), keypoint_dropout=0.2)
    left = np.asarray(left)
    assert np.all(left == left[:, :1, :1])
    assert abs(1 - left.mean() - 0.2) < 0.02


def test_gaps_are_stretches_of_single_keypoints():
    xy = jnp.ones((40, 90, 2, 18, 2))
    _, left = changed(xy, jnp.ones(xy.shape[:-1], bool), gaps=0.3, longest_gap_seconds=0.5)
    missing = ~np.moveaxis(np.asarray(left), 1, -1).reshape(-1, 90)
    runs = np.diff(np.pad(missing, ((0, 0), (1, 1))).astype(int), axis=-1)
    assert np.max(np.sum(runs == 1, axis=-1)) == 1
    lengths = missing.sum(-1)
    assert 13 <= lengths.max() <= 16
    assert 0.25 < np.mean(lengths > 0) < 0.31
    assert missing.any(0).all()


@pytest.mark.parametrize("share", [0.0, 0.999999])
def test_a_gap_comes_with_its_probability(share):
    found = np.asarray(gaps(KEY, (50,), 30, share, 1e4))
    assert found.any(0).mean() > 0.99 if share else not found.any()


@pytest.mark.parametrize("seconds", [0.2, 1.0])
def test_noise_has_its_deviation_and_its_time_of_correlation(seconds):
    noise = np.asarray(smooth_noise(KEY, (6000,), 31, seconds, 30.0), np.float64)
    assert noise.shape == (31, 6000)
    error = 4 / np.sqrt(6000)  # four standard errors of a mean of as many
    np.testing.assert_allclose(noise.mean(1), 0, atol=error)
    np.testing.assert_allclose(noise.std(1), 1, atol=error)
    for frames in (1, 6, 15, 30):
        wanted = np.exp(-((frames / 30 / seconds) ** 2) / 2)
        assert abs(np.mean(noise[0] * noise[frames]) - wanted) < error
    assert abs(np.mean(noise[:, :-1] * noise[:, 1:])) < error


def test_noise_moves_keypoints_by_centimetres_and_slowly():
    xy, valid = jnp.zeros((20, 60, 2, 18, 2)), jnp.ones((20, 60, 2, 18), bool)
    found, _ = changed(xy, valid, noise_cm=0.3, noise_seconds=0.5)
    assert abs(np.std(found) - 0.3) < 0.02
    speed = np.diff(found, axis=1) * 30
    assert abs(np.std(speed) - 0.3 / 0.5) < 0.05


def test_a_member_draws_the_same_among_others_as_alone():
    xy, valid = windows()
    keys = jax.random.split(KEY, 3)
    together = compiled(jax.vmap(lambda key: augment(key, xy, valid, ALL, 30.0, CANONICAL)))(keys)
    for member, key in enumerate(keys):
        found, left = program(ALL)(key, xy, valid)
        np.testing.assert_array_equal(left, together[1][member])
        np.testing.assert_allclose(found, together[0][member], rtol=1e-6, atol=1e-5)
    assert (together[1][0] != together[1][1]).any()


def test_what_a_window_draws_does_not_follow_from_the_number_of_windows():
    xy, valid = windows()
    found, left = program(ALL)(KEY, xy, valid)
    fewer, fewer_left = program(ALL)(KEY, xy[:2], valid[:2])
    np.testing.assert_array_equal(left[:2], fewer_left)
    np.testing.assert_allclose(found[:2], fewer, rtol=1e-6, atol=1e-5)
    assert (left[0] != left[1]).any()
