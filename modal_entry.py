"""jaxbeh on a rented GPU: `modal run modal_entry.py` trains v6 on an H100 at Modal.

All that stays lies on one volume: `data/` (yours to fill), `cache/` and `runs/`; the commands'
paths are paths on it. The same command continues a run from the volume's last commit.
"""

import time
from pathlib import Path
from typing import Any

import modal

from jaxbeh.config import load_config
from jaxbeh.console import out
from jaxbeh.errors import DataError, JaxbehError, RunError, SettingsError
from jaxbeh.evaluate import evaluate as evaluate_run
from jaxbeh.settings.run import Config
from jaxbeh.train import train_run
from jaxbeh.training.run_folder import RunFolder

Job = tuple[Config, str, str, str]  # what `train` takes
HERE, ROOT = Path(__file__).parent, Path("/vol")

# Dollars a second for one GPU and for one GiB of memory: modal.com/pricing, as transcribed on this
# day in github.com/api-evangelist/modal-labs, plans/modal-labs-plans-pricing.yml.
PRICED_ON, MEMORY_PRICE, MEMORY_GIB = "2026-07-01", 0.00000222, 64
PRICES = {"H200": 0.001261, "H100": 0.001097, "A10G": 0.000306, "A10": 0.000306}

volume = modal.Volume.from_name("jaxbeh", create_if_missing=True)
image = modal.Image.debian_slim().pip_install_from_pyproject(
    str(HERE / "pyproject.toml"), ["cuda12", "plots", "tensorboard"]
)
image = image.env({"XDG_CACHE_HOME": str(ROOT / "cache")}).add_local_python_source("jaxbeh")
app = modal.App("jaxbeh", image=image.add_local_dir(HERE / "configs", "/root/configs"))
RENTED: dict[str, Any] = {
    "volumes": {str(ROOT): volume},
    "memory": MEMORY_GIB * 1024,
    "timeout": 24 * 3600,  # an attempt; Modal allows no more
    "retries": modal.Retries(max_retries=3, initial_delay=0.0),
    "single_use_containers": True,  # so that every attempt sees the volume's last commit
}


@app.function(gpu="H100", **RENTED)
def train(settings: Config, data: str, run: str, gpu: str) -> float | JaxbehError:
    """Start or continue a run, print what it took, and return its best score, or a refusal."""
    began, path = time.perf_counter(), ROOT / run
    try:
        code = train_run(settings, ROOT / data if data else None, path, on_checkpoint=_commit)
    except (SettingsError, DataError, RunError) as error:
        return error  # what is raised is retried, as an unwritable checkpoint should be
    _commit()
    if code:  # Pre-empted. Only this exception is no result to Modal, and starts the input again.
        raise KeyboardInterrupt(f"{run} is saved")
    best: float = max(line[settings.score] for line in RunFolder(path).metrics())
    spent = bill(gpu, time.perf_counter() - began)
    out.print(f"{run}: best validation {settings.score_name} {best:.4f}; {spent}", markup=False)
    return best


@app.function(gpu="A10G", **RENTED)
def evaluate(run: str, data: str = "") -> JaxbehError | None:
    """Score a run, write the submission for the test videos, both into its folder; or refuse."""
    try:
        evaluate_run([ROOT / run.strip("/")], ROOT / data.strip("/") if data else None)
    except JaxbehError as error:
        out.print(f"jaxbeh: {error}", markup=False)
        return error
    return _commit()


# Started twice it would set two writers on each run: hence never pre-empted and never retried.
@app.function(volumes={str(ROOT): volume}, timeout=24 * 3600, nonpreemptible=True)
def seeds(
    seeds: str, config: str = "v6", data: str = "", run: str = "", epochs: int = 0, gpu: str = ""
) -> None:
    """Train once for each of the seeds, `42,43,44`, side by side, each on a GPU of its own."""
    jobs = [_job(config, data, run, epochs, gpu, seed) for seed in {*map(int, seeds.split(","))}]
    ends = list(train.with_options(gpu=jobs[0][-1]).starmap(jobs, return_exceptions=True))
    for job, end in zip(jobs, ends, strict=True):
        out.print(f"{job[2]}: {end}", markup=False)
    if not all(isinstance(end, float) for end in ends):
        raise JaxbehError("not every seed was trained to its end")


@app.local_entrypoint()
def main(config: str = "v6", data: str = "", run: str = "", epochs: int = 0, gpu: str = "") -> None:
    """Train a recipe, or a YAML file of your own."""
    try:
        job = _job(config, data, run, epochs, gpu)  # refuses settings before a GPU is rented
        if isinstance(end := train.with_options(gpu=job[-1]).remote(*job), JaxbehError):
            raise end
    except JaxbehError as error:
        raise SystemExit(f"jaxbeh: {error}") from None


def bill(gpu: str, seconds: float) -> str:
    """Time and cost on a GPU such as `H100:8`, in words."""
    kind, _, count = gpu.upper().replace("!", "").partition(":")
    rate = PRICES.get(kind, 0.0) * int(count or 1) + MEMORY_PRICE * MEMORY_GIB
    cost = f"${seconds * rate:,.2f} at prices of {PRICED_ON}" if kind in PRICES else "cost unknown"
    return f"{seconds:,.0f} s on {gpu} in this container, {cost} (GPU and memory)"


def _job(config: str, data: str, run: str, epochs: int, gpu: str, seed: int | None = None) -> Job:
    name, overrides = Path(config).stem, [f"training.epochs={epochs}"] if epochs else []
    run, data = run.strip("/") or f"runs/{name}{'' if data else '-synthetic'}", data.strip("/")
    if seed is not None:
        run, overrides = f"{run}-seed{seed}", [*overrides, f"training.seed={seed}"]
    default = "A10G" if name in ("v3", "v4") else "H100"
    return load_config(config, overrides), data, run, gpu or default


def _commit(_epoch: int = 0) -> None:
    try:
        _ = modal.is_local() or volume.commit()
    except RuntimeError as error:
        if "open files" not in str(error):  # all is committed then, only not loaded again
            raise
