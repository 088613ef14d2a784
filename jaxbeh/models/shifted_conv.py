"""A convolution over time that is fast inside compiled loops."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.nn.initializers import lecun_normal, zeros
from jax.typing import DTypeLike


class ShiftedConv(nn.Module):
    """Convolution over time with an odd kernel and same padding, as one product of shifts.

    Inside a compiled loop a plain convolution misses XLA's fast path on a CPU (about six times
    slower) and turns into a grouped one under `vmap`; a product does neither.

    Attributes:
        channels: output channels.
        dilation: frames from one shift to the next.
        taps: shifts, the middle one of 0 frames.
        dtype: of the product and the output; parameters are float32.
    """

    channels: int
    dilation: int = 1
    taps: int = 3
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Array, mask: Array) -> Array:
        """Run the convolution.

        Args:
            x: `[t, b, i]`.
            mask: bool `[t, b]`; where false, a finite x counts as 0.

        Returns:
            `[t, b, channels]`.
        """
        shape = (self.taps, x.shape[-1], self.channels)
        kernel = self.param("kernel", lecun_normal(in_axis=(0, 1)), shape)
        bias = self.param("bias", zeros, (self.channels,))
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        zeroed = jnp.where(mask[..., None], x, 0.0)
        if x.shape[-1] > self.channels:
            # The products are smaller than the inputs: they are shifted, not the inputs.
            wide = jnp.concatenate(list(kernel), axis=-1)
            if jax.default_backend() == "gpu":
                # There a kernel may write x, and a pass over the products is the shorter one.
                products = jnp.where(mask[..., None], x @ wide, 0.0)
            else:
                products = zeroed @ wide
            parts = self._shifted(products)
            sums = sum(
                part[..., at * self.channels : (at + 1) * self.channels].astype(jnp.float32)
                for at, part in enumerate(parts)
            )
            # Behind a barrier it is written down in this dtype, though float32 is what follows.
            written: Array = lax.optimization_barrier((sums + bias).astype(self.dtype))
            return written
        shifts = jnp.concatenate(self._shifted(zeroed), axis=-1)
        return shifts @ kernel.reshape(-1, self.channels) + bias.astype(self.dtype)

    def _shifted(self, x: Array) -> list[Array]:
        """What stands so many frames before, at, and behind each frame; 0 beyond the ends."""
        reach, time = self.taps // 2 * self.dilation, x.shape[0]
        padded = jnp.pad(x, ((reach, reach), (0, 0), (0, 0)))
        starts = range(0, 2 * reach + 1, self.dilation)
        return [padded[start : start + time] for start in starts]
