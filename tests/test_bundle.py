"""A bundle as a user has it: made, refused, damaged, and predicted from without a network."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pandas as pd
import pytest

from jaxbeh import wheels
from jaxbeh.training.checkpoints import Checkpoints
from tests.conftest import ROOT

NOTEBOOK = ROOT / "notebooks" / "kaggle_submission.ipynb"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(scope="module")
def mice(tmp_path_factory, python) -> Path:
    folder = tmp_path_factory.mktemp("mice") / "collection"
    made = python("-m", "jaxbeh.synthesize", "--out", folder, "--videos", 3, "--frames", 600)
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="module")
def run(mice, tmp_path_factory, python) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "mine"
    trained = python(
        *("-m", "jaxbeh.train", "--config", "debug", "--data", mice, "--run", folder),
        *("--set", "training.epochs=2", "--set", "window.train_stride=50"),
        timeout=600,
    )
    assert trained.returncode == 0, trained.stderr
    (folder / "decoding.json").write_text('{"of": "a later recipe"}')
    return folder


@pytest.fixture(scope="module")
def competition(mice, tmp_path_factory) -> Path:
    """The test videos and nothing else: what is predicted must need no training data."""
    folder = tmp_path_factory.mktemp("kaggle") / "competition"
    folder.mkdir()
    shutil.copy(mice / "test.csv", folder)
    shutil.copytree(mice / "test_tracking", folder / "test_tracking")
    return folder


@pytest.fixture(scope="module")
def bundle(run, tmp_path_factory, python) -> Path:
    folder = tmp_path_factory.mktemp("kaggle") / "bundle"
    made = python("-m", "jaxbeh.bundle", "--run", run, "--out", folder, timeout=600)
    assert made.returncode == 0, made.stderr
    assert "runs/mine: step" in made.stdout
    return folder


# What it holds


def test_a_bundle_has_every_file_in_its_manifest_and_nothing_else(bundle):
    manifest = json.loads((bundle / "manifest.json").read_text())
    found = {
        path.relative_to(bundle).as_posix(): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in bundle.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert manifest["files"] == found
    assert manifest["python"] == VERSION
    assert manifest["requirement"] == "jaxbeh"
    assert {"jax", "jaxlib", "flax", "pandas", "pyarrow", "jaxbeh"} <= set(manifest["packages"])
    assert sum(name.endswith(".whl") for name in found) == len(manifest["packages"])


def test_a_bundle_has_the_best_checkpoint_alone_and_the_records(bundle, run):
    copied = bundle / "runs" / "mine"
    assert sorted(path.name for path in copied.iterdir()) == [
        *("actions.json", "checkpoints", "config.yaml", "decoding.json", "run.json", "slots.json")
    ]
    best = Checkpoints(run / "checkpoints", print, read_only=True).best()
    assert [path.name for path in (copied / "checkpoints").iterdir()] == [str(best.step)]
    (record,) = json.loads((bundle / "manifest.json").read_text())["runs"]
    assert record["state_sha256"] == best.sha256
    assert record["step"] == best.step


def test_no_wheel_needs_what_the_bundle_lacks_on_either_system(bundle, monkeypatch):
    folder = bundle / "wheels"
    assert wheels.unmet(folder, VERSION, []) == []
    monkeypatch.setattr(sys, "platform", "darwin")
    assert wheels.unmet(folder, VERSION, []) == []
    missing = wheels.unmet(folder, VERSION, ["cuda12", "plots"])
    assert any(one.startswith("jax-cuda12-plugin") for one in missing)
    assert any(one.startswith("matplotlib>=") for one in missing)


# The notebook


def without_a_network() -> list[str]:
    """Words before a command that leave it no network interface, where this system allows it."""
    words = ["unshare", "--map-root-user", "--net"]
    tried = shutil.which("unshare") and subprocess.run([*words, "true"], check=False)
    return words if tried and tried.returncode == 0 else []


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Path:
    """The Python of an environment that has pip and no other package."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.EnvBuilder(with_pip=True).create(folder)
    return folder / "bin" / "python"


