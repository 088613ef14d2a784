"""The cloud entrypoint without an account: declared, interrupted, run against a stand-in."""

import importlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from jaxbeh.errors import DataError, JaxbehError
from tests.conftest import ROOT

modal = pytest.importorskip("modal", reason="needs modal: pip install '.[modal]'")
entry = importlib.import_module("modal_entry")
StandIn = importlib.import_module("tests.modal_stand_in").StandIn

DATA, EPOCHS = "data/mice", 5
# What Modal warns of at every `.local()`: here the volume is a folder.
LOCALLY = "ignore:The {} function is executing locally:UserWarning"
FUNCTIONS = {
    name: one.info() for name, one in vars(entry).items() if isinstance(one, modal.Function)
}
CHILD = """
import os, pathlib, sys
import modal_entry
volume, config, number, at = sys.argv[1:]
modal_entry.ROOT = pathlib.Path(volume)
def strike(epoch=0):
    if epoch == int(at):
        os.kill(os.getpid(), int(number))
if int(number):
    modal_entry._commit = strike
modal_entry.train.local(*modal_entry._job(config, "data/mice", "runs/local", 5, "A10G"))
"""


@pytest.fixture(scope="module")
def volume(tmp_path_factory, python) -> Path:
    folder = tmp_path_factory.mktemp("modal") / "volume"
    made = python(
        *("-m", "jaxbeh.synthesize", "--out", folder / DATA, "--videos", 3, "--frames", 1000)
    )
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="module")
def tiny(volume) -> Path:
    path = volume.parent / "tiny.yaml"
    path.write_text(
        "base: debug\n"
        "features: {name: coordinates}\n"
        "model: {name: mlp, hidden: [8]}\n"
        "window: {train_stride: 50}\n"
    )
    return path


@pytest.fixture(scope="module")
def compiled(volume) -> dict[str, str]:
    """Lets one process after the other have the same compiled programs; this saves most time."""
    cache = str(volume.parent / "compiled")
    return {"JAX_COMPILATION_CACHE_DIR": cache, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}


