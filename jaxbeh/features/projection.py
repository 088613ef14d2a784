"""Principal components of coordinates: fitted on the training frames, applied inside the step.

A coordinate that is missing counts as its training mean, both when fitting and when projecting;
where none is missing this is the ordinary PCA.
"""

from collections.abc import Iterable
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax import Array, lax
from numpy.typing import NDArray

from jaxbeh.features.feature_set import Features, FeatureSet


@struct.dataclass
class Projection:
    """The way from n coordinates to their r scores.

    Attributes:
        mean: float32 `[n]`, of the valid training values.
        components: float32 `[r, n]`, unit vectors by falling variance, the largest loading of
            each positive.
    """

    mean: Array
    components: Array


@struct.dataclass
class Comoments:
    """Second moments of n coordinates, each pair over the frames in which both are valid.

    The products of deviations come as their triangular factor. Where two mice roam, the largest
    variance is some 10⁵ times the sixteenth; products in float32 would lose the small ones in the
    rounding of the large (components off by 1e-2), a factor keeps both.

    Attributes:
        mean: float32 `[n]`, about which the sums below are taken.
        count: float32 `[n, n]`, frames with both.
        sums: float32 `[n, n]`, sum of the row's deviations over these frames.
        factor: float32 `[min(b·t, n), n]`; factorᵀ · factor is the sum of the products of both
            deviations.
    """

    mean: Array
    count: Array
    sums: Array
    factor: Array


def comoments(values: Array, valid: Array) -> Comoments:
    """Second moments of one batch.

    Args:
        values: float32 `[b, t, n]`.
        valid: bool `[b, t, n]`.
    """
    known = valid.astype(jnp.float32)
    count = jnp.sum(known, axis=(0, 1))
    mean = jnp.sum(jnp.where(valid, values, 0.0), axis=(0, 1)) / jnp.maximum(count, 1.0)
    deviations = jnp.where(valid, values - mean, 0.0)
    return Comoments(
        mean=mean,
        count=_pairs(known, known),
        sums=_pairs(deviations, known),
        factor=jnp.linalg.qr(deviations.reshape(-1, deviations.shape[-1]), mode="r"),
    )


def fit(batches: Iterable[Comoments], components: int) -> Projection:
    """Merge the batches' moments and find the components, on the host in float64.

    Both sides of a merge are moved to their common mean first, as in `normaliser.fit`: a
    difference of large sums is never taken.
    """
    merged: _Sums | None = None
    for batch in batches:
        more = _Sums.of(batch)
        merged = more if merged is None else merged.merge(more)
    if merged is None:
        raise ValueError("a projection cannot be fitted to no batch at all")
    _, vectors = np.linalg.eigh((merged.products + merged.products.T) / 2)
    rows = vectors.T[::-1][:components]
    largest = np.take_along_axis(rows, np.argmax(np.abs(rows), axis=1)[:, None], axis=1)
    host: dict[str, Any] = {"mean": merged.mean, "components": rows * np.sign(largest)}
    return Projection(**{name: value.astype(np.float32) for name, value in host.items()})


def project(projection: Projection, values: Array, valid: Array) -> tuple[Array, Array]:
    """Scores `[b, t, r]` in the coordinates' unit, and whether a frame has any coordinate.

    Args:
        projection: fitted.
        values: float32 `[b, t, n]`.
        valid: bool `[b, t, n]`.
    """
    deviations = jnp.where(valid, values - projection.mean, 0.0)
    scores = jnp.einsum(
        "btn,rn->btr", deviations, projection.components, precision=lax.Precision.HIGHEST
    )
    return scores, jnp.broadcast_to(jnp.any(valid, axis=-1, keepdims=True), scores.shape)


def complete(
    features: FeatureSet, projection: Projection | None, found: Features
) -> tuple[Array, Array]:
    """Put scores in the place of the coordinates at the end of the flat form.

    Returns:
        Float32 `[b, t, f]` in the order of `features.names`, 0 where invalid; bool `[b, t, f]`.

    Raises:
        ValueError: the set has coordinates to project and there is no projection.
    """
    if not features.projected:
        return found.flat, found.flat_valid
    if projection is None:
        raise ValueError(f"{features.projected} coordinates wait for a fitted projection")
    scores, known = project(projection, *to_project(features, found))
    kept = found.flat.shape[-1] - features.projected
    return (
        jnp.concatenate([found.flat[..., :kept], scores], axis=-1),
        jnp.concatenate([found.flat_valid[..., :kept], known], axis=-1),
    )


def to_project(features: FeatureSet, found: Features) -> tuple[Array, Array]:
    """The coordinates at the end of the flat form and their validity, `[b, t, n]` each."""
    kept = found.flat.shape[-1] - features.projected
    return found.flat[..., kept:], found.flat_valid[..., kept:]


def template(features: FeatureSet) -> Projection | None:
    """Shapes and dtypes alone, for restoring; `None` where a set projects nothing."""
    if not features.projected:
        return None
    mean: Any = jax.ShapeDtypeStruct((features.projected,), np.float32)
    rows: Any = jax.ShapeDtypeStruct((features.components, features.projected), np.float32)
    return Projection(mean=mean, components=rows)


@struct.dataclass
class _Sums:
    """`Comoments` in float64 on the host, the factor multiplied out."""

    mean: NDArray[np.float64]
    count: NDArray[np.float64]
    sums: NDArray[np.float64]
    products: NDArray[np.float64]

    @classmethod
    def of(cls, batch: Comoments) -> Self:
        factor = np.asarray(batch.factor, np.float64)
        return cls(
            mean=np.asarray(batch.mean, np.float64),
            count=np.asarray(batch.count, np.float64),
            sums=np.asarray(batch.sums, np.float64),
            products=factor.T @ factor,
        )

    def merge(self, other: Self) -> "_Sums":
        mine, others = np.diag(self.count), np.diag(other.count)
        total = np.maximum(mine + others, 1.0)
        mean = self.mean + (other.mean - self.mean) * others / total
        left, right = self.about(mean), other.about(mean)
        return _Sums(
            mean=mean,
            count=left.count + right.count,
            sums=left.sums + right.sums,
            products=left.products + right.products,
        )

    def about(self, mean: NDArray[np.float64]) -> "_Sums":
        """The same sums about another mean."""
        moved = self.mean - mean
        across = self.sums * moved
        return _Sums(
            mean=mean,
            count=self.count,
            sums=self.sums + moved[:, None] * self.count,
            products=self.products + across + across.T + np.outer(moved, moved) * self.count,
        )


def _pairs(rows: Array, columns: Array) -> Array:
    """Sum over the frames of all products, `[b, t, n]` twice → `[n, n]`, in full float32."""
    return jnp.einsum("bti,btj->ij", rows, columns, precision=lax.Precision.HIGHEST)
