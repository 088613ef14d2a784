"""Reads Thrift's compact encoding, in which a parquet file's footer and page headers are written.

The library's own view of a damaged footer ends the process when some of its numbers contradict
each other, so what has to be known before a file is trusted is read here.
"""

from typing import Any

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
_INTEGERS = frozenset([4, 5, 6])
_DEEPEST = 16
"""Structs within each other; parquet's have six."""

Struct = dict[int, Any]
"""Field number → int, bytes, list or `Struct`; `None` for the types that nothing here needs."""


def read_struct(data: bytes, at: int = 0) -> tuple[Struct, int]:
    """A struct that begins at a place, and the place behind it.

    Raises:
        IndexError: it goes on behind the end of the data.
        ValueError: it is no such encoding, or nested too deep.
    """
    return _struct(data, at, _DEEPEST)


def _struct(data: bytes, at: int, deepest: int) -> tuple[Struct, int]:
    if not deepest:
        raise ValueError("nested too deep")
    fields: Struct = {}
    number = 0
    while head := data[at]:
        at += 1
        if head >> 4:
            number += head >> 4
        else:
            number, at = _integer(data, at)
        fields[number], at = _value(head & 15, data, at, deepest)
    return fields, at + 1


def _value(kind: int, data: bytes, at: int, deepest: int) -> tuple[Any, int]:
    if kind in (_TRUE, _FALSE):
        return None, at
    if kind in _INTEGERS:
        return _integer(data, at)
    if kind == _BINARY:
        length, at = _unsigned(data, at)
        if length > len(data) - at:
            raise IndexError("a text goes on behind the end")
        return data[at : at + length], at + length
    if kind in (_LIST, _SET):
        return _list(data, at, deepest)
    if kind == _STRUCT:
        return _struct(data, at, deepest - 1)
    if kind in (_BYTE, _DOUBLE):
        return None, at + (1 if kind == _BYTE else 8)
    raise ValueError(f"there is no type {kind}")


def _list(data: bytes, at: int, deepest: int) -> tuple[list[Any], int]:
    length, kind = data[at] >> 4, data[at] & 15
    at += 1
    if length == 15:
        length, at = _unsigned(data, at)
    if length > len(data) - at:  # each entry takes a byte at least
        raise IndexError("a list goes on behind the end")
    if kind in (_TRUE, _FALSE):
        return [None] * length, at + length
    values = []
    for _ in range(length):
        value, at = _value(kind, data, at, deepest)
        values.append(value)
    return values, at


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at
        if shift > 63:
            raise ValueError("an integer has more than 64 bits")


def _integer(data: bytes, at: int) -> tuple[int, int]:
    value, at = _unsigned(data, at)
    return (value >> 1) ^ -(value & 1), at
