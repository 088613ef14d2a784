"""Memory, disks and packages: measured for real, judged by stated limits."""

import os
import tomllib

import pytest
from packaging.requirements import Requirement

from jaxbeh.finding import Severity
from jaxbeh.machine.memory import (
    COMFORTABLE,
    Memory,
    control_group_limit,
    memory,
    tight_memory,
)
from jaxbeh.machine.software import REQUIRED, missing_packages, package_versions
from jaxbeh.machine.storage import Place, look_at, trouble
from tests.conftest import ROOT


def test_memory_of_this_machine():
    found = memory()
    assert 0 < found.available <= found.total


@pytest.mark.parametrize(
    ("line", "files", "limit"),
    [
        ("0::/job/step", {"job/step/memory.max": "max", "job/memory.max": "3000"}, 3000),
        ("0::/job/step", {"job/step/memory.max": "2000", "job/memory.max": "3000"}, 2000),
        ("4:cpu,memory:/job", {"memory/job/memory.limit_in_bytes": "1000"}, 1000),
        ("0::/of/the/host", {"memory.max": "500"}, 500),  # as a container sees it
        ("0::/", {"memory.max": "max"}, None),
        ("4:cpu:/job", {"job/memory.max": "1000"}, None),
        ("garbage", {}, None),
    ],
)
def test_the_limit_of_a_control_group_is_the_lowest_above_it(line, files, limit, tmp_path):
    groups, mount = tmp_path / "groups", tmp_path / "mount"
    groups.write_text(f"9:pids:/other\n{line}\n")
    for name, text in files.items():
        (mount / name).parent.mkdir(parents=True, exist_ok=True)
        (mount / name).write_text(f"{text}\n")
    assert control_group_limit(groups, mount) == limit
    assert control_group_limit(tmp_path / "none", mount) is None


def test_little_memory_is_a_warning():
    assert tight_memory(Memory(total=64 * 10**9, available=COMFORTABLE)) == []
    assert tight_memory(Memory(total=None, available=None)) == []
    (found,) = tight_memory(Memory(total=64 * 10**9, available=10**9))
    assert "1.0 GB" in found.what


def test_a_folder_that_is_not_there_yet_is_tried_one_up_and_not_made(tmp_path):
    found = look_at("cache", tmp_path / "a" / "b", needed=1)
    assert found.fault == ""
    assert found.free > 0
    assert list(tmp_path.iterdir()) == []
    assert trouble([found]) == []


def test_what_lies_in_a_folder_is_counted_and_left(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "one").write_bytes(b"12345")
    (tmp_path / "two").write_bytes(b"123")
    (tmp_path / "link").symlink_to(tmp_path / "two")
    found = look_at("programs", tmp_path, needed=1)
    assert (found.files, found.size) == (2, 8)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    found = look_at("runs", tmp_path, needed=1)
    tmp_path.chmod(0o700)
    assert "Permission denied" in found.fault


def test_a_file_in_place_of_a_folder(tmp_path):
    (tmp_path / "runs").write_text("")
    found = look_at("runs", tmp_path / "runs", needed=1)
    assert "Not a directory" in found.fault


@pytest.mark.parametrize(
    ("name", "severity"), [("runs", "error"), ("cache", "warning"), ("programs", "warning")]
)
def test_how_bad_an_unwritable_place_is(tmp_path, name, severity):
    place = Place(name=name, path=tmp_path, free=None, needed=1, fault="read-only", files=0, size=0)
    (found,) = trouble([place])
    assert (found.check, found.severity, found.file) == (
        "write-access",
        Severity(severity),
        str(tmp_path),
    )


def test_a_nearly_full_disk(tmp_path):
    (found,) = trouble([look_at("cache", tmp_path, needed=10**18)])
    assert (found.check, found.severity) == ("disk-space", Severity.WARNING)


def test_packages():
    pinned = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert {Requirement(one).name for one in pinned} <= set(REQUIRED)
    versions = package_versions()
    assert versions["jax"]
    assert set(REQUIRED) <= set(versions)
    assert missing_packages(versions) == []
    (found,) = missing_packages(versions | {"flax": None})
    assert "flax is not installed" in found.what
    assert missing_packages(versions | {"matplotlib": None}) == []
