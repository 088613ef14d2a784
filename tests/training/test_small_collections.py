"""Collections that teach little: they train to finite figures, or are refused with the reason."""

import math

import numpy as np
import pytest
from recordings import recording, wander
from tiny import run, settings

from jaxbeh.data.report import ReadingReport
from jaxbeh.errors import DataError, RunError
from jaxbeh.training import assemble as building
from jaxbeh.training.dataset import build_dataset
from jaxbeh.training.run_folder import RunFolder

SMALL = ("model={name: mlp, hidden: [8]}", "training.epochs=2")
BATCH_NORM = ("model={channels: [4], hidden: 4, lstm_layers: 1}", "training.epochs=2")


def video(number, frames, events=(), **more):
    return recording(wander(frames, seed=number), list(events), video_id=str(number), **more)


def trained(recordings, path, overrides=SMALL):
    """The epochs' lines."""
    config = settings(*overrides, model=())
    dataset = build_dataset(recordings, config, ReadingReport())
    made = building.assemble(config, dataset)
    run(made, config, dataset, path)
    lines = RunFolder(path).metrics()
    assert len(lines) == 2
    for line in lines:
        assert math.isfinite(line["train_loss"])
        assert math.isfinite(line["val_loss"])
        assert 0 <= line["val_macro_f1"] <= 1
    return lines


def refused(recordings):
    config = settings(*SMALL, model=())
    with pytest.raises((RunError, DataError)) as caught:
        building.assemble(config, build_dataset(recordings, config, ReadingReport()))
    return str(caught.value)


def test_one_class_only_is_trained_and_scored_by_what_is_there(tmp_path):
    """Nothing was ever seen, though it was looked for: every frame is background."""
    lines = trained([video(number, 60) for number in range(3)], tmp_path)
    assert lines[-1]["val_classes"] == 1
    assert lines[-1]["val_f1"]["mating"] is None


def test_every_frame_of_one_action(tmp_path):
    events = [("mouse1,mouse2,sniff", 0, 60)]
    lines = trained([video(number, 60, events) for number in range(3)], tmp_path)
    assert lines[-1]["val_classes"] == 1


@pytest.mark.parametrize("overrides", [SMALL, BATCH_NORM], ids=["mlp", "batch_norm"])
def test_videos_of_one_frame(tmp_path, overrides):
    """One window a video, all of it padding but a frame."""
    lines = trained([video(number, 1) for number in range(3)], tmp_path, overrides)
    assert lines[-1]["val_accuracy"] in (0, 1)


@pytest.mark.parametrize("overrides", [SMALL, BATCH_NORM], ids=["mlp", "batch_norm"])
def test_one_window_on_either_side(tmp_path, overrides):
    events = [("mouse1,mouse2,sniff", 3, 9)]
    config = settings(*overrides, model=())
    recordings = [video(number, 20, events) for number in range(2)]
    dataset = build_dataset(recordings, config, ReadingReport())
    made = building.assemble(config, dataset)
    assert (made.plan.windows, made.validation_plan.windows) == (1, 1)
    trained(recordings, tmp_path, overrides)


def test_mice_that_never_move(tmp_path):
    """No feature varies but where a mouse is missing."""
    stills = [np.repeat(wander(1, seed=number), 60, axis=0) for number in range(3)]
    events = [("mouse1,mouse2,sniff", 10, 40)]
    recordings = [recording(still, events, video_id=str(n)) for n, still in enumerate(stills)]
    trained(recordings, tmp_path)


def test_a_single_video_is_refused():
    assert "validation" in refused([video(1, 60)])


def test_videos_in_which_nothing_was_looked_for_are_refused():
    said = refused([video(number, 60, whitelist=()) for number in range(3)])
    assert "none of the 3 labelled videos teaches anything" in said
