"""What can be watched: TensorBoard event files and curves."""

import struct

import pytest
from tiny import assembled, run

from jaxbeh.config import load_config
from jaxbeh.training import curves, event_files
from jaxbeh.training.run_folder import RunFolder

pytest.importorskip("tensorboardX", reason="needs tensorboardX: pip install '.[tensorboard]'")
pytest.importorskip("matplotlib", reason="needs matplotlib: pip install '.[plots]'")


def scalars(folder):
    """All that TensorBoard would show, by the framing of its files: length, crc, data, crc."""
    from tensorboardX.proto.event_pb2 import Event

    found = {}
    for path in sorted(folder.glob("events.*")):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            event = Event.FromString(data[at + 12 : at + 12 + length])
            for value in event.summary.value:
                found[value.tag, event.step] = value.simple_value
            at += length + 16
    return found


def test_event_files_hold_every_number_of_every_epoch(tmp_path):
    config, dataset, made = assembled("training.epochs=2")
    with event_files.writing(tmp_path / "tensorboard", 0) as add:
        run(made, config, dataset, tmp_path, on_epoch=add)
    lines = RunFolder(tmp_path).metrics()
    shown = scalars(tmp_path / "tensorboard")
    for line in lines:
        for name in ("train_loss", "val_loss", "val_macro_f1", "learning_rate"):
            assert shown[name, line["epoch"]] == pytest.approx(line[name], rel=1e-6)
        for name, value in line["val_f1"].items():
            assert shown[f"val_f1/{name}", line["epoch"]] == pytest.approx(value, rel=1e-6)
    assert {step for _, step in shown} == {1, 2}


def test_without_the_extra_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(event_files, "AVAILABLE", False)
    with event_files.writing(tmp_path / "tensorboard", 0) as add:
        add({"epoch": 1, "train_loss": 0.5})
    assert not (tmp_path / "tensorboard").exists()


def test_curves_are_a_picture_and_stand_a_class_without_frames(tmp_path):
    lines = [
        {
            "epoch": epoch,
            "train_loss": 1 / epoch,
            "val_loss": 2 / epoch,
            "val_macro_f1": 0.1 * epoch,
            "val_f1": {"background": 0.9, "mating": None},
            "learning_rate": 1e-3,
        }
        for epoch in (1, 2, 3)
    ]
    curves.draw_curves(lines, load_config("debug"), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(("epochs", "classes"), [(1, 4), (1, 37), (3, 37)])
def test_an_epoch_is_a_point_and_many_names_stand_beside_the_curves(epochs, classes):
    lines = [
        {
            "epoch": epoch,
            "train_loss": 1.0,
            "val_loss": 2.0,
            "val_macro_f1": 0.5,
            "val_f1": {f"action{number}": 0.5 for number in range(classes)},
            "learning_rate": 1e-3,
        }
        for epoch in range(1, 1 + epochs)
    ]
    figure = curves.drawn(lines, load_config("debug"))
    losses, scores, _ = figure.axes
    assert all((line.get_marker() == "o") == (epochs == 1) for line in losses.lines + scores.lines)
    looks = {(line.get_color(), line.get_linestyle()) for line in scores.lines}
    assert len(looks) == len(scores.lines) == classes + 1
    figure.draw_without_rendering()
    names, panel = scores.get_legend().get_window_extent(), scores.get_window_extent()
    assert (names.x0 >= panel.x1) == (classes == 37)
    assert names.y0 > panel.y0
    assert names.x1 < figure.bbox.x1


def test_lines_of_another_kind_are_gaps_in_the_curves(tmp_path):
    """A run from elsewhere, or a damaged one, is trained to its end before they are drawn."""
    odd = [
        {"epoch": 1},
        {"epoch": 2, "train_loss": "x", "val_loss": None, "val_f1": 3, "learning_rate": [1]},
        {"epoch": 3, "train_loss": 10**400, "val_loss": float("nan"), "val_macro_f1": 0.5},
    ]
    curves.draw_curves(odd, load_config("debug"), tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes()[:4] == b"\x89PNG"
