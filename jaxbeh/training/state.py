"""What training carries from step to step and from epoch to epoch, and what a checkpoint holds."""

from typing import Any

import numpy as np
from flax import struct
from jax import Array

from jaxbeh.features.normaliser import Normaliser


@struct.dataclass
class TrainState:
    """What an update changes.

    Attributes:
        step: int32 scalar, updates made; also what all randomness is derived from.
        params: the model's parameters, float32.
        batch_stats: BatchNorm's running statistics, float32.
        opt_state: the optimiser's state.
        average: a running mean of the parameters, `None` in recipes that keep none.
    """

    step: Array
    params: Any
    batch_stats: Any
    opt_state: Any
    average: Any = None


@struct.dataclass
class EpochSums:
    """Running sums of the epoch under way; divided once, at its end.

    Attributes:
        loss: float32 scalar, sum of weight · negative log-likelihood over labelled frames.
        weight: float32 scalar, sum of the weights.
        first_nonfinite: int32 scalar, the step of the first update whose loss or gradient was not
            finite; −1 where there is none.
        skipped: int32 scalar, such updates that were skipped.
    """

    loss: Array
    weight: Array
    first_nonfinite: Array
    skipped: Array

    @classmethod
    def zero(cls) -> "EpochSums":
        """Sums at the start of an epoch (on the host)."""
        zero: dict[str, Any] = {"loss": np.float32(0), "weight": np.float32(0)}
        return cls(**zero, first_nonfinite=np.int32(-1), skipped=np.int32(0))  # type: ignore[arg-type]  # host leaf


@struct.dataclass
class LoopState:
    """Where the loop stands, on the host.

    Attributes:
        epoch: int32 scalar, epochs completed.
        best_score: float32 scalar, the best validation score; −1 before the first.
        best_epoch: int32 scalar, where it was reached; 0 before the first.
        stalled: int32 scalar, epochs since the best one, or since the rate was lowered.
        rate_scale: float32 scalar, what the schedule's rate is multiplied by.
    """

    epoch: np.int32
    best_score: np.float32
    best_epoch: np.int32
    stalled: np.int32
    rate_scale: np.float32

    @classmethod
    def start(cls) -> "LoopState":
        """Before the first epoch."""
        return cls(
            epoch=np.int32(0),
            best_score=np.float32(-1),
            best_epoch=np.int32(0),
            stalled=np.int32(0),
            rate_scale=np.float32(1),
        )

    def after(self, score: float) -> "LoopState":
        """The state once one more epoch reached `score`."""
        epoch = np.int32(self.epoch + 1)
        if np.float32(score) > self.best_score:
            changed: dict[str, Any] = {"best_score": np.float32(score), "best_epoch": epoch}
        else:
            changed = {}
        stalled = np.int32(0 if changed else self.stalled + 1)
        return self.replace(epoch=epoch, stalled=stalled, **changed)  # type: ignore[attr-defined,no-any-return]  # by struct

    def finished(self, epochs: int, patience: int | None) -> bool:
        """Whether the last epoch is done, or none of the last `patience` brought a better score."""
        impatient = patience is not None and self.epoch - self.best_epoch >= patience
        return bool(self.epoch >= epochs or impatient)


@struct.dataclass
class Snapshot:
    """Everything a checkpoint holds: enough to continue to the same bits, and to predict."""

    train: TrainState
    sums: EpochSums
    loop: LoopState
    normaliser: Normaliser | None
