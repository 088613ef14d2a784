"""Names that a spreadsheet takes for formulas when it opens a table that has them."""

import contextlib

from jaxbeh.data.checks.case import Case
from jaxbeh.data.mabe.videos import parse_whitelist
from jaxbeh.errors import DataError
from jaxbeh.finding import CheckFinding, Severity

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First letters by which spreadsheets know a formula; a tab or a line end may stand before one."""


def formula_names(case: Case) -> list[CheckFinding]:
    """Ids and actions that begin like a formula.

    A submission must have them to the letter, or its rows count for nothing: they are written as
    they are, and told of here.
    """
    names = {case.row.video_id, case.row.lab_id}
    triples = set(case.annotation.triples) if case.annotation else set()
    if case.row.behaviors:
        with contextlib.suppress(DataError):  # which is a finding of its own
            triples |= parse_whitelist(case.row.behaviors) or set()
    names |= {triple.action for triple in triples}
    found = sorted(name for name in names if name.startswith(FORMULA))
    if not found:
        return []
    return [
        case.found(
            "formula-names",
            Severity.WARNING,
            case.table,
            f"{len(found)} names begin like a formula, such as {found[0][:80]!r}",
            "rename them, or do not open the submission in a spreadsheet: it keeps names to the "
            "letter, as the challenge compares them",
            len(found),
        )
    ]
