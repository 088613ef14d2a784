"""Python and the packages, required and optional."""

import platform
import sys
from collections.abc import Mapping
from importlib import metadata

from jaxbeh.finding import CheckFinding, Severity

REQUIRED = (
    "jax",
    "jaxlib",
    "flax",
    "optax",
    "orbax-checkpoint",
    "safetensors",
    "numpy",
    "pandas",
    "pyarrow",
    "pydantic",
    "pyyaml",
    "typer",
    "rich",
    "platformdirs",
    "packaging",
)
OPTIONAL = {"matplotlib": "plots", "tensorboardX": "tensorboard", "modal": "modal"}
"""Packages of the extras, and the extra that brings each."""
OLDEST_PYTHON = (3, 11)


def python_version() -> str:
    """Such as `3.12.4`."""
    return platform.python_version()


def package_versions() -> dict[str, str | None]:
    """Version by package, required ones first; `None` where it is not installed."""
    found: dict[str, str | None] = {}
    for name in (*REQUIRED, *OPTIONAL):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def missing_packages(versions: Mapping[str, str | None]) -> list[CheckFinding]:
    """An error for each required package that is not installed, and for a Python too old."""
    found = [
        CheckFinding(
            check="packages",
            severity=Severity.ERROR,
            file="",
            what=f"the package {name} is not installed",
            remedy="pip install . in jaxbeh's folder",
        )
        for name in REQUIRED
        if versions.get(name) is None
    ]
    if sys.version_info < OLDEST_PYTHON:
        found.append(
            CheckFinding(
                check="python",
                severity=Severity.ERROR,
                file=sys.executable,
                what=f"Python {python_version()} is older than 3.11",
                remedy="install into an environment of Python 3.11, 3.12 or 3.13",
            )
        )
    return found
