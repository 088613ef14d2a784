"""Standardisation by the training frames: log1p, z-score, clip, 0 where missing.

The order at every use: `compute`, `projection.complete`, then `normalise`; on a GPU one kernel does
all that for motion features (`training.fused_motion`).
"""

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array

from jaxbeh.features import projection
from jaxbeh.features.feature_set import FeatureSet
from jaxbeh.features.projection import Projection

CLIP = 5.0
"""Standardised values are kept within ± this many standard deviations."""


@struct.dataclass
class Normaliser:
    """Statistics of the valid training values, after log1p where a feature is heavy-tailed.

    Attributes:
        mean: float32 `[f]`.
        deviation: float32 `[f]`, standard deviation; 1 where a feature never varies.
        projection: of the coordinates that the set projects; `None` where it projects nothing.
    """

    mean: Array
    deviation: Array
    projection: Projection | None = None

    @classmethod
    def template(cls, features: FeatureSet) -> "Normaliser":
        """Shapes and dtypes alone, for restoring."""
        leaf: Any = jax.ShapeDtypeStruct((len(features.names),), np.float32)
        return cls(mean=leaf, deviation=leaf, projection=projection.template(features))


@struct.dataclass
class Moments:
    """Count, mean and sum of squared deviations of some values, each float32 `[f]`."""

    count: Array
    mean: Array
    squares: Array


def tame(features: FeatureSet, flat: Array) -> Array:
    """Pass heavy-tailed features, which are never negative, through log1p."""
    parts, start = [], 0
    for heavy, run in groupby(features.heavy_tailed):
        stop = start + len(list(run))
        part = flat[..., start:stop]
        # log(1 + x), not log1p: it is off by at most 6e-8 and takes half the time.
        parts.append(jnp.log(1.0 + part) if heavy else part)
        start = stop
    return jnp.concatenate(parts, axis=-1)


def moments(flat: Array, valid: Array) -> Moments:
    """Moments of one batch over its valid entries.

    Args:
        flat: float32 `[b, t, f]`, tamed.
        valid: bool `[b, t, f]`.
    """
    count = jnp.sum(valid, axis=(0, 1), dtype=jnp.float32)
    mean = jnp.sum(jnp.where(valid, flat, 0.0), axis=(0, 1)) / jnp.maximum(count, 1.0)
    squares = jnp.sum(jnp.where(valid, flat - mean, 0.0) ** 2, axis=(0, 1))
    return Moments(count=count, mean=mean, squares=squares)


def fit(batches: Iterable[Moments], projected: Projection | None = None) -> Normaliser:
    """Merge the batches' moments on the host in float64.

    Pairwise update of Chan, Golub and LeVeque (1979), which loses no digits where the naive
    difference of sums does.

    Args:
        batches: moments of completed and tamed features.
        projected: the projection that they were completed with.
    """
    count, mean, squares = (np.zeros(()) for _ in range(3))
    for batch in batches:
        more = np.asarray(batch.count, np.float64)
        total = np.maximum(count + more, 1.0)
        delta = np.asarray(batch.mean, np.float64) - mean
        squares = squares + np.asarray(batch.squares, np.float64) + delta**2 * count * more / total
        mean = mean + delta * more / total
        count = count + more
    deviation = np.sqrt(squares / np.maximum(count, 1.0))
    varies = deviation > 1e-6 * np.maximum(np.abs(mean), 1.0)
    host: dict[str, Any] = {"mean": mean, "deviation": np.where(varies, deviation, 1.0)}
    return Normaliser(
        **{name: value.astype(np.float32) for name, value in host.items()}, projection=projected
    )


def normalise(features: FeatureSet, normaliser: Normaliser, flat: Array, valid: Array) -> Array:
    """Float32 `[b, t, f]`, standardised and clipped; 0 where invalid."""
    scaled = (tame(features, flat) - normaliser.mean) / normaliser.deviation
    return jnp.where(valid, jnp.clip(scaled, -CLIP, CLIP), 0.0)
