"""What XLA reads from the environment, as XLA itself writes it down."""

import os
from importlib import metadata

import pytest

from jaxbeh.machine.compiler import compare_few_kernels

PROGRAM = (
    "import jax\n"
    "from jaxbeh.machine.compiler import compare_few_kernels\n"
    "compare_few_kernels()\n"
    "jax.jit(lambda x: x @ x)(jax.numpy.ones((4, 4))).block_until_ready()"
)
OPTION = "xla_gpu_experimental_cost_model_gemm_tiling_options"


@pytest.mark.parametrize(
    ("given", "top"), [("", "2"), (f" --{OPTION}=top=7", "7"), (f" --{OPTION}=filter=1", None)]
)
def test_the_installed_xla_is_told_how_many_kernels_to_compare(
    python, tmp_path, monkeypatch, given, top
):
    """It ends a process over an option that it does not know."""
    dump = tmp_path / "dump"
    monkeypatch.setenv("XLA_FLAGS", f"--xla_dump_to={dump}{given}")
    done = python("-c", PROGRAM)
    assert done.returncode == 0, done.stderr
    (options, *_) = sorted(dump.glob("*.debug_options"))
    told = options.read_text().split(OPTION)[1:]
    values = {
        part.split('key: "')[1].split('"')[0]: part.split('value: "')[1].split('"')[0]
        for part in told
    }
    assert values.get("top") == top
    assert ("top_from_default" in values) == (given == "")


def test_a_file_of_flags_is_left_alone(python, tmp_path, monkeypatch):
    file, dump = tmp_path / "flags.txt", tmp_path / "dump"
    file.write_text(f"--xla_dump_to={dump}")
    monkeypatch.setenv("XLA_FLAGS", str(file))
    done = python("-c", PROGRAM)
    assert done.returncode == 0, done.stderr
    assert list(dump.glob("*.debug_options"))


def test_a_jaxlib_that_may_not_know_the_option_is_not_told(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    monkeypatch.setattr(metadata, "version", lambda _: "0.13.0")
    compare_few_kernels()
    assert os.environ["XLA_FLAGS"] == ""


def test_it_is_said_once(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "")
    compare_few_kernels()
    said = os.environ["XLA_FLAGS"]
    compare_few_kernels()
    assert os.environ["XLA_FLAGS"] == said == said.strip()
