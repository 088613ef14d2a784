"""What a parquet file says of its pages' sizes, looked at before any page is unpacked.

A few kilobytes can claim, or truly hold, pages of two gigabytes, for which the library makes room
before it finds out. The numbers of the fields are those of the Parquet format's Thrift definition.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from jaxbeh.data.mabe.thrift import Struct, read_struct

UNPACKED, UNPACKED_PER_BYTE, LARGEST = 128 << 20, 100, 512 << 20
"""Bytes that a page may take unpacked: 128 MiB and 100 times its packed size, at most 512 MiB.

Most writers make pages of 1 MiB, some one page of a whole column of up to 50 million rows."""

_HEADER = 1 << 16
"""Bytes; a page's header has some 30, and the smallest and largest text of the page."""
_FOOTER = 8 << 20
"""Bytes; a row group of five columns takes some 600, and most files have a few."""

_ROW_GROUPS, _COLUMNS, _META = 4, 1, 3
_PATH, _VALUES, _PACKED, _DATA_PAGE, _DICTIONARY_PAGE = 3, 5, 7, 9, 11
_PAGE_UNPACKED, _PAGE_PACKED = 2, 3


def find_bomb(path: Path, columns: frozenset[str]) -> str:
    """What is wrong with the footer, or with the sizes of the pages; empty if nothing is.

    Args:
        path: a parquet file.
        columns: those that will be read.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        size = stream.seek(0, io.SEEK_END)
        try:
            for column in _chunks(stream, size):
                name = column[_PATH][0].decode()
                if len(column[_PATH]) > 1 or name not in columns or not column[_VALUES]:
                    continue  # nested ones are not read, and of one without values no page is
                fault = _fault(stream, column, size)
                if fault:
                    return f"column {name!r} {fault}"
        # Cut off; not this encoding; without a field that must be there, or of another type.
        except (IndexError, ValueError, KeyError, TypeError, AttributeError):
            return "its footer is damaged"
    return ""


def _chunks(stream: BinaryIO, size: int) -> Iterator[Struct]:
    """What the footer says of each row group's part of each column."""
    stream.seek(max(0, size - 8))
    length = int.from_bytes(stream.read(4), "little")
    if not 0 < length <= min(_FOOTER, size - 8):
        raise ValueError("no footer, or one that is larger than any")
    stream.seek(size - 8 - length)
    footer, _ = read_struct(stream.read(length))
    for group in footer[_ROW_GROUPS]:
        for column in group[_COLUMNS]:
            yield column[_META]


def _fault(stream: BinaryIO, column: Struct, size: int) -> str:
    start = column[_DATA_PAGE]
    if column.get(_DICTIONARY_PAGE):
        start = min(start, column[_DICTIONARY_PAGE])
    stop = start + column[_PACKED]
    if not 0 <= start <= stop <= size:
        return "lies outside the file"
    for unpacked, packed in _pages(stream, start, stop):
        if min(packed, unpacked) < 0 or packed > size:
            return "has a page of an impossible size"
        if unpacked > min(UNPACKED + UNPACKED_PER_BYTE * packed, LARGEST):
            return f"has a page that claims to unpack from {packed:,} to {unpacked:,} bytes"
    return ""


def _pages(stream: BinaryIO, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Sizes, unpacked and packed, of the pages of one column."""
    while start < stop:
        stream.seek(start)
        header, length = read_struct(stream.read(min(_HEADER, stop - start)))
        yield header[_PAGE_UNPACKED], header[_PAGE_PACKED]
        start += length + header[_PAGE_PACKED]
