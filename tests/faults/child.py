"""Runs cases of damage in a process of its own, under limits of memory and time.

`python -m tests.faults.child TARGET FIRST COUNT` tries the cases FIRST to FIRST + COUNT − 1; each
follows from its number. It prints one JSON object; a case that breaks the promise ends it with the
case's number and what happened.
"""

import collections
import json
import re
import resource
import signal
import sys
import tempfile
import warnings
import zlib
from pathlib import Path

import numpy as np

from jaxbeh.console import out
from jaxbeh.errors import JaxbehError
from tests.faults.mutations import damaged
from tests.faults.targets import TARGETS

MOST_ADDRESSES = 4 << 30
"""Bytes that a case may ask for beyond what the process has; asked for more, the system refuses."""
MOST_MEMORY = 1500 << 20
"""Bytes in use at the worst moment of all cases, beyond what importing took.

The reader allows 50 million empty cells, 800 MB in double precision, which is what this leaves room
for."""
SECONDS = 60
"""A case's time, on a busy machine; the default action of the alarm ends the process."""

REMEDY = re.compile(
    r"\b(write|fetch|correct|keep|give|name|remove|restore|see|choose|fill|leave|mend|number|quote|"
    r"such as|is written|save|build|needs?|listed once|there (is|are)|must|should|allowed|valid|"
    r"at (most|least)|what to do)\b",
    re.IGNORECASE,
)
"""A message without any of these words says what is wrong, and not what to do."""


def bytes_in(name):
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", text)[1]) * 1024


def one(target, case, folder):
    """What a case came to: `read`, or `refused`."""
    draw = np.random.default_rng([zlib.crc32(target.encode()), case])
    made = TARGETS[target]
    made.make(folder)
    files = sorted(path for path in folder.glob(made.damage) if path.is_file())
    path = files[int(draw.integers(len(files)))]
    kind = {".jsonl": "json", ".npy": "binary", ".safetensors": "binary", "": "json"}.get(
        path.suffix, path.suffix.lstrip(".")
    )
    other = files[int(draw.integers(len(files)))].read_bytes()
    path.write_bytes(damaged(path.read_bytes(), kind, draw, other))
    try:
        made.read(folder)
    except JaxbehError as error:
        said = str(error)
        assert not made.never, said
        assert str(folder) in said, f"does not name the file: {said}"
        assert REMEDY.search(said), f"does not say what to do: {said}"
        assert len(said) < 20_000, f"is {len(said)} letters long: {said[:500]}"
        return "refused"
    return "read"


def main(target, first, count):
    warnings.simplefilter("error")
    out.quiet = True
    outcomes = collections.Counter()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "warm"
        folder.mkdir()
        TARGETS[target].make(folder)
        TARGETS[target].read(folder)  # imports what is imported late
        limit = bytes_in("VmSize") + MOST_ADDRESSES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        before = bytes_in("VmHWM")
        for case in range(first, first + count):
            sys.stderr.write(f"{target} {case}\n")
            folder = Path(scratch) / str(case)
            folder.mkdir()
            signal.alarm(SECONDS)
            outcomes[one(target, case, folder)] += 1
            signal.alarm(0)
            grown = bytes_in("VmHWM") - before
            assert grown < MOST_MEMORY, f"took {grown >> 20} MB"
    sys.stdout.write(json.dumps({**outcomes, "megabytes": grown >> 20}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
