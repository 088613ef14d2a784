"""Signals are real, and sent to a process of their own."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from jaxbeh.training.stop import StopRequest

FIRST_AND_AFTER = """
import os, signal, sys
from jaxbeh.training.stop import StopRequest

def mine(number, frame):
    print("my own handler", number, flush=True)

number = int(sys.argv[1])
signal.signal(signal.SIGINT, mine)
signal.signal(signal.SIGTERM, mine)
with StopRequest() as stop:
    print(stop.requested, flush=True)
    os.kill(os.getpid(), number)
    print(stop.requested, stop.exit_code, flush=True)
assert signal.getsignal(signal.SIGINT) is mine and signal.getsignal(signal.SIGTERM) is mine
os.kill(os.getpid(), number)
sys.exit(stop.exit_code)
"""

SECOND = """
import os, sys
from jaxbeh.training.stop import StopRequest

with StopRequest() as stop:
    os.kill(os.getpid(), int(sys.argv[1]))
    print(stop.requested, flush=True)
    os.kill(os.getpid(), int(sys.argv[2]))
    print("still here", flush=True)
"""


def run(program, *numbers):
    words = [sys.executable, "-W", "error", "-c", program, *(str(int(item)) for item in numbers)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_sets_the_flag_and_handlers_come_back(number, code):
    process = run(FIRST_AND_AFTER, number)
    assert process.stderr == ""
    assert process.stdout.splitlines() == [
        "False",
        f"True {code}",
        f"my own handler {int(number)}",
    ]
    assert process.returncode == code


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_the_process(first, second):
    process = run(SECOND, first, second)
    assert process.stdout.splitlines() == ["True"]
    assert process.returncode == -second


def test_handlers_come_back_after_an_error():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(ValueError, match="inside"), StopRequest():
        raise ValueError("inside")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_to_this_process_is_noticed_here_too():
    with StopRequest() as stop:
        assert not stop.requested
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested
        assert stop.exit_code == 143


def test_outside_the_main_thread_it_is_never_requested():
    found = []

    def work():
        with StopRequest() as stop:
            found.append(stop.requested)

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]
    assert signal.getsignal(signal.SIGINT) is before
