"""What every model takes."""

from flax import struct
from jax import Array


@struct.dataclass
class Inputs:
    """A batch of windows as a model sees it.

    Attributes:
        flat: float32 `[b, t, f]`, standardised; 0 where missing.
        points: float32 `[b, t, m, k, 2]`, centimetres; 0 where missing.
        points_valid: bool `[b, t, m, k]`.
        mask: bool `[b, t]`, true for a window's frames, false in the padding behind them.
    """

    flat: Array
    points: Array
    points_valid: Array
    mask: Array
