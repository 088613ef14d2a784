"""What every run is made from, and the parts of recipes v1 to v6."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from jaxbeh.settings.block import Block, Name, Probability
from jaxbeh.settings.models import ConvBiLSTMSettings, ModelSettings


class EventScale(Block):
    """A known mistake of one lab's annotations: event frames are multiplied by `factor`."""

    lab: Name
    fps: float = Field(gt=0, description="only videos of this frame rate, frames a second")
    factor: float = Field(gt=0)


class DataSettings(Block):
    """What is read, how it is split, and what stands in for missing metadata."""

    split_file: str | None = Field(
        None,
        description="JSON with `train` and `validation` lists of video ids; a path as on the "
        "command line, from the working directory",
    )
    validation_fraction: float = Field(0.2, gt=0, lt=1, description="share of the videos")
    default_fps: float = Field(30.0, gt=0, description="frames a second where a video has none")
    assumed_body_length_cm: float = Field(
        9.0, gt=0, description="nose to tail base, where a video has no scale"
    )
    aliases: dict[Name, Name] = Field(
        default_factory=dict, description="a file's keypoint name: the name it goes by here"
    )
    event_scale: tuple[EventScale, ...] = ()
    synthetic_videos: int = Field(22, ge=3, description="labelled videos made without --data")


class WindowSettings(Block):
    """Windows of consecutive frames, in frames."""

    length: int = Field(100, ge=1)
    train_stride: int = Field(25, ge=1)

    @model_validator(mode="after")
    def _no_frame_between_windows(self) -> Self:
        for key in type(self).model_fields:
            if getattr(self, key) > self.length:
                raise ValueError(
                    f"{key} {getattr(self, key)} leaves frames out between windows of "
                    f"{self.length}; at most {self.length} is allowed"
                )
        return self


class SceneWindowSettings(WindowSettings):
    """Those of scenes may overlap where they are judged, too."""

    validation_stride: int = Field(100, ge=1)


class CoordinateSettings(Block):
    """144 coordinates (`features/coordinates.py`)."""

    name: Literal["coordinates"] = "coordinates"


class MotionSettings(Block):
    """288: the coordinates, 72 speeds, 72 accelerations (`features/motion.py`)."""

    name: Literal["motion"] = "motion"


class EngineeredSettings(Block):
    """23 quantities of two mice, their rolling statistics, a PCA (`features/engineered.py`)."""

    name: Literal["engineered"] = "engineered"
    pca_components: int = Field(16, ge=1, le=28, description="of the two mice's 28 coordinates")


FeatureSettings = Annotated[
    CoordinateSettings | MotionSettings | EngineeredSettings, Field(discriminator="name")
]
"""The settings of any set of features; its `name` says which."""


class ClassSettings(Block):
    """One class of the scene and the actions that belong to it."""

    name: Name
    actions: tuple[Name, ...] = ()


class LossSettings(Block):
    """Cross-entropy over labelled frames."""

    class_weights: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        None, description="one a class, in the order of `classes`; null weighs all alike"
    )
    label_smoothing: Probability = Field(
        0.0, description="share of a target that is spread over the classes looked for"
    )


class AdamSettings(Block):
    """Adam as published, without weight decay or clipping."""

    name: Literal["adam"] = "adam"
    learning_rate: float = Field(1e-3, gt=0)


