"""Runs of tracks that start from others; the others are saved as they were drawn, untrained."""

import dataclasses
import functools
import json

import jax
import numpy as np
import optax
import pytest

from jaxbeh.config import load_config, to_yaml
from jaxbeh.data.report import ReadingReport
from jaxbeh.errors import RunError
from jaxbeh.models.pair_body import BODY
from jaxbeh.settings.pairs import PoseConfig
from jaxbeh.tasks import load, prepare, require_actions
from jaxbeh.tasks.first_weights import from_run, require_fitting
from jaxbeh.training.checkpoints import Checkpoints, best_of, leaves_of
from jaxbeh.training.pairs.assemble import recipe_of
from jaxbeh.training.pairs.members import Members
from jaxbeh.training.pairs.programs import init_members
from jaxbeh.training.poses.recipe import PoseRecipe
from jaxbeh.training.run_folder import RunFolder
from jaxbeh.training.state import EpochSums, LoopState, Snapshot
from jaxbeh.vocabulary import Triple
from tests.training.pairs.tiny_pairs import tiny_videos
from tests.training.poses.tiny_poses import NETWORK, pose_config

PAIRS = ("window={length: 32, train_stride: 16}", *NETWORK)


def pair_config(*overrides):
    return load_config("v7", [*PAIRS, "members={folds: 2, seeds: 2}", *overrides])


@functools.cache
def drawn(recipe, folds, seeds, seed):
    init = functools.partial(init_members, recipe, optax.identity(), Members.all(folds, seeds))
    made = jax.jit(init, compiler_options={"xla_backend_optimization_level": 0})
    return jax.device_get(made(jax.random.key(seed)))


def fresh(config, videos=None, seed=0):
    """What a run of a config starts with, without its programs."""
    task = prepare(videos or tiny_videos(), config, ReadingReport())
    if isinstance(config, PoseConfig):
        state = drawn(PoseRecipe.from_config(config, task.slots), 1, 1, seed)
    else:
        recipe = recipe_of(config, task.dataset)
        state = drawn(recipe, task.dataset.folds, config.members.seeds, seed)
    return task, Snapshot(
        train=state, sums=EpochSums.zero(), loop=LoopState.start(), normaliser=None
    )


def saved(config, path):
    """A run with one checkpoint."""
    task, snapshot = fresh(config, seed=7)
    average = jax.tree.map(lambda leaf: leaf + 1, snapshot.train.average)
    snapshot = snapshot.replace(train=snapshot.train.replace(average=average))
    folder = RunFolder(path)
    folder.start(config, task.slots, task.split(), task.files(), {})
    checkpoints = Checkpoints(folder.checkpoints, print)
    checkpoints.save(1, leaves_of(snapshot), 0.5)
    checkpoints.close()
    return folder


@pytest.fixture(scope="module")
def poses(tmp_path_factory):
    return saved(pose_config(), tmp_path_factory.mktemp("runs") / "poses")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return saved(pair_config(), tmp_path_factory.mktemp("runs") / "pairs")


def begun(config, other, videos=None):
    """Fresh leaves, those that start from another run, and what was told."""
    told = []
    task, snapshot = fresh(config, videos)
    made = from_run(snapshot, task, other, told.append)
    return leaves_of(snapshot), leaves_of(made), "\n".join(told)


def module_of(path):
    return path.split(".")[2]


def test_every_member_starts_from_the_weights_of_pre_training(poses):
    theirs = best_of(poses, print).leaves
    fresh, made, told = begun(pair_config(), poses)
    taken = [path for path in made if not np.array_equal(made[path], fresh[path])]
    assert {module_of(path) for path in taken} == set(BODY)
    weights = [path for path in made if path.startswith(("train.params.", "train.average."))]
    for path in weights:
        if module_of(path) in BODY:
            rest = path.split(".", 2)[2]
            assert len(made[path]) == 4
            np.testing.assert_array_equal(
                made[path], np.repeat(theirs[f"train.average.{rest}"], 4, 0)
            )
    assert f"First weights: the best of {poses.path}; fresh: alone, alone_head" in told
    assert "lab" in told
    assert "too good" not in told  # no label was learnt from


