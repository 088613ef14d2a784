"""Oddities of `behaviors_labeled`, the list of what was looked for."""

import json
from collections import Counter

from jaxbeh.data.checks.case import Case
from jaxbeh.data.mabe.videos import parse_whitelist
from jaxbeh.errors import DataError
from jaxbeh.finding import CheckFinding, Severity
from jaxbeh.vocabulary import Triple


def whitelist(case: Case) -> list[CheckFinding]:
    """A missing or unreadable list, odd entries, and events that it does not have."""
    if case.row.behaviors is None:
        return _missing(case)
    try:
        allowed = parse_whitelist(case.row.behaviors)
    except DataError as error:
        return [
            case.found(
                "whitelist-unreadable",
                Severity.ERROR,
                case.table,
                f"{error}: the video is left out",
                'write behaviors_labeled as a JSON list such as ["mouse1,mouse2,sniff"]',
            )
        ]
    if allowed is None:
        return _missing(case)
    return (
        _spelling(case, json.loads(case.row.behaviors))
        + _mice(case, allowed)
        + _events(case, allowed)
    )


def _missing(case: Case) -> list[CheckFinding]:
    if case.annotation is None:
        return []
    return [
        case.found(
            "whitelist-missing",
            Severity.NOTE,
            case.table,
            "no behaviors_labeled; taken to be what the annotation files of its lab have",
            "fill behaviors_labeled if not all of that was looked for: without it, what was not "
            "annotated counts as absent",
        )
    ]


def _spelling(case: Case, entries: list[str]) -> list[CheckFinding]:
    """Entries that are there twice, or written otherwise than the challenge's score compares."""
    counts = Counter(str(Triple.parse(entry)) for entry in entries)
    twice = sorted(text for text, count in counts.items() if count > 1)
    clean = set(entries)
    odd = sorted({entry for entry in entries if str(Triple.parse(entry)) not in clean})
    found = []
    if twice:
        found.append(
            case.found(
                "whitelist-duplicates",
                Severity.NOTE,
                case.table,
                f"behaviors_labeled has {len(twice)} entries more than once, stray quotes apart, "
                f"such as {twice[0]!r}",
                "they count once; keep one of each",
                len(twice),
            )
        )
    if odd:
        found.append(
            case.found(
                "whitelist-spelling",
                Severity.NOTE,
                case.table,
                f"behaviors_labeled has {len(odd)} entries in another spelling, such as {odd[0]!r}",
                "they are understood here, but not by the challenge's score; write "
                "mouse1,mouse2,sniff or mouse1,self,rear, without quotes inside",
                len(odd),
            )
        )
    return found


def _mice(case: Case, allowed: frozenset[Triple]) -> list[CheckFinding]:
    tracked = set(case.tracking.mice)
    lost = sorted(triple for triple in allowed if not set(triple.mouse_ids()) <= tracked)
    if not lost:
        return []
    there = ", ".join(f"mouse{number}" for number in sorted(tracked))
    return [
        case.found(
            "whitelist-untracked-mice",
            Severity.WARNING,
            case.table,
            f"{len(lost)} of {len(allowed)} entries of behaviors_labeled name a mouse that is not "
            f"tracked, such as '{lost[0]}'; the tracking has {there}",
            "see whether table and tracking number the mice alike",
            len(lost),
        )
    ]


def _events(case: Case, allowed: frozenset[Triple]) -> list[CheckFinding]:
    if case.annotation is None:
        return []
    counts = Counter(triple for triple in case.annotation.triples if triple not in allowed)
    if not counts:
        return []
    triple, _ = counts.most_common(1)[0]
    return [
        case.found(
            "events-not-whitelisted",
            Severity.WARNING,
            case.annotation_file,
            f"{counts.total()} of {len(case.annotation.triples)} events are not among its "
            f"behaviors_labeled, such as '{triple}'",
            "add them to behaviors_labeled if they were looked for in the whole video; until then "
            "they are unknown, neither present nor absent",
            counts.total(),
        )
    ]
