"""The devices that JAX sees, and why a GPU is not among them."""

import ctypes
import logging
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from jaxbeh.finding import CheckFinding, Severity

PLUGINS = ("jax-cuda12-plugin", "jax-cuda13-plugin")
"""The packages by which JAX reaches an NVIDIA GPU; the extras cuda12 and cuda13 bring them."""

OLDEST_DRIVER = {12: "525", 13: "580"}
"""NVIDIA drivers that CUDA 12 and 13 need at least, by JAX's installation guide and NVIDIA's
release notes. A driver says itself which CUDA it can serve, which is what is compared."""


_WINDOWS_DRIVER = Path("/usr/lib/wsl/lib/libcuda.so.1")
"""Where Windows puts its driver's library for the Linux inside it (WSL2)."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """One device as JAX names it; its memory in bytes, where it says."""

    kind: str
    platform: str
    memory_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class DeviceFacts:
    """All that is known about devices, so that the conclusions can be drawn, and tested, from it.

    Attributes:
        system: `Linux`, `Darwin` or `Windows`.
        devices: what JAX computes on; empty if it could not say.
        error: what JAX said instead.
        jaxlib: its version, empty if it is not installed.
        platforms: the setting `JAX_PLATFORMS`; empty where JAX may choose.
        visible: `CUDA_VISIBLE_DEVICES`, `None` if it is not set.
        nvidia: whether the system shows an NVIDIA GPU.
        amd: whether it shows an AMD one.
        driver_cuda: the newest CUDA that the NVIDIA driver serves, 12040 for 12.4; `None` without a
            driver.
        plugins: versions of those of `PLUGINS` that are installed.
    """

    system: str
    devices: tuple[Device, ...]
    error: str
    jaxlib: str
    platforms: str
    visible: str | None
    nvidia: bool
    amd: bool
    driver_cuda: int | None
    plugins: Mapping[str, str]

    @property
    def on_gpu(self) -> bool:
        """Whether JAX computes on something better than the CPU."""
        return any(device.platform != "cpu" for device in self.devices)


def device_facts() -> DeviceFacts:
    """Look at the machine, and have JAX start its devices."""
    devices, error, platforms = _devices()
    return DeviceFacts(
        system=platform.system(),
        devices=devices,
        error=error,
        jaxlib=_version("jaxlib"),
        platforms=platforms,
        visible=os.environ.get("CUDA_VISIBLE_DEVICES"),
        nvidia=any(Path("/dev").glob("nvidia[0-9]*")) or _WINDOWS_DRIVER.exists(),
        amd=Path("/dev/kfd").exists(),
        driver_cuda=_driver_cuda(),
        plugins={name: _version(name) for name in PLUGINS if _version(name)},
    )


def explain(facts: DeviceFacts) -> list[CheckFinding]:
    """Why JAX has no device, or no GPU though there is one; nothing where all is well."""
    if facts.error:
        return [_failed(facts)]
    if facts.on_gpu:
        return []
    if facts.plugins:
        return [_plugin_without_gpu(facts)]
    if facts.nvidia:
        return [_gpu_without_plugin(facts)]
    if facts.amd:
        return [
            _finding(
                Severity.NOTE,
                "there is an AMD GPU, and JAX computes on the CPU",
                "jaxbeh is tested on NVIDIA GPUs and CPUs only; JAX's installation guide says "
                "which AMD GPUs it supports",
            )
        ]
    return [
        _finding(
            Severity.NOTE,
            "there is no GPU that JAX could use; it computes on the CPU",
            "nothing needs to be done: everything works on a CPU, training more slowly",
        )
    ]


def _finding(severity: Severity, what: str, remedy: str) -> CheckFinding:
    return CheckFinding(check="gpu", severity=severity, file="", what=what, remedy=remedy)


def _failed(facts: DeviceFacts) -> CheckFinding:
    what = f"JAX has no device: {facts.error}"
    if facts.platforms:
        return _finding(
            Severity.ERROR,
            f"{what} (JAX_PLATFORMS={facts.platforms})",
            "unset JAX_PLATFORMS, so that JAX takes what there is, and call doctor again: it then "
            "says what keeps JAX from a GPU",
        )
    return _finding(
        Severity.ERROR,
        what,
        "install jaxbeh afresh, into an environment of its own (pip install .)",
    )


def _gpu_without_plugin(facts: DeviceFacts) -> CheckFinding:
    what = "there is an NVIDIA GPU, and JAX has no CUDA plugin; it computes on the CPU"
    if facts.driver_cuda is None:
        return _finding(
            Severity.WARNING,
            f"{what}; the NVIDIA driver's library libcuda is not found either",
            "install the NVIDIA driver (in a container: start it with the GPU passed through), "
            "then pip install '.[cuda12]'",
        )
    if facts.driver_cuda < 12_000:
        return _finding(Severity.WARNING, f"{what}; {_driver(facts)}", _newer_driver(12, "install"))
    extra = "cuda13" if facts.driver_cuda >= 13_000 else "cuda12"
    return _finding(
        Severity.WARNING,
        f"{what}; {_driver(facts)}",
        f"pip install '.[{extra}]' in jaxbeh's folder",
    )


def _plugin_without_gpu(facts: DeviceFacts) -> CheckFinding:
    """The first of the reasons, nearest to the user's own doing first."""
    named = ", ".join(f"{name} {version}" for name, version in facts.plugins.items())
    what = f"{named} is installed, and JAX computes on the CPU"
    if facts.platforms and not {"cuda", "gpu"} & set(facts.platforms.split(",")):
        return _finding(
            Severity.WARNING,
            f"{what}, since JAX_PLATFORMS is {facts.platforms!r}",
            "unset JAX_PLATFORMS to let JAX use the GPU",
        )
    if facts.visible is not None and facts.visible.strip() in {"", "-1"}:
        return _finding(
            Severity.WARNING,
            f"{what}, since CUDA_VISIBLE_DEVICES is {facts.visible!r}, which hides every GPU",
            "unset CUDA_VISIBLE_DEVICES, or name a GPU in it, such as 0",
        )
    if facts.driver_cuda is None:
        return _finding(
            Severity.WARNING if facts.nvidia else Severity.NOTE,
            f"{what}: the NVIDIA driver's library libcuda is not found",
            "install the NVIDIA driver; in a container, start it with the GPU passed through; on a "
            "machine without GPU nothing needs to be done",
        )
    newest = max(int(name.removeprefix("jax-cuda")[:2]) for name in facts.plugins)
    if facts.driver_cuda < newest * 1000:
        return _finding(
            Severity.WARNING, f"{what}: {_driver(facts)}", _newer_driver(newest, "keep")
        )
    if any(version != facts.jaxlib for version in facts.plugins.values()):
        return _finding(
            Severity.WARNING,
            f"{what}: its version differs from jaxlib's, {facts.jaxlib}",
            f"pip install --upgrade '.[cuda{newest}]' in its folder brings both to one version",
        )
    if len(facts.plugins) > 1:
        return _finding(
            Severity.WARNING,
            f"{what}: two plugins for two CUDA versions are in each other's way",
            "remove one: pip uninstall jax-cuda12-plugin jax-cuda12-pjrt, or the same with 13",
        )
    if not facts.nvidia:
        return _finding(
            Severity.NOTE,
            f"{what}: the system shows no NVIDIA GPU",
            "nothing needs to be done on a machine without GPU; in a container, start it with the "
            "GPU passed through",
        )
    return _finding(
        Severity.WARNING,
        f"{what}, though the driver is there ({_driver(facts)})",
        "see what JAX says: python -c 'import jax; jax.devices(\"cuda\")'; LD_LIBRARY_PATH should "
        "not be set, as it puts other CUDA libraries before the plugin's",
    )


