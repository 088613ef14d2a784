"""Events of an annotation file: outside the video, without length, in conflict with each other."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.checks.case import Case
from jaxbeh.data.mabe.annotation import Annotation
from jaxbeh.finding import CheckFinding, Severity
from jaxbeh.vocabulary import MOUSE_SLOTS

Spans = list[tuple[int, int]]
_CLOSE_S = 1.0
"""Seconds beyond the end that are no more than a late key press or a rounded duration."""


def events_in_time(case: Case) -> list[CheckFinding]:
    """Events that have no frame, or reach beyond the tracked ones."""
    annotation = case.annotation
    if annotation is None:
        return []
    start, stop = _placed(case, annotation)
    frames = case.tracking.frames
    empty = stop <= start
    outside = ~empty & ((stop <= 0) | (start >= frames))
    over = ~empty & ~outside & ((start < 0) | (stop > frames))
    found = []
    if empty.any():
        found.append(
            case.found(
                "empty-events",
                Severity.NOTE,
                case.annotation_file,
                f"{empty.sum()} of {empty.size} events stop before they start, or at once: "
                f"{_such_as(annotation, empty)}",
                "they are dropped; correct them if they matter: stop_frame is one past the last",
                int(empty.sum()),
            )
        )
    if outside.any():
        found.append(
            case.found(
                "events-outside",
                Severity.WARNING,
                case.annotation_file,
                f"{outside.sum()} of {outside.size} events lie outside the tracked frames "
                f"{case.tracking.first_frame} to {case.tracking.first_frame + frames - 1}: "
                f"{_such_as(annotation, outside)}",
                "they are dropped; see whether video and annotation belong together, and whether "
                "they were made at one frame rate (data.event_scale)",
                int(outside.sum()),
            )
        )
    if over.any():
        reach = int(np.maximum(stop[over] - frames, -start[over]).max())
        far = reach > _CLOSE_S * case.fps
        found.append(
            case.found(
                "events-beyond-end",
                Severity.WARNING if far else Severity.NOTE,
                case.annotation_file,
                f"{over.sum()} of {over.size} events reach beyond the tracked frames, by up to "
                f"{reach} ({reach / case.fps:.1f} s): {_such_as(annotation, over)}",
                "they are clipped; see whether video and annotation belong together, and whether "
                "they were made at one frame rate (data.event_scale)"
                if far
                else "they are clipped; nothing needs to be done",
                int(over.sum()),
            )
        )
    return found


def events_of_mice(case: Case) -> list[CheckFinding]:
    """Events with an empty field, or of mice that are not there."""
    annotation = case.annotation
    if annotation is None:
        return []
    found = []
    if annotation.incomplete:
        found.append(
            case.found(
                "incomplete-events",
                Severity.WARNING,
                case.annotation_file,
                f"{annotation.incomplete} events have an empty field",
                "they are dropped; fill in agent, target, action, start and stop",
                annotation.incomplete,
            )
        )
    if annotation.strangers:
        found.append(
            case.found(
                "events-of-untracked-mice",
                Severity.WARNING,
                case.annotation_file,
                f"{annotation.strangers} events name a mouse id outside 1 to {MOUSE_SLOTS}",
                "they are dropped; number the mice as the tracking does",
                annotation.strangers,
            )
        )
    tracked = set(case.tracking.mice)
    lost = [set(triple.mouse_ids()) - tracked for triple in annotation.triples]
    untracked = sorted(set().union(*lost))
    if untracked:
        count = sum(bool(mice) for mice in lost)
        found.append(
            case.found(
                "events-of-untracked-mice",
                Severity.WARNING,
                case.annotation_file,
                f"{count} of {len(lost)} events name {_mice(untracked)}, and the tracking has "
                f"{_mice(sorted(tracked))}",
                "see whether tracking and annotation number the mice alike",
                count,
            )
        )
    return found


def overlapping_events(case: Case) -> list[CheckFinding]:
    """Events of one agent and target that share frames: of one action, and of different ones."""
    annotation = case.annotation
    if annotation is None:
        return []
    spans: dict[tuple[str, str], dict[str, Spans]] = defaultdict(lambda: defaultdict(list))
    for triple, start, stop in zip(annotation.triples, *_placed(case, annotation), strict=True):
        if start < stop:
            spans[triple.agent, triple.target][triple.action].append((int(start), int(stop)))
    again: list[tuple[int, str]] = []
    conflicts: list[tuple[int, str]] = []
    for (agent, target), actions in spans.items():
        pair = f"{agent} → {target}"
        for action, own in actions.items():
            again += [(at, f"{action} ({pair})") for at in _shared_frames(own)]
        united = [(*span, action) for action, own in actions.items() for span in _united(own)]
        united.sort()
        before: tuple[int, int, str] | None = None
        for span in united:
            if before is not None and span[0] < before[1]:
                conflicts.append((span[0], f"{before[2]} and {span[2]} ({pair})"))
            if before is None or span[1] > before[1]:
                before = span
    found = []
    if again:
        found.append(
            case.found(
                "events-annotated-twice",
                Severity.WARNING,
                case.annotation_file,
                f"{len(again)} events share frames with another of the same action and mice: "
                f"{_first(case, again)}",
                "their frames are counted once; see whether a file was appended to itself, or two "
                "people's annotations were joined",
                len(again),
            )
        )
    if conflicts:
        found.append(
            case.found(
                "overlapping-events",
                Severity.NOTE,
                case.annotation_file,
                f"{len(conflicts)} times two actions of one agent and target share frames: "
                f"{_first(case, conflicts)}",
                "a recipe of classes takes the highest class, and the challenge allows one action "
                "a frame of a pair; shorten one of them if that is not meant",
                len(conflicts),
            )
        )
    return found


def _placed(case: Case, annotation: Annotation) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and stops as frame indices, scaled like the reader scales them, and not clipped."""
    start, stop = annotation.start, annotation.stop
    if case.event_factor != 1:
        start, stop = (np.rint(ends * case.event_factor).astype(np.int64) for ends in (start, stop))
    return start - case.tracking.first_frame, stop - case.tracking.first_frame


def _shared_frames(spans: Spans) -> list[int]:
    """The starts of spans that begin before an earlier one has ended."""
    starts: list[int] = []
    end: int | None = None
    for start, stop in sorted(spans):
        if end is not None and start < end:
            starts.append(start)
        end = stop if end is None else max(end, stop)
    return starts


def _united(spans: Spans) -> Spans:
    united: Spans = []
    for start, stop in sorted(spans):
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], stop))
        else:
            united.append((start, stop))
    return united


def _such_as(annotation: Annotation, which: NDArray[np.bool_]) -> str:
    """The first event concerned, as written."""
    index = int(which.argmax())
    return f"{annotation.triples[index]}, {annotation.start[index]} to {annotation.stop[index]}"


def _first(case: Case, places: list[tuple[int, str]]) -> str:
    index, name = min(places)
    return f"{name} at {case.moment(index)}"


def _mice(numbers: list[int]) -> str:
    return ", ".join(f"mouse{number}" for number in numbers)
