"""Two mice that wander, in all eighteen slots, and what becomes of them by name."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxbeh.features.pairwise import OWN, RELATION, pairwise
from jaxbeh.vocabulary import KEYPOINT_SLOTS

RATE = 30.0

POSTURE = np.array(
    [
        *[[4.0, 0.0], [3.0, 0.7], [3.0, -0.7], [3.2, 0.0], [2.2, 0.0], [2.0, 0.9], [2.0, -0.9]],
        *[[1.0, 0.0], [0.0, 0.0], [-1.5, 0.0], [0.0, 1.2], [0.0, -1.2], [-2.5, 1.1], [-2.5, -1.1]],
        *[[-3.0, 1.0], [-3.0, -1.0], [-4.0, 0.0], [-8.0, 0.0]],
    ]
)
"""A mouse that looks along x, in slot order, its body centre at the origin; cm."""


def placed(centre, angle):
    """`[t, 18, 2]` of a stiff mouse at `[t, 2]` that looks along `[t]`."""
    cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y = POSTURE[:, 0], POSTURE[:, 1]
    return np.stack([x * cosine - y * sine, x * sine + y * cosine], -1) + centre[:, None]


def wandering(seed, windows=2, frames=20, missing=0.2, slots=range(18)):
    """Smooth paths and wobbling keypoints `[b, t, 2, 18, 2]`; only some slots are ever valid."""
    draw = np.random.default_rng(seed)
    time = np.arange(frames) / RATE

    def smooth(*shape, size):
        phase, pace = draw.uniform(0, 6, shape), draw.uniform(1, 8, shape)
        return size * np.sin(phase[..., None] + pace[..., None] * time)

    bodies = []
    for _ in range(windows * 2):
        centre = draw.uniform(-8, 8, 2) + smooth(2, size=6).T
        points = placed(centre, draw.uniform(-3, 3) + smooth(size=2.0))
        bodies.append(points + np.moveaxis(smooth(18, 2, size=0.3), -1, 0))
    xy = np.stack(bodies).reshape(windows, 2, frames, 18, 2).swapaxes(1, 2)
    valid = draw.random(xy.shape[:-1]) >= missing
    valid &= np.isin(np.arange(18), list(slots))
    return np.where(valid[..., None], xy, 0).astype(np.float32), valid


# Less time goes into these programs' running than into their compilation.
compiled = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
_pairwise = compiled(functools.partial(pairwise, rate=RATE))


def features(xy, valid):
    return _pairwise(jnp.asarray(xy, jnp.float32), jnp.asarray(valid))


def own(found, body, name):
    """One window's feature of a body, `[t]`."""
    return np.asarray(found.own[0, :, body, OWN.index(name)])


def between(found, name):
    """One window's feature of the relation, `[t]`."""
    return np.asarray(found.relation[0, :, RELATION.index(name)])


def slot(name):
    return KEYPOINT_SLOTS.index(name)
