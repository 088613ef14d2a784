"""What a person writes down of what was done: the lab's own actions, with a person's mistakes."""

from collections.abc import Iterable

import numpy as np

from jaxbeh.data.synthetic.labs import Lab
from jaxbeh.data.synthetic.scene import Deed
from jaxbeh.data.writer import Event
from jaxbeh.vocabulary import Triple

_EDGE_ERROR = 0.06
_MISSED = 0.02
_SHORTEST_FRAMES = 2


def annotate(
    deeds: Iterable[Deed], lab: Lab, fps: float, frames: int, generator: np.random.Generator
) -> tuple[Event, ...]:
    """The events of one video, sorted by start.

    Edges are off by some hundredths of a second, a few bouts are missed, and no two events of one
    agent and target share a frame.

    Args:
        deeds: what was done.
        lab: whose whitelist decides what is written down.
        fps: frames a second.
        frames: of the video; events end within it.
        generator: of the mistakes.
    """
    whitelist = set(lab.whitelist)
    found = []
    for deed in deeds:
        triple = Triple.of_ids(deed.agent + 1, deed.target + 1, deed.action)
        error = _EDGE_ERROR * generator.standard_normal(2)
        missed = generator.random() < _MISSED
        if missed or triple not in whitelist:
            continue
        start = max(round((deed.start + error[0]) * fps), 0)
        stop = min(round((deed.stop + error[1]) * fps), frames)
        found.append((start, stop, triple))
    free: dict[tuple[str, str], int] = {}
    events = []
    for start, stop, triple in sorted(found):
        start = max(start, free.get(triple[:2], 0))
        if stop - start < _SHORTEST_FRAMES:
            continue
        free[triple[:2]] = stop
        events.append(Event(triple, start, stop))
    return tuple(events)
