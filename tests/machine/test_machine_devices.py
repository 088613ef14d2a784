"""Why there is no GPU: every constellation has its reason and its remedy."""

import dataclasses

import pytest

from jaxbeh.finding import Severity
from jaxbeh.machine.devices import Device, DeviceFacts, device_facts, explain

CPU = Device(kind="cpu", platform="cpu", memory_bytes=None)
H100 = Device(kind="NVIDIA H100", platform="gpu", memory_bytes=85_000_000_000)
BARE = DeviceFacts(
    system="Linux",
    devices=(CPU,),
    error="",
    jaxlib="0.10.2",
    platforms="",
    visible=None,
    nvidia=False,
    amd=False,
    driver_cuda=None,
    plugins={},
)
TWELVE = {"jax-cuda12-plugin": "0.10.2"}
THIRTEEN = {"jax-cuda13-plugin": "0.10.2"}


@pytest.mark.parametrize(
    ("facts", "severity", "what", "remedy"),
    [
        ({}, "note", "no GPU", "nothing needs to be done"),
        ({"amd": True}, "note", "AMD GPU", "tested on NVIDIA"),
        ({"nvidia": True, "driver_cuda": 12040}, "warning", "CUDA 12.4 and older", ".[cuda12]"),
        ({"nvidia": True, "driver_cuda": 13000}, "warning", "CUDA 13.0 and older", ".[cuda13]"),
        ({"nvidia": True, "driver_cuda": 11080}, "warning", "CUDA 11.8 and older", "driver 525"),
        ({"nvidia": True}, "warning", "libcuda is not found", "install the NVIDIA driver"),
        (
            {"plugins": TWELVE, "nvidia": True, "driver_cuda": 12040, "platforms": "cpu"},
            "warning",
            "JAX_PLATFORMS is 'cpu'",
            "unset JAX_PLATFORMS",
        ),
        (
            {"plugins": TWELVE, "nvidia": True, "driver_cuda": 12040, "visible": ""},
            "warning",
            "CUDA_VISIBLE_DEVICES is ''",
            "unset CUDA_VISIBLE_DEVICES",
        ),
        ({"plugins": TWELVE, "nvidia": True}, "warning", "libcuda is not found", "NVIDIA driver"),
        ({"plugins": TWELVE}, "note", "libcuda is not found", "without GPU nothing needs"),
        (
            {"plugins": TWELVE, "nvidia": True, "driver_cuda": 11080},
            "warning",
            "CUDA 11.8 and older",
            "driver 525 or newer",
        ),
        (
            {"plugins": THIRTEEN, "nvidia": True, "driver_cuda": 12090},
            "warning",
            "CUDA 12.9 and older",
            "driver 580 or newer and keep '.[cuda13]', or pip install '.[cuda12]' instead",
        ),
        (
            {
                "plugins": {"jax-cuda12-plugin": "0.9.0"},
                "nvidia": True,
                "driver_cuda": 12040,
            },
            "warning",
            "differs from jaxlib's, 0.10.2",
            "--upgrade '.[cuda12]'",
        ),
        (
            {"plugins": TWELVE | THIRTEEN, "nvidia": True, "driver_cuda": 13000},
            "warning",
            "in each other's way",
            "pip uninstall",
        ),
        (
            {"plugins": TWELVE, "driver_cuda": 12040},
            "note",
            "shows no NVIDIA GPU",
            "without GPU",
        ),
        (
            {"plugins": TWELVE, "nvidia": True, "driver_cuda": 12040},
            "warning",
            "though the driver is there",
            "see what JAX says",
        ),
        (
            {"devices": (), "error": "no backend cuda", "platforms": "cuda"},
            "error",
            "no backend cuda (JAX_PLATFORMS=cuda)",
            "unset JAX_PLATFORMS",
        ),
        (
            {"devices": (), "error": "jaxlib is too old"},
            "error",
            "jaxlib is too old",
            "install jaxbeh afresh",
        ),
    ],
)
def test_the_reason_and_the_remedy(facts, severity, what, remedy):
    (found,) = explain(dataclasses.replace(BARE, **facts))
    assert found.severity == Severity(severity)
    assert what in found.what
    assert remedy in found.remedy


def test_a_gpu_that_is_used_needs_no_word():
    facts = dataclasses.replace(
        BARE, devices=(H100,), plugins=TWELVE, nvidia=True, driver_cuda=12040
    )
    assert explain(facts) == []


def test_the_machine_of_the_tests():
    facts = device_facts()
    assert [device.platform for device in facts.devices] == ["cpu", "cpu"]
    assert facts.platforms == "cpu"
    assert facts.error == ""


def test_what_jax_says_of_a_platform_that_is_not_there(python):
    """In a process of its own, since JAX starts its devices once."""
    done = python(
        "-c",
        "import os; os.environ['JAX_PLATFORMS'] = 'cuda'\n"
        "from jaxbeh.machine.devices import device_facts, explain\n"
        "facts = device_facts(); print(explain(facts)[0])",
    )
    assert done.returncode == 0, done.stderr
    assert "JAX has no device" in done.stdout
    assert "JAX_PLATFORMS=cuda" in done.stdout
