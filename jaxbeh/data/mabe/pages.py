"""What a parquet file says of its pages' sizes, looked at before any page is unpacked.

A few kilobytes can claim, or truly hold, pages of two gigabytes, for which the library makes room
before it finds out. Each page's header, a struct in Thrift's compact encoding (the Parquet format's
`PageHeader`), has its size packed and unpacked.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

UNPACKED, UNPACKED_PER_BYTE, LARGEST = 128 << 20, 100, 512 << 20
"""Bytes that a page may take unpacked: 128 MiB and 100 times its packed size, at most 512 MiB.

Most writers make pages of 1 MiB, some one page of a whole column of up to 50 million rows."""

_HEADER = 1 << 16
"""Bytes; a header has some 30, and the smallest and largest text of its page."""

_STOP, _TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 0, 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = frozenset([4, 5, 6])
_SIZE_UNPACKED, _SIZE_PACKED = 2, 3
_DEEPEST = 8


def find_bomb(path: Path, metadata: Any, columns: frozenset[str]) -> str:
    """What is wrong with the sizes of these columns' pages; empty if nothing is.

    Args:
        path: the file.
        metadata: its `pyarrow.parquet.FileMetaData`.
        columns: those that will be read.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        size = stream.seek(0, io.SEEK_END)
        for group in range(metadata.num_row_groups):
            row_group = metadata.row_group(group)
            for index in range(row_group.num_columns):
                column = row_group.column(index)
                if column.path_in_schema not in columns or not column.num_values:
                    continue  # of a column without values no page is read
                start = column.data_page_offset
                if column.dictionary_page_offset:
                    start = min(start, column.dictionary_page_offset)
                stop = start + column.total_compressed_size
                if not 0 <= start <= stop <= size:
                    return f"column {column.path_in_schema!r} lies outside the file"
                for unpacked, packed in _pages(stream, start, stop):
                    if min(packed, unpacked) < 0 or packed > size:
                        return f"a page of column {column.path_in_schema!r} has an impossible size"
                    if unpacked > min(UNPACKED + UNPACKED_PER_BYTE * packed, LARGEST):
                        return (
                            f"a page of column {column.path_in_schema!r} claims to unpack from "
                            f"{packed:,} to {unpacked:,} bytes"
                        )
    return ""


def _pages(stream: BinaryIO, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Sizes, unpacked and packed, of the pages of one column; −1 where a header is damaged."""
    while start < stop:
        stream.seek(start)
        head = stream.read(min(_HEADER, stop - start))
        try:
            fields, length = _struct(head, 0, _DEEPEST)
            unpacked, packed = fields[_SIZE_UNPACKED], fields[_SIZE_PACKED]
        except (IndexError, KeyError, ValueError):  # cut off; without a size; no such encoding
            yield -1, -1
            return
        yield unpacked, packed
        if packed < 0:
            return
        start += length + packed


def _struct(data: bytes, at: int, deepest: int) -> tuple[dict[int, int], int]:
    """A struct's integers by field number, and the place behind it."""
    if not deepest:
        raise ValueError("a page header that is nested too deep")
    integers: dict[int, int] = {}
    number = 0
    while data[at] != _STOP:
        kind, step = data[at] & 15, data[at] >> 4
        at += 1
        if step:
            number += step
        else:
            number, at = _integer(data, at)
        if kind in _INTEGERS:
            integers[number], at = _integer(data, at)
        else:
            at = _behind(kind, data, at, deepest)
    return integers, at + 1


def _behind(kind: int, data: bytes, at: int, deepest: int) -> int:
    """The place behind a value."""
    if kind in (_TRUE, _FALSE):
        return at
    if kind == _BYTE:
        return at + 1
    if kind in _INTEGERS:
        return _integer(data, at)[1]
    if kind == _DOUBLE:
        return at + 8
    if kind == _BINARY:
        length, at = _unsigned(data, at)
        return at + length
    if kind == _STRUCT:
        return _struct(data, at, deepest - 1)[1]
    if kind in (_LIST, _SET):
        length, kind = data[at] >> 4, data[at] & 15
        at += 1
        if length == 15:
            length, at = _unsigned(data, at)
        for _ in range(length):
            at = at + 1 if kind in (_TRUE, _FALSE) else _behind(kind, data, at, deepest - 1)
            data[at]  # a list that claims more than there is ends here
        return at
    raise ValueError(f"type {kind} in a page header")


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at
        if shift > 63:
            raise ValueError("an integer of more than 64 bits in a page header")


def _integer(data: bytes, at: int) -> tuple[int, int]:
    value, at = _unsigned(data, at)
    return (value >> 1) ^ -(value & 1), at
