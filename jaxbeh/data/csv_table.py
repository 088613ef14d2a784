"""A CSV file that people hand in: a submission, a solution."""

from pathlib import Path

import pandas as pd

from jaxbeh.errors import DataError
from jaxbeh.regular import require_regular


def read_csv_table(path: Path) -> pd.DataFrame:
    """A CSV file with every cell as text, `NA` and empty cells included.

    Raises:
        DataError: the file is missing, no CSV, or its rows do not fit its first line.
    """
    try:
        require_regular(path)
        table = pd.read_csv(
            path, dtype=str, keep_default_na=False, encoding="utf-8-sig", compression=None
        )
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}); give a CSV file"
        ) from None
    except ValueError as error:  # pandas' parser errors and undecodable text are of this kind
        raise DataError(f"{path}: not a CSV table: {error}; write it again") from None
    if not isinstance(table.index, pd.RangeIndex):
        raise DataError(
            f"{path}: its rows have more cells than its first line has names; name every column"
        )
    return table