def _driver(facts: DeviceFacts) -> str:
    major, minor = divmod(facts.driver_cuda or 0, 1000)
    return f"its driver serves CUDA {major}.{minor // 10} and older"


def _newer_driver(cuda: int, then: str) -> str:
    other = f", or pip install '.[cuda{cuda - 1}]' instead" if cuda - 1 in OLDEST_DRIVER else ""
    return f"install NVIDIA driver {OLDEST_DRIVER[cuda]} or newer and {then} '.[cuda{cuda}]'{other}"


def _devices() -> tuple[tuple[Device, ...], str, str]:
    """JAX's devices, or what it said; and its setting of platforms."""
    # JAX logs its own, less certain, guess at what is wrong.
    logging.getLogger("jax").setLevel(logging.CRITICAL)
    try:
        import jax

        platforms = str(jax.config.jax_platforms or "")  # type: ignore[attr-defined]  # at run time
        found = tuple(
            Device(
                kind=device.device_kind,
                platform=device.platform,
                memory_bytes=(device.memory_stats() or {}).get("bytes_limit"),
            )
            for device in jax.devices()
        )
    # Packages that do not fit each other; no such backend; none at all, which JAX asserts.
    except (ImportError, RuntimeError, AssertionError) as error:
        first_line = str(error).partition("\n")[0] or "none of the platforms it may use is there"
        return (), first_line, os.environ.get("JAX_PLATFORMS", "")
    return found, "", platforms


def _driver_cuda() -> int | None:
    """What the NVIDIA driver's own library says; asking does not start the GPU."""
    name = "nvcuda.dll" if platform.system() == "Windows" else "libcuda.so.1"
    try:
        library = ctypes.CDLL(name)
        version = ctypes.c_int(0)
        if library.cuDriverGetVersion(ctypes.byref(version)) != 0:
            return None
    except (OSError, AttributeError):  # no such library; a library without the function
        return None
    return version.value or None


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
