import shutil
from pathlib import Path

import pytest

import jaxbeh
from jaxbeh.config import bundled_configs, load_config
from jaxbeh.errors import SettingsError
from jaxbeh.settings.pairs import PairConfig, PoseConfig
from jaxbeh.settings.run import SceneConfig

ROOT = Path(jaxbeh.__file__).parents[1]
V6_ACTIONS = {
    "background": (),
    "social": (
        *("sniff", "sniffgenital", "sniffface", "sniffbody", "reciprocalsniff"),
        *("approach", "follow"),
    ),
    "mating": ("mount", "intromit", "attemptmount", "ejaculate"),
    "aggressive": ("attack", "chase", "chaseattack", "dominance", "defend", "flinch"),
}


def refusal(*overrides):
    with pytest.raises(SettingsError) as caught:
        load_config("v6", overrides)
    return str(caught.value)


# Recipes


@pytest.mark.parametrize("name", bundled_configs())
def test_every_recipe_loads_and_says_its_command(name):
    expected = {"v7": PairConfig, "v7-poses": PoseConfig}.get(name, SceneConfig)
    assert isinstance(load_config(name), expected)
    head = bundled_configs()[name].read_text("utf-8").splitlines()[:3]
    assert head[0].startswith(f"# {name}: ")
    assert any(f"python -m jaxbeh.train --config {name}" in line for line in head)


