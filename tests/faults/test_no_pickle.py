"""Nothing is pickled and nothing unpickled: not in the code, not in a file that a run leaves."""

import ast
import json
import os
import pickletools
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from safetensors.numpy import load_file

from tests.conftest import ROOT

WATCHED = """
import runpy, sys

own = {("tensorboardX.proto.event_pb2", "Event"), ("builtins", "object")}

def watch(event, given):
    if event == "pickle.find_class" and given not in own:
        sys.stderr.write(f"UNPICKLED {given}\\n")

sys.addaudithook(watch)
sys.argv = sys.argv[1:]
runpy.run_module("jaxbeh", run_name="__main__", alter_sys=True)
"""
"""Python itself says when a pickle looks a name up, whoever loads it.

tensorboardX hands its events, and the object that ends them, to a thread of its own through a queue
that pickles; they come from no file."""


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """The folder of all that a collection, a training, an evaluation and a check leave behind."""
    folder = tmp_path_factory.mktemp("all")
    environment = os.environ | {
        "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": str(ROOT),
        "JAX_COMPILATION_CACHE_DIR": str(folder / "programs"),
    }  # fmt: skip
    for words in (
        ["synthesize", "--out", "mice", "--videos", "3", "--frames", "400"],
        ["train", "--config", "debug", "--data", "mice", "--run", "run",
         "--set", "training.epochs=1", "--set", "model={name: mlp, hidden: [8]}"],
        ["evaluate", "--run", "run"],
        ["doctor", "--data", "mice"],
    ):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", WATCHED, "jaxbeh", *words],
            cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "UNPICKLED" not in done.stderr
    return folder


def is_pickle(content):
    """Whether the bytes are a whole pickle, opcode by opcode, of any protocol."""
    try:
        operations = [operation.name for operation, _, _ in pickletools.genops(content)]
    except Exception:  # noqa: BLE001  # whatever keeps it from being a pickle
        return False
    return len(operations) > 1


def test_a_pickle_is_known_when_it_is_seen():
    import pickle

    for protocol in range(6):
        assert is_pickle(pickle.dumps({"a": [1, os.path.join]}, protocol))
    assert not is_pickle(b'{"a": 1}')


def test_every_file_opens_as_what_it_says_it_is(left):
    opened = {
        ".json": lambda path: json.loads(path.read_text("utf-8")),
        ".jsonl": lambda path: [json.loads(line) for line in path.read_text().splitlines()],
        ".yaml": lambda path: yaml.safe_load(path.read_text("utf-8")),
        ".csv": pd.read_csv,
        ".parquet": pq.read_table,
        ".npy": lambda path: np.load(path, allow_pickle=False),
        ".safetensors": load_file,
    }
    kinds = set()
    for path in sorted(path for path in left.rglob("*") if path.is_file()):
        content = path.read_bytes()
        assert not is_pickle(content), path
        assert b"numpy.core.multiarray" not in content, path
        kinds.add(path.suffix)
        if path.suffix in opened and content:
            opened[path.suffix](path)
    assert set(opened) <= kinds


def test_the_word_stands_nowhere_but_where_it_is_forbidden():
    allowed = re.compile(r"allow_pickle=False|[Nn]othing is ever pickled")
    for path in sorted((ROOT / "jaxbeh").rglob("*.py")):
        text = allowed.sub("", path.read_text("utf-8"))
        assert not re.search(r"pickle|marshal\b|shelve|joblib|dill\b", text), path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in {"compile", "eval", "exec", "__import__"}, path
                if called in {"np.load", "numpy.load", "np.save", "numpy.save"}:
                    words = {word.arg for word in node.keywords}
                    assert "allow_pickle" in words or "allow_pickle=False" in path.read_text(), path
