"""Pure functions from gathered frames to a model's inputs, with masks."""

from jaxbeh.features.feature_set import Features, FeatureSet
from jaxbeh.features.motion import MOTION

FEATURE_SETS = {"motion": MOTION}
"""The feature sets that a config's `features` chooses from."""

__all__ = ["FEATURE_SETS", "FeatureSet", "Features"]
