"""Every kind of run, stopped in its middle and continued, ends in the bits of a straight one."""

import json

import pytest
from tiny import CONV_BILSTM, StopAfter, assembled, run

from jaxbeh.training.checkpoints import Checkpoints
from jaxbeh.training.run_folder import RunFolder

PLATEAU = ("schedule.name=plateau", "schedule.patience=1")
RUNS = {
    "v1": (
        "features.name=coordinates",
        "model={name: mlp, hidden: [8, 8]}",
        "optimizer.name=adam",
        "schedule.name=constant",
    ),
    "v2": (
        "features.name=engineered",
        "augmentation.mixup=0.2",
        "loss.label_smoothing=0.1",
        *CONV_BILSTM,
        *PLATEAU,
    ),
    "tcn": ("model={name: tcn, channels: [4, 4]}", *PLATEAU),
    "hybrid": (
        "model={name: hybrid, keypoint_channels: [4], embedding: 4, temporal: {hidden: 4}}",
        "augmentation.mixup=0.2",
        "schedule.name=constant",
    ),
    "transformer": ("model={name: transformer, width: 8, heads: 2, layers: 1}",),
    "unet": ("model={name: unet, width: 8, heads: 2, levels: 2, attention_layers: 1}",),
}


def lines(path):
    kept = RunFolder(path).metrics()
    return [{key: line[key] for key in line if key != "seconds"} for line in kept]


@pytest.mark.parametrize("name", RUNS)
def test_continued_to_the_same_bits(name, tmp_path, long):
    if not long and name in ("tcn", "hybrid", "transformer", "unet"):
        pytest.skip("only with --long: what continues does not depend on the model")
    overrides = ("training.epochs=4", "training.checkpoint_every=4", *RUNS[name])
    config, dataset, made = assembled(*overrides, model=())
    run(made, config, dataset, tmp_path / "straight")
    # At an epoch's end, while it is yet to be written down.
    run(made, config, dataset, tmp_path / "stopped", stop=StopAfter(2 * made.plan.steps))
    first, written = lines(tmp_path / "stopped")
    middle = Checkpoints(tmp_path / "stopped" / "checkpoints", print, read_only=True).latest()
    assert (first["epoch"], written["epoch"]) == (1, 2)
    assert middle.step == 2 * made.plan.steps
    if "state_sha256" in written:
        assert (middle.sha256, middle.score) == (written["state_sha256"], written["val_macro_f1"])
    _, dataset, made = assembled(*overrides, model=())
    run(made, config, dataset, tmp_path / "stopped")
    straight, continued = lines(tmp_path / "straight"), lines(tmp_path / "stopped")
    assert len(straight[-1]["state_sha256"]) == 64
    assert json.dumps(continued) == json.dumps(straight)


def test_a_plateau_lowers_the_rate_that_the_next_epoch_trains_with(tmp_path):
    overrides = ("training.epochs=4", "optimizer.learning_rate=1e-30", "schedule.floor=0.0")
    config, dataset, made = assembled(*PLATEAU, *overrides)
    run(made, config, dataset, tmp_path)
    # At such a rate no score changes: every epoch after the first is one without a better score.
    rates = [line["learning_rate"] for line in RunFolder(tmp_path).metrics()]
    assert rates == pytest.approx([1e-30, 1e-30, 5e-31, 2.5e-31])
