"""What holds for every test: strict dtypes, two devices, quick compilation, a cache of its own.

The settings are environment variables, so that commands started by tests have them too.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parents[1]


def xla_flags(devices):
    """So many CPU devices, and quick compilation: the programs of tests run for moments only.

    Of the jaxlib of Python 3.11, the older code generator for fusions takes half as long to compile
    them; later ones have only the newer, and ignore the option.
    """
    return (
        f"--xla_force_host_platform_device_count={devices} --xla_backend_optimization_level=0 "
        f"--xla_backend_extra_options=xla_cpu_disable_new_fusion_emitters"
    )


# Workers of pytest-xdist find the settings of the process that started them.
_CACHE = None
if "PYTEST_XDIST_WORKER" not in os.environ:
    _CACHE = tempfile.TemporaryDirectory(prefix="jaxbeh-tests-")
    os.environ["XDG_CACHE_HOME"] = _CACHE.name
    os.environ["JAX_COMPILATION_CACHE_DIR"] = f"{_CACHE.name}/programs"
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_NUMPY_DTYPE_PROMOTION"] = "strict"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["COLUMNS"] = "100"  # what the width of help texts is taken from
os.environ.pop("FORCE_COLOR", None)
if (_ours := xla_flags(devices=2)) not in (_theirs := os.environ.get("XLA_FLAGS", "")):
    os.environ["XLA_FLAGS"] = f"{_ours} {_theirs}".strip()  # where both say something, theirs

hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if "CI" in os.environ else "here")


def pytest_addoption(parser):
    parser.addoption(
        "--long", action="store_true", help="the long forms of tests that have one; see docs/"
    )
    parser.addoption(
        "--soak", nargs="?", const=60.0, type=float, metavar="MINUTES",
        help="train, restart and predict for so long (an hour) and watch the memory",
    )  # fmt: skip


@pytest.fixture(scope="session")
def long(request):
    """Whether the long forms are wanted."""
    return request.config.getoption("--long")


@pytest.fixture(scope="session")
def soak(request):
    """Minutes of the soak, or `None`."""
    return request.config.getoption("--soak")


def pytest_unconfigure():
    if _CACHE is not None:
        _CACHE.cleanup()


@pytest.fixture(scope="session")
def python():
    """Runs a Python of its own under `-W error`: `python("-m", "jaxbeh", "--version")`."""

    def run(*words, cwd=ROOT, timeout=120):
        return subprocess.run(
            [sys.executable, "-W", "error", *map(str, words)],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run
