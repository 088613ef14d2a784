"""Settings: frozen, typed and validated; recipes by name, files with a `base`, dotted overrides."""

import json
import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from jaxbeh.errors import SettingsError

Name = Annotated[str, Field(min_length=1)]
Probability = Annotated[float, Field(ge=0, lt=1)]


class _Block(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class EventScale(_Block):
    """A known mistake of one lab's annotations: event frames are multiplied by `factor`."""

    lab: Name
    fps: float = Field(gt=0, description="only videos of this frame rate, frames a second")
    factor: float = Field(gt=0)


class DataSettings(_Block):
    """What is read, how it is split, and what stands in for missing metadata."""

    split_file: str | None = Field(
        None, description="JSON with `train` and `validation` lists of video ids"
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


class WindowSettings(_Block):
    """Windows of consecutive frames, in frames."""

    length: int = Field(100, ge=1)
    train_stride: int = Field(25, ge=1)
    validation_stride: int = Field(100, ge=1)

    @model_validator(mode="after")
    def _no_frame_between_windows(self) -> Self:
        for key in ("train_stride", "validation_stride"):
            if getattr(self, key) > self.length:
                raise ValueError(
                    f"{key} {getattr(self, key)} leaves frames out between windows of "
                    f"{self.length}; at most {self.length} is allowed"
                )
        return self


class ConvBiLSTMSettings(_Block):
    """Three pooled convolutions and a two-layer bidirectional LSTM (`models/conv_bilstm.py`)."""

    name: Literal["conv_bilstm"] = "conv_bilstm"
    channels: tuple[Annotated[int, Field(ge=1)], ...] = Field((64, 128, 256), min_length=1)
    hidden: int = Field(256, ge=1, description="units each way")
    lstm_layers: int = Field(2, ge=1)
    dropout: Probability = 0.3

    @property
    def shortest_window(self) -> int:
        """Frames that leave one step after all poolings."""
        return int(2 ** len(self.channels))


ModelSettings = ConvBiLSTMSettings
"""The settings of any model; its `name` says which."""


class ClassSettings(_Block):
    """One class of the scene and the actions that belong to it."""

    name: Name
    actions: tuple[Name, ...] = ()


class LossSettings(_Block):
    """Cross-entropy over labelled frames."""

    class_weights: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        None, description="one a class, in the order of `classes`; null weighs all alike"
    )


class OptimizerSettings(_Block):
    """AdamW with decoupled weight decay, gradients clipped by their global norm."""

    name: Literal["adamw"] = "adamw"
    learning_rate: float = Field(3e-4, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    clip_norm: float = Field(1.0, gt=0)


class ScheduleSettings(_Block):
    """Linear warm-up, then a cosine that ends with the run's last epoch."""

    name: Literal["warmup_cosine"] = "warmup_cosine"
    warmup_epochs: float = Field(
        3.0, ge=0, description="at most a third of the run is used for warming up"
    )
    final_learning_rate: float = Field(1e-5, ge=0)


class AugmentationSettings(_Block):
    """What training windows are changed by."""

    noise: float = Field(0.0, ge=0, description="standard deviation on standardised inputs")
    jitter: int = Field(0, ge=0, description="a window starts up to this many frames off")


class TrainingSettings(_Block):
    """The loop."""

    epochs: int = Field(100, ge=1, description="at most")
    batch_size: int = Field(64, ge=1, description="windows, at most; spread evenly over the steps")
    seed: int = Field(42, ge=0, lt=2**32)
    checkpoint_every: int = Field(5, ge=1, description="epochs")
    patience: int | None = Field(
        15, ge=1, description="epochs without a better validation score; null never stops early"
    )


class Config(_Block):
    """Everything a run is made from."""

    data: DataSettings = DataSettings()  # type: ignore[call-arg]  # pydantic knows the defaults
    features: Literal["motion"] = "motion"
    window: WindowSettings = WindowSettings()  # type: ignore[call-arg]  # pydantic knows the defaults
    model: ModelSettings = ConvBiLSTMSettings()  # type: ignore[call-arg]  # pydantic knows the defaults
    classes: tuple[ClassSettings, ...] = Field(min_length=2)
    loss: LossSettings = LossSettings()  # type: ignore[call-arg]  # pydantic knows the defaults
    optimizer: OptimizerSettings = OptimizerSettings()  # type: ignore[call-arg]  # pydantic knows the defaults
    schedule: ScheduleSettings = ScheduleSettings()  # type: ignore[call-arg]  # pydantic knows the defaults
    augmentation: AugmentationSettings = AugmentationSettings()  # type: ignore[call-arg]  # pydantic knows the defaults
    training: TrainingSettings = TrainingSettings()  # type: ignore[call-arg]  # pydantic knows the defaults

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
        if self.window.length < self.model.shortest_window:
            raise ValueError(
                f"window.length: {self.window.length} frames are fewer than the "
                f"{self.model.shortest_window} that the {len(self.model.channels)} poolings of "
                f"model {self.model.name} need"
            )
        if self.schedule.final_learning_rate > self.optimizer.learning_rate:
            raise ValueError(
                f"schedule.final_learning_rate: {self.schedule.final_learning_rate} is above "
                f"optimizer.learning_rate {self.optimizer.learning_rate}"
            )
        return self

    def to_yaml(self) -> str:
        """Every setting, as `load_config` reads it back."""
        text = self.model_dump_json()
        # PyYAML misreads its own plain output of some unprintable characters, such as U+0085.
        return yaml.dump(
            json.loads(text), Dumper=_Dumper, sort_keys=False, allow_unicode=text.isprintable()
        )


class _Loader(yaml.SafeLoader):
    """Safe YAML where `4e-4` is a number (as in YAML 1.2) and a key given twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [
            self.construct_object(key, deep=True)
            for key, _ in node.value
            if key.tag != "tag:yaml.org,2002:merge"
        ]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Safe YAML that quotes every text which `_Loader` would take for a number."""


for _side in (_Loader, _Dumper):
    _side.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
        list("-+0123456789."),
    )


def bundled_configs() -> dict[str, Path]:
    """The recipes that come with jaxbeh, by name: beside a checkout's package, or in the wheel."""
    package = Path(__file__).parent
    for folder in (package / "configs", package.parent / "configs"):
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    raise SettingsError(f"no configs beside {package}: the installation is incomplete")


def load_config(name_or_path: str, overrides: Sequence[str] = ()) -> Config:
    """Resolve a recipe's name or a YAML file, its `base`, and `key.path=value` overrides.

    Raises:
        SettingsError: naming the key, its value and what is allowed.
    """
    values = _resolve(_find(name_or_path, relative_to=Path()), seen=())
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not all(key.strip().split(".")):
            raise SettingsError(f"--set {override}: write key=value, as in training.epochs=2")
        try:
            value = yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader of our own
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise SettingsError(f"--set {override}: not a YAML value: {error}") from None
        for part in reversed(key.strip().split(".")):
            value = {part: value}
        values = _overlay(values, value)
    return _validate(values, name_or_path)


def _find(name_or_path: str, relative_to: Path) -> Path:
    if name_or_path.endswith((".yaml", ".yml")) or "/" in name_or_path or "\\" in name_or_path:
        try:
            return (relative_to / Path(name_or_path).expanduser()).resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise SettingsError(f"{name_or_path!r} is no path to a file: {error}") from None
    known = bundled_configs()
    if name_or_path not in known:
        raise SettingsError(
            f"there is no recipe {name_or_path!r}; there are {', '.join(known)}, and a file of "
            f"your own is named by its path, such as ./{name_or_path}.yaml"
        )
    return known[name_or_path].resolve()


def _resolve(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path in seen:
        raise SettingsError(f"{path}: its base leads back to itself: {' → '.join(map(str, seen))}")
    try:
        values = yaml.load(path.read_text("utf-8"), Loader=_Loader)  # noqa: S506  # safe, see above
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({error})") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SettingsError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise SettingsError(f"{path}: holds no settings; write `key: value` lines")
    base = values.pop("base", None)
    if base is None:
        return values
    if not isinstance(base, str):
        raise SettingsError(f"{path}: base is {base!r}; write a recipe's name or a path")
    return _overlay(_resolve(_find(base, relative_to=path.parent), (*seen, path)), values)


def _overlay(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings merge key by key, all else is replaced; another `name` starts its block afresh."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            other_kind = "name" in value and value["name"] != old.get("name")
            merged[key] = dict(value) if other_kind else _overlay(old, value)
        else:
            merged[key] = value
    return merged


def _validate(values: Mapping[str, Any], source: str) -> Config:
    try:
        # JSON is the strict mode in which a list is a tuple and nothing else is converted.
        return Config.model_validate_json(json.dumps(values))
    except TypeError as error:
        raise SettingsError(f"{source}: a value is neither text nor number: {error}") from None
    except ValidationError as error:
        lines = [_explain(dict(item)) for item in error.errors(include_url=False)]
        raise SettingsError("\n".join([f"{source} does not make a run:", *lines])) from None
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{source}: a value holds itself: {error}") from None


def _explain(item: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in item["loc"])
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        block: Any = Config
        for part in item["loc"][:-1]:
            if isinstance(part, int):  # all items of a list are of one kind
                block = next(iter(get_args(block)), None)
            elif isinstance(block, type) and issubclass(block, _Block):
                block = block.model_fields[part].annotation
        message = f"  {key} = {item['input']!r}: there is no such setting"
        if not (isinstance(block, type) and issubclass(block, _Block)):
            return f"{message} here"
        where = key.rpartition(".")[0] or "the top level"
        return f"{message}; {where} has {', '.join(block.model_fields)}"
    if item["type"] == "missing":
        hint = "; write it, or build on a recipe with `base: v6`" if len(item["loc"]) == 1 else ""
        return f"  {key}: is missing{hint}"
    if not key:
        return f"  {message}"
    return f"  {key} = {item['input']!r}: {message[0].lower()}{message[1:]}"
