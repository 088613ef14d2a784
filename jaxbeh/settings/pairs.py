"""Recipe v7, who does what to whom over the data's own actions, and its pre-training."""

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from jaxbeh.settings.block import Block, Probability
from jaxbeh.settings.models import PairNetworkSettings
from jaxbeh.settings.run import Config


class PairLossSettings(Block):
    """Over the actions that were looked for in a track."""

    name: Literal["softmax", "bce"] = Field(
        "softmax", description="softmax: at most one action a frame; bce: each for itself"
    )
    balance: float = Field(
        0.5, ge=0, le=1, description="an action's frames weigh (its share of frames) ** −balance"
    )


class PairAugmentationSettings(Block):
    """What training windows are changed by (`training/pairs/augmentation.py`, `recipe.py`)."""

    mirror: float = Field(0.5, ge=0, le=1, description="share of windows that are mirrored")
    scale: Probability = Field(
        0.1, description="bodies and what lies between them are up to this share larger or smaller"
    )
    noise_cm: float = Field(0.0, ge=0, description="deviation of noise that is smooth in time")
    noise_seconds: float = Field(0.5, gt=0, description="its time of correlation")
    keypoint_dropout: Probability = Field(
        0.0, description="of each keypoint, to be missing from a window, of both bodies"
    )
    gaps: Probability = Field(
        0.0, description="of each keypoint of each body, to be missing for some time"
    )
    longest_gap_seconds: float = Field(1.0, gt=0)
    time_stretch: float = Field(
        1.0, ge=1, description="a window runs up to this many times faster or slower"
    )
    lab_dropout: Probability = Field(0.1, description="windows that do not say their lab")


class MemberSettings(Block):
    """The networks that a run trains together: one a fold and seed."""

    folds: int = Field(
        3, ge=1, description="1 holds out one part, as data.split_file or the draw says"
    )
    seeds: int = Field(1, ge=1, description="networks a fold, which differ in all that is drawn")
    hold_out: Literal["videos", "labs"] = Field(
        "videos", description="labs: a fold is a lab, whatever `folds` says"
    )

    @model_validator(mode="after")
    def _not_too_many(self) -> Self:
        if self.folds * self.seeds > 256:
            raise ValueError(
                f"{self.folds} folds of {self.seeds} seeds are {self.folds * self.seeds} networks "
                f"in one run; at most 256 are allowed"
            )
        return self


class HidingSettings(Block):
    """What of a window is hidden, to be predicted (`training/poses/hiding.py`)."""

    spans: int = Field(3, ge=0, description="of each body, in which all of it is hidden")
    keypoints: Probability = Field(
        0.3, description="of each keypoint of each body, to be hidden for a span of its own"
    )
    longest_seconds: float = Field(1.5, gt=0, description="spans last up to this long")

    @model_validator(mode="after")
    def _something_is_hidden(self) -> Self:
        if not (self.spans or self.keypoints):
            raise ValueError("spans and keypoints are 0: nothing is hidden that could be predicted")
        return self


class TrackConfig(Config):
    """Windows of an agent and an other, on 30 frames a second."""

    network: PairNetworkSettings = PairNetworkSettings()
    augmentation: PairAugmentationSettings = PairAugmentationSettings()
    average: float = Field(
        0.99, ge=0, lt=1, description="decay a step of the running mean of weights that predicts"
    )

    @model_validator(mode="after")
    def _window_is_long_enough(self) -> Self:
        shortest = self.network.encoder.shortest_window
        if self.window.length < shortest:
            raise ValueError(
                f"window.length: {self.window.length} frames are fewer than the {shortest} that "
                f"the poolings of model {self.network.encoder.name} need"
            )
        return self


class PairConfig(TrackConfig):
    """Actions of each mouse alone and to each other: recipe v7."""

    score: ClassVar[str] = "val_official_f"
    score_name: ClassVar[str] = "official F"

    task: Literal["pairs"] = "pairs"
    loss: PairLossSettings = PairLossSettings()
    members: MemberSettings = MemberSettings()


class PoseConfig(TrackConfig):
    """Poses hidden from tracks, labelled or not: the pre-training of recipe v7."""

    score: ClassVar[str] = "val_explained"
    score_name: ClassVar[str] = "explained"
    labelled: ClassVar[bool] = False

    task: Literal["poses"] = "poses"
    hiding: HidingSettings = HidingSettings()
