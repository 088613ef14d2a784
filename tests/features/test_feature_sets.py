import jax
import numpy as np
import pytest
from poses import BODY, scene, window

from jaxbeh import features
from jaxbeh.features.projection import complete, template
from jaxbeh.settings.run import CoordinateSettings, EngineeredSettings, MotionSettings


@pytest.mark.parametrize(
    ("settings", "count", "history"),
    [
        (CoordinateSettings(), 144, 0),
        (MotionSettings(), 288, 2),
        (EngineeredSettings(), 131, 11),
        (EngineeredSettings(pca_components=3), 118, 11),
    ],
)
def test_each_settings_block_has_its_set(settings, count, history):
    found = features.build(settings)
    assert found == features.build(settings)
    assert len(found.names) == len(set(found.names)) == len(found.heavy_tailed) == count
    assert found.history == history
    frames = window(found, *scene(np.stack([BODY] * 5)), 1, 3, 30.0)
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), template(found))
    flat, valid = complete(found, zeros, frames)
    assert flat.shape == valid.shape == (1, 3, count)
    assert (flat.dtype, valid.dtype) == (np.float32, np.bool_)
    assert frames.points.shape == (1, 3, 4, 18, 2)
    assert frames.points_valid.shape == (1, 3, 4, 18)
