"""Wheels for a machine without a network: jaxbeh's own, and those of all that it needs there.

The machine is a Linux one of x86_64 with a named Python. pip finds and fetches the wheels; but it
takes the conditions of requirements ("only where Python is older than 3.12") from the Python and
the system that it runs on (https://github.com/pypa/pip/issues/11664), so that they are looked
through again here, with those of the machine. For another Python than the running one it brings
versions that run on both.
"""

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname
from zipfile import Path as ZipPath
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from jaxbeh.errors import BundleError

NEWEST_GLIBC = 28
"""Wheels may need this minor version of glibc 2 at most; 2.28 is of 2018."""

_LEGACY = ("manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64")
"""What 2.17, 2.12 and 2.5 were called first."""


def collect_wheels(folder: Path, python: str, extras: Sequence[str]) -> dict[str, str]:
    """Fill a folder with all wheels that jaxbeh needs on the machine.

    Args:
        folder: made by this; it must not be there.
        python: version of the machine's Python, such as `3.12`.
        extras: of jaxbeh's, such as `cuda12`.

    Returns:
        The version of each package, by its name.

    Raises:
        BundleError: pip is missing or cannot get a wheel, or jaxbeh's own cannot be built.
    """
    with tempfile.TemporaryDirectory(prefix="jaxbeh-wheel-") as scratch:
        own = _own_wheel(Path(scratch))
        chosen = f"[{','.join(extras)}]" if extras else ""
        wanted = [f"jaxbeh{chosen} @ {own.as_uri()}"]
        while True:
            _download(wanted, folder, python)
            missing = unmet(folder, python, extras)
            if not missing:
                return {name: str(version) for name, (version, _) in _wheels(folder).items()}
            if set(missing) <= set(wanted):
                raise BundleError(f"pip brought no wheel for {', '.join(missing)}")
            wanted += missing
            shutil.rmtree(folder)  # another round may take other versions of all


def unmet(folder: Path, python: str, extras: Sequence[str]) -> list[str]:
    """Requirements of jaxbeh, and of what it requires, that no wheel in a folder meets.

    Args:
        folder: the wheels, jaxbeh's among them.
        python: version of the machine's Python, such as `3.12`.
        extras: of jaxbeh's, such as `cuda12`.
    """
    wheels = _wheels(folder)
    machine = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": "x86_64",
    }
    waiting, done, missing = [("jaxbeh", frozenset(extras))], set(), []
    while waiting:
        package = waiting.pop()
        if package in done:
            continue
        done.add(package)
        name, chosen = package
        for text in _requirements(wheels[name][1]):
            needed = Requirement(text)
            if needed.marker and not any(
                needed.marker.evaluate({**machine, "extra": extra}) for extra in ("", *chosen)
            ):
                continue
            other = canonicalize_name(needed.name)
            if other in wheels and needed.specifier.contains(wheels[other][0], prereleases=True):
                waiting.append((other, frozenset(needed.extras)))
            else:
                needed.marker = None
                missing.append(str(needed))
    return sorted(set(missing))


def _wheels(folder: Path) -> dict[str, tuple[Version, Path]]:
    """Version and file by the package's name."""
    found: dict[str, tuple[Version, Path]] = {}
    for path in sorted(folder.glob("*.whl")):
        name, version, _, _ = parse_wheel_filename(path.name)
        found[name] = (version, path)
    return found


def _requirements(wheel: Path) -> list[str]:
    name, version, *_ = wheel.name.split("-")
    inside = ZipPath(wheel, f"{name}-{version}.dist-info/")
    return metadata.PathDistribution(inside).requires or []


def _download(wanted: Sequence[str], folder: Path, python: str) -> None:
    tags = [*(f"manylinux_2_{minor}_x86_64" for minor in range(NEWEST_GLIBC, 4, -1)), *_LEGACY]
    _pip(
        *("download", "--quiet", "--dest", str(folder)),
        *("--only-binary", ":all:", "--implementation", "cp", "--python-version", python),
        *(word for tag in tags for word in ("--platform", tag)),
        *wanted,
    )


def _own_wheel(folder: Path) -> Path:
    """Build jaxbeh's wheel, and make sure that it holds the code that is running."""
    package = Path(__file__).resolve().parent
    source = _source(package)
    _pip("wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source))
    (wheel,) = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        packed = {
            name: archive.read(name)
            for name in archive.namelist()
            if name.startswith("jaxbeh/") and name.endswith(".py")
        }
    running = {
        f"jaxbeh/{path.relative_to(package).as_posix()}": path.read_bytes()
        for path in package.rglob("*.py")
    }
    if packed != running:
        raise BundleError(
            f"{source}, which jaxbeh was installed from, has changed since; install it again "
            f"(python -m pip install {source}) and give the same command"
        )
    return wheel


def _source(package: Path) -> Path:
    """The folder that the running package is in, or was installed from."""
    if (package.parent / "pyproject.toml").is_file():
        return package.parent
    try:
        noted = json.loads(metadata.distribution("jaxbeh").read_text("direct_url.json") or "{}")
    except metadata.PackageNotFoundError:
        noted = {}
    source = Path(url2pathname(urlsplit(noted.get("url", "")).path))
    if "dir_info" not in noted or not (source / "pyproject.toml").is_file():
        raise BundleError(
            f"jaxbeh's own wheel is built from its source, and {package} was installed without "
            f"one (or it is gone); get the source, and in its folder give the same command as "
            f"python -m jaxbeh.bundle …"
        )
    return source


def _pip(*words: str) -> None:
    if importlib.util.find_spec("pip") is None:
        raise BundleError(
            f"{sys.executable} has no pip, which gets the wheels; give it one, for example by "
            f"{sys.executable} -m ensurepip"
        )
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        said = [line.strip() for line in lines if "ERROR:" in line] or lines[-5:]
        raise BundleError(
            "\n".join(
                [
                    f"pip {words[0]} failed, and nothing was written. It said:",
                    *(f"  {line}" for line in said),
                    "It needs a package index that it can reach, with wheels for this Python: try "
                    "the same with a network, or with another --python",
                ]
            )
        )
