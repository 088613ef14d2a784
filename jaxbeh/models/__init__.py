"""Linen modules from inputs to per-frame logits, one file each."""

import flax.linen as nn

from jaxbeh.models.conv_bilstm import ConvBiLSTM
from jaxbeh.models.hybrid import Hybrid
from jaxbeh.models.inputs import Inputs
from jaxbeh.models.mlp import MLP
from jaxbeh.models.tcn import TCN
from jaxbeh.models.transformer import Transformer
from jaxbeh.settings import (
    ConvBiLSTMSettings,
    HybridSettings,
    MLPSettings,
    ModelSettings,
    TCNSettings,
    TransformerSettings,
)


def build(settings: ModelSettings, classes: int) -> nn.Module:
    """The linen module that settings describe: `(Inputs, train) → logits [b, t, classes]`."""
    match settings:
        case MLPSettings():
            return MLP.from_settings(settings, classes)
        case ConvBiLSTMSettings():
            return ConvBiLSTM.from_settings(settings, classes)
        case TCNSettings():
            return TCN.from_settings(settings, classes)
        case HybridSettings():
            return Hybrid.from_settings(settings, classes)
        case TransformerSettings():
            return Transformer.from_settings(settings, classes)


__all__ = ["Inputs", "build"]
