"""What the tests of whole runs share."""

import pytest

from tests.faults.runs import Runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory, python):
    """Starts runs on a small synthetic collection."""
    folder = tmp_path_factory.mktemp("runs")
    words = ("--videos", 3, "--frames", 400)
    made = python("-m", "jaxbeh.synthesize", "--out", folder / "mice", *words)
    assert made.returncode == 0, made.stderr
    with Runs(folder, folder / "mice") as started:
        yield started


@pytest.fixture(scope="module")
def straight(runs, tmp_path_factory):
    """A run that nothing happened to."""
    run = tmp_path_factory.mktemp("straight") / "run"
    runs.finish(run)
    return run
