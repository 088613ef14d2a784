"""A run is a folder: what it was made from, what it measured, its checkpoints."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from jaxbeh.config import load_config, to_yaml
from jaxbeh.errors import DataError, RunError
from jaxbeh.regular import read_text, require_regular
from jaxbeh.settings.run import Config
from jaxbeh.vocabulary import SlotTable
from jaxbeh.wording import quoted

T = TypeVar("T")

_RECORD: dict[str, type] = {
    "data": str,
    "data_hash": str,
    "init_from": str,
    "parameters": int,
    "windows": int,
    "train_shards": int,
    "validation_shards": int,
    "packages": dict,
    "devices": dict,
    "train_content": list,
    "validation_content": list,
}
"""What is used of `run.json`; the lists are of texts."""

_RECORDS = ("config.yaml", "slots.json", "actions.json", "run.json")
"""What predicting reads beside the checkpoints; `run.json` comes last and makes it a run."""

_OPTIONAL_RECORDS = ("known.json", "decoding.json")
"""What it reads if the run has it."""


@dataclass(frozen=True)
class RunFolder:
    """The files of a run; all of them are text but the checkpoints.

    Attributes:
        path: the folder.
    """

    path: Path

    @property
    def checkpoints(self) -> Path:
        """Where `Checkpoints` keeps its steps."""
        return self.path / "checkpoints"

    @property
    def exists(self) -> bool:
        """Whether a run was started here."""
        return (self.path / "run.json").is_file()

    def start(
        self,
        config: Config,
        slots: SlotTable,
        split: Mapping[str, list[str]],
        files: Mapping[str, str],
        record: Mapping[str, Any],
    ) -> None:
        """Write what a new run is made from; `run.json` comes last and makes it one.

        Raises:
            RunError: the folder holds something else, or cannot be written.
        """
        self._refuse_links()
        settings = self.path / "config.yaml"
        try:
            if self.checkpoints.exists() or self.exists:
                found = "parts of another run"
            elif settings.exists() and _text_of(settings) != to_yaml(config):
                found = "another config.yaml"
            else:
                found = ""
            if found:
                raise RunError(f"{self.path}: holds {found}; choose another folder with --run")
            self.path.mkdir(parents=True, exist_ok=True)
            self._write("config.yaml", to_yaml(config))
            self._write_json("split.json", split)
            self._write_json("slots.json", slots.to_json())
            for name, text in files.items():
                self._write(name, text)
            self._write("metrics.jsonl", "")
            self._write_json("run.json", record)
        except OSError as error:
            raise RunError(
                f"{self.path}: cannot be written ({error}); choose another with --run"
            ) from None

    def require_same(
        self, config: Config, record: Mapping[str, Any], split: Mapping[str, list[str]]
    ) -> None:
        """Refuse to continue a run with other settings, data, first weights or another split.

        The order of the videos counts too: it is what the run's windows are numbered by.

        Raises:
            RunError: with the differences and the two ways on; or a file of the run is a link.
        """
        self._refuse_links()
        found = differences(self.config().model_dump(), config.model_dump())
        recorded = self.record()
        found += [
            f"  {label}: the run has {recorded.get(key)}, the command brings {record.get(key)}"
            for key, label in (("data_hash", "data (hash)"), ("init_from", "first weights"))
            if recorded.get(key) != record.get(key)
        ]
        before = self.split()
        for side in dict.fromkeys((*before, *split)):  # the folds, too, where there are several
            old, new = before.get(side, []), split.get(side, [])
            if old != new:
                moved = sorted(set(old) ^ set(new))
                what = f"differ in {', '.join(moved[:5])}" if moved else "come in another order"
                found.append(f"  split: the {side} videos {what}")
        if found:
            raise RunError(
                "\n".join(
                    [
                        f"{self.path} is a run of its own, made from something else:",
                        *found,
                        "Two ways on: --run OTHER starts a run in another folder;",
                        f"--run OTHER --init-from {self.path} starts it from this run's weights.",
                    ]
                )
            )

    def _refuse_links(self) -> None:
        """A run from elsewhere must not have anything written, or removed, beyond its folder.

        The folder itself may be a link.
        """
        links = []
        for folder in (self.path, self.checkpoints):
            with suppress(OSError):  # not there yet, or no folder, which the caller tells of
                links += [path for path in sorted(folder.iterdir()) if path.is_symlink()]
        if links:
            raise RunError(
                f"{links[0]}: is a link, through which a run would write beyond its folder; put "
                f"what it points to in its place, or move the whole folder and link that"
            )

    def config(self) -> Config:
        """The resolved settings.

        Raises:
            RunError: the folder is no run.
        """
        if not self.exists:
            raise RunError(
                f"{self.path} is no run: it has no run.json. Train one first, for example\n"
                f"  python -m jaxbeh.train --config v6 --run {quoted(self.path)}"
            )
        return load_config(str(self.path / "config.yaml"))

    def settings(self) -> dict[str, Any]:
        """The resolved settings by dotted key."""
        return _flat(self.config().model_dump())

    def slots(self) -> SlotTable:
        """The keypoint slots that prediction must use."""
        with self._named("slots.json"):
            return SlotTable.from_json(self._read_json("slots.json"))

    def split(self) -> dict[str, list[str]]:
        """Video ids of `train` and `validation`, and of each fold where there are several."""
        split = self._read_json("split.json")
        for side in dict.fromkeys(("train", "validation", *split)):
            ids = split.get(side)
            if not isinstance(ids, list) or not all(isinstance(video, str) for video in ids):
                raise RunError(
                    f"{self.path / 'split.json'}: has no list of texts {side!r}; restore the file"
                )
        return split

    def text(self, name: str) -> str:
        """What one of the run's further files holds.

        Raises:
            RunError: it cannot be read.
        """
        try:
            return read_text(self.path / name)
        except (OSError, ValueError) as error:
            raise RunError(f"{self.path / name}: cannot be read ({error}); restore it") from None

    def parsed(self, name: str, parse: Callable[[str], T]) -> T:
        """What one of the run's further files holds, as `parse` makes it of its text.

        Raises:
            RunError: it cannot be read, or `parse` refuses it as a `DataError`.
        """
        with self._named(name):
            return parse(self.text(name))

    @contextmanager
    def _named(self, name: str) -> Iterator[None]:
        """Errors in what a file holds, with its name."""
        try:
            yield
        except DataError as error:
            raise RunError(f"{self.path / name}: {error}") from None

    def add_text(self, name: str, text: str) -> None:
        """Write one of the run's further files, whole or not at all."""
        self._write(name, text)

    def record(self) -> dict[str, Any]:
        """Versions, devices, parameters, data hash: `run.json`.

        Raises:
            RunError: it cannot be read, or what is used of it is of another kind.
        """
        record = self._read_json("run.json")
        for key, kind in _RECORD.items():
            value = record.get(key)
            texts = not isinstance(value, list) or all(isinstance(item, str) for item in value)
            vast = isinstance(value, int) and abs(value) >= 1 << 63
            if value is not None and (type(value) is not kind or not texts or vast):
                shown = str(value)
                raise RunError(
                    f"{self.path / 'run.json'}: {key} is {shown[:80]!r}, which no run writes; "
                    f"restore the file"
                )
        return record

    def add_json(self, name: str, value: Mapping[str, Any]) -> None:
        """Write one of the run's further files, whole or not at all."""
        self._write_json(name, value)

    def json(self, name: str) -> dict[str, Any]:
        """What one of the run's further files holds.

        Raises:
            RunError: it cannot be read, or holds no object.
        """
        return self._read_json(name)

    def has(self, name: str) -> bool:
        """Whether one of the run's further files is there."""
        return (self.path / name).is_file()

    def copy_records(self, target: Path) -> None:
        """Copy what predicting reads, but for the checkpoints, to a folder that becomes a run.

        Raises:
            RunError: a file is missing, or cannot be copied.
        """
        there = [name for name in _OPTIONAL_RECORDS if (self.path / name).exists()]
        try:
            target.mkdir(parents=True, exist_ok=True)
            for name in (*there, *_RECORDS):
                require_regular(self.path / name)
                shutil.copyfile(self.path / name, target / name)
        except OSError as error:
            raise RunError(f"{self.path}: cannot be copied ({error}); restore it") from None

    def write_evaluation(self, evaluation: Mapping[str, Any]) -> None:
        """Write `evaluation.json`."""
        self._write_json("evaluation.json", evaluation)

    def append_metrics(self, line: Mapping[str, Any]) -> None:
        """Add an epoch's line to `metrics.jsonl`, on the disk before this returns.

        Raises:
            RunError: it cannot be written, or the folder is gone.
        """
        path = self.path / "metrics.jsonl"
        try:
            with path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise _unwritten(path, error) from None

    def cut_metrics(self, epoch: int) -> None:
        """Keep the lines up to an epoch byte for byte; later ones will be written again.

        Raises:
            RunError: they cannot be written.
        """
        path = self.path / "metrics.jsonl"
        kept = b"".join(raw for raw, line in self._lines() if line["epoch"] <= epoch)
        if path.is_file() and kept == path.read_bytes():
            return
        temporary = path.with_suffix(".partial")
        try:
            temporary.unlink(missing_ok=True)
            with temporary.open("xb") as stream:
                stream.write(kept)
            temporary.replace(path)
        except OSError as error:
            raise _unwritten(path, error) from None

    def metrics(self) -> list[dict[str, Any]]:
        """The epochs' lines."""
        return [line for _, line in self._lines()]

    def _lines(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        path = self.path / "metrics.jsonl"
        for raw in path.read_bytes().splitlines(keepends=True) if path.is_file() else ():
            try:
                line = json.loads(raw)
            except (ValueError, RecursionError):
                return  # a kill in the middle of a line; nothing after it counts
            whole = isinstance(line, dict) and raw.endswith(b"\n")
            if not whole or not isinstance(line.get("epoch"), int):
                return
            yield raw, line

    def _write(self, name: str, text: str) -> None:
        temporary = self.path / f"{name}.partial"
        temporary.unlink(missing_ok=True)
        # A file of its own: a link of that name, in a run from elsewhere, is not written through.
        with temporary.open("x", encoding="utf-8") as stream:
            stream.write(text)
        temporary.replace(self.path / name)

    def _write_json(self, name: str, value: Mapping[str, Any]) -> None:
        self._write(name, json.dumps(value, indent=2) + "\n")

    def _read_json(self, name: str) -> dict[str, Any]:
        path = self.path / name
        try:
            value = json.loads(read_text(path))
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"{path}: cannot be read ({error}); restore the file") from None
        if not isinstance(value, dict):
            raise RunError(f"{path}: holds no JSON object; restore the file")
        return value


def _text_of(path: Path) -> str | None:
    """A file's text; `None` where it is no file of text."""
    try:
        return read_text(path)
    except (OSError, UnicodeDecodeError):
        return None


def _unwritten(path: Path, error: OSError) -> RunError:
    return RunError(
        f"{path}: cannot be written ({error.strerror}). Make room, mend the permissions or put the "
        f"folder back, and give the same command again: it continues from the last checkpoint"
    )


def differences(run: Mapping[str, Any], command: Mapping[str, Any], prefix: str = "") -> list[str]:
    """A line for each setting that a run has otherwise than a command, by its dotted key."""
    old, new = _flat(run, prefix), _flat(command, prefix)
    return [
        f"  {key}: the run has {old.get(key)!r}, the command says {new.get(key)!r}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
