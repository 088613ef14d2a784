"""What makes a second start slow: a program that JAX does not find in its cache."""

import json

PROGRAM = """
import json, os, sys
from collections import Counter
os.environ["JAX_COMPILATION_CACHE_DIR"] = sys.argv.pop()
from jax import monitoring
met = Counter()
monitoring.register_event_listener(lambda event, **_: met.update([event.rpartition("/")[2]]))
from jaxbeh.train import main
try:
    main()
finally:
    print(json.dumps(met))
"""


def test_a_second_start_compiles_nothing(python, tmp_path):
    words = ("--config", "debug", "--set", "model={name: mlp, hidden: [8]}")
    words = (*words, "--set", "training.epochs=1")
    met = []
    for start in ("first", "second"):
        run = ("--run", tmp_path / start)
        done = python("-c", PROGRAM, *words, *run, tmp_path / "programs", timeout=300)
        assert done.returncode == 0, done.stderr
        met.append(json.loads(done.stdout.splitlines()[-1]))
    first, second = met
    assert first["cache_misses"] == first["compile_requests_use_cache"] >= 5
    assert "cache_misses" not in second
    assert second["cache_hits"] == first["cache_misses"]
