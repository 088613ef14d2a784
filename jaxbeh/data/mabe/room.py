"""Room in memory that threads share, so that large files are not all read at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Room:
    """A size of which parts are taken and given back.

    Args:
        size: of the whole, in any unit.
    """

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """Wait until there is room, and have it inside the block; what is too large waits for all.

        Args:
            size: of the part.
        """
        size = min(max(size, 0), self._size)  # a damaged file may say anything
        with self._changed:
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()
