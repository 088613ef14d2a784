"""What is hidden of windows, and how well it is said.

Keypoints are hidden before features are taken of them, as if they had not been tracked: speeds
beside a hidden span are then unknown as well, and nothing of the hidden frames is left in what the
network is shown. To be predicted are the features that are known in the true window and missing in
the shown one.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxbeh.features.pairwise import OWN, RELATION
from jaxbeh.models.inputs import PairInputs
from jaxbeh.settings.pairs import HidingSettings
from jaxbeh.training.pairs.augmentation import gaps


def _measured(names: tuple[str, ...]) -> np.ndarray:
    """Places of the names that are no flags."""
    return np.flatnonzero([not name.endswith("valid") for name in names])


_OWN, _RELATION = _measured(OWN), _measured(RELATION)

FEATURES = 2 * len(_OWN) + len(_RELATION)
"""n, the features that are predicted in a frame."""


def hidden(
    keys: Array, settings: HidingSettings, frames: int, keypoints: int, rate: float
) -> Array:
    """Which keypoints are hidden, bool `[b, t, 2, k]`.

    Args:
        keys: `[b]`, one a window.
        settings: how much of it.
        frames: t.
        keypoints: k.
        rate: frames a second.
    """
    window = functools.partial(
        _window, settings=settings, frames=frames, keypoints=keypoints, rate=rate
    )
    found: Array = jax.vmap(window)(keys)
    return found


def _window(
    key: Array, settings: HidingSettings, frames: int, keypoints: int, rate: float
) -> Array:
    """One window, `[t, 2, k]`."""
    body_key, point_key = jax.random.split(key)
    longest = settings.longest_seconds * rate
    bodies = gaps(body_key, (settings.spans, 2, 1), frames, 1.0, longest)
    points = gaps(point_key, (2, keypoints), frames, settings.keypoints, longest)
    return jnp.any(bodies, axis=1) | points


def measured(inputs: PairInputs) -> Array:
    """Features of agent, other, relation but for the flags: float32 `[b, t, n]`, 0 if missing."""
    own = inputs.own[..., _OWN]
    relation = inputs.relation[..., _RELATION]
    return jnp.concatenate([own[:, :, 0], own[:, :, 1], relation], axis=-1)


def huber(said: Array, true: Array, counted: Array) -> tuple[Array, Array]:
    """Sum over what counts of Huber's loss (1964) with its corner at 1, and how many that are.

    Args:
        said: float32 `[b, t, n]`.
        true: float32 `[b, t, n]`.
        counted: bool `[b, t, n]`.

    Returns:
        Two float32 scalars.
    """
    error = jnp.abs(said - true)
    loss = jnp.where(error < 1.0, 0.5 * error * error, error - 0.5)
    return jnp.sum(jnp.where(counted, loss, 0.0)), jnp.sum(counted, dtype=jnp.float32)
