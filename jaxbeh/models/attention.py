"""Attention with rotary positions (Su et al., 2021): what linen's attention lacks."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import Array

_BASE = 10_000.0  # as published: wavelengths from 2π frames to 2π · 10,000


def rotary_attention(query: Array, key: Array, value: Array, mask: Array | None = None) -> Array:
    """`nn.dot_product_attention` that sees how far apart two frames are, not where they stand.

    An `attention_fn` for `nn.MultiHeadDotProductAttention`.

    Args:
        query: `[b, t, h, d]`, h heads of d numbers; d is even.
        key: as query.
        value: as query.
        mask: bool, broadcast to `[b, h, t, t]`; false where a query does not see a key.
    """
    seen: Array = nn.dot_product_attention(rotate(query), rotate(key), value, mask=mask)
    return seen


def rotate(x: Array) -> Array:
    """Turn the pair i of neighbouring numbers, of d / 2 pairs, by t · 10,000^(−2i/d) radians.

    Args:
        x: `[b, t, h, d]`, d even.
    """
    time, depth = x.shape[1], x.shape[3]
    angle = np.outer(np.arange(time), _BASE ** (-np.arange(0, depth, 2) / depth))[:, None]
    cosine, sine = jnp.asarray(np.cos(angle), x.dtype), jnp.asarray(np.sin(angle), x.dtype)
    one, two = x[..., 0::2], x[..., 1::2]
    turned = jnp.stack([one * cosine - two * sine, one * sine + two * cosine], axis=-1)
    return turned.reshape(x.shape)
