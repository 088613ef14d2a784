"""A convolution over time that is fast inside compiled loops."""

import flax.linen as nn
import jax.numpy as jnp
from jax import Array
from jax.nn.initializers import lecun_normal, zeros
from jax.typing import DTypeLike


class ShiftedConv(nn.Module):
    """Convolution over time with kernel 3 and same padding, as one product of three shifts.

    Inside a compiled loop a plain convolution misses XLA's fast path on a CPU (about six times
    slower) and turns into a grouped one under `vmap`; a product does neither.

    Attributes:
        channels: output channels.
        dilation: frames from one of the three shifts to the next.
        dtype: of the product and the output; parameters are float32.
    """

    channels: int
    dilation: int = 1
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """`[t, b, i]` → `[t, b, channels]`."""
        kernel = self.param("kernel", lecun_normal(in_axis=(0, 1)), (3, x.shape[-1], self.channels))
        bias = self.param("bias", zeros, (self.channels,))
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        if x.shape[-1] > self.channels:
            # The products are smaller than the inputs: they are shifted, not the inputs.
            products = x @ jnp.concatenate(list(kernel), axis=-1)
            parts = self._shifted(products)
            sums = sum(
                part[..., at * self.channels : (at + 1) * self.channels].astype(jnp.float32)
                for at, part in enumerate(parts)
            )
            return (sums + bias).astype(self.dtype)
        shifts = jnp.concatenate(self._shifted(x), axis=-1)
        return shifts @ kernel.reshape(-1, self.channels) + bias.astype(self.dtype)

    def _shifted(self, x: Array) -> list[Array]:
        """What stands `dilation` frames before, at, and behind each frame; 0 beyond the ends."""
        reach, time = self.dilation, x.shape[0]
        padded = jnp.pad(x, ((reach, reach), (0, 0), (0, 0)))
        return [padded[shift * reach : shift * reach + time] for shift in range(3)]