def cells() -> list[str]:
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def play(fresh: Path, folder: Path, competition: Path, bundle: Path, tta: bool = False):
    """The notebook's cells in order as one program, where no packages come from elsewhere."""
    program = "\n\n".join(cells())
    assert program.count("TTA = False") == 1
    program = program.replace("TTA = False", f"TTA = {tta}")
    (folder / "work").mkdir()
    for there, here in (
        ("/kaggle/input/MABe-mouse-behavior-detection", competition),
        ("/kaggle/input/jaxbeh-bundle", bundle),
        ("/kaggle/working", folder / "work"),
    ):
        assert program.count(f'"{there}"') == 1
        program = program.replace(there, str(here))
    nowhere = "http://127.0.0.1:9"
    kept = ("PATH", "LANG", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    (folder / "temporary").mkdir()
    environment = {name: os.environ[name] for name in kept if name in os.environ} | {
        "HOME": str(folder),
        "TMPDIR": str(folder / "temporary"),
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        **dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), nowhere),
    }
    script = folder / "notebook.py"
    script.write_text(program, "utf-8")
    return subprocess.run(
        [*without_a_network(), fresh, "-W", "error", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_the_notebook_predicts_without_a_network(fresh, tmp_path, competition, bundle):
    done = play(fresh, tmp_path, competition, bundle)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "files are as they were made" in done.stdout
    assert "Largest memory of any step" in done.stdout
    submission = pd.read_csv(tmp_path / "work" / "submission.csv", dtype={"video_id": str})
    tested = pd.read_csv(competition / "test.csv", dtype={"video_id": str})
    assert len(submission)
    assert set(submission["video_id"]) <= set(tested["video_id"])
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["submission.csv"]


def test_the_notebook_asks_for_other_views(fresh, tmp_path, competition, bundle, long):
    if not long:
        pytest.skip("only with --long: it installs once more")
    done = play(fresh, tmp_path, competition, bundle, tta=True)
    assert done.returncode == 1
    assert "--tta are for recipe v7" in done.stdout  # this one is of v6


@pytest.fixture
def copy(bundle, tmp_path) -> Path:
    """A bundle to damage; its wheels are shared with the intact one."""
    folder = tmp_path / "copy"
    shutil.copytree(bundle, folder, copy_function=os.link)
    return folder


def changed(copy):
    path = copy / "runs" / "mine" / "slots.json"
    text = path.read_text()
    path.unlink()  # a link to the intact one
    path.write_text(text.replace("nose", "rose"))
    return "runs/mine/slots.json"


def removed(copy):
    path = next((copy / "wheels").glob("flax-*.whl"))
    path.unlink()
    return f"wheels/{path.name}"


def added(copy):
    (copy / "wheels" / "jaxbeh-99.0-py3-none-any.whl").write_bytes(b"")
    return "wheels/jaxbeh-99.0-py3-none-any.whl"


@pytest.mark.parametrize("damage", [changed, removed, added])
def test_the_notebook_installs_nothing_from_a_bundle_that_is_not_as_made(
    damage, fresh, tmp_path, competition, copy
):
    name = damage(copy)
    done = play(fresh, tmp_path, competition, copy)
    assert done.returncode == 1
    assert f"These differ: ['{name}']" in done.stderr
    assert not (tmp_path / "temporary" / "jaxbeh-room").exists()


def test_the_notebook_says_which_python_the_bundle_is_for(fresh, tmp_path, competition, copy):
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").unlink()
    (copy / "manifest.json").write_text(json.dumps({**manifest, "python": "3.99"}))
    done = play(fresh, tmp_path, competition, copy)
    assert done.returncode == 1
    assert f"for Python 3.99 and this is {VERSION}" in done.stderr
    assert f"jaxbeh bundle --python {VERSION}" in done.stderr


def test_the_notebook_names_the_input_that_is_missing(fresh, tmp_path, competition):
    done = play(fresh, tmp_path, competition, tmp_path / "elsewhere")
    assert done.returncode == 1
    assert "elsewhere/manifest.json is not there; set the paths above" in done.stderr


def test_the_notebook_is_one_of_format_4_without_outputs():
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert set(notebook) == {"cells", "metadata", "nbformat", "nbformat_minor"}
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    for cell in notebook["cells"]:
        outputs = {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        assert set(cell) == {"cell_type", "id", "metadata", "source"} | outputs
        assert cell["cell_type"] in {"code", "markdown"}
        assert not cell.get("outputs")
        assert all(line.endswith("\n") for line in cell["source"][:-1])
        if cell["cell_type"] == "code":
            compile("".join(cell["source"]), cell["id"], "exec")


# Refusals


def refused(python, *words):
    done = python("-m", "jaxbeh.bundle", *words)
    assert done.returncode == 1, done.stdout
    return done.stderr


def test_a_folder_that_holds_something_is_refused(python, run, tmp_path):
    (tmp_path / "mine.txt").write_text("")
    said = refused(python, "--run", run, "--out", tmp_path)
    assert "exists and is not an empty folder; name another, or remove it first" in said
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_what_is_no_run_or_has_no_checkpoint_is_refused(python, run, tmp_path):
    said = refused(python, "--run", tmp_path / "none", "--out", tmp_path / "bundle")
    assert "is no run" in said
    bare = tmp_path / "bare"
    shutil.copytree(run, bare, ignore=shutil.ignore_patterns("checkpoints"))
    assert "has no checkpoint yet" in refused(
        python, "--run", run, "--run", bare, "--out", tmp_path / "bundle"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["bare"]


@pytest.mark.parametrize("version", ["3.10", "3", "2.7", "3.12.1", "cp312", ""])
def test_a_python_that_jaxbeh_does_not_run_on_is_refused(python, run, tmp_path, version):
    words = ("--run", run, "--out", tmp_path / "bundle", "--python", version)
    assert "give one such as 3.12, at least 3.11" in refused(python, *words)


def test_a_failure_of_pip_is_told_and_leaves_nothing(python, run, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    said = refused(python, "--run", run, "--out", tmp_path / "bundle")
    assert "pip wheel failed" in said
    assert "ERROR: " in said
    assert "a package index that it can reach" in said
    assert list(tmp_path.iterdir()) == []
