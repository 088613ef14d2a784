"""Hybrid: a PointNet (Qi et al., 2017) that all mice share, then a model of time.

The PointNet is told where keypoints are and how they moved, not which they are, so their order (one
for all frames) never matters. It sees each mouse alone; the model of time sees the mice's
embeddings side by side.
"""

from typing import Self

import flax.linen as nn
import jax.numpy as jnp
from jax import Array
from jax.sharding import Mesh
from jax.typing import DTypeLike

from jaxbeh.models.dropout import Dropout
from jaxbeh.models.inputs import Inputs
from jaxbeh.models.recurrence import BidirectionalLSTM
from jaxbeh.models.transformer import TransformerEncoder
from jaxbeh.settings.models import BiLSTMSettings, HybridSettings, TransformerSettings

# The scales of places in an arena, of postures and of steps from frame to frame, which are then
# numbers around 1. A LayerNorm or statistics of the keypoints seen would hide distances and sizes.
_PLACE_CM, _POSTURE_CM, _STEP_CM = 10.0, 3.0, 0.5
# No arena is wider than 2 m; points farther out are errors of tracking or of a video's scale, which
# a maximum would let through.
_FARTHEST_CM = 100.0
# No keypoint moves farther in a frame; what does is a swap of identities or an error of tracking.
_LONGEST_STEP_CM = 5.0


def keypoint_inputs(points: Array, valid: Array) -> Array:
    """What the PointNet is told of each keypoint: its place, its posture and its step.

    The posture is the place relative to the mean of the mouse's valid keypoints; the step comes
    from the frame before in the window, and is 0 where the keypoint was not valid there. Steps are
    what places alone hardly teach: without them this model scored no more than single frames.

    Args:
        points: float32 `[b, t, m, k, 2]`, centimetres.
        valid: bool `[b, t, m, k]`.

    Returns:
        Float32 `[b, t, m, k, 6]`, 0 where invalid.
    """
    place = jnp.where(valid[..., None], jnp.clip(points, -_FARTHEST_CM, _FARTHEST_CM), 0.0)
    count = jnp.sum(valid, axis=-1, dtype=jnp.float32)[..., None, None]
    centre = jnp.sum(place, axis=-2, keepdims=True) / jnp.maximum(count, 1.0)
    followed = (valid[:, 1:] & valid[:, :-1])[..., None]
    step = jnp.where(followed, place[:, 1:] - place[:, :-1], 0.0)
    step = jnp.clip(step, -_LONGEST_STEP_CM, _LONGEST_STEP_CM)
    step = jnp.pad(step, ((0, 0), (1, 0), (0, 0), (0, 0), (0, 0)))
    parts = [place / _PLACE_CM, (place - centre) / _POSTURE_CM, step / _STEP_CM]
    return jnp.where(valid[..., None], jnp.concatenate(parts, axis=-1), 0.0)


class PointNet(nn.Module):
    """Per-keypoint Dense → ReLU layers, a maximum over the valid keypoints, Dense → ReLU.

    Attributes:
        channels: of the per-keypoint layers.
        embedding: numbers a mouse.
        dtype: of products and output; parameters are float32.
    """

    channels: tuple[int, ...]
    embedding: int
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Array, valid: Array) -> Array:
        """Embed sets of keypoints; all empty ones alike, as a bias that is learnt.

        Args:
            x: `[…, k, i]`, inputs of each keypoint.
            valid: bool `[…, k]`.

        Returns:
            `[…, embedding]`.
        """
        for units in self.channels:
            x = nn.relu(nn.Dense(units, dtype=self.dtype)(x))
        # None of the valid keypoints' numbers is below 0.
        x = jnp.max(jnp.where(valid[..., None], x, 0.0), axis=-2)
        return nn.relu(nn.Dense(self.embedding, dtype=self.dtype)(x))


class BiLSTM(nn.Module):
    """Layers of a bidirectional LSTM, dropout behind each; `[b, t, i]` → `[b, t, 2·hidden]`."""

    hidden: int
    layers: int
    dropout: float
    dtype: DTypeLike = jnp.float32
    mesh: Mesh | None = None

    @classmethod
    def from_settings(cls, settings: BiLSTMSettings, dtype: DTypeLike, mesh: Mesh | None) -> Self:
        """The module that settings describe."""
        return cls(
            hidden=settings.hidden,
            layers=settings.layers,
            dropout=settings.dropout,
            dtype=dtype,
            mesh=mesh,
        )

    @nn.compact
    def __call__(self, x: Array, mask: Array, train: bool) -> Array:
        """`x` `[b, t, i]`; `mask` bool `[b, t]`, true for a window's frames."""
        drop = Dropout(self.dropout, deterministic=not train)
        x, steps = jnp.swapaxes(x, 0, 1), mask.T
        for _ in range(self.layers):
            x = drop(BidirectionalLSTM(self.hidden, self.dtype, self.mesh)(x, steps))
        return jnp.swapaxes(x, 0, 1)


class Hybrid(nn.Module):
    """See the module's docstring; `[b, t, m, k, 2]` points → `[b, t, c]` logits."""

    keypoint_channels: tuple[int, ...]
    embedding: int
    temporal: BiLSTM | TransformerEncoder
    classes: int

    @classmethod
    def from_settings(
        cls, settings: HybridSettings, classes: int, dtype: DTypeLike, mesh: Mesh | None
    ) -> Self:
        """The module that settings describe."""
        temporal: BiLSTM | TransformerEncoder
        match settings.temporal:
            case BiLSTMSettings() as lstm:
                temporal = BiLSTM.from_settings(lstm, dtype, mesh)
            case TransformerSettings() as encoder:
                temporal = TransformerEncoder.from_settings(encoder, dtype)
        return cls(
            keypoint_channels=settings.keypoint_channels,
            embedding=settings.embedding,
            temporal=temporal,
            classes=classes,
        )

    @nn.compact
    def __call__(self, inputs: Inputs, train: bool) -> Array:
        """Float32 logits `[b, t, c]`; those of padded frames mean nothing."""
        valid = inputs.points_valid & inputs.mask[..., None, None]
        dtype = self.temporal.dtype
        keypoints = keypoint_inputs(inputs.points, valid).astype(dtype)
        mice = PointNet(self.keypoint_channels, self.embedding, dtype)(keypoints, valid)
        scene = mice.reshape(*mice.shape[:2], -1)
        x = self.temporal(scene, inputs.mask, train)
        return nn.Dense(self.classes, dtype=dtype)(x).astype(jnp.float32)
