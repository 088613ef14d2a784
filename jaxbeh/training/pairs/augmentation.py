"""What training windows of two bodies are changed by, before features are taken of them.

The arena is not moved or turned: the features would be the same. Every window draws from a key of
its own, by its place in the batch: what happens to it does not follow from how many others there
are. With threefry keys (JAX's default; not `rbg`) the numbers are the same under `vmap` as alone.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array

from jaxbeh.features.mirroring import mirror_points
from jaxbeh.settings.pairs import PairAugmentationSettings

_WAVES = 4  # that smooth noise is the sum of


def augment(
    key: Array,
    xy: Array,
    valid: Array,
    settings: PairAugmentationSettings,
    rate: float,
    mirrored: Sequence[int],
) -> tuple[Array, Array]:
    """Mirror, scale, blur and hide the keypoints of a batch, each window in its own way.

    Args:
        key: a threefry key.
        xy: float32 `[b, t, 2, k, 2]`, cm.
        valid: bool `[b, t, 2, k]`.
        settings: how much of what; stretching of time and dropping of labs are the caller's.
        rate: frames a second.
        mirrored: k indices, where each slot's mirror image stands (`mirroring.counterparts`).

    Returns:
        Float32 `[b, t, 2, k, 2]`, 0 where invalid; bool `[b, t, 2, k]`, true nowhere else than
        before but for the exchange of left and right.
    """
    index = jnp.arange(xy.shape[0], dtype=jnp.uint32)
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, index)
    window = functools.partial(_window, settings=settings, rate=rate, mirrored=tuple(mirrored))
    changed: tuple[Array, Array] = jax.vmap(window)(keys, xy, valid)
    return changed


def smooth_noise(
    key: Array, shape: Sequence[int], frames: int, seconds: float, rate: float
) -> Array:
    """Noise of deviation 1 whose correlation over time Δ is exp(−Δ² / (2 · seconds²)).

    A sum of waves of random frequency and phase (Rahimi and Recht, 2007).

    Args:
        key: for frequencies and phases.
        shape: of what is disturbed, each of its numbers independently.
        frames: t.
        seconds: the time of correlation.
        rate: frames a second.

    Returns:
        Float32 `[t, *shape]`.
    """
    pace_key, phase_key = jax.random.split(key)
    paces = jax.random.normal(pace_key, (_WAVES, *shape), jnp.float32) / (seconds * rate)
    phases = jax.random.uniform(phase_key, (_WAVES, *shape), jnp.float32, 0.0, 2.0 * jnp.pi)
    time = jnp.arange(frames, dtype=jnp.float32).reshape(-1, *(1,) * len(shape))
    waves = [jnp.cos(pace * time + phase) for pace, phase in zip(paces, phases, strict=True)]
    total: Array = sum(waves[1:], waves[0]) * (2.0 / _WAVES) ** 0.5
    return total


def gaps(key: Array, shape: Sequence[int], frames: int, share: float, longest: float) -> Array:
    """Stretches of time, one in a `share` of all series, of up to `longest` frames.

    Args:
        key: for which series, where and how long.
        shape: of the series.
        frames: t.
        share: probability of a gap, of each series.
        longest: frames; lengths are uniform up to it. The middle lies anywhere in the window.

    Returns:
        Bool `[t, *shape]`, true in a gap.
    """
    which_key, where_key, length_key = jax.random.split(key, 3)
    hit = jax.random.bernoulli(which_key, share, shape)
    middle = jax.random.uniform(where_key, shape, jnp.float32, 0.0, float(frames))
    half = jax.random.uniform(length_key, shape, jnp.float32, 0.0, longest / 2)
    time = jnp.arange(frames, dtype=jnp.float32).reshape(-1, *(1,) * len(shape)) + 0.5
    return hit & (jnp.abs(time - middle) <= half)


def _window(
    key: Array,
    xy: Array,
    valid: Array,
    settings: PairAugmentationSettings,
    rate: float,
    mirrored: tuple[int, ...],
) -> tuple[Array, Array]:
    """One window, `[t, 2, k, 2]` and `[t, 2, k]`."""
    mirror_key, scale_key, noise_key, slot_key, part_key = jax.random.split(key, 5)
    frames, bodies, keypoints = valid.shape
    if settings.mirror:
        turned = jax.random.bernoulli(mirror_key, settings.mirror)
        other, other_valid = mirror_points(xy, valid, mirrored)
        xy, valid = jnp.where(turned, other, xy), jnp.where(turned, other_valid, valid)
    if settings.scale:
        most = settings.scale
        xy = xy * jax.random.uniform(scale_key, (), jnp.float32, 1.0 - most, 1.0 + most)
    if settings.noise_cm:
        shape = (bodies, keypoints, 2)
        noise = smooth_noise(noise_key, shape, frames, settings.noise_seconds, rate)
        xy = xy + settings.noise_cm * noise
    if settings.keypoint_dropout:
        valid &= ~jax.random.bernoulli(slot_key, settings.keypoint_dropout, (keypoints,))
    if settings.gaps:
        longest = settings.longest_gap_seconds * rate
        valid &= ~gaps(part_key, (bodies, keypoints), frames, settings.gaps, longest)
    return jnp.where(valid[..., None], xy, 0.0), valid
