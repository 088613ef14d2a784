"""Training, restarting and predicting for long takes no more memory than at first.

Only with `--soak=MINUTES` (`--soak` alone: an hour). What it shows at present is in
docs/reliability.md.
"""

import json
import os
import statistics
import subprocess
import sys

import pytest

from tests.conftest import ROOT

GROWTH = 0.01
WARM_UP = 0.25
"""Share of the rounds that is not looked at; then, the first and the last tenth are compared."""


def test_memory_is_bounded(soak, capsys):
    if soak is None:
        pytest.skip("only with --soak MINUTES")
    folders = map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "training"))
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.soak", str(soak)],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": os.pathsep.join(folders)},
        capture_output=True, text=True, check=False, timeout=60 * soak + 600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    rounds = [json.loads(line) for line in done.stdout.splitlines()]
    warm = rounds[int(WARM_UP * len(rounds)) :]
    assert len(warm) >= 20, "too short to see anything"
    few = len(warm) // 10
    grown = {}
    for what in warm[0]:
        first, last = (
            statistics.median(item[what] for item in part) for part in (warm[:few], warm[-few:])
        )
        grown[what] = last / first - 1
    with capsys.disabled():
        print(f"\n{len(rounds)} rounds: {grown}, at the end {rounds[-1]}")  # noqa: T201  # figures
    assert max(grown.values()) < GROWTH, grown
