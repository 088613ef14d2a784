"""Of one agent and target in one video: what was annotated and what was said, frame by frame."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.recording import Recording
from jaxbeh.errors import DataError
from jaxbeh.inference.bouts import Bouts

Spans = Mapping[tuple[str, str, str], Sequence[tuple[str, int, int]]]
"""Action, start and stop (exclusive), in file numbering, by video, agent and target."""


def spans_of(bouts: Bouts) -> Spans:
    """The bouts of each video, agent and target, in their order."""
    spans: dict[tuple[str, str, str], list[tuple[str, int, int]]] = {}
    columns = ["video_id", "agent_id", "target_id", "action", "start_frame", "stop_frame"]
    for video, agent, target, *span in bouts.table[columns].itertuples(index=False):
        spans.setdefault((video, agent, target), []).append((span[0], span[1], span[2]))
    return spans


def annotated(
    recording: Recording, agent: str, target: str, actions: Sequence[str]
) -> NDArray[np.bool_]:
    """Bool `[t, a]`: which of the actions are annotated at the video's own frames.

    Args:
        recording: a labelled video.
        agent: as `Triple` spells it.
        target: likewise.
        actions: a of them, all looked for.

    Raises:
        DataError: the video has no labels.
    """
    events = recording.events
    if events is None:
        raise DataError(f"video {recording.video_id} has no labels to compare with")
    frames = np.zeros((recording.tracking.frames, len(actions)), np.bool_)
    for triple, start, stop in zip(events.triples, events.start, events.stop, strict=True):
        if (triple.agent, triple.target) == (agent, target) and triple.action in actions:
            frames[start:stop, actions.index(triple.action)] = True
    return frames


def said(
    recording: Recording, agent: str, target: str, actions: Sequence[str], spans: Spans
) -> NDArray[np.bool_]:
    """Bool `[t, a]`: which of the actions the bouts name; for the rest as `annotated`."""
    frames = np.zeros((recording.tracking.frames, len(actions)), np.bool_)
    first = recording.tracking.first_frame
    for action, start, stop in spans.get((recording.video_id, agent, target), ()):
        if action in actions:
            frames[start - first : stop - first, actions.index(action)] = True
    return frames
