"""Left becomes right: of points, and of features that are named."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy.typing import NDArray

from jaxbeh.vocabulary import KEYPOINT_SLOTS

_ODD = (".across", ".sin", ".turning")  # ends of the names of what changes its sign in a mirror


def counterparts(names: Sequence[str | None]) -> tuple[int, ...]:
    """Of each name the index of the one with left and right exchanged; its own if there is none.

    Args:
        names: such as those of a slot table, `None` where a slot is empty.
    """
    index = {name: place for place, name in enumerate(names) if name is not None}
    return tuple(
        place if name is None else index.get(_exchanged(name), place)
        for place, name in enumerate(names)
    )


def _exchanged(name: str) -> str:
    return "right".join(part.replace("right", "left") for part in name.split("left"))


CANONICAL = counterparts(KEYPOINT_SLOTS)
"""Where each canonical slot's mirror image stands."""


def mirror_points(xy: Array, valid: Array, slots: Sequence[int] = CANONICAL) -> tuple[Array, Array]:
    """Mirror the arena on its y axis and exchange the slots of left and right.

    Args:
        xy: float32 `[…, k, 2]`.
        valid: bool `[…, k]`.
        slots: k indices, where each slot's mirror image stands. Where slots are lent, take
            `counterparts` of the slot table's names: a slot called `ear_left` may then hold
            something that is not on the left.
    """
    order = np.array(slots)
    return xy[..., order, :] * jnp.array([-1.0, 1.0]), valid[..., order]


def mirror_table(names: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """How named features change in a mirror: mirrored[…, i] = sign[i] · features[…, order[i]]."""
    sign = [-1.0 if name.endswith(_ODD) else 1.0 for name in names]
    return np.array(counterparts(names)), np.array(sign, np.float32)
