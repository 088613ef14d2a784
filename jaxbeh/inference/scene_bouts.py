"""From one class a frame for the whole scene to bouts of single (agent, target, action) triples.

Models with a few scene classes (recipes v1 to v6) say that something social happens, but not who
does what. The rule that turns this into a table which can be scored:

1. A frame's class is the most probable one among those that can be told apart in the video: the
   background and every class of which some action was looked for (the whitelist).
2. Every maximal run of frames of one class other than the background is a bout.
3. It is written for one triple. Its action is, of the class's actions looked for in this video, the
   one with the most annotated frames in the lab's training videos; its agent and target are, of the
   pairs for which that action was looked for in this video, the pair with the most of its frames
   there. Ties go to the first in sorted order.
4. A lab without training videos takes the frames of all labs together.
5. An action without a training frame (of the lab, or of all labs under 4) is never written: it
   would add a 0 to the lab's mean if the lab never shows it. A class that is left with no action
   gives no bouts.
6. Where nobody says what was looked for, the triples with training frames under 3 and 4 stand for
   it, as far as their mice are tracked in the video.
7. An empty table is an error under the metric. If no video has any bout, the most probable stretch
   is written instead (`most_likely_bout`), and the caller is told.

A bout's score is the mean probability of its class over its frames.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.recording import Recording
from jaxbeh.errors import DataError
from jaxbeh.inference.bouts import Bouts, runs
from jaxbeh.vocabulary import ClassMap, Triple


@dataclass(frozen=True)
class ActionFrequencies:
    """How many frames of which triple the training videos show; kept in the run folder.

    Attributes:
        labs: lab → triple → frames annotated (more than 0). A lab that was trained on has an entry,
            if an empty one.
    """

    labs: Mapping[str, Mapping[Triple, int]]

    @classmethod
    def build(cls, recordings: Iterable[Recording]) -> Self:
        """Count the frames of the events that were looked for; overlapping events count once."""
        labs: dict[str, dict[Triple, int]] = {}
        for recording in recordings:
            if recording.events is None:
                continue
            frames = labs.setdefault(recording.lab_id, {})
            spans: dict[Triple, list[tuple[int, int]]] = defaultdict(list)
            events = recording.events
            for triple, start, stop in zip(events.triples, events.start, events.stop, strict=True):
                if recording.whitelist is None or triple in recording.whitelist:
                    spans[triple].append((int(start), int(stop)))
            for triple, pieces in spans.items():
                frames[triple] = frames.get(triple, 0) + _covered_frames(pieces)
        return cls(labs)

    def of_lab(self, lab_id: str) -> Mapping[Triple, int]:
        """The lab's own frames, or those of all labs together for a lab never trained on."""
        if lab_id in self.labs:
            return self.labs[lab_id]
        pooled: dict[Triple, int] = defaultdict(int)
        for frames in self.labs.values():
            for triple, count in frames.items():
                pooled[triple] += count
        return pooled

    def to_json(self) -> str:
        """Text in sorted order: lab → list of [agent, target, action, frames]."""
        value = {
            lab: [[*triple, count] for triple, count in sorted(frames.items())]
            for lab, frames in sorted(self.labs.items())
        }
        return json.dumps(value, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            DataError: the text is something else; the message shows what.
        """
        try:
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise DataError(f"action frequencies are not JSON: {error}; restore the file") from None
        if not isinstance(value, dict):
            raise DataError(
                f"action frequencies are lab → list; this is {str(value)[:80]}; restore the file"
            )
        labs: dict[str, dict[Triple, int]] = {}
        for lab, entries in value.items():
            frames = labs.setdefault(lab, {})
            for entry in entries if isinstance(entries, list) else [entries]:
                if not _is_count(entry) or Triple(*entry[:3]) in frames:
                    raise DataError(
                        f"action frequencies of lab {lab}: {str(entry)[:80]} is not one of "
                        f"distinct [agent, target, action, frames > 0]; restore the file"
                    )
                frames[Triple(*entry[:3])] = entry[3]
        return cls(labs)


@dataclass(frozen=True, eq=False)
class ScenePrediction:
    """The bouts of all videos given.

    Attributes:
        bouts: in the order of the videos, by time within each.
        fallback: true where no video had a bout and `bouts` holds the most likely one instead; a
            command says so. Empty bouts without it: no video had a triple that may be written.
    """

    bouts: Bouts
    fallback: bool


def predict_scenes(
    videos: Iterable[tuple[Recording, NDArray[np.float32]]],
    class_map: ClassMap,
    frequencies: ActionFrequencies,
) -> ScenePrediction:
    """Bouts of all videos, and never an empty table where any bout can be written.

    The videos are gone through once, and none is kept.

    Args:
        videos: pairs of a recording and its probabilities `[t, c]`.
        class_map: c classes and their actions.
        frequencies: of the training videos.

    Raises:
        DataError: as `scene_bouts`.
    """
    parts: list[Bouts] = []
    found = False
    likely, highest = Bouts.empty(), 0.0
    for recording, probabilities in videos:
        bouts = scene_bouts(recording, probabilities, class_map, frequencies)
        found = found or len(bouts) > 0
        parts.append(bouts)
        if not found:
            other, peak = _most_likely(recording, probabilities, class_map, frequencies)
            if peak > highest:
                likely, highest = other, peak
    if found:
        return ScenePrediction(Bouts.concatenate(parts), fallback=False)
    return ScenePrediction(likely, fallback=len(likely) > 0)


def scene_bouts(
    recording: Recording,
    probabilities: NDArray[np.float32],
    class_map: ClassMap,
    frequencies: ActionFrequencies,
) -> Bouts:
    """The bouts of one video, by time (rules 1 to 6 of the module).

    Args:
        recording: the video; its events are not looked at.
        probabilities: `[t, c]`, every frame's probability of every class.
        class_map: c classes and their actions.
        frequencies: of the training videos.

    Raises:
        DataError: the probabilities are of another shape, or not all numbers.
    """
    _check(recording, probabilities, class_map)
    looked_for = _looked_for(recording, frequencies)
    written = _written(recording, class_map, frequencies)
    allowed = np.array(sorted({0} | {class_map.index(triple.action) for triple in looked_for}))
    classes = allowed[probabilities[:, allowed].argmax(axis=1)]
    start, stop, run_class = runs(classes)
    chosen = np.take_along_axis(probabilities, classes[:, None], axis=1)[:, 0].astype(np.float64)
    kept = np.isin(run_class, list(written))
    if not kept.any():
        return Bouts.empty()
    score = np.add.reduceat(chosen, start) / (stop - start)
    return Bouts.of_recording(
        recording,
        [written[int(index)] for index in run_class[kept]],
        start[kept],
        stop[kept],
        score[kept],
    )


def most_likely_bout(
    recording: Recording,
    probabilities: NDArray[np.float32],
    class_map: ClassMap,
    frequencies: ActionFrequencies,
) -> Bouts:
    """The one stretch of a video that is most probably something other than background.

    It holds the frame where a class that may be written (rules 3 to 6) is most probable, and the
    frames around it, without a break, where that class is at least half as probable. The first such
    frame and class where several are.

    Returns:
        One bout, or none where no class may be written or none is ever more probable than 0.

    Raises:
        DataError: as `scene_bouts`.
    """
    return _most_likely(recording, probabilities, class_map, frequencies)[0]


def _most_likely(
    recording: Recording,
    probabilities: NDArray[np.float32],
    class_map: ClassMap,
    frequencies: ActionFrequencies,
) -> tuple[Bouts, float]:
    _check(recording, probabilities, class_map)
    written = _written(recording, class_map, frequencies)
    classes = sorted(written)
    if not classes or not len(probabilities):
        return Bouts.empty(), 0.0
    frame, column = divmod(int(probabilities[:, classes].argmax()), len(classes))
    likely = probabilities[:, classes[column]].astype(np.float64)
    peak = float(likely[frame])
    if peak <= 0:
        return Bouts.empty(), 0.0
    start, stop, _ = runs((likely >= peak / 2).astype(np.int8))
    here = int(np.searchsorted(start, frame, side="right")) - 1
    bout = Bouts.of_recording(
        recording,
        [written[classes[column]]],
        start[here : here + 1],
        stop[here : here + 1],
        likely[start[here] : stop[here]].mean(keepdims=True),
    )
    return bout, peak


def _check(recording: Recording, probabilities: NDArray[np.float32], class_map: ClassMap) -> None:
    expected = (recording.tracking.frames, len(class_map.names))
    if probabilities.shape != expected:
        raise DataError(
            f"video {recording.video_id}: probabilities are {list(probabilities.shape)} for "
            f"{expected[0]} frames of {expected[1]} classes"
        )
    if not np.isfinite(probabilities).all():
        frame = int((~np.isfinite(probabilities)).any(axis=1).argmax())
        raise DataError(
            f"video {recording.video_id}: the probabilities of frame index {frame} are "
            f"{probabilities[frame].tolist()}; the model's weights are unusable, train again"
        )


def _looked_for(recording: Recording, frequencies: ActionFrequencies) -> frozenset[Triple]:
    """The whitelist, or what stands for it (rule 6)."""
    if recording.whitelist is not None:
        return recording.whitelist
    mice = set(recording.tracking.mice)
    return frozenset(
        triple
        for triple in frequencies.of_lab(recording.lab_id)
        if mice.issuperset(triple.mouse_ids())
    )


def _written(
    recording: Recording, class_map: ClassMap, frequencies: ActionFrequencies
) -> dict[int, Triple]:
    """Class → the triple that its bouts are written for (rules 3 to 5)."""
    seen = frequencies.of_lab(recording.lab_id)
    frames_of_action: dict[str, int] = defaultdict(int)
    for triple, count in seen.items():
        frames_of_action[triple.action] += count
    candidates: dict[int, list[Triple]] = defaultdict(list)
    for triple in _looked_for(recording, frequencies):
        index = class_map.index(triple.action)
        if index > 0 and frames_of_action.get(triple.action, 0) > 0:
            candidates[index].append(triple)
    return {
        index: min(
            triples,
            key=lambda triple: (
                -frames_of_action[triple.action],
                triple.action,
                -seen.get(triple, 0),
                triple,
            ),
        )
        for index, triples in candidates.items()
    }


def _is_count(entry: object) -> bool:
    """Whether a value of the file is [agent, target, action, frames]."""
    if not isinstance(entry, list) or [type(item) for item in entry] != [str, str, str, int]:
        return False
    agent, target, action, frames = entry
    mice = [agent] if target == "self" else [agent, target]
    spelled = all(re.fullmatch("mouse[1-9][0-9]*", mouse) for mouse in mice)
    return spelled and agent != target and action != "" and frames > 0


def _covered_frames(spans: list[tuple[int, int]]) -> int:
    """How many frames lie in at least one of the half-open spans."""
    frames, reached = 0, 0
    for start, stop in sorted(spans):
        frames += max(0, stop - max(start, reached))
        reached = max(reached, stop)
    return frames
