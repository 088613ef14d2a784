"""What a run was made with: versions, devices, time."""

import datetime
import platform
from importlib import metadata
from typing import Any

from jaxbeh import __version__

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def versions() -> dict[str, Any]:
    """Versions of what computes, and the devices it computes on."""
    import jax

    devices, processes = jax.devices(), jax.process_count()
    return {
        "jaxbeh": __version__,
        "python": platform.python_version(),
        "packages": {name: metadata.version(name) for name in _PACKAGES},
        "devices": {
            "count": len(devices),
            "kind": devices[0].device_kind,
            **({"processes": processes} if processes > 1 else {}),
        },
        "backend": jax.default_backend(),
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
