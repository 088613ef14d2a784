"""Thrift's compact encoding, read and written: what parquet footers and page headers are made of.

A struct is a dict of field number → (type, value), a list (element type, values).
"""

import struct

TRUE, FALSE, I8, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)


def read(data, at=0):
    """The struct at a place, and the place behind it."""
    fields, number = {}, 0
    while True:
        head = data[at]
        at += 1
        if not head:
            return fields, at
        kind = head & 15
        if head >> 4:
            number += head >> 4
        else:
            number, at = _signed(data, at)
        value, at = _value(kind, data, at)
        fields[number] = (kind, value)


def write(fields):
    """The bytes of a struct."""
    written, before = bytearray(), 0
    for number, (kind, value) in sorted(fields.items()):
        delta = number - before
        written += bytes([delta << 4 | kind]) if 0 < delta < 16 else bytes([kind]) + zigzag(number)
        written += _bytes(kind, value)
        before = number
    return bytes(written + b"\0")


def varint(value):
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    return bytes([*written, value])


def zigzag(value):
    return varint(2 * value if value >= 0 else -2 * value - 1)


def footer(data):
    """The footer of a parquet file as a struct, and the bytes before it."""
    length = int.from_bytes(data[-8:-4], "little")
    return read(data[-8 - length : -8])[0], data[: -8 - length]


def with_footer(body, fields):
    """A parquet file of these bytes and this footer."""
    tail = write(fields)
    return body + tail + len(tail).to_bytes(4, "little") + b"PAR1"


def _varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift += 7
        at += 1
        if data[at - 1] < 128:
            return value, at


def _signed(data, at):
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _value(kind, data, at):
    if kind in (TRUE, FALSE):
        return None, at
    if kind == I8:
        return data[at], at + 1
    if kind in (I16, I32, I64):
        return _signed(data, at)
    if kind == DOUBLE:
        return struct.unpack_from("<d", data, at)[0], at + 8
    if kind == BINARY:
        length, at = _varint(data, at)
        return data[at : at + length], at + length
    if kind in (LIST, SET):
        size, element = data[at] >> 4, data[at] & 15
        at += 1
        if size == 15:
            size, at = _varint(data, at)
        values = []
        for _ in range(size):
            value, at = (
                (data[at], at + 1) if element in (TRUE, FALSE) else _value(element, data, at)
            )
            values.append(value)
        return (element, values), at
    assert kind == STRUCT, kind
    return read(data, at)


def _bytes(kind, value):
    if kind in (TRUE, FALSE):
        return b""
    if kind == I8:
        return bytes([value])
    if kind in (I16, I32, I64):
        return zigzag(value)
    if kind == DOUBLE:
        return struct.pack("<d", value)
    if kind == BINARY:
        return varint(len(value)) + value
    if kind in (LIST, SET):
        element, values = value
        size = len(values)
        head = bytes([size << 4 | element]) if size < 15 else bytes([240 | element]) + varint(size)
        if element in (TRUE, FALSE):
            return head + bytes(values)
        return head + b"".join(_bytes(element, one) for one in values)
    assert kind == STRUCT, kind
    return write(value)
