"""Whatever is in a file, reading it succeeds or says what to do, in bounded memory and time.

300 cases here, 6,000 with `--long`. A failure names its case: `python -m tests.faults.child TARGET
CASE 1` tries it alone.
"""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.faults.child import SECONDS
from tests.faults.targets import TARGETS

CASES, CASES_LONG = 28, 560
"""Of each target."""


@pytest.mark.parametrize("target", TARGETS)
def test_damaged_files_are_read_or_refused(target, long):
    count = CASES_LONG if long else CASES
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", "tests.faults.child", target, "0", str(count)],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
        timeout=SECONDS * count,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    outcome = json.loads(done.stdout)
    assert outcome.get("read", 0) + outcome.get("refused", 0) == count
    if not TARGETS[target].never:
        assert outcome["refused"] > count / 10, "the damage does not reach the reader"


def test_the_cases_are_as_many_as_is_promised():
    assert len(TARGETS) * CASES >= 300
    assert len(TARGETS) * CASES_LONG >= 5_000