class AdamWSettings(Block):
    """AdamW with decoupled weight decay, gradients clipped by their global norm."""

    name: Literal["adamw"] = "adamw"
    learning_rate: float = Field(3e-4, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    clip_norm: float = Field(1.0, gt=0)


OptimizerSettings = Annotated[AdamSettings | AdamWSettings, Field(discriminator="name")]
"""The settings of any optimiser; its `name` says which."""


class ConstantSettings(Block):
    """The same rate throughout."""

    name: Literal["constant"] = "constant"

    @property
    def lowest_rate(self) -> float:
        """What the rate never falls below."""
        return 0.0


class PlateauSettings(Block):
    """The rate falls whenever the validation score has not risen for some epochs."""

    name: Literal["plateau"] = "plateau"
    factor: float = Field(0.5, gt=0, lt=1)
    patience: int = Field(5, ge=1, description="epochs without a better validation score")
    floor: float = Field(1e-5, ge=0, description="the lowest rate")

    @property
    def lowest_rate(self) -> float:
        """What the rate never falls below."""
        return self.floor


class WarmupCosineSettings(Block):
    """Linear warm-up, then a cosine that ends with the run's last epoch."""

    name: Literal["warmup_cosine"] = "warmup_cosine"
    warmup_epochs: float = Field(
        3.0, ge=0, description="at most a third of the run is used for warming up"
    )
    final_learning_rate: float = Field(1e-5, ge=0)

    @property
    def lowest_rate(self) -> float:
        """What the rate never falls below."""
        return self.final_learning_rate


ScheduleSettings = Annotated[
    ConstantSettings | PlateauSettings | WarmupCosineSettings, Field(discriminator="name")
]
"""The settings of any schedule; its `name` says which."""


class AugmentationSettings(Block):
    """What training windows are changed by."""

    noise: float = Field(0.0, ge=0, description="standard deviation on standardised inputs")
    jitter: int = Field(0, ge=0, description="a window starts up to this many frames off")
    mixup: float = Field(
        0.0,
        ge=0,
        description="α of the Beta distribution that two windows are mixed by; 0 mixes none",
    )


class TrainingSettings(Block):
    """The loop."""

    epochs: int = Field(100, ge=1, description="at most")
    batch_size: int = Field(64, ge=1, description="windows, at most; spread evenly over the steps")
    seed: int = Field(42, ge=0, lt=2**32)
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="of products and activations; auto is bfloat16 on a GPU, float32 on a CPU",
    )
    checkpoint_every: int = Field(5, ge=1, description="epochs")
    patience: int | None = Field(
        15, ge=1, description="epochs without a better validation score; null never stops early"
    )
    skip_nonfinite: bool = Field(
        False,
        description="an update whose loss or gradient is not finite changes nothing and is "
        "counted, instead of ending the run",
    )


class Config(Block):
    """What every run is made from; what it tells apart is said by its task."""

    score: ClassVar[str] = "val_macro_f1"
    """The figure of an epoch's line that is to grow."""
    score_name: ClassVar[str] = "macro-F1"
    """What it is called."""
    labelled: ClassVar[bool] = True
    """Whether it learns from labels, and predicts them; else from the tracks of all videos."""

    task: str
    data: DataSettings = DataSettings()
    window: WindowSettings = WindowSettings()
    optimizer: OptimizerSettings = AdamWSettings()
    schedule: ScheduleSettings = WarmupCosineSettings()
    training: TrainingSettings = TrainingSettings()

    @model_validator(mode="after")
    def _rate_above_the_lowest(self) -> Self:
        if self.schedule.lowest_rate > self.optimizer.learning_rate:
            raise ValueError(
                f"schedule: the lowest rate {self.schedule.lowest_rate} of {self.schedule.name} is "
                f"above optimizer.learning_rate {self.optimizer.learning_rate}"
            )
        return self


class SceneConfig(Config):
    """One class a frame for the whole scene: recipes v1 to v6."""

    task: Literal["scene"] = "scene"
    window: SceneWindowSettings = SceneWindowSettings()
    features: FeatureSettings = MotionSettings()
    model: ModelSettings = ConvBiLSTMSettings()
    classes: tuple[ClassSettings, ...] = Field(min_length=2)
    loss: LossSettings = LossSettings()
    augmentation: AugmentationSettings = AugmentationSettings()

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        names = [item.name for item in self.classes]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"classes: {name!r} is the name of {names.count(name)} classes")
        home: dict[str, str] = {}
        for item in self.classes:
            for action in item.actions:
                if action in home:
                    raise ValueError(
                        f"classes: action {action!r} is listed in {home[action]!r} and in "
                        f"{item.name!r}; an action belongs to one class, once"
                    )
                home[action] = item.name
        weights = self.loss.class_weights
        if weights is not None and len(weights) != len(names):
            raise ValueError(
                f"loss.class_weights: {list(weights)} are {len(weights)} weights for "
                f"{len(names)} classes ({', '.join(names)}); give one a class, or null"
            )
        if self.augmentation.jitter >= self.window.length:
            raise ValueError(
                f"augmentation.jitter: {self.augmentation.jitter} frames move a window out of its "
                f"place; fewer than window.length, {self.window.length}, are allowed"
            )
        if self.window.length < self.model.shortest_window:
            raise ValueError(
                f"window.length: {self.window.length} frames are fewer than the "
                f"{self.model.shortest_window} that the poolings of model {self.model.name} need"
            )
        return self
