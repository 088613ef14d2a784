"""The six recipes of the history, and the settings that choose among kinds by `name`."""

import itertools

import pytest

from jaxbeh.config import bundled_configs, load_config
from jaxbeh.errors import SettingsError

ADVANCED = ("adamw", 3e-4, "plateau", 100, 15)
PLAIN = ("adamw", 3e-4, "constant", 30, None)
RECIPES = {
    # features, model, batch; optimiser, rate, schedule, epochs, patience;
    # class weights; mixup, smoothing; noise, jitter
    "v1": ("coordinates", "mlp", 32, ("adam", 1e-3, "constant", 30, None), None, (0, 0), (0, 0)),
    "v2": ("engineered", "conv_bilstm", 64, ADVANCED, None, (0.2, 0.1), (0.01, 2)),
    "v3": ("coordinates", "conv_bilstm", 64, PLAIN, None, (0, 0), (0, 0)),
    "v4": ("engineered", "conv_bilstm", 64, ADVANCED, None, (0.2, 0.1), (0.01, 2)),
    "v5": ("motion", "conv_bilstm", 64, ADVANCED, (0.5, 10, 15, 15), (0, 0), (0.01, 2)),
    "v6": (
        "motion",
        "conv_bilstm",
        384,
        ("adamw", 4e-4, "warmup_cosine", 100, 15),
        (1, 5, 8, 8),
        (0, 0),
        (0.01, 2),
    ),
}


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_has_the_values_of_its_history(name):
    config = load_config(name)
    assert RECIPES[name] == (
        config.features.name,
        config.model.name,
        config.training.batch_size,
        (
            config.optimizer.name,
            config.optimizer.learning_rate,
            config.schedule.name,
            config.training.epochs,
            config.training.patience,
        ),
        config.loss.class_weights,
        (config.augmentation.mixup, config.loss.label_smoothing),
        (config.augmentation.noise, config.augmentation.jitter),
    )


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipes_share_data_windows_classes_and_seed(name):
    config, v6 = load_config(name), load_config("v6")
    assert (config.data, config.window, config.classes) == (v6.data, v6.window, v6.classes)
    assert config.training.seed == 42
    if config.optimizer.name == "adamw":
        assert (config.optimizer.weight_decay, config.optimizer.clip_norm) == (1e-4, 1.0)
    if config.schedule.name == "plateau":
        assert config.schedule.model_dump() == {
            "name": "plateau",
            "factor": 0.5,
            "patience": 5,
            "floor": 1e-5,
        }
    if config.model.name == "mlp":
        assert config.model.hidden == (256, 256)
    else:
        assert config.model == v6.model


def test_the_six_recipes_are_all_there():
    assert set(RECIPES) <= set(bundled_configs())


def test_another_models_name_takes_that_models_defaults():
    config = load_config("v6", ["model.name=tcn"])
    assert config.model.model_dump() == {
        "name": "tcn",
        "channels": (64, 128, 256, 256),
        "dropout": 0.2,
    }
    config = load_config("v6", ["model.name=hybrid", "model.temporal.name=transformer"])
    assert config.model.temporal.model_dump() == {
        "name": "transformer",
        "width": 256,
        "layers": 4,
        "heads": 8,
        "dropout": 0.1,
    }


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["model.name=tcn", "model.lstm_layers=3"],
            "model.lstm_layers = 3: there is no such setting; model has name, channels, dropout",
        ),
        (
            ["model.name=hybrid", "model.temporal.heads=3"],
            "model.temporal.heads = 3: there is no such setting; model.temporal has name, hidden, "
            "layers, dropout",
        ),
        (
            ["model.name=resnet"],
            "model.name = 'resnet': there is no such one; there are mlp, conv_bilstm, tcn, "
            "hybrid, transformer, unet",
        ),
        (["schedule.name=step"], "schedule.name = 'step': there is no such one"),
        (["features.name=pixels"], "features.name = 'pixels': there is no such one"),
        (["optimizer.name=sgd"], "optimizer.name = 'sgd': there is no such one"),
        (
            ["features.name=engineered", "features.pca_components=29"],
            "features.pca_components = 29: input should be less than or equal to 28",
        ),
        (
            ["model.name=transformer", "model.heads=7"],
            "width 256 is not divisible by twice the 7 heads",
        ),
        (
            ["model.name=unet", "model.width=200"],
            "width 200 is not divisible by twice the 6 heads; 204 would be",
        ),
        (["model.name=unet", "model.levels=9"], "model.levels = 9"),
        (
            ["schedule.name=plateau", "schedule.floor=0.1"],
            "the lowest rate 0.1 of plateau is above optimizer.learning_rate 0.0004",
        ),
        (["optimizer.name=adam", "optimizer.weight_decay=1.0"], "optimizer.weight_decay = 1.0"),
        (["loss.label_smoothing=1.0"], "loss.label_smoothing = 1.0"),
        (["augmentation.mixup=-1.0"], "augmentation.mixup = -1.0"),
        (["model=5"], "model = 5"),
        (["model={channels: [1]}", "model.name=null"], "model.name"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(overrides, message):
    with pytest.raises(SettingsError) as refused:
        load_config("v6", overrides)
    assert message in str(refused.value)


def test_a_block_without_a_name_is_of_the_default_kind(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("classes: [{name: a}, {name: b}]\nmodel: {dropout: 0.1}\n")
    config = load_config(str(path), ["optimizer.learning_rate=0.1"])
    assert (config.model.name, config.model.dropout) == ("conv_bilstm", 0.1)
    assert (config.optimizer.name, config.optimizer.learning_rate) == ("adamw", 0.1)
    config = load_config("v6", ["model.name=hybrid", "model.temporal.layers=3"])
    assert (config.model.temporal.name, config.model.temporal.layers) == ("bilstm", 3)


@pytest.mark.parametrize("name", [*RECIPES, "v7", "v7-poses", "debug"])
def test_the_readme_of_the_configs_gathers_their_headers(name):
    path = bundled_configs()[name]
    header = itertools.takewhile(lambda line: line.startswith("#"), path.read_text().splitlines())
    title, *text = (line.removeprefix("#").removeprefix(" ") for line in header)
    gathered = (path.parent / "README.md").read_text()
    assert f"## {title}\n\n" + "\n".join(text).strip("\n") + "\n" in gathered
