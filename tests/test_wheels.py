"""Which wheels a bundle gets: for the machine it is for, and jaxbeh's own from running code."""

import shutil
import zipfile
from pathlib import Path

import pytest

from jaxbeh import wheels
from jaxbeh.errors import BundleError
from tests.conftest import ROOT


def wheel(folder: Path, name: str, version: str, *requirements: str) -> Path:
    path = folder / f"{name}-{version}-py3-none-any.whl"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {one}" for one in requirements]
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}-{version}.dist-info/METADATA", "\n".join(lines) + "\n")
    return path


def test_conditions_are_those_of_the_machine_not_of_this_one(tmp_path):
    wheel(
        *(tmp_path, "jaxbeh", "1.0", "first[fast]>=2", "other; extra == 'gpu'"),
        "windows-only; sys_platform == 'win32'",
        "old; python_version < '3.12'",
        "linux_only; sys_platform == 'linux' and platform_machine == 'x86_64'",
    )
    wheel(tmp_path, "first", "2.1", "second; extra == 'fast'", "third; extra == 'slow'", "jaxbeh")
    wheel(tmp_path, "second", "0.1", "First>=3,<4")
    assert wheels.unmet(tmp_path, "3.11", []) == ["First<4,>=3", "linux_only", "old"]
    assert wheels.unmet(tmp_path, "3.12", ["gpu"]) == ["First<4,>=3", "linux_only", "other"]


@pytest.fixture
def asked(monkeypatch) -> list[list[str]]:
    """What is asked of a pip that takes no condition to hold, and knows a package `old`."""
    requests = []

    def download(wanted, folder, python):
        assert not folder.exists()
        assert python in {"3.11", "3.12"}
        requests.append(list(wanted))
        wheel(folder, "jaxbeh", "1.0", "old>=0.2; python_version < '3.12'")
        if "old>=0.2" in wanted:
            wheel(folder, "old", "0.3", "never; python_version < '3.11.5'")

    monkeypatch.setattr(wheels, "_own_wheel", lambda folder: folder / "own.whl")
    monkeypatch.setattr(wheels, "_download", download)
    return requests


def test_what_pip_did_not_see_is_asked_for(asked, tmp_path):
    assert wheels.collect_wheels(tmp_path / "a", "3.12", []) == {"jaxbeh": "1.0"}
    assert len(asked) == 1
    with pytest.raises(BundleError, match="no wheel for never"):
        wheels.collect_wheels(tmp_path / "b", "3.11", ["cuda12"])
    own = asked[1][0]
    assert own.startswith("jaxbeh[cuda12] @ file:///")
    assert asked[1:] == [[own], [own, "old>=0.2"], [own, "old>=0.2", "never"]]


def test_an_environment_without_pip_is_told(monkeypatch):
    monkeypatch.setattr(wheels.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BundleError, match=r"has no pip.*-m ensurepip"):
        wheels._pip("download")


class Distribution:
    """An installed package that notes where it was installed from."""

    def __init__(self, note: str | None) -> None:
        self.note = note

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return self.note


@pytest.mark.parametrize(
    "note",
    [
        None,
        '{"url": "file:///nowhere/at/all", "dir_info": {}}',
        '{"url": "file:///tmp/jaxbeh-1.0-py3-none-any.whl", "archive_info": {}}',
    ],
)
def test_an_installation_without_its_source_says_what_to_do(note, tmp_path, monkeypatch):
    monkeypatch.setattr(wheels.metadata, "distribution", lambda _: Distribution(note))
    with pytest.raises(BundleError, match=r"get the source.*python -m jaxbeh\.bundle"):
        wheels._source(tmp_path / "jaxbeh")


def test_the_source_is_where_it_was_installed_from(tmp_path, monkeypatch):
    source = tmp_path / "with a space"
    source.mkdir()
    (source / "pyproject.toml").write_text("")
    note = f'{{"url": "{source.as_uri()}", "dir_info": {{}}}}'
    monkeypatch.setattr(wheels.metadata, "distribution", lambda _: Distribution(note))
    assert wheels._source(tmp_path / "site-packages" / "jaxbeh") == source
    assert wheels._source(ROOT / "jaxbeh") == ROOT


def test_a_source_that_changed_since_it_was_installed_is_refused(tmp_path, monkeypatch):
    source = tmp_path / "source"
    for name in ("jaxbeh", "configs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    monkeypatch.setattr(wheels, "_source", lambda _: source)
    (tmp_path / "same").mkdir()
    assert wheels._own_wheel(tmp_path / "same").name.startswith("jaxbeh-")
    (source / "jaxbeh" / "errors.py").write_text("")
    (tmp_path / "changed").mkdir()
    with pytest.raises(BundleError, match=r"has changed since; install it again"):
        wheels._own_wheel(tmp_path / "changed")
