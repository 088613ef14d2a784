"""SIGINT and SIGTERM ask the loop to stop at its next stair; a second one stops at once."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_END = b"\0"
"""Tells the watching thread to end; no signal has this number."""


class StopRequest:
    """A context in which the two signals set a flag instead of ending the process.

    Saving from inside a handler or an `except KeyboardInterrupt` would find a state that was
    already given away to the running program; the loop saves between two calls instead.
    Outside the main thread, where Python takes no handlers, signals keep their meaning.

    Python's handlers wait for the main thread, which may be inside a compiler for a while. With
    `leave` a thread of its own hears of signals at once, and does not wait where nothing is lost.

    Args:
        leave: ends the process with an exit code; called for a signal that comes while there is
            nothing to save, and then from any thread.

    Attributes:
        something_to_save: whether stopping at once would lose work; unused without `leave`.
    """

    def __init__(self, leave: Callable[[int], object] | None = None) -> None:
        self.something_to_save = leave is None
        self._leave = leave
        self._leaving = threading.Lock()
        self._signal: int | None = None
        self._before: dict[int, Any] = {}
        self._pipe: tuple[int, int] | None = None
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
        if self._leave is not None:
            self._pipe = os.pipe()
            os.set_blocking(self._pipe[1], False)
            signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
            self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pipe is not None:
            signal.set_wakeup_fd(-1)
            os.write(self._pipe[1], _END)
            self._watcher.join()
            for end in self._pipe:
                os.close(end)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._signal = number
        # The second signal finds the default behaviour, and ends the process.
        for either in _SIGNALS:
            signal.signal(either, signal.SIG_DFL)
        self._leave_if_nothing_is_lost(number)

    def _watch(self) -> None:
        """Read the numbers of signals, which arrive here before any handler runs."""
        assert self._pipe is not None
        came = False
        while (byte := os.read(self._pipe[0], 1)) != _END:
            if byte[0] in _SIGNALS:
                if came:  # the first one's handler has not run yet
                    os._exit(128 + byte[0])
                came = True
                self._leave_if_nothing_is_lost(byte[0])

    def _leave_if_nothing_is_lost(self, number: int) -> None:
        wanted = self._leave is not None and not self.something_to_save
        if wanted and self._leaving.acquire(blocking=False):
            assert self._leave is not None
            self._leave(128 + number)
