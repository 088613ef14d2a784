"""Linen modules from inputs to per-frame logits, one file each."""

import flax.linen as nn

from jaxbeh.config import ModelSettings
from jaxbeh.models.conv_bilstm import ConvBiLSTM
from jaxbeh.models.inputs import Inputs


def build(settings: ModelSettings, classes: int) -> nn.Module:
    """The linen module that settings describe: `(Inputs, train) → logits [b, t, classes]`."""
    return ConvBiLSTM.from_settings(settings, classes)


__all__ = ["Inputs", "build"]
