"""Settings from YAML and back: recipes by name, files with a `base`, dotted overrides."""

import json
import math
import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import ValidationError

from jaxbeh.errors import SettingsError
from jaxbeh.regular import read_text
from jaxbeh.settings.block import Block
from jaxbeh.settings.pairs import PairConfig, PoseConfig
from jaxbeh.settings.run import Config, SceneConfig

MOST_VALUES, MOST_BYTES = 20_000, 1 << 20
"""Of a YAML file, repetitions by `*name` counted each time; a recipe has some 100 in 3 kB."""

_FAULTS = (
    yaml.YAMLError,
    ValueError,
    RecursionError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
)
"""What PyYAML raises for what it cannot read: a lookup, type or attribute error for odd tags, such
as `!!bool x`; an overflow for a number of sixties, such as `1:0:0.5`, that is too long."""


class _Loader(yaml.SafeLoader):
    """Safe YAML where `4e-4` is a number (as in YAML 1.2) and a key given twice is an error.

    Nine lists of nine references to each other are some hundred letters and a billion values: what
    has too many, or holds itself, is refused before it is built.
    """

    composed = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.composed += 1
        self._refuse_many(self.composed)
        return super().compose_node(parent, index)

    def get_single_node(self) -> yaml.Node | None:
        node = super().get_single_node()
        if node is not None:
            self._refuse_many(_values(node, {}))
        return node

    def _refuse_many(self, count: float) -> None:
        if count > MOST_VALUES:
            raise yaml.constructor.ConstructorError(
                None, None, f"there are more than {MOST_VALUES:,} values, or one holds itself"
            )

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [
            self.construct_object(key, deep=True)
            for key, _ in node.value
            if key.tag != "tag:yaml.org,2002:merge"
        ]
        # What cannot be a key is left for PyYAML to refuse, with its line.
        for key, count in Counter(key for key in keys if isinstance(key, Hashable)).items():
            if count > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is given twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


def _values(node: yaml.Node, known: dict[int, float]) -> float:
    """How many values a node stands for, references followed; endless if it holds itself."""
    if id(node) not in known:
        known[id(node)] = math.inf
        parts: list[yaml.Node] = []
        if isinstance(node, yaml.SequenceNode):
            parts = node.value
        elif isinstance(node, yaml.MappingNode):
            parts = [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_values(part, known) for part in parts)
    return known[id(node)]


class _Dumper(yaml.SafeDumper):
    """Safe YAML that quotes every text which `_Loader` would take for a number."""


for _side in (_Loader, _Dumper):
    _side.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
        list("-+0123456789."),
    )


def to_yaml(config: Config) -> str:
    """Every setting, as `load_config` reads it back."""
    text = config.model_dump_json()
    # PyYAML misreads its own plain output of some unprintable characters, such as U+0085.
    return yaml.dump(
        json.loads(text), Dumper=_Dumper, sort_keys=False, allow_unicode=text.isprintable()
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
        except _FAULTS as error:
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
        text = read_text(path, most=MOST_BYTES)
        values = yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader of our own
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({error}); write it as UTF-8 text") from None
    except _FAULTS as error:
        raise SettingsError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise SettingsError(f"{path}: holds no settings; write `key: value` lines")
    base = values.pop("base", None)
    if base is None:
        return values
    if not isinstance(base, str):
        raise SettingsError(f"{path}: base is {base!r}; write a recipe's name or a path")
    try:
        found = _find(base, relative_to=path.parent)
    except SettingsError as error:
        raise SettingsError(f"{path}: base: {error}") from None
    return _overlay(_for_task(values.get("task"), _resolve(found, (*seen, path))), values)


def _kind(task: object) -> type[Config]:
    """The settings of a task."""
    kinds: dict[object, type[Config]] = {"pairs": PairConfig, "poses": PoseConfig}
    return kinds.get(str(task), SceneConfig)


def _for_task(task: object, base: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of a base a file takes: if it names another task, that for which this has settings."""
    if task is None or task == base.get("task"):
        return base
    return {key: value for key, value in base.items() if key in _kind(task).model_fields}


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


def _with_names(block: type[Block], values: Mapping[str, Any]) -> dict[str, Any]:
    """A block that says no `name` is of the kind that stands there by default."""
    filled = dict(values)
    for key, field in block.model_fields.items():
        default, value = field.default, filled.get(key)
        if isinstance(value, Mapping) and isinstance(default, Block) and hasattr(default, "name"):
            value = {"name": default.name, **value}
            kinds = [one for one in _kinds(field.annotation) if _name_of(one) == value["name"]]
            filled[key] = _with_names(kinds[0], value) if kinds else value
    return filled


def _validate(values: Mapping[str, Any], source: str) -> Config:
    kind = _kind(values.get("task"))
    try:
        # JSON is the strict mode in which a list is a tuple and nothing else is converted.
        return kind.model_validate_json(json.dumps(_with_names(kind, values)))
    except TypeError as error:
        raise SettingsError(f"{source}: a value is neither text nor number: {error}") from None
    except ValidationError as error:
        lines = [_explain(dict(item), kind) for item in error.errors(include_url=False)]
        raise SettingsError("\n".join([f"{source} does not make a run:", *lines])) from None
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"{source}: a value holds itself: {error}") from None


def _explain(item: Mapping[str, Any], config: type[Config]) -> str:
    keys, block = _place(item["loc"], config)
    key, value = ".".join(keys), item.get("input")
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        where = ".".join(keys[:-1]) or "the top level"
        has = "" if block is None else f"; {where} has {', '.join(block.model_fields)}"
        return f"  {key} = {value!r}: there is no such setting{has or ' here'}"
    if item["type"] == "missing":
        hint = "; write it, or build on a recipe with `base: v6`" if len(keys) == 1 else ""
        return f"  {key}: is missing{hint}"
    if item["type"] == "union_tag_invalid":
        known = item["ctx"]["expected_tags"].replace("'", "")
        return f"  {key}.name = {item['ctx']['tag']!r}: there is no such one; there are {known}"
    if not key:
        return f"  {message}"
    return f"  {key} = {value!r}: {message[0].lower()}{message[1:]}"


def _place(
    location: Sequence[str | int], config: type[Config]
) -> tuple[list[str], type[Block] | None]:
    """A setting's dotted key, without the names of variants, and the block that it stands in."""
    keys: list[str] = []
    kind: Any = config
    block: type[Block] | None = None
    for part in location:
        chosen = [one for one in _kinds(kind) if _name_of(one) == part]
        if chosen:
            kind = chosen[0]
            continue
        block = kind if _is_block(kind) else None
        keys.append(str(part))
        if block is not None and part in block.model_fields:
            kind = block.model_fields[str(part)].annotation
        else:  # all items of a list are of one kind
            kind = next(iter(get_args(kind)), None)
    return keys, block


def _kinds(annotation: Any) -> list[type[Block]]:
    """The blocks that may stand at a place, told apart by their names."""
    return [one for one in get_args(annotation) if _is_block(one) and "name" in one.model_fields]


def _name_of(block: type[Block]) -> object:
    return block.model_fields["name"].default


def _is_block(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Block)
