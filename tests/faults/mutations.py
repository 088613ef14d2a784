"""Damage: what happens to bytes on the way, and what somebody may do to them on purpose."""

import numpy as np

from tests.faults import thrift

INTEGERS = (0, 1, -1, 2, 127, 128, 255, 2**15, 2**16, 2**31 - 1, 2**31, -(2**31), 2**32, 2**40)
INTEGERS += (10**12, 2**53, 2**62, 2**63 - 1, -(2**63))
"""Where counters turn over, and sizes that nobody has."""

WORDS = {
    "yaml": [
        *(
            "*a",
            "&a ",
            "<<: *a",
            "? ",
            "- ",
            "{",
            "[",
            "}",
            "]",
            ": ",
            "~",
            "---\n",
            "...\n",
            "%TAG",
        ),
        *("!!bool x", "!!int ''", "!!float ''", "!!timestamp x", "!!binary x", "!!set {a}", "\t"),
        *("!!python/object/apply:os.system [x]", "!!omap [a]", "!!null x", "1e999", ".nan", "0x"),
        *(
            "1:60:60",
            "base: v6",
            "base: .",
            "base: /",
            "9" * 5000,
            "|",
            ">",
            "'",
            '"',
            "#",
            "\ufeff",
        ),
    ],
    "json": [
        *("NaN", "Infinity", "-Infinity", "1e999", "null", "true", "{}", "[]", '""', "[", "{", "]"),
        *(
            "}",
            ",",
            ":",
            '"',
            "\\",
            '"\\ud800"',
            "9" * 5000,
            "-0",
            "1.5",
            "[[" * 2000,
            "\ufeff",
            "\0",
        ),
    ],
    "csv": [
        *(
            '"',
            ",",
            "\n",
            "\r",
            "\0",
            "=1+1",
            "1e400",
            "nan",
            "-1",
            "0",
            "mouse0",
            "mouse1",
            "self",
        ),
        *(
            "9" * 30,
            "1.5",
            "[]",
            '"[""mouse1,self,rear""]"',
            "\ufeff",
            ";",
            "\t",
            " ",
            "..",
            "/",
            "x" * 9000,
        ),
    ],
}


def damaged(data, kind, draw, other=b""):
    """The bytes with one to four pieces of damage.

    Args:
        data: what is there.
        kind: `parquet`, `yaml`, `json` or `csv`, which says what is worth trying.
        draw: a numpy generator.
        other: bytes of another file, to mix in.
    """
    for _ in range(int(draw.integers(1, 5))):
        if kind == "parquet" and draw.random() < 0.5:
            data = _lied(data, draw)
        elif kind in WORDS and draw.random() < 0.6:
            data = _reworded(data, WORDS[kind], draw)
        else:
            data = _hit(data, draw, other)
    return data


def _hit(data, draw, other):
    """One blind piece of damage."""
    if not data:
        return bytes(draw.integers(0, 256, 20, np.uint8))
    at, until = sorted(draw.integers(0, len(data) + 1, 2).tolist())
    until = min(until, at + int(draw.choice([1, 8, 64, 4096])))
    piece = data[at:until]
    spot = bytearray(data)
    match draw.choice(["flip", "set", "cut", "end", "twice", "noise", "zero", "mix", "move"]):
        case "flip":
            spot[at % len(spot)] ^= 1 << int(draw.integers(8))
        case "set":
            spot[at % len(spot)] = int(draw.choice([0, 1, 127, 128, 255, 34, 44, 10]))
        case "cut":
            del spot[at:until]
        case "end":
            del spot[at:]
        case "twice":
            spot[at:at] = piece * int(draw.choice([1, 2, 100]))
        case "noise":
            spot[at:until] = draw.integers(0, 256, max(1, until - at), np.uint8).tobytes()
        case "zero":
            spot[at:until] = bytes(until - at)
        case "mix":
            spot[at:until] = other[at : until + 8]
        case "move":
            del spot[at:until]
            back = int(draw.integers(0, len(spot) + 1))
            spot[back:back] = piece
    return bytes(spot)


def _reworded(data, words, draw):
    """A word of the format put in, in place of nothing, of a letter, or of a number."""
    word = str(draw.choice(words)).encode("utf-8", "surrogatepass")
    if draw.random() < 0.3:
        word = str(int(draw.choice(np.array(INTEGERS, object)))).encode()
    at = int(draw.integers(0, len(data) + 1))
    behind = at
    while behind < len(data) and data[behind : behind + 1].isalnum() and draw.random() < 0.9:
        behind += 1
    return data[:at] + word + data[behind:]


def _lied(data, draw):
    """A parquet file whose footer claims another number in one place; the rest is as it was."""
    try:
        fields, body = thrift.footer(data)
    except (AssertionError, IndexError, ValueError, UnicodeDecodeError):
        return _hit(data, draw, b"")  # damaged before
    places = list(_integers((thrift.STRUCT, fields)))
    if not places:
        return _hit(data, draw, b"")
    holder, key = places[int(draw.integers(len(places)))]
    value = int(draw.choice(np.array(INTEGERS, object)))
    holder[key] = (holder[key][0], value) if isinstance(holder, dict) else value
    return thrift.with_footer(body, fields)


def _integers(typed):
    """Every place of an integer within a value: the struct or list that holds it, and where."""
    kind, value = typed
    if kind == thrift.STRUCT:
        for number, inner in value.items():
            if inner[0] in (thrift.I16, thrift.I32, thrift.I64):
                yield value, number
            yield from _integers(inner)
    elif kind == thrift.LIST:
        element, values = value
        for index, inner in enumerate(values):
            if element in (thrift.I16, thrift.I32, thrift.I64):
                yield values, index
            yield from _integers((element, inner))
