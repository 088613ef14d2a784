import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxbeh.config import _overlay, bundled_configs, load_config, to_yaml
from jaxbeh.errors import SettingsError
from jaxbeh.settings.run import SceneConfig


def refusal(config):
    with pytest.raises(SettingsError) as caught:
        load_config(str(config))
    return str(caught.value)


def write(folder, text, name="mine.yaml"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    "number", ["1e-3", "1E-3", "1.e-3", "0.1e-2", ".1e-2", "+1e-3", "1.0e-3", "0.001", "10e-4"]
)
def test_every_spelling_of_a_number_is_a_number(tmp_path, number):
    path = write(tmp_path, f"base: v6\noptimizer: {{learning_rate: {number}}}\n")
    assert load_config(str(path)).optimizer.learning_rate == 0.001


def test_a_file_builds_on_a_recipe_or_on_a_file_by_a_path_relative_to_its_own(
    tmp_path, monkeypatch
):
    write(tmp_path, "base: ../first.yaml\nmodel: {hidden: 8}\n", "deep/second.yaml")
    write(tmp_path, "base: v6\nmodel: {hidden: 4, dropout: 0}\n", "first.yaml")
    third = write(tmp_path, "base: deep/second.yaml\nclasses: [{name: a}, {name: b}]\nloss: {}\n")
    monkeypatch.chdir(tmp_path)
    # Lists are replaced, so that the four weights of v6 no longer fit.
    assert "4 weights for 2 classes" in refusal(third)
    config = load_config("mine.yaml", ["loss.class_weights=[1, 2]"])
    assert config.model.hidden == 8
    assert config.model.dropout == 0
    assert config.model.channels == (64, 128, 256)
    assert [item.name for item in config.classes] == ["a", "b"]
    monkeypatch.chdir("/")
    assert load_config(str(tmp_path / "deep" / "second.yaml")).model.hidden == 8


def test_a_base_that_leads_back_to_itself_is_refused(tmp_path):
    first = write(tmp_path, "base: ./b.yaml\n", "a.yaml")
    second = write(tmp_path, "base: ./sub/../a.yaml\n", "b.yaml")
    said = refusal(first)
    assert "leads back to itself" in said
    assert str(first) in said
    assert str(second) in said


@pytest.mark.parametrize(
    ("base", "parts"),
    [
        ("nothing", ["there is no recipe 'nothing'", "debug", "v6", "./nothing.yaml"]),
        ("./nothing.yaml", ["nothing.yaml", "cannot be read"]),
        (".", ["there is no recipe '.'"]),
        ("..//", ["cannot be read"]),
        ("3", ["base is 3", "recipe's name or a path"]),
        ("[v6]", ["base is ['v6']"]),
        ("~nobody-of-this-name/a.yaml", ["~nobody-of-this-name", "no path to a file"]),
        (r'"a\0.yaml"', ["no path to a file"]),
    ],
)
def test_a_base_that_is_not_there_is_refused(tmp_path, base, parts):
    said = refusal(write(tmp_path, f"base: {base}\n"))
    for part in parts:
        assert part in said


def test_an_unknown_recipe_is_refused_with_those_there_are():
    said = refusal("v66")
    for name in ("v66", "debug", "v6", "./v66.yaml"):
        assert name in said


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("base: v6\nwindow: {length: 8}\nbase: v6\n", ["'base' is given twice", "line"]),
        ("base: v6\ntraining: {seed: 1, seed: 1}\n", ["'seed' is given twice", "line 2"]),
        ("", ["holds no settings"]),
        ("- v6\n", ["holds no settings"]),
        ("1: 2\n", ["holds no settings"]),
        ("base: v6\n? [a]\n: 1\n", ["not valid YAML", "line 2"]),
        ("base: v6\ntraining: {", ["not valid YAML"]),
        ("base: !!python/name:os.system\n", ["not valid YAML", "python/name"]),
        ("base: v6\ndata: !!python/object/new:os.system [x]\n", ["not valid YAML"]),
        ("base: v6\ntraining: &t {epochs: *t}\n", ["holds itself"]),
        ("training: {epochs: 3}\n", ["classes: is missing", "base: v6"]),
        ("base: v6\nfeatures: \x07\n", ["not valid YAML"]),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, text, parts):
    path = write(tmp_path, text)
    said = refusal(path)
    for part in (str(path), *parts):
        assert part in said


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"base: \xff\n")
    assert "cannot be read" in refusal(path)


def test_anchors_and_merge_keys_work(tmp_path):
    path = write(
        tmp_path,
        "base: v6\n"
        "window: &w {length: 50, train_stride: 10, validation_stride: 50}\n"
        "augmentation: {noise: 0.5}\n",
    )
    assert load_config(str(path)).window.length == 50
    path = write(
        tmp_path,
        "base: v6\nwindow: {<<: {length: 50, train_stride: 10}, validation_stride: 50}\n",
    )
    assert load_config(str(path)).window.train_stride == 10


# Overlaying


def test_mappings_merge_and_everything_else_is_replaced():
    base = {"a": {"x": 1, "y": [1, 2]}, "b": 1, "c": {"z": 1}}
    over = {"a": {"y": [3]}, "b": {"q": 1}, "c": 3, "d": {"n": 1}}
    expected = {"a": {"x": 1, "y": [3]}, "b": {"q": 1}, "c": 3, "d": {"n": 1}}
    assert _overlay(base, over) == expected
    assert base == {"a": {"x": 1, "y": [1, 2]}, "b": 1, "c": {"z": 1}}


def test_another_name_starts_its_block_afresh():
    base = {"model": {"name": "one", "hidden": 3}, "training": {"seed": 1}}
    assert _overlay(base, {"model": {"name": "two", "layers": 4}}) == {
        "model": {"name": "two", "layers": 4},
        "training": {"seed": 1},
    }
    assert _overlay(base, {"model": {"name": "one", "layers": 4}})["model"] == {
        "name": "one",
        "hidden": 3,
        "layers": 4,
    }
    assert _overlay(base, {"model": {"layers": 4}})["model"]["hidden"] == 3


# Writing and reading again


@pytest.mark.parametrize("name", bundled_configs())
def test_what_is_written_is_read_back(tmp_path, name):
    config = load_config(name)
    assert load_config(str(write(tmp_path, to_yaml(config)))) == config


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
AWKWARD = [
    "1e3",
    "yes",
    "null",
    "0x1f",
    "1_000",
    "2020-01-01",
    "=",
    "<<",
    "~",
    "a: b",
    "#",
    " ",
    ".5e-7",
]
NAMES = st.one_of(TEXT, st.sampled_from(AWKWARD))


@settings(max_examples=50)
@given(
    aliases=st.dictionaries(NAMES, NAMES, max_size=4),
    split_file=st.none() | NAMES,
    classes=st.lists(NAMES, min_size=2, max_size=5, unique=True),
    rate=st.floats(1e-300, 1e300),
    noise=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
    patience=st.none() | st.integers(1, 1000),
)
def test_any_settings_are_read_back(
    tmp_path_factory, aliases, split_file, classes, rate, noise, seed, patience
):
    values = {
        "data": {"aliases": aliases, "split_file": split_file},
        "classes": [{"name": name, "actions": [f"to {name}"]} for name in classes],
        "optimizer": {"name": "adamw", "learning_rate": rate},
        "schedule": {"name": "warmup_cosine", "final_learning_rate": 0.0},
        "augmentation": {"noise": noise},
        "training": {"seed": seed, "patience": patience},
    }
    config = SceneConfig.model_validate(values, strict=False)
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(to_yaml(config).encode())
    assert load_config(str(path)) == config
