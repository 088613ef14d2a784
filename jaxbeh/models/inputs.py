"""What every model takes."""

from flax import struct
from jax import Array


@struct.dataclass
class Inputs:
    """A batch of windows as a model sees it.

    Attributes:
        flat: `[b, t, f]`, standardised; 0 where missing; float32 or the dtype of products.
        points: float32 `[b, t, m, k, 2]`, centimetres; 0 where missing.
        points_valid: bool `[b, t, m, k]`.
        mask: bool `[b, t]`, true for a window's frames, false in the padding behind them.
    """

    flat: Array
    points: Array
    points_valid: Array
    mask: Array


@struct.dataclass
class PairInputs:
    """A batch of windows of an agent and an other as the network of pair actions sees it.

    Attributes:
        own: float32 `[b, t, 2, f]`, features of the agent and of the other; 0 where missing.
        relation: float32 `[b, t, g]`, features of the other in the agent's frame; 0 where missing.
        mask: bool `[b, t]`, true for a window's frames, false in the padding behind them.
        lab: int32 `[b]`, 0 where unknown, else 1 to the number of labs.
    """

    own: Array
    relation: Array
    mask: Array
    lab: Array
