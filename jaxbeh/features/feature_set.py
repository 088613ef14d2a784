"""What a set of features is: its names, how far it looks back, how it is computed."""

from dataclasses import dataclass
from typing import Protocol

from flax import struct
from jax import Array


@struct.dataclass
class Features:
    """Features of a batch of windows, before standardisation, in both forms.

    Attributes:
        flat: float32 `[b, t, f]`, in each feature's own unit; 0 where invalid. Where a set has
            projected coordinates, they stand in place of their scores (see `FeatureSet`).
        flat_valid: bool `[b, t, f]`.
        points: float32 `[b, t, m, k, 2]`, centimetres; 0 where invalid.
        points_valid: bool `[b, t, m, k]`.
    """

    flat: Array
    flat_valid: Array
    points: Array
    points_valid: Array


class Compute(Protocol):
    """A pure function from gathered frames to features.

    Takes `xy` float32 `[b, h+t, m, k, 2]` in centimetres, `valid` bool `[b, h+t, m, k]`, `frame`
    int32 `[b, h+t]` (the frame's index in its video, negative before its start) and `fps` float32
    `[b]`; drops the h frames of history.
    """

    def __call__(self, xy: Array, valid: Array, frame: Array, fps: Array) -> Features:
        """Compute the features of a batch."""
        ...


@dataclass(frozen=True)
class FeatureSet:
    """A named way to look at frames.

    Attributes:
        names: f names, in the order of the model's input.
        history: h, frames before a window that its first frame's features need.
        heavy_tailed: f flags; such features pass through log1p before standardisation.
        compute: the function.
        projected: how many columns at the end of `compute`'s flat form are coordinates that
            `projection.complete` replaces by their scores.
        components: how many scores replace them; they are the last of the names.
        required: keypoints that a video must track.
        mice: how many mice a video must track, in the first slots.
    """

    names: tuple[str, ...]
    history: int
    heavy_tailed: tuple[bool, ...]
    compute: Compute
    projected: int = 0
    components: int = 0
    required: tuple[str, ...] = ()
    mice: int = 0
