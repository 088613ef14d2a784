"""Run by `test_hosts.py` in two processes at once, each with a device of its own."""

import json
import sys

import jax
import numpy as np
from six_steps import train
from tiny import CONV_BILSTM

from jaxbeh.errors import RunError
from jaxbeh.training.hosts import connect

ONE_LAYER = (*CONV_BILSTM, "model.lstm_layers=1")


def said(work, *words):
    try:
        work(*words)
    except RunError as error:
        return str(error)
    return None


def exchanges(hosts):
    """Bytes of unequal lengths, a pytree, what is the same and what is not."""
    lengths = [0, 70_001] if hosts.index else [12, 3]
    blobs = [bytes(range(hosts.index, hosts.index + 7)) * length for length in lengths]
    tree = {
        "half": np.arange(5, dtype=jax.numpy.bfloat16),
        "scalar": np.int32(7),
        "empty": np.zeros((0, 3), np.float32),
        "flags": np.array([[True], [False]]),
    }
    mine = tree if hosts.first else jax.eval_shape(lambda: tree)
    received = hosts.from_first(mine)
    return {
        "lengths": [[len(part) for part in hosts.gather(blob)] for blob in blobs],
        "sums": [[int(part.sum()) for part in hosts.gather(blob)] for blob in blobs],
        "tree": {name: np.asarray(leaf, np.float32).tolist() for name, leaf in received.items()},
        "dtypes": [str(leaf.dtype) for leaf in jax.tree.leaves(received)],
        "any": [hosts.any("one", hosts.first), hosts.any("none", False)],
        "same": said(hosts.require_same, "this", "same"),
        "other": said(hosts.require_same, "that", str(hosts.index)),
        "apart": said(hosts.exchange, f"place {hosts.index}", ""),
    }


if __name__ == "__main__":
    hosts = connect()
    with hosts.together():
        found = [exchanges(hosts), train(2, "cut", hosts, ONE_LAYER)]
    sys.stdout.write(json.dumps(found) + "\n")
