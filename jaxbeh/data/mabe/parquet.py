"""Opening other people's parquet files, where every way to fail becomes one sentence."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jaxbeh.data.mabe.pages import find_bomb
from jaxbeh.errors import DataError
from jaxbeh.regular import require_regular

BATCH_ROWS = 1 << 17
"""Rows decoded at a time: large enough to be quick, small enough to stay in the cache."""


class FileError(DataError):
    """One video's file cannot be used; `reason` is the sentence without the path."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.reason = reason


class MissingFileError(FileError):
    """There is no such file."""


def is_text(kind: Any) -> bool:
    """Whether an arrow type is text, dictionary-encoded or not."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def is_integer(kind: Any) -> bool:
    """Whether an arrow type is an integer of any width."""
    return bool(pa.types.is_integer(kind))


def is_real(kind: Any) -> bool:
    """Whether an arrow type is float32 or float64."""
    return bool(pa.types.is_float32(kind) or pa.types.is_float64(kind))


_WANTED: Mapping[Callable[[Any], bool], str] = {
    is_text: "text",
    is_integer: "integers",
    is_real: "float32 or float64",
}

ROWS_PER_BYTE, SPARE_ROWS = 64, 10_000_000

_LIMITS: Mapping[str, Any] = {
    "page_checksum_verification": True,
    "thrift_string_size_limit": 16 << 20,
    "thrift_container_size_limit": 1 << 16,
}
"""Checksums, where a file has them; the longest text and list in its footer, for which the library
makes room before they are there. A list has an entry a column or row group."""
_LONGEST = 300
"""Letters of a file's own words in a message."""

Columns = Mapping[str, Callable[[Any], bool]]
"""A file's columns and what each must be: `is_text`, `is_integer` or `is_real`."""


@contextmanager
def explained(path: Path, kind: str) -> Iterator[None]:
    """Turn whatever reading a file raises into a `FileError` about it.

    Args:
        path: the file.
        kind: what it is, such as "tracking file".

    Raises:
        MissingFileError: there is no such file.
        FileError: it is no parquet file, truncated, damaged or not readable.
    """
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFileError(path, f"there is no {kind}") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        # Some messages name the file, which would make a line of the report for every video.
        first_line = str(error).replace(str(path), "it").partition("\n")[0].rstrip(". ")
        raise FileError(
            path, f"the {kind} cannot be read ({first_line}); fetch or write it again"
        ) from None


def open_parquet(
    path: Path, kind: str, columns: Columns, dictionaries: Sequence[str] = ()
) -> pq.ParquetFile:
    """Open a file that has the given columns, each of the right type; to be called `explained`.

    Args:
        path: the file.
        kind: what it is, such as "tracking file".
        columns: what it must have.
        dictionaries: columns of text to be read as codes into a dictionary.

    Raises:
        FileError: a column is missing, there twice, or of another type (where there are rows: an
            empty table's columns have the type that its writer happened to give them).
    """
    require_regular(path)
    file = pq.ParquetFile(path, **_LIMITS)
    schema = file.schema_arrow
    for name, fits in columns.items():
        found = schema.get_all_field_indices(name)
        if not found:
            raise FileError(
                path,
                f"the {kind} has no column {name!r}; it needs {', '.join(columns)} and has "
                f"{_shortened(', '.join(schema.names)) or 'none'}",
            )
        if len(found) > 1:
            raise FileError(path, f"the {kind} has {len(found)} columns {name!r}; keep one")
        if file.metadata.num_rows and not fits(schema.field(name).type):
            raise FileError(
                path,
                f"the {kind} holds {_shortened(str(schema.field(name).type))} in column {name!r}; "
                f"write it as {_WANTED[fits]}",
            )
    bomb = find_bomb(path, frozenset(columns))
    if bomb:
        raise FileError(path, f"the {kind} cannot be read ({bomb}); fetch or write it again")
    if not dictionaries:
        return file
    file.close()
    return pq.ParquetFile(path, read_dictionary=list(dictionaries), **_LIMITS)


def most_rows(path: Path) -> int:
    """How many rows a file of this size may have: 64 a byte, and 10 million.

    A page of a few bytes may repeat one row a billion times. Real ones take a byte or more each.
    """
    return ROWS_PER_BYTE * path.stat().st_size + SPARE_ROWS


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
