"""Run by `test_hosts.py` in two processes at once: two rounds, and one of them comes late."""

import signal
import sys
import time
from pathlib import Path

from jaxbeh.training.hosts import connect

if __name__ == "__main__":
    late, gate = int(sys.argv[1]), Path(sys.argv[2])
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job may ignore it
    hosts = connect()
    with hosts.together():
        sys.stdout.write("here\n")
        sys.stdout.flush()
        while hosts.index == late and not gate.exists():
            time.sleep(0.05)
        hosts.exchange("the first round", "")
        hosts.exchange("the second round", "")
