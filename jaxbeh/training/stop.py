"""SIGINT and SIGTERM ask the loop to stop at its next stair; a second one stops at once."""

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_END = b"\0"
"""Tells the watching thread to end; no signal has this number."""

ECHO_SECONDS = 1.0
"""A signal that comes again within this time is the same one: `timeout` sends its own to a process
and to the group that this is in."""


class StopRequest:
    """A context in which the two signals set a flag instead of ending the process.

    Saving from inside a handler or an `except KeyboardInterrupt` would find a state that was
    already given away to the running program; the loop saves between two calls instead.
    Outside the main thread, where Python takes no handlers, signals keep their meaning.

    Python's handlers wait for the main thread, which may be inside a compiler for a while. So a
    thread of its own hears of signals at once: it ends the process for the second one, and, with
    `leave`, for the first where nothing is lost.

    Args:
        leave: ends the process with an exit code; called for a signal that comes while there is
            nothing to save, and then from any thread.

    Attributes:
        something_to_save: whether stopping at once would lose work; unused without `leave`.
    """

    def __init__(self, leave: Callable[[int], object] | None = None) -> None:
        self.something_to_save = leave is None
        self._leave = leave
        self._signal: int | None = None
        self._before: dict[int, Any] = {}
        self._pipe: tuple[int, int] | None = None
        self._woken_before = -1
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    @property
    def requested(self) -> bool:
        """Whether a signal came."""
        return self._signal is not None

    @property
    def exit_code(self) -> int:
        """130 after SIGINT, 143 after SIGTERM, by the shells' convention."""
        return 128 + (self._signal or 0)

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._handle)
        self._pipe = os.pipe()
        os.set_blocking(self._pipe[1], False)
        self._woken_before = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pipe is not None:
            signal.set_wakeup_fd(self._woken_before)
            os.write(self._pipe[1], _END)
            self._watcher.join()
            for end in self._pipe:
                os.close(end)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._signal is None:
            self._signal = number

    def _watch(self) -> None:
        """Read the numbers of signals, which arrive here before any handler runs."""
        assert self._pipe is not None
        first, came = None, 0.0
        while (byte := os.read(self._pipe[0], 1)) != _END:
            number = byte[0]
            if number not in _SIGNALS:
                continue
            if first is None:
                first, came = number, time.monotonic()
                if self._leave is not None and not self.something_to_save:
                    self._leave(128 + number)
            elif number != first or time.monotonic() - came > ECHO_SECONDS:
                os._exit(128 + number)
