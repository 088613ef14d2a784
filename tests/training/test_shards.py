"""Frames that do not fit on the devices come from the host's memory, shard after shard."""

import json
import weakref
from collections import Counter
from dataclasses import replace

import jax
import numpy as np
import pytest
from tiny import StopAfter, assembled, collection, run, settings
from watching import compilations, compiled_to_train

from jaxbeh.data.report import ReadingReport
from jaxbeh.data.shards import Room, part_of, share_out, sizes_of
from jaxbeh.data.store import FrameStore, nbytes
from jaxbeh.errors import RunError
from jaxbeh.train import _begun_in
from jaxbeh.training import assemble as building
from jaxbeh.training.checkpoints import Checkpoints, leaves_of
from jaxbeh.training.compilation import compile_ahead
from jaxbeh.training.dataset import build_dataset, labelled_store
from jaxbeh.training.devices import Devices
from jaxbeh.training.frames import Resident, Rotating
from jaxbeh.training.hosts import Hosts
from jaxbeh.training.layout import choose, remedies
from jaxbeh.training.run_folder import RunFolder

PLAIN = ("model={name: mlp, hidden: [8]}", "training.batch_size=4")


def short_of_memory(*overrides, devices=1, share=0.7):
    """A run on devices that hold the step, and this share of the frames."""
    config = settings(*PLAIN, *overrides, model=())
    dataset = build_dataset(collection(videos=8), config, ReadingReport())
    several = Devices.of(jax.devices()[:devices])
    with compiled_to_train(building):
        plenty = building.assemble(config, dataset, several)
        blocks = building.assemble(config, dataset, several, whole=False)
    memory = blocks.budget.step + share * blocks.budget.frames
    made = building.assemble(config, dataset, replace(plenty.devices, memory=memory))
    return config, dataset, made, plenty


def test_a_layout_that_is_left_costs_one_compilation(monkeypatch):
    config = settings(*PLAIN, model=())
    # Frames that take more than a step: a device that holds the step alone cannot hold them.
    dataset = build_dataset(collection(frames=1500, videos=8), config, ReadingReport())
    at_once, left = [], []

    def counting(*words):
        with compilations() as compiled:
            programs = compile_ahead(*words)
        at_once.append(len(compiled))
        return programs

    def choosing(*words):
        left.append(words)
        return choose(*words)

    monkeypatch.setattr(building, "compile_ahead", counting)
    monkeypatch.setattr(building, "choose", choosing)
    devices = Devices.of(jax.devices()[:1])
    fitting = building.assemble(config, dataset, devices)
    assert (at_once, left) == ([4, 0], [])
    at_once.clear()
    memory = fitting.budget.step + 0.3 * fitting.budget.frames
    assert memory < fitting.budget.frames
    made = building.assemble(config, dataset, replace(devices, memory=memory))
    assert made.shards[0] > 1
    assert at_once == [1] * (len(left) + 1) + [3]
    assert all(isinstance(one, jax.stages.Compiled) for one in vars(made.programs).values())


def windows_of(store):
    """Video (by its place in the whole) and start of each real window are the data's own."""
    table = np.asarray(store.windows)
    return table[table[:, 0] >= 0]


@pytest.mark.parametrize("devices", [1, 2])
def test_too_little_memory_makes_shards_that_fit(devices):
    _, _, made, plenty = short_of_memory(devices=devices)
    assert isinstance(plenty.frames, Resident)
    assert isinstance(made.frames, Rotating)
    assert made.shards[0] > 1
    assert made.budget.frames + made.budget.step <= made.devices.memory
    store = made.frames.to_train(0)
    assert (store.mesh is not None) == (devices > 1)
    on_one = sum(leaf.addressable_shards[0].data.nbytes for leaf in jax.tree.leaves(store))
    assert 2 * on_one <= made.budget.frames
    assert "too much at once" in made.held
    assert made.plan.windows == plenty.plan.windows
    assert made.plan.steps == made.turn.steps * made.shards[0]


