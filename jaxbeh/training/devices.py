"""All devices as one axis: the windows of a batch are shared out, everything else is on each.

A program is written for the global batch. The compiler divides it, so that losses, gradients and
BatchNorm's statistics are those of the whole batch, on one device to rounding.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxbeh.data.store import WINDOWS, FrameStore, nbytes
from jaxbeh.errors import RunError
from jaxbeh.training.plan import EpochPlan

T = TypeVar("T")

STORE_SHARE = 0.5
"""A store may take this share of a device's memory before it is cut; a step needs the rest."""


@dataclass(frozen=True)
class Devices:
    """The devices of a run.

    Attributes:
        mesh: of one axis.
    """

    mesh: Mesh

    @classmethod
    def all(cls) -> "Devices":
        """Every device there is."""
        return cls.of(jax.devices())

    @classmethod
    def of(cls, devices: Sequence[jax.Device]) -> "Devices":
        """Some devices."""
        return cls(
            jax.make_mesh((len(devices),), (WINDOWS,), (AxisType.Auto,), devices=list(devices))
        )

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.mesh.size)

    @property
    def everywhere(self) -> NamedSharding:
        """The placement of what every device holds whole."""
        return NamedSharding(self.mesh, PartitionSpec())

    @property
    def by_window(self) -> NamedSharding:
        """The placement of what is shared out along its first axis."""
        return NamedSharding(self.mesh, PartitionSpec(WINDOWS))

    def put(self, tree: T) -> T:
        """Copy a pytree to every device."""
        return jax.device_put(tree, self.everywhere)  # type: ignore[no-any-return]  # JAX says Any

    def require_shared(self, plan: EpochPlan) -> None:
        """Refuse batches that the devices cannot share evenly.

        Raises:
            RunError: with the nearest sizes that they can.
        """
        below = plan.rows // self.count * self.count
        if below != plan.rows:
            sizes = [str(size) for size in (below, below + self.count) if size]
            raise RunError(
                f"training.batch_size: batches of {plan.rows} windows cannot be shared evenly by "
                f"{self.count} devices; {' or '.join(sizes)} can"
            )

    def fits_whole(self, *stores: FrameStore) -> bool:
        """Whether each device has the room for all of the stores, as far as it says."""
        room = min(_memory(device) for device in self.mesh.devices.flat)
        return sum(map(nbytes, stores)) <= STORE_SHARE * room

    def place(self, store: FrameStore, whole: bool) -> FrameStore:
        """Bring a store to the devices, whole to each or its frames cut into equal blocks."""
        if whole or self.count == 1:
            return self.put(store)
        cut: dict[str, Any] = {}
        for name in ("points", "labels"):
            values = np.asarray(getattr(store, name))
            padding = -len(values) % self.count
            wide = np.pad(values, [(0, padding)] + [(0, 0)] * (values.ndim - 1))
            cut[name] = jax.device_put(wide, self.by_window)
        nothing: dict[str, Any] = dict.fromkeys(cut)
        rest = self.put(dataclasses.replace(store, **nothing))
        return dataclasses.replace(rest, mesh=self.mesh, **cut)


def _memory(device: jax.Device) -> float:
    """Bytes of a device's memory; endless where it does not say, as a CPU does not."""
    statistics = device.memory_stats() or {}
    return float(statistics.get("bytes_limit", np.inf))
