"""Signals are real, and sent to a process of their own."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jaxbeh.training.stop import ECHO_SECONDS, StopRequest

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
import os, sys, time
from jaxbeh.training.stop import StopRequest

with StopRequest() as stop:
    os.kill(os.getpid(), int(sys.argv[1]))
    print(stop.requested, flush=True)
    time.sleep(float(sys.argv[3]))
    os.kill(os.getpid(), int(sys.argv[2]))
    time.sleep(0.5)
    print("still here", flush=True)
"""


def run(program, *numbers):
    words = [sys.executable, "-W", "error", "-c", program, *(f"{item:g}" for item in numbers)]
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
    process = run(SECOND, first, second, 0 if second != first else 1.1 * ECHO_SECONDS)
    assert process.stdout.splitlines() == ["True"]
    assert process.returncode == 128 + second


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_same_signal_sent_twice_at_once_is_one(number):
    """As `timeout` sends it: to the process, then to its group."""
    process = run(SECOND, number, number, 0)
    assert process.stdout.splitlines() == ["True", "still here"]
    assert process.returncode == 0


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


LEAVING = """
import hashlib, os, sys
from jaxbeh.training.stop import StopRequest

def leave(code):
    print("leaving", code, flush=True)
    os._exit(code)

with StopRequest(leave) as stop:
    stop.something_to_save = sys.argv[1] == "something"
    print("in C", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)  # minutes in which no handler can run
"""


@pytest.fixture
def busy():
    """Starts a process that is in compiled code for minutes."""
    started = []

    def start(word):
        words = [sys.executable, "-W", "error", "-c", LEAVING, word]
        started.append(subprocess.Popen(words, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout.readline() == "in C\n"
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_with_nothing_to_save_it_leaves_at_once_whatever_the_main_thread_does(busy, number, code):
    process = busy("nothing")
    process.send_signal(number)
    assert process.wait(timeout=30) == code
    assert process.stdout.read() == f"leaving {code}\n"


def test_with_something_to_save_the_second_signal_ends_compiled_code_too(busy):
    process = busy("something")
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 143
    assert process.stdout.read() == ""


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def test_what_hears_of_signals_is_gone_afterwards():
    before, threads = descriptors(), threading.active_count()
    with StopRequest():
        assert threading.active_count() == threads + 1
    assert (descriptors(), threading.active_count()) == (before, threads)
    assert signal.set_wakeup_fd(-1) == -1


def test_what_heard_of_signals_before_hears_of_them_afterwards():
    """Such as an event loop."""
    end, other = os.pipe()
    os.set_blocking(other, False)
    signal.set_wakeup_fd(other)
    with StopRequest():
        pass
    assert signal.set_wakeup_fd(-1) == other
    os.close(end)
    os.close(other)
