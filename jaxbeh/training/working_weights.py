"""Weights in the dtype of products, made by the update that changes them.

Products in bfloat16 would convert their float32 parameters at the beginning of every step: a dozen
tiny kernels that hold up all others. The update writes what they read beside what it keeps.
"""

from typing import Any

import jax
from jax import Array
from jax.typing import DTypeLike


def working_copies(params: Any, dtype: DTypeLike) -> Any:
    """Parameters as products read them.

    Args:
        params: a pytree of float32 leaves.
        dtype: of products.

    Returns:
        Its weights, the leaves of two axes or more, as `dtype`; `None` in place of its vectors,
        some of which models read in float32, and of weights that are `dtype` already.
    """

    def copied(leaf: Array) -> Array | None:
        return leaf.astype(dtype) if leaf.ndim > 1 and leaf.dtype != dtype else None

    return jax.tree.map(copied, params)


def with_copies(params: Any, copies: Any) -> Any:
    """The parameters, copies in the place of those that have one."""
    # To the pytree of parameters, a `None` in the place of a leaf is a value.
    return jax.tree.map(lambda leaf, copy: leaf if copy is None else copy, params, copies)
