"""How hard is the synthetic default, and what does v6 need to solve it?

Three ways to the same validation frames, for each seed (a seed draws the split as well):

- v6: the recipe as `python -m jaxbeh.train --config v6` runs it;
- shuffled: v6 trained and tried on the same frames in random order within each video, so that only
  what a single frame shows is left;
- mlp: scikit-learn's MLPClassifier (256, 256) on single frames' standardised coordinates.

    python benchmarks/default_difficulty.py --seeds 42 43 44

prints one JSON line a result and the means at the end. The default collection is used, or --data.
"""

import argparse
import dataclasses
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from sklearn.metrics import f1_score
from sklearn.neural_network import MLPClassifier

from jaxbeh.collection import open_labelled
from jaxbeh.config import load_config
from jaxbeh.data.report import ReadingReport
from jaxbeh.data.scene import Labels
from jaxbeh.data.store import Scene, gather
from jaxbeh.settings.run import SceneConfig
from jaxbeh.training import assemble as building
from jaxbeh.training.checkpoints import Checkpoints
from jaxbeh.training.dataset import Dataset, build_dataset, tiling_windows
from jaxbeh.training.loop import fit
from jaxbeh.training.progress import EpochProgress
from jaxbeh.training.recipe import model_inputs
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.training.stop import StopRequest


def shuffled(dataset: Dataset, seed: int) -> Dataset:
    """The same frames and labels, in a random order within each video."""
    draw = np.random.default_rng(seed)

    def shuffle(scene: Scene) -> Scene:
        order = draw.permutation(len(scene.labels.values))
        tracking = dataclasses.replace(
            scene.recording.tracking, xy=scene.recording.tracking.xy[order]
        )
        labels = Labels(values=scene.labels.values[order], looked_for=scene.labels.looked_for)
        return Scene(dataclasses.replace(scene.recording, tracking=tracking), labels)

    return Dataset(
        tuple(map(shuffle, dataset.train)), tuple(map(shuffle, dataset.validation)), dataset.slots
    )


def best_of_v6(config: SceneConfig, dataset: Dataset) -> tuple[float, int]:
    """Best validation macro-F1 of a whole run, and its epochs."""
    with tempfile.TemporaryDirectory() as folder:
        run_folder = RunFolder(Path(folder))
        assembled = building.assemble(config, dataset)
        snapshot = building.first_snapshot(assembled, dataset)
        checkpoints = Checkpoints(run_folder.checkpoints, print)
        run = building.run_of(
            assembled, config, run_folder, snapshot.normaliser, lambda _: None, None
        )
        quiet = EpochProgress(Console(quiet=True), config, 0)
        loop = fit(run, snapshot, checkpoints, StopRequest(), quiet)
        checkpoints.close()
    return float(loop.best_score), int(loop.epoch)


def mlp(config: SceneConfig, dataset: Dataset, seed: int) -> float:
    """Macro-F1 of a per-frame network on coordinates alone."""
    assembled = building.assemble(config, dataset)
    normaliser = building.fit_normaliser(assembled, dataset)
    length = config.window.length
    exact = replace(assembled.recipe, precision=jnp.float32, mesh=None)

    def frames(side: Sequence[Scene], store: object) -> tuple[np.ndarray, np.ndarray]:
        windows = tiling_windows(side, length)
        tiled = store.replace(windows=jax.device_put(windows))
        inputs, labels = [], []
        for start in range(0, len(windows), 64):
            index = jnp.arange(start, min(start + 64, len(windows)), dtype=jnp.int32)
            found = gather(tiled, index, jnp.zeros_like(index), length, 2)
            flat = model_inputs(exact, normaliser, found).flat[..., :144]
            known = np.asarray(found.labels) >= 0
            inputs.append(np.asarray(flat)[known])
            labels.append(np.asarray(found.labels)[known])
        return np.concatenate(inputs), np.concatenate(labels)

    x, y = frames(dataset.train, assembled.frames.train)
    used = x.any(axis=0)
    model = MLPClassifier((256, 256), max_iter=30, random_state=seed, early_stopping=True)
    model.fit(x[:, used], y)
    x, y = frames(dataset.validation, assembled.frames.validation)
    return float(f1_score(y, model.predict(x[:, used]), average="macro"))


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44])
    parser.add_argument("--variants", nargs="+", default=["v6", "shuffled", "mlp"])
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--set", nargs="*", default=[], dest="overrides")
    arguments = parser.parse_args()
    results: dict[str, list[float]] = {name: [] for name in arguments.variants}
    for seed in arguments.seeds:
        config = load_config("v6", [f"training.seed={seed}", *arguments.overrides])
        report = ReadingReport()
        _, recordings = open_labelled(arguments.data, config, report)
        dataset = build_dataset(recordings, config, report)
        for name in arguments.variants:
            began, epochs = time.perf_counter(), None
            if name == "mlp":
                score = mlp(config, dataset, seed)
            else:
                chosen = dataset if name == "v6" else shuffled(dataset, seed)
                score, epochs = best_of_v6(config, chosen)
            results[name].append(score)
            line = {"variant": name, "seed": seed, "macro_f1": round(score, 4), "epochs": epochs}
            line["seconds"] = round(time.perf_counter() - began, 1)
            print(json.dumps(line), flush=True)
    for name, scores in results.items():
        mean, spread = np.mean(scores), np.std(scores, ddof=1) if len(scores) > 1 else 0.0
        line = {"variant": name, "mean": round(float(mean), 4), "spread": round(float(spread), 4)}
        print(json.dumps({**line, "device": jax.devices()[0].device_kind}), flush=True)


if __name__ == "__main__":
    main()
