"""One class a frame for the whole scene, and which classes a video can tell apart at all."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.recording import Recording
from jaxbeh.vocabulary import ClassMap

UNKNOWN = -1
"""The label of a frame that nobody labelled for the classes looked for."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Labels:
    """The scene of one video.

    Attributes:
        values: int8 `[t]`, a class index, or `UNKNOWN`.
        looked_for: bool `[c]`, false where none of a class's actions was looked for, so that it
            cannot be told apart from the background; the background's is always true.
    """

    values: NDArray[np.int8]
    looked_for: NDArray[np.bool_]

    @property
    def teaches(self) -> bool:
        """Whether there is more than the background to tell apart."""
        return int(self.looked_for.sum()) >= 2


def scene_labels(recording: Recording, class_map: ClassMap) -> Labels:
    """Label every frame of a recording.

    Where whitelisted events overlap, the highest class holds. A frame of an event that was not
    looked for, but whose action belongs to a class above the background, is unknown: it is no
    background, and other such events went unnoted; a whitelisted event of the same or a higher
    class settles the frame. Without events (a test video) every frame is unknown; without a
    whitelist every class is taken as looked for.
    """
    whitelist, events = recording.whitelist, recording.events
    looked_for = np.full(len(class_map.names), whitelist is None)
    looked_for[0] = True
    for triple in whitelist or ():
        looked_for[class_map.index(triple.action)] = True
    frames = recording.tracking.frames
    if events is None:
        return Labels(values=np.full(frames, UNKNOWN, np.int8), looked_for=looked_for)
    known, unknown = np.zeros(frames, np.int8), np.zeros(frames, np.int8)
    for triple, start, stop in zip(events.triples, events.start, events.stop, strict=True):
        layer = known if whitelist is None or triple in whitelist else unknown
        span = layer[start:stop]
        np.maximum(span, np.int8(class_map.index(triple.action)), out=span)
    known[unknown > known] = UNKNOWN
    return Labels(values=known, looked_for=looked_for)