def test_every_window_is_trained_on_once_an_epoch_and_the_orders_differ():
    _, _, made, plenty = short_of_memory()
    whole = np.asarray(plenty.frames.train.windows)
    wanted = Counter((plenty.videos[video], start) for video, start in whole[:, :2].tolist())
    batches = building.batches_of(made)
    orders = []
    for epoch in range(3):
        seen, order_of_epoch = Counter(), []
        for step in range(epoch * made.plan.steps, (epoch + 1) * made.plan.steps):
            store, order = batches.at(step)
            rows = np.asarray(order)[step % len(order)]
            windows = rows[rows >= 0]
            assert len(windows) > 0
            part = made.parts[made.frames.shard(step // made.turn.steps)]
            found = np.asarray(store.windows)[windows]
            names = [(made.videos[part[video]], start) for video, start in found[:, :2].tolist()]
            assert sorted({name for name, _ in names}) == sorted(batches.videos(step))
            seen.update(names)
            order_of_epoch += names
        assert seen == wanted
        orders.append(order_of_epoch)
    assert orders[0] != orders[1] != orders[2]


def lines(path):
    kept = RunFolder(path).metrics()
    return [{key: line[key] for key in line if key != "seconds"} for line in kept]


@pytest.mark.parametrize("devices", [1, 2])
def test_a_stop_in_the_middle_of_a_shard_continues_to_the_same_bits(tmp_path, devices):
    words = ("training.epochs=3", "model.dropout=0.2", "training.checkpoint_every=3")
    config, dataset, made, _ = short_of_memory(*words, devices=devices)
    run(made, config, dataset, tmp_path / "straight")
    first = building.first_snapshot(made, dataset)
    checkpoints = Checkpoints(tmp_path / "stopped" / "checkpoints", print)
    checkpoints.save(0, leaves_of(first), -1.0)
    checkpoints.close()
    assert made.turn.steps > 1
    steps = made.plan.steps + made.turn.steps + 1
    _, _, made, _ = short_of_memory(*words, devices=devices)
    run(made, config, dataset, tmp_path / "stopped", stop=StopAfter(steps))
    assert len(lines(tmp_path / "stopped")) == 1
    middle = Checkpoints(tmp_path / "stopped" / "checkpoints", print).latest()
    assert middle.step == steps
    # On a machine with more memory the run keeps the shards that it began with.
    roomy = building.assemble(
        config, dataset, Devices.of(jax.devices()[:devices]), shards=made.shards
    )
    assert isinstance(roomy.frames, Rotating)
    run(roomy, config, dataset, tmp_path / "stopped")
    straight, continued = lines(tmp_path / "straight"), lines(tmp_path / "stopped")
    assert straight[-1]["state_sha256"] == continued[-1]["state_sha256"]
    assert json.dumps(straight[1:]) == json.dumps(continued[1:])


def test_one_compilation_a_program_and_two_shards_on_the_device(tmp_path, monkeypatch):
    config, dataset, made, _ = short_of_memory("training.epochs=3")
    made_so_far, most = [], [0]
    place = Devices.place

    def counting(self, store, whole):
        placed = place(self, store, whole)
        made_so_far.append(weakref.ref(placed.points))
        points = [there() for there in made_so_far]
        most.append(sum(one is not None and not one.is_deleted() for one in points))
        return placed

    monkeypatch.setattr(Devices, "place", counting)

    first = building.first_snapshot(made, dataset)
    assert most[-1] == 1  # the normaliser's pass frees each shard before the next
    with compilations() as compiled:
        run(made, config, dataset, tmp_path)
        times = len(compiled)
        state = made.devices.put(first.train)
        building.validation_of(made, first.normaliser, ("a", "b", "c", "d")).launch(state)
    shards = sum(made.shards)
    assert len(most) - 1 > 3 * shards
    assert max(most) == 2
    for program in vars(made.programs).values():
        assert isinstance(program, jax.stages.Compiled)
    assert len(compiled) == times


def test_validation_and_normaliser_are_those_of_resident_frames():
    _, dataset, made, plenty = short_of_memory(share=0.4)
    assert made.shards[1] > 1
    first, whole = (building.first_snapshot(one, dataset) for one in (made, plenty))
    for name in ("mean", "deviation"):
        mine, theirs = getattr(first.normaliser, name), getattr(whole.normaliser, name)
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-6)
    figures = []
    for one in (made, plenty):
        validation = building.validation_of(one, whole.normaliser, ("a", "b", "c", "d"))
        state = one.devices.put(whole.train)
        figures.append(validation.summarise(jax.device_get(validation.launch(state))))
    in_shards, at_once = figures
    assert in_shards["val_f1"] == at_once["val_f1"]
    assert in_shards["val_classes"] == at_once["val_classes"]
    assert in_shards["val_loss"] == pytest.approx(at_once["val_loss"], rel=1e-6)


def test_what_cannot_work_is_refused_with_the_numbers():
    config, dataset, made, plenty = short_of_memory()
    with pytest.raises(RunError) as caught:
        short_of_memory(share=0.1)
    said = str(caught.value)
    for part in ("does not fit", "a step takes", "two shards of one video each take"):
        assert part in said
    for remedy in ("smaller training.batch_size", "fewer videos", "more devices"):
        assert remedy in said
    # A run that began with all frames on the devices does not change its order of windows.
    small = replace(plenty.devices, memory=made.devices.memory)
    with pytest.raises(RunError, match=r"does not fit\. Memory of a device: .* for frames"):
        building.assemble(config, dataset, small, shards=(1, 1))


@pytest.mark.parametrize(
    ("record", "shards"),
    [
        (None, None),
        ({}, (1, 1)),  # begun before there were shards
        ({"train_shards": 3, "validation_shards": 2}, (3, 2)),
    ],
)
def test_the_record_of_a_run_says_the_shards_that_it_began_with(tmp_path, record, shards):
    if record is not None:
        (tmp_path / "run.json").write_text(json.dumps(record))
    assert _begun_in(Hosts(), RunFolder(tmp_path)) == shards


@pytest.mark.parametrize("shards", [(0, 1), (-2, 1), (99, 1), (2, 99)])
def test_shards_that_no_run_writes_are_refused(shards):
    config, dataset, _ = assembled(*PLAIN, model=())
    with pytest.raises(RunError, match=r"run\.json has \d videos in -?\d+ shards"):
        building.assemble(config, dataset, shards=shards)


def test_nothing_is_copied_before_the_memory_is_known(monkeypatch):
    config, dataset, _, _ = short_of_memory()
    monkeypatch.setattr(Devices, "place", None)
    building.assemble(config, dataset)


def host_store():
    config = settings(*PLAIN, model=())
    dataset = build_dataset(collection(videos=8), config, ReadingReport())
    return labelled_store(dataset.train, dataset.slots, 32, 16)


def test_parts_hold_what_the_whole_holds():
    store = host_store()
    parts = share_out(sizes_of(store), 3)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(store.frames)))
    room = Room.of_parts(sizes_of(store), parts)
    for part in parts:
        filled = room.fill(part_of(store, part))
        assert isinstance(filled, FrameStore)
        assert nbytes(filled) == room.nbytes(store)
        shapes = room.shapes(store)
        assert [leaf.shape for leaf in jax.tree.leaves(filled)] == [
            leaf.shape for leaf in jax.tree.leaves(shapes)
        ]
        for place, video in enumerate(part):
            count = int(store.frames[video])
            assert filled.frames[place] == count
            for name, offset, length in (
                ("points", "point_offset", count * int(store.width[video])),
                ("labels", "frame_offset", count),
            ):
                begin, own = getattr(store, offset)[video], getattr(filled, offset)[place]
                np.testing.assert_array_equal(
                    getattr(filled, name)[own : own + length],
                    getattr(store, name)[begin : begin + length],
                )
            mine = filled.windows[filled.windows[:, 0] == place, 1:]
            np.testing.assert_array_equal(mine, store.windows[store.windows[:, 0] == video, 1:])
        assert (filled.windows[len(part_of(store, part).windows) :] == -1).all()


def test_shards_are_alike_in_points_and_windows():
    draw = np.random.default_rng(0)
    sizes = draw.integers(100, 2000, (60, 4))
    held = np.stack([sizes[part].sum(axis=0) for part in share_out(sizes, 5)])
    assert (held.max(axis=0) < 1.15 * held.mean(axis=0)).all()


def test_a_stop_request_after_an_epoch_works_in_shards(tmp_path):
    config, dataset, made, _ = short_of_memory("training.epochs=3")
    run(made, config, dataset, tmp_path, stop=StopAfter(made.plan.steps))
    assert [line["epoch"] for line in lines(tmp_path)] == [1]


def test_resident_frames_stay_the_same_arrays():
    _, _, made = assembled(*PLAIN, model=())
    first = made.frames.to_train(0)
    assert made.frames.to_train(7) is first
    assert list(made.frames.to_judge()) == [made.frames.validation]


def test_fewer_networks_come_first_where_they_train_at_once(monkeypatch):
    for backend, first in (("cpu", "Choose a smaller training.batch_size"), ("gpu", "Give fewer")):
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        assert remedies(18).startswith(first)
        assert "of which 18 networks are" in remedies(18)
        assert "networks" not in remedies()
