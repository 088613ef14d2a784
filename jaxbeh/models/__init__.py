"""Linen modules from inputs to per-frame logits, one file each."""

import flax.linen as nn
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.typing import DTypeLike

from jaxbeh.models.conv_bilstm import ConvBiLSTM
from jaxbeh.models.hybrid import Hybrid
from jaxbeh.models.inputs import Inputs, PairInputs
from jaxbeh.models.mlp import MLP
from jaxbeh.models.tcn import TCN
from jaxbeh.models.transformer import Transformer
from jaxbeh.models.unet import UNet
from jaxbeh.settings.models import (
    ConvBiLSTMSettings,
    HybridSettings,
    MLPSettings,
    ModelSettings,
    TCNSettings,
    TransformerSettings,
    UNetSettings,
)


def build(
    settings: ModelSettings, classes: int, dtype: DTypeLike = jnp.float32, mesh: Mesh | None = None
) -> nn.Module:
    """The linen module that settings describe: `(Inputs, train) → logits [b, t, classes]`.

    Args:
        settings: of any model.
        classes: c.
        dtype: of products and activations. Parameters, statistics of normalisations, an LSTM's
            cell and the logits are float32 whatever it is.
        mesh: devices that share a batch, for the models whose kernels must be told; `None` for one
            device.
    """
    match settings:
        case MLPSettings():
            return MLP.from_settings(settings, classes, dtype)
        case ConvBiLSTMSettings():
            return ConvBiLSTM.from_settings(settings, classes, dtype, mesh)
        case TCNSettings():
            return TCN.from_settings(settings, classes, dtype)
        case HybridSettings():
            return Hybrid.from_settings(settings, classes, dtype, mesh)
        case TransformerSettings():
            return Transformer.from_settings(settings, classes, dtype)
        case UNetSettings():
            return UNet.from_settings(settings, classes, dtype)


__all__ = ["Inputs", "PairInputs", "build"]