def test_another_task_takes_of_its_base_what_it_has_settings_for(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("base: v7\nnetwork: {width: 96}\nmembers: {folds: 7}\n")
    (tmp_path / "poses.yaml").write_text("base: ./mine.yaml\ntask: poses\n")
    mine, poses = load_config(str(path)), load_config(str(tmp_path / "poses.yaml"))
    assert isinstance(poses, PoseConfig)
    assert (poses.network, poses.window, poses.data) == (mine.network, mine.window, mine.data)
    (tmp_path / "poses.yaml").write_text("base: v7\ntask: poses\nmembers: {folds: 7}\n")
    with pytest.raises(SettingsError, match="there is no such setting; the top level has task"):
        load_config(str(tmp_path / "poses.yaml"))


def test_v6_has_the_values_of_its_history():
    config = load_config("v6")
    assert config.features.name == "motion"
    assert config.window.model_dump() == {
        "length": 100,
        "train_stride": 25,
        "validation_stride": 100,
    }
    assert config.model.model_dump() == {
        "name": "conv_bilstm",
        "channels": (64, 128, 256),
        "hidden": 256,
        "lstm_layers": 2,
        "dropout": 0.3,
    }
    assert {item.name: item.actions for item in config.classes} == V6_ACTIONS
    assert [item.name for item in config.classes] == list(V6_ACTIONS)
    assert config.loss.class_weights == (1, 5, 8, 8)
    assert config.optimizer.name == "adamw"
    assert config.optimizer.learning_rate == 4e-4
    assert config.optimizer.weight_decay == 1e-4
    assert config.optimizer.clip_norm == 1.0
    assert config.schedule.name == "warmup_cosine"
    assert config.schedule.warmup_epochs == 3
    assert config.schedule.final_learning_rate == 1e-5
    assert config.augmentation.noise == 0.01
    assert config.augmentation.jitter == 2
    assert config.training.epochs == 100
    assert config.training.patience == 15
    assert config.training.batch_size == 384
    assert config.training.seed == 42
    assert config.training.checkpoint_every == 5
    assert config.data.validation_fraction == 0.2
    assert config.data.default_fps == 30
    assert config.data.assumed_body_length_cm == 9
    (scale,) = config.data.event_scale
    assert (scale.lab, scale.fps) == ("AdaptableSnail", 25)
    assert scale.factor == pytest.approx(25 / 30, rel=1e-15)


def test_recipes_are_found_beside_a_checkout_and_inside_an_installed_package(tmp_path, python):
    program = (
        "from jaxbeh.config import bundled_configs, load_config; "
        "print(load_config('v6').training.batch_size, *bundled_configs().values())"
    )
    ignore = shutil.ignore_patterns("__pycache__", "configs")
    for place, inside in (("checkout", "configs"), ("installed", "jaxbeh/configs")):
        shutil.copytree(ROOT / "jaxbeh", tmp_path / place / "jaxbeh", ignore=ignore)
        shutil.copytree(bundled_configs()["v6"].parent, tmp_path / place / inside)
        done = python("-c", program, cwd=tmp_path / place)
        assert done.stderr == ""
        batch_size, *paths = done.stdout.split()
        assert batch_size == "384"
        assert [Path(path).parent for path in paths] == [tmp_path / place / inside] * len(paths)
    shutil.rmtree(tmp_path / "installed" / "jaxbeh" / "configs")
    done = python("-c", program, cwd=tmp_path / "installed")
    assert "the installation is incomplete" in done.stderr


# Refusals: the key, its value, and what is allowed

IMPOSSIBLE = [
    ("training.epoch=3", ["training.epoch = 3", "no such setting", "epochs, batch_size, seed"]),
    ("trainign.epochs=3", ["trainign = {'epochs': 3}", "the top level has task, data, window"]),
    ("base=v6", ["base = 'v6'", "no such setting"]),
    ("training=3", ["training = 3", "object"]),
    ("training.epochs=true", ["training.epochs = True", "integer"]),
    ("training.epochs=2.5", ["training.epochs = 2.5", "integer"]),
    ("training.epochs='2'", ["training.epochs = '2'", "integer"]),
    ("training.epochs=", ["training.epochs = None", "integer"]),
    ("training.epochs=0", ["training.epochs = 0", "greater than or equal to 1"]),
    ("training.epochs=2020-01-01", ["neither text nor number", "date"]),
    ("training.seed=-1", ["training.seed = -1", "greater than or equal to 0"]),
    ("training.seed=4294967296", ["training.seed", "less than 4294967296"]),
    ("training.patience=0", ["training.patience = 0", "greater than or equal to 1"]),
    ("optimizer.learning_rate=-1e-3", ["optimizer.learning_rate = -0.001", "greater than 0"]),
    ("optimizer.learning_rate=.nan", ["optimizer.learning_rate = nan", "finite"]),
    ("optimizer.learning_rate=.inf", ["optimizer.learning_rate = inf", "finite"]),
    ("optimizer.learning_rate=1e999", ["optimizer.learning_rate = inf", "finite"]),
    ("optimizer.learning_rate=fast", ["optimizer.learning_rate = 'fast'", "number"]),
    ("optimizer.learning_rate=true", ["optimizer.learning_rate = True", "number"]),
    ("optimizer.name=sgdd", ["optimizer.name = 'sgdd'", "there are adam, adamw"]),
    ("model.name=nope", ["model.name = 'nope'", "conv_bilstm"]),
    ("model.dropout=1", ["model", "dropout = 1", "less than 1"]),
    ("model.channels=[64, 0]", ["channels.1 = 0", "greater than or equal to 1"]),
    ("model.channels=[]", ["channels = []", "at least 1"]),
    ("features=nope", ["features = 'nope'", "object"]),
    ("data.validation_fraction=1", ["data.validation_fraction = 1", "less than 1"]),
    ("data.aliases={chest: 3}", ["data.aliases.chest = 3", "string"]),
    ("data.aliases={chest: ''}", ["data.aliases.chest = ''", "at least 1 character"]),
    ("data.event_scale=[{lab: a, fps: 25, fctor: 1}]", ["data.event_scale.0.factor: is missing"]),
    (
        "data.event_scale=[{lab: a, fps: 25, factor: 1, x: 2}]",
        ["data.event_scale.0.x = 2", "data.event_scale.0 has lab, fps, factor"],
    ),
    ("data.split_file=3", ["data.split_file = 3", "string"]),
    ("classes=[{name: a}]", ["classes", "at least 2"]),
    ("classes=[{name: a}, {name: a}]", ["'a' is the name of 2 classes"]),
    (
        "classes=[{name: a, actions: [rear]}, {name: b, actions: [rear]}]",
        ["'rear' is listed in 'a' and in 'b'", "one class"],
    ),
    ("classes=[{name: a}, {name: b, actions: [rear, rear]}]", ["'rear'", "'b' and in 'b'"]),
    ("classes.0.name=x", ["classes = {'0': {'name': 'x'}}", "array"]),
    (
        "loss.class_weights=[1, 2]",
        ["loss.class_weights", "[1.0, 2.0] are 2 weights for 4 classes", "social"],
    ),
    ("loss.class_weights=[1, 2, 3, 0]", ["loss.class_weights.3 = 0", "greater than 0"]),
    ("window.train_stride=101", ["train_stride 101", "at most 100 is allowed"]),
    ("window.validation_stride=200", ["validation_stride 200", "at most 100 is allowed"]),
    ("schedule.final_learning_rate=1", ["the lowest rate 1.0 of warmup_cosine", "0.0004"]),
]


@pytest.mark.parametrize(("override", "parts"), IMPOSSIBLE, ids=[item[0] for item in IMPOSSIBLE])
def test_refuses_with_key_value_and_what_is_allowed(override, parts):
    said = refusal(override)
    for part in parts:
        assert part in said


def test_a_window_shorter_than_the_poolings_need_is_refused():
    said = refusal("window={length: 7, train_stride: 2, validation_stride: 7}")
    assert (
        "window.length: 7 frames are fewer than the 8 that the poolings of model conv_bilstm"
        in said
    )
    load_config("v6", ["window={length: 8, train_stride: 2, validation_stride: 8}"])


def test_all_mistakes_are_told_at_once():
    said = refusal("training.epochs=0", "training.batchsize=3", "optimizer.clip_norm=-1")
    for key in ("training.epochs", "training.batchsize", "optimizer.clip_norm"):
        assert key in said


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        load_config("v6").training.epochs = 3


# Overrides


def test_overrides_reach_any_depth_and_the_last_one_counts():
    config = load_config(
        "v6",
        [
            "training.epochs=7",
            "training={epochs: 8, seed: 1}",
            "training.epochs=9",
            " model.hidden = 32",
            "model.channels=[8, 16]",
            "training.patience=null",
            "optimizer.learning_rate=1e-3",
            "data.split_file=2e10abc.json",
            "data.aliases={left.ear: ear_left, chest: body_center}",
            "data.aliases.snout=nose",
        ],
    )
    assert config.training.epochs == 9
    assert config.training.seed == 1
    assert config.training.batch_size == 384
    assert config.training.patience is None
    assert config.model.hidden == 32
    assert config.model.channels == (8, 16)
    assert config.optimizer.learning_rate == 0.001
    assert config.data.split_file == "2e10abc.json"
    assert config.data.aliases == {
        "left.ear": "ear_left",
        "chest": "body_center",
        "snout": "nose",
    }


@pytest.mark.parametrize(
    "override", ["training.epochs", "", "=3", ".=3", "training.=3", ".epochs=3", "a..b=1"]
)
def test_a_malformed_override_is_shown_with_an_example(override):
    assert refusal(override) == f"--set {override}: write key=value, as in training.epochs=2"


@pytest.mark.parametrize(
    "value",
    [
        "[",
        "[" * 5000,
        "{a: 1, a: 2}",
        "2024-13-45",
        "*nowhere",
        "!!python/object/apply:os.getcwd []",
        "!!binary x",
        "\x00",
    ],
    ids=lambda value: value[:12],
)
def test_a_value_that_cannot_be_read_is_refused(value):
    assert refusal(f"training.epochs={value}").startswith(f"--set training.epochs={value}: ")


def test_a_value_that_holds_itself_is_refused():
    assert "holds itself" in refusal("training.epochs=&a {b: *a}")
