"""Features of two bodies: each in its own frame, and the other in the agent's.

Nothing changes when the arena is moved or turned; in a mirror, what lies across changes its sign,
and left and right their places. Quantities in cm and s are brought to numbers around 1 by fixed
scales and clipped (`channels.py`). What is missing is 0; features whose names end in `valid` are 1
where it is there. No video's statistics enter, so a video of a new lab looks as any other.
"""

from flax import struct
from jax import Array

from jaxbeh.features.body_motion import bodies
from jaxbeh.features.mirroring import mirror_table
from jaxbeh.features.own_frame import OWN, own_frame
from jaxbeh.features.relation import RELATION, relation


@struct.dataclass
class PairFeatures:
    """Features of a batch of windows.

    Attributes:
        own: float32 `[b, t, 2, f]`, of the agent and of the other, named by `OWN`.
        relation: float32 `[b, t, g]`, named by `RELATION`.
    """

    own: Array
    relation: Array


def pairwise(xy: Array, valid: Array, rate: float) -> PairFeatures:
    """Compute the features of agent and other.

    Args:
        xy: float32 `[b, t, 2, k, 2]`, cm, the agent first; k canonical slots.
        valid: bool `[b, t, 2, k]`, false in padding.
        rate: frames a second.
    """
    found = bodies(xy, valid, rate)
    return PairFeatures(own=own_frame(found), relation=relation(found))


def mirror(features: PairFeatures) -> PairFeatures:
    """The features of the mirrored points (`mirroring.mirror_points` by the canonical names)."""

    def exchanged(values: Array, names: tuple[str, ...]) -> Array:
        order, sign = mirror_table(names)
        return values[..., order] * sign

    return PairFeatures(
        own=exchanged(features.own, OWN), relation=exchanged(features.relation, RELATION)
    )


__all__ = ["OWN", "RELATION", "PairFeatures", "mirror", "pairwise"]