def test_a_run_of_the_same_names_is_taken_whole_each_member_its_own(pairs):
    theirs = best_of(pairs, print).leaves
    _, made, told = begun(pair_config(), pairs)
    for path, leaf in made.items():
        if path.startswith("train.params."):
            np.testing.assert_array_equal(leaf, theirs[path.replace("params", "average", 1)])
    assert "fresh: nothing" in told
    assert "too good" not in told


def test_other_actions_or_labs_leave_heads_and_labs_fresh(pairs):
    videos = [
        dataclasses.replace(item, whitelist=item.whitelist | {Triple("mouse1", "mouse2", "chase")})
        for item in tiny_videos()
    ]
    fresh, made, told = begun(pair_config(), pairs, videos)
    taken = {module_of(p) for p in made if not np.array_equal(made[p], fresh[p])}
    assert taken == set(BODY)
    assert "fresh: alone, " in told


def test_learning_from_what_is_held_out_is_told(pairs):
    _, _, told = begun(pair_config("members.hold_out=labs"), pairs)
    assert "Videos held out here that the first weights have learnt from: " in told


def test_another_number_of_networks_is_refused_but_for_one(pairs):
    said = "has networks of 2 folds and 2 seeds, this run of 2 and 3: give the same numbers"
    with pytest.raises(RunError, match=said):
        begun(pair_config("members.seeds=3"), pairs)
    with pytest.raises(RunError, match="this run of 4 and 1"):  # as many, of other folds
        begun(pair_config("members={folds: 4, seeds: 1}"), pairs)


def test_another_network_is_refused_with_the_differences(poses):
    with pytest.raises(RunError) as refused:
        require_fitting(pair_config("network.width=16", "network.encoder.dropout=0.1"), poses)
    said = str(refused.value)
    assert "network.width: the run has 12, the command says 16" in said
    assert "network.encoder.dropout: the run has 0.2, the command says 0.1" in said
    assert "Set the same here" in said


def test_keypoints_that_take_anothers_place_are_told(poses, tmp_path):
    moved = RunFolder(tmp_path / "moved")
    moved.path.mkdir()
    for item in poses.path.iterdir():
        if item.name not in ("slots.json",):
            (moved.path / item.name).symlink_to(item)
    table = json.loads((poses.path / "slots.json").read_text())
    slot = table["names"].index("nose")
    table["names"][slot] = "snout"
    (moved.path / "slots.json").write_text(json.dumps(table))
    _, _, told = begun(pair_config(), moved)
    assert "Keypoints in slots that hold another one there: nose (there snout)" in told


def test_scene_classes_and_tracks_do_not_start_from_each_other(tmp_path, poses):
    folder = RunFolder(tmp_path / "scene")
    folder.path.mkdir()
    (folder.path / "config.yaml").write_text(to_yaml(load_config("debug")))
    (folder.path / "run.json").write_text("{}")
    with pytest.raises(RunError, match="is a run of scene, and this one is of pairs"):
        require_fitting(pair_config(), folder)
    with pytest.raises(RunError, match="is a run of poses, and this one is of scene"):
        require_fitting(load_config("debug"), poses)
    require_fitting(load_config("v6"), folder)
    require_fitting(pair_config("training.seed=1", "window.length=64"), poses)


def test_pre_training_goes_on_from_pre_training_with_its_head(poses):
    _, made, told = begun(pose_config(), poses)
    theirs = best_of(poses, print).leaves
    path = "train.params.pose_head.kernel"
    np.testing.assert_array_equal(made[path], theirs["train.average.pose_head.kernel"])
    assert "fresh: nothing" in told


def test_pre_training_predicts_no_action(poses):
    for refuse in (
        lambda: load([poses], False, print),
        lambda: require_actions(poses, poses.config()),
    ):
        with pytest.raises(RunError, match="pre-training and predicts no action; start recipe v7"):
            refuse()
