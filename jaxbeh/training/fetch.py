"""The one way back from the device."""

from typing import TypeVar

import jax

T = TypeVar("T")


def fetch(tree: T) -> T:
    """Bring a pytree to the host in one transfer; its leaves become numpy arrays.

    On a CPU they may be views of the device's own memory, which JAX then gives to no program.

    Every array that training reads back passes through here, so that counting the calls counts the
    transfers (a transfer guard does not see them on a CPU).
    """
    return jax.device_get(tree)  # type: ignore[no-any-return]  # JAX says Any
