"""Runs that are started, killed and looked at: each a process of its own, forked from one that has
imported everything, so that a start costs a second.

`python -m tests.faults.runs` is that process. A line of JSON on its input, `{"words": […], "said":
PATH}`, forks a `python -m jaxbeh.train` of those words whose output goes to a file; its answers are
the number of the process, and its exit code once it has ended.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from jaxbeh.cli import run_command
from jaxbeh.train import train
from jaxbeh.training import assemble, curves, loop
from jaxbeh.training.checkpoints import Checkpoints
from tests.conftest import ROOT

EPOCHS = 12
RECIPE = f"""
base: debug
model: {{name: mlp, hidden: [512, 256]}}
window: {{train_stride: 50}}
training: {{epochs: {EPOCHS}, batch_size: 8, patience: null, checkpoint_every: 1}}
"""
"""Saves after every epoch; saving takes longer than an epoch, so that one is always in flight."""

PATIENCE_S = 120
"""How long anything may take on a busy machine."""


def serve():
    """Fork a run for each line of the input."""
    assert assemble.assemble
    assert loop.fit  # what `train` imports late is there before the fork
    curves.AVAILABLE = False  # a second a run
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if not child:
            said = os.open(asked["said"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            os.dup2(said, 1)
            os.dup2(said, 2)
            sys.argv[1:] = asked["words"]
            run_command(train)  # ends the process, or comes back after a success
            sys.stdout.flush()
            os._exit(0)
        _answer(child)
        _answer(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


def _answer(number):
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


class Runs:
    """Starts runs of one recipe on one collection.

    Args:
        folder: where the collection, the recipe and what the runs say go.
        data: the collection.
    """

    def __init__(self, folder, data):
        self.recipe, self._said, self._data = folder / "tiny.yaml", folder / "said", data
        self.recipe.write_text(RECIPE)
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.runs"],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.stdin.close()
        self._server.kill()
        self._server.wait()
        self._server.stdout.close()

    def start(self, run, *more):
        """Start or continue a run; gives the number of its process."""
        words = ["--config", self.recipe, "--data", self._data, "--run", run, *more]
        self._said.write_text("")
        asked = {"words": list(map(str, words)), "said": str(self._said)}
        self._server.stdin.write(json.dumps(asked) + "\n")
        self._server.stdin.flush()
        return int(self._server.stdout.readline())

    def end(self):
        """Wait for it; gives its exit code, negative where a signal ended it, and what it said."""
        code = int(self._server.stdout.readline())
        return code, self._said.read_text()

    def finish(self, run, *more):
        """Run to the end; gives what it said."""
        self.start(run, *more)
        code, said = self.end()
        assert code == 0, said
        return said


def alive(process):
    """Whether it runs, and is no zombie that nobody has waited for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(true, process):
    """Look as often as possible; false if the process ended before."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if true():
            return True
        if not alive(process):
            return False
    raise AssertionError("nothing happened")


def lines(run):
    """The epochs' lines that are whole, without what depends on the clock."""
    kept = []
    with contextlib.suppress(FileNotFoundError):
        for text in (run / "metrics.jsonl").read_text().splitlines(keepends=True):
            if text.endswith("\n"):
                line = json.loads(text)
                kept.append({key: line[key] for key in line if key != "seconds"})
    return kept


def listed(run, told):
    """Every step that is listed, restored: its hash, and `None` for one that is not intact."""
    folder = run / "checkpoints"
    if not folder.is_dir():
        return {}
    checkpoints = Checkpoints(folder, told, read_only=True)
    steps = {step: checkpoints._restore(step) for step in checkpoints.steps()}
    return {step: restored and restored.sha256 for step, restored in steps.items()}


def empty(run):
    """Remove a run."""
    shutil.rmtree(run, ignore_errors=True)


if __name__ == "__main__":
    serve()