@pytest.fixture(scope="module")
def interrupted(volume, tiny, compiled) -> tuple[Path, list[subprocess.CompletedProcess]]:
    """One run, struck by a signal in epoch 2 and in epoch 4, and started again each time."""
    return volume / "runs/local", [
        subprocess.run(
            [
                sys.executable,
                "-W",
                "error",
                "-W",
                LOCALLY.format("train"),
                "-c",
                CHILD,
                volume,
                tiny,
                str(number),
                str(epoch),
            ],
            cwd=ROOT,
            env=os.environ | compiled,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        for number, epoch in ((signal.SIGINT.value, 2), (signal.SIGKILL.value, 4), (0, 0))
    ]


def modal_run(*words, url=None):
    """Run `modal run` with no settings of this machine's user, and never on the network."""
    environment = {name: os.environ[name] for name in os.environ if name[:5] != "MODAL"}
    environment |= {
        "MODAL_CONFIG_PATH": os.devnull,
        "MODAL_SERVER_URL": url or "http://127.0.0.1:9",
    }
    if url is not None:
        environment |= {"MODAL_TOKEN_ID": "ak-none", "MODAL_TOKEN_SECRET": "as-none"}
    return subprocess.run(
        [sys.executable, "-m", "modal", "run", *map(str, words)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def lines(run: Path) -> list[dict]:
    """What a run measured, without the seconds."""
    found = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in line if key != "seconds"} for line in found]


def arguments(item) -> tuple:
    """What a function was called with, in order and by name."""
    return pickle.loads(item.input.args)  # noqa: S301  # of our own


@pytest.mark.parametrize("name", [name for name, info in FUNCTIONS.items() if info.gpus])
def test_a_rented_function_has_volume_memory_timeout_and_retries(name):
    info = FUNCTIONS[name]
    assert [gpu in entry.PRICES for gpu, _ in info.gpus] == [True]
    assert info.memory_mib == 64 * 1024
    assert 3600 <= info.timeout <= 24 * 3600
    assert info.max_retries >= 1
    assert {path: one.name for path, one in info.volumes.items()} == {"/vol": "jaxbeh"}
    assert not any(one.read_only for one in info.volumes.values())
    assert info.single_use_containers


def test_training_is_rented_and_what_starts_several_is_never_started_twice():
    assert {name: info.gpus for name, info in FUNCTIONS.items()} == {
        "train": [("H100", 1)],
        "evaluate": [("A10G", 1)],
        "seeds": [],
    }
    assert FUNCTIONS["seeds"].nonpreemptible
    assert not FUNCTIONS["seeds"].max_retries


def test_there_is_one_local_entrypoint_and_no_learning_code():
    kinds = [type(one).__name__ for one in vars(entry).values()]
    assert kinds.count("LocalEntrypoint") == 1
    source = (ROOT / "modal_entry.py").read_text()
    assert len(source.splitlines()) < 120
    assert not any(word in source for word in ("import jax\n", "flax", "optax", "numpy"))


def test_the_bill_is_that_of_the_price_table():
    assert "3,600 s on H100 in this container, $4.46 at prices of 2026" in entry.bill("H100", 3600)
    assert "$32.11" in entry.bill("h100!:8", 3600)
    assert "cost unknown" in entry.bill("B200", 3600)


def test_modal_itself_says_that_a_token_is_missing():
    refused = modal_run("modal_entry.py")
    assert refused.returncode == 1
    assert "Token missing" in refused.stdout + refused.stderr


@pytest.mark.parametrize(
    ("words", "gpu", "job"),
    [
        ("", ("H100", 1), (100, "", "runs/v6-synthetic", "H100")),
        ("--config v3", ("A10G", 1), (30, "", "runs/v3-synthetic", "A10G")),
        ("--config v4 --gpu H100:8 --data /d/", ("H100", 8), (100, "d", "runs/v4", "H100:8")),
        ("--gpu H200 --run /runs/a --epochs 7", ("H200", 1), (7, "", "runs/a", "H200")),
    ],
)
def test_the_command_reaches_the_right_gpu(words, gpu, job, tmp_path):
    with StandIn(tmp_path, {"train": 0.5}) as stand_in:
        done = modal_run("modal_entry.py", *words.split(), url=stand_in.url)
    assert done.returncode == 0, done.stdout + done.stderr
    [bound] = stand_in.calls["FunctionBindParams"]
    rented = bound.function_options.resources.gpu_config
    assert (rented.gpu_type, rented.count) == gpu
    [item] = stand_in.calls["FunctionMap"][0].pipelined_inputs
    (settings, *others), _ = arguments(item)
    assert (settings.training.epochs, *others) == job


def test_the_image_has_the_dependencies_the_code_and_the_recipes(tmp_path):
    with StandIn(tmp_path, {"train": 0.5}) as stand_in:
        modal_run("modal_entry.py", url=stand_in.url)
    layers = [one.image.dockerfile_commands for one in stand_in.calls["ImageGetOrCreate"]]
    built = "\n".join(line for commands in layers for line in commands)
    assert "jax[cuda12]" in built
    assert "orbax-checkpoint" in built
    assert "XDG_CACHE_HOME=/vol/cache" in built
    root = tmp_path / "root"  # the container's, which has these files and no others
    files = [one.filename for mount in stand_in.calls["MountGetOrCreate"] for one in mount.files]
    for name in (Path(file).relative_to("/root") for file in files if file.startswith("/root/")):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    program = "import modal_entry, jaxbeh; print(*modal_entry._job('v5', '', '', 0, ''), jaxbeh)"
    imported = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=root,
        env=os.environ | {"MODAL_IS_REMOTE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert imported.returncode == 0, imported.stderr
    assert "batch_size=64" in imported.stdout
    assert str(root / "jaxbeh") in imported.stdout


def test_wrong_settings_rent_nothing(tmp_path):
    with StandIn(tmp_path) as stand_in:
        refused = modal_run("modal_entry.py", "--epochs", "-1", url=stand_in.url)
    assert refused.returncode == 1
    assert "jaxbeh: v6 does not make a run" in refused.stderr
    assert "training.epochs = -1" in refused.stderr
    assert not stand_in.calls["FunctionMap"]


@pytest.mark.filterwarnings(LOCALLY.format("train"))
def test_a_refusal_is_not_retried_and_ends_the_command(volume, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(entry, "ROOT", volume)
    refusal = entry.train.local(*entry._job(str(tiny), "data/none", "runs/none", 0, "T4"))
    assert isinstance(refusal, JaxbehError)
    with StandIn(tmp_path, {"train": DataError("no mice")}) as stand_in:
        refused = modal_run("modal_entry.py", url=stand_in.url)
    assert refused.returncode == 1
    assert "jaxbeh: no mice" in refused.stderr
    assert len(stand_in.calls["FunctionMap"]) == 1


def test_a_run_struck_by_sigint_and_sigkill_goes_on_when_started_again(interrupted):
    run, (first, second, last) = interrupted
    assert first.returncode == -signal.SIGINT, first.stdout
    assert "KeyboardInterrupt: runs/local is saved" in first.stdout
    assert second.returncode == -signal.SIGKILL, second.stdout
    assert "after epoch 2" in second.stdout
    assert last.returncode == 0, last.stdout
    assert "after epoch 4" in last.stdout
    assert [line["epoch"] for line in lines(run)] == [1, 2, 3, 4, 5]
    best = max(line["val_macro_f1"] for line in lines(run))
    assert f"runs/local: best validation macro-F1 {best:.4f};" in last.stdout
    assert " s on A10G in this container, $" in last.stdout


def test_modal_run_trains_and_starts_a_preempted_container_again(
    interrupted, volume, tiny, compiled
):
    words = ("--config", tiny, "--data", DATA, "--epochs", EPOCHS, "--run", "runs/stand-in")
    with StandIn(volume, preempt_at=2, environment=compiled) as stand_in:
        done = modal_run("modal_entry.py", *words, url=stand_in.url)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(stand_in.containers) == 2
    # The first one gave no result, so that the second had the input; the commits were both's.
    assert len(stand_in.calls["FunctionGetInputs"]) == 2
    assert len(stand_in.calls["FunctionPutOutputs"]) == 1
    assert len(stand_in.calls["VolumeCommit"]) > EPOCHS
    assert "the same command continues" in done.stdout
    assert "runs/stand-in: best validation macro-F1" in done.stdout
    assert lines(volume / "runs/stand-in") == lines(interrupted[0])


def test_seeds_are_trained_side_by_side_each_in_a_run_of_its_own(volume):
    with StandIn(volume, {"train": 0.5}) as stand_in:
        words = ("modal_entry.py::seeds", "--seeds", "3,42,3", "--config", "v3")
        done = modal_run(*words, url=stand_in.url)
    assert done.returncode == 0, done.stdout + done.stderr
    [bound] = stand_in.calls["FunctionBindParams"]
    assert bound.function_options.resources.gpu_config.gpu_type == "A10G"
    items = [item for put in stand_in.calls["FunctionPutInputs"] for item in put.inputs]
    jobs = [arguments(item)[0] for item in items]
    assert {(job[0].training.seed, job[2]) for job in jobs} == {
        (3, "runs/v3-synthetic-seed3"),
        (42, "runs/v3-synthetic-seed42"),
    }
    assert "runs/v3-synthetic-seed42: 0.5" in done.stdout


def test_a_seed_that_cannot_be_trained_fails_the_command(volume):
    with StandIn(volume, {"train": DataError("no mice")}) as stand_in:
        failed = modal_run("modal_entry.py::seeds", "--seeds", "7", url=stand_in.url)
    assert failed.returncode == 1
    assert "runs/v6-synthetic-seed7: no mice" in failed.stdout


def test_evaluation_is_called_by_its_name(tmp_path):
    with StandIn(tmp_path, {"evaluate": None}) as stand_in:
        done = modal_run("modal_entry.py::evaluate", "--run", "runs/v6", url=stand_in.url)
    assert done.returncode == 0, done.stdout + done.stderr
    [item] = stand_in.calls["FunctionMap"][0].pipelined_inputs
    assert arguments(item) == ((), {"run": "runs/v6", "data": ""})


@pytest.mark.filterwarnings(LOCALLY.format("evaluate"))
def test_an_evaluation_that_cannot_be_made_says_so_and_is_not_retried(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(entry, "ROOT", tmp_path)
    refusal = entry.evaluate.local(run="runs/none")
    assert isinstance(refusal, JaxbehError)
    assert "runs/none" in str(refusal)
    assert "jaxbeh: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("said", "raised"),
    [("there are open files preventing the operation", False), ("volume was deleted", True)],
)
def test_only_a_reload_that_open_files_prevent_is_passed_over(said, raised, monkeypatch):
    def commit():
        raise RuntimeError(said)

    monkeypatch.setattr(entry.modal, "is_local", lambda: False)
    monkeypatch.setattr(entry, "volume", SimpleNamespace(commit=commit))
    with pytest.raises(RuntimeError, match=said) if raised else nullcontext():
        entry._commit()


@pytest.mark.filterwarnings(LOCALLY.format("evaluate"))
def test_evaluation_writes_scores_and_submission_to_the_volume(interrupted, volume, monkeypatch):
    run, _ = interrupted
    monkeypatch.setattr(entry, "ROOT", volume)
    entry.evaluate.local(run=f"/{run.relative_to(volume)}", data=DATA)
    assert "macro_f1" in json.loads((run / "evaluation.json").read_text())
    assert (run / "submission.csv").exists()
