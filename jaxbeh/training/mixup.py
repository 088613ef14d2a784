"""Mixup (Zhang et al., 2018): a window is mixed with another of its batch, inputs and targets."""

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxbeh.models import Inputs


def mixup(
    key: Array,
    alpha: float,
    inputs: Inputs,
    targets: Array,
    looked_for: Array,
    real: Array,
    mesh: Mesh | None = None,
) -> tuple[Inputs, Array, Array]:
    """Mix every window with the next one of the batch, which its random order makes a random one.

    A frame counts, and a point is there, where it is in both windows; the classes allowed are those
    of either.

    Args:
        key: for the shares, one a window.
        alpha: a window keeps a share drawn from Beta(alpha, alpha).
        inputs: the windows.
        targets: float32 `[b, t, c]`, all 0 in frames that do not count.
        looked_for: bool `[b, c]`.
        real: bool `[b]`, false in padding rows, which stand last and are left alone.
        mesh: devices that share the windows; `None` for one device.

    Returns:
        Mixed inputs, targets and classes looked for.
    """
    count = jnp.sum(real, dtype=jnp.int32)
    row = jnp.arange(real.shape[0], dtype=jnp.int32)
    partner = jnp.where(real, jnp.where(row + 1 < count, row + 1, 0), row)
    share = jax.random.beta(key, alpha, alpha, real.shape, jnp.float32)
    if mesh is not None:
        # By each device for all of them: numbers are drawn until all are accepted, and devices that
        # share them out would ask each other after every draw.
        share = lax.with_sharding_constraint(share, NamedSharding(mesh, PartitionSpec()))

    def mix(values: Array) -> Array:
        own = share.reshape(-1, *(1,) * (values.ndim - 1))
        return own * values + (1.0 - own) * values[partner]

    def both(flags: Array) -> Array:
        return flags & flags[partner]

    points_valid = both(inputs.points_valid)
    counts = both(jnp.sum(targets, axis=-1, keepdims=True) > 0)
    mixed = Inputs(
        flat=mix(inputs.flat),
        points=jnp.where(points_valid[..., None], mix(inputs.points), 0.0),
        points_valid=points_valid,
        mask=both(inputs.mask),
    )
    return mixed, jnp.where(counts, mix(targets), 0.0), looked_for | looked_for[partner]
