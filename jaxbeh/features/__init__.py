"""Pure functions from gathered frames to a model's inputs, with masks."""

from jaxbeh.features.coordinates import COORDINATES
from jaxbeh.features.engineered import engineered_set
from jaxbeh.features.feature_set import Features, FeatureSet
from jaxbeh.features.motion import MOTION
from jaxbeh.settings.run import CoordinateSettings, EngineeredSettings, FeatureSettings


def build(settings: FeatureSettings) -> FeatureSet:
    """The set of features that settings describe."""
    if isinstance(settings, EngineeredSettings):
        return engineered_set(settings.pca_components)
    return COORDINATES if isinstance(settings, CoordinateSettings) else MOTION


__all__ = ["FeatureSet", "Features", "build"]
