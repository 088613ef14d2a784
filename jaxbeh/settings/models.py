"""Models, by name."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from jaxbeh.settings.block import Block, Probability, Units


class _ModelBlock(Block):
    @property
    def shortest_window(self) -> int:
        """Frames that a window must have at least."""
        return 1


class MLPSettings(_ModelBlock):
    """Each frame on its own (`models/mlp.py`)."""

    name: Literal["mlp"] = "mlp"
    hidden: tuple[Units, ...] = Field((256, 256), min_length=1)
    dropout: Probability = 0.0


class ConvBiLSTMSettings(_ModelBlock):
    """Three pooled convolutions and a two-layer bidirectional LSTM (`models/conv_bilstm.py`)."""

    name: Literal["conv_bilstm"] = "conv_bilstm"
    channels: tuple[Units, ...] = Field((64, 128, 256), min_length=1)
    hidden: int = Field(256, ge=1, description="units each way")
    lstm_layers: int = Field(2, ge=1)
    dropout: Probability = 0.3

    @property
    def shortest_window(self) -> int:
        """Frames that leave one step after all poolings."""
        return int(2 ** len(self.channels))


class TCNSettings(_ModelBlock):
    """Residual blocks of convolutions, dilated by 1, 2, 4, … (`models/tcn.py`)."""

    name: Literal["tcn"] = "tcn"
    channels: tuple[Units, ...] = Field((64, 128, 256, 256), min_length=1)
    dropout: Probability = 0.2


class TransformerSettings(_ModelBlock):
    """A Transformer encoder with rotary positions (`models/transformer.py`)."""

    name: Literal["transformer"] = "transformer"
    width: int = Field(256, ge=2)
    layers: int = Field(4, ge=1)
    heads: int = Field(8, ge=1)
    dropout: Probability = 0.1

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        _refuse_uneven_heads(self.width, self.heads)
        return self


class UNetSettings(_ModelBlock):
    """Convolutions down to a coarse scale with attention, and back up (`models/unet.py`)."""

    name: Literal["unet"] = "unet"
    width: int = Field(192, ge=2)
    levels: int = Field(4, ge=1, le=8, description="each halves the steps")
    attention_layers: int = Field(2, ge=0)
    heads: int = Field(6, ge=1)
    dropout: Probability = 0.1

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        _refuse_uneven_heads(self.width, self.heads)
        return self


def _refuse_uneven_heads(width: int, heads: int) -> None:
    if width % (2 * heads):
        raise ValueError(
            f"width {width} is not divisible by twice the {heads} heads; "
            f"{2 * heads * max(1, round(width / (2 * heads)))} would be"
        )


class BiLSTMSettings(Block):
    """The temporal part of the hybrid: a bidirectional LSTM."""

    name: Literal["bilstm"] = "bilstm"
    hidden: int = Field(256, ge=1, description="units each way")
    layers: int = Field(2, ge=1)
    dropout: Probability = 0.3


class HybridSettings(_ModelBlock):
    """A PointNet for each mouse, then a model of time (`models/hybrid.py`)."""

    name: Literal["hybrid"] = "hybrid"
    keypoint_channels: tuple[Units, ...] = Field((64, 128), min_length=1)
    embedding: int = Field(128, ge=1, description="numbers a mouse")
    temporal: Annotated[BiLSTMSettings | TransformerSettings, Field(discriminator="name")] = (
        BiLSTMSettings()
    )


ModelSettings = Annotated[
    MLPSettings
    | ConvBiLSTMSettings
    | TCNSettings
    | HybridSettings
    | TransformerSettings
    | UNetSettings,
    Field(discriminator="name"),
]
"""The settings of any model; its `name` says which."""


class PairNetworkSettings(Block):
    """The network of pair actions: stem, exchange, encoder, heads (`models/pair_network.py`)."""

    encoder: ModelSettings = UNetSettings()
    width: int = Field(192, ge=1, description="numbers a frame, into the encoder and out of it")
    stem: int = Field(128, ge=1, description="numbers a body")
    lab_embedding: int = Field(16, ge=1)

    @model_validator(mode="after")
    def _encoder_takes_features(self) -> Self:
        if isinstance(self.encoder, HybridSettings):
            raise ValueError(
                "encoder.name: hybrid takes keypoints, not features; choose another model"
            )
        return self
