"""All devices as one axis: the windows of a batch are shared out, everything else is on each.

A program is written for the global batch. The compiler divides it, so that losses, gradients and
BatchNorm's statistics are those of the whole batch, on one device to rounding.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxbeh.data.store import WINDOWS, FrameStore
from jaxbeh.errors import RunError
from jaxbeh.machine.memory import memory
from jaxbeh.training.hosts import Hosts
from jaxbeh.training.plan import EpochPlan

T = TypeVar("T")


@dataclass(frozen=True)
class Devices:
    """The devices of a run.

    Attributes:
        mesh: of one axis, over the devices of all processes.
        hosts: the processes.
        memory: bytes that JAX may take of the smallest of this process's devices; on a CPU what the
            machine has left; endless where nothing says.
    """

    mesh: Mesh
    hosts: Hosts
    memory: float

    @classmethod
    def all(cls, hosts: Hosts | None = None) -> "Devices":
        """Every device there is."""
        return cls.of(jax.devices(), hosts)

    @classmethod
    def of(cls, devices: Sequence[jax.Device], hosts: Hosts | None = None) -> "Devices":
        """Some devices, at least one of each process."""
        axes: Any = ((len(devices),), (WINDOWS,), (AxisType.Auto,))
        mesh = jax.make_mesh(*axes, devices=list(devices))
        return cls(mesh, hosts or Hosts(), min(map(_memory, mesh.local_devices)))

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

    def jit(self, function: Callable[..., Any], **options: Any) -> Any:
        """`jax.jit` of a program for the global batch; what it returns is on every device.

        Args:
            function: the program.
            options: more of `jax.jit`'s.
        """
        return jax.jit(function, out_shardings=self.everywhere, **options)

    def put(self, tree: T) -> T:
        """Copy a pytree, the same in every process, to every device."""
        return self._to(tree, self.everywhere)

    def key(self, seed: int) -> jax.Array:
        """The key of a seed, on every device."""
        words = self.put(jax.random.key_data(jax.random.key(seed)))
        key: jax.Array = jax.random.wrap_key_data(words)
        return key

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

    def has_room(self, nbytes: int) -> bool:
        """Whether every process's devices have the room for so many bytes, as far as they say."""
        return not self.hosts.any("the memory of the devices", self.memory < nbytes)

    def shapes(self, tree: T) -> T:
        """Shapes and dtypes of a pytree as `put` would place it."""

        def shape(leaf: Any) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=self.everywhere)

        shapes: T = jax.tree.map(shape, tree)
        return shapes

    def store_shapes(self, store: FrameStore, whole: bool) -> FrameStore:
        """Shapes and dtypes of a store as `place` would place it."""
        shapes = self.shapes(store)
        if whole or self.count == 1:
            return shapes
        cut: dict[str, Any] = {}
        for name in ("points", "labels"):
            leaf = getattr(store, name)
            shape = (-(-len(leaf) // self.count) * self.count, *leaf.shape[1:])
            cut[name] = jax.ShapeDtypeStruct(shape, leaf.dtype, sharding=self.by_window)
        return dataclasses.replace(shapes, mesh=self.mesh, **cut)

    def place(self, store: FrameStore, whole: bool) -> FrameStore:
        """Bring a store to the devices, whole to each or its frames cut into equal blocks."""
        if whole or self.count == 1:
            return self.put(store)
        cut: dict[str, Any] = {}
        for name in ("points", "labels"):
            values = np.asarray(getattr(store, name))
            padding = -len(values) % self.count
            if padding:
                values = np.pad(values, [(0, padding)] + [(0, 0)] * (values.ndim - 1))
            cut[name] = self._to(values, self.by_window)
        nothing: dict[str, Any] = dict.fromkeys(cut)
        rest = self.put(dataclasses.replace(store, **nothing))
        return dataclasses.replace(rest, mesh=self.mesh, **cut)

    def _to(self, tree: T, placement: NamedSharding) -> T:
        """Bring a pytree to the devices; each process serves its own."""
        if self.hosts.count == 1:
            return jax.device_put(tree, placement)  # type: ignore[no-any-return]  # JAX says Any

        # `device_put` would first compare the values of all processes, by a program of its own.
        def to_own(leaf: Any) -> jax.Array:
            own = placement.addressable_devices_indices_map(leaf.shape)
            parts = [jax.device_put(leaf[index], device) for device, index in own.items()]
            return jax.make_array_from_single_device_arrays(leaf.shape, placement, parts)

        moved: T = jax.tree.map(to_own, jax.tree.map(np.asarray, tree))
        return moved


def _memory(device: jax.Device) -> float:
    """Bytes that JAX may take for a device; endless where nothing says."""
    statistics = device.memory_stats() or {}
    if "bytes_limit" in statistics:
        return float(statistics["bytes_limit"])
    available = memory().available if device.platform == "cpu" else None
    return np.inf if available is None else available / jax.local_device_count("cpu")
