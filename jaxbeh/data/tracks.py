"""Who may do what to whom: the tracks of a collection, and its vocabulary of actions."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.recording import Recording
from jaxbeh.errors import DataError
from jaxbeh.vocabulary import Triple


@dataclass(frozen=True)
class ActionVocabulary:
    """All actions that a model tells apart, of one mouse alone and of one mouse to another.

    An action of both kinds has an entry in each. Entries are numbered through, `alone` first.

    Attributes:
        alone: in sorted order.
        pair: in sorted order.
    """

    alone: tuple[str, ...]
    pair: tuple[str, ...]

    @classmethod
    def build(cls, triples: Iterable[Triple]) -> Self:
        """The actions of triples, as the data names them."""
        kinds: tuple[set[str], set[str]] = (set(), set())
        for triple in triples:
            kinds[triple.target != "self"].add(triple.action)
        return cls(tuple(sorted(kinds[0])), tuple(sorted(kinds[1])))

    def __len__(self) -> int:
        """c, the number of entries."""
        return len(self.alone) + len(self.pair)

    def index(self, triple: Triple) -> int | None:
        """The entry of a triple's action, `None` if there is none."""
        names, offset = (self.alone, 0) if triple.target == "self" else (self.pair, len(self.alone))
        return offset + names.index(triple.action) if triple.action in names else None

    def name(self, entry: int) -> str:
        """The action of an entry."""
        return (*self.alone, *self.pair)[entry]

    def to_json(self) -> dict[str, list[str]]:
        """As `from_json` reads it."""
        return {"alone": list(self.alone), "pair": list(self.pair)}

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            DataError: it is something else.
        """
        sides = []
        for side in ("alone", "pair"):
            names = value.get(side)
            if (
                not isinstance(names, list)
                or not all(isinstance(name, str) for name in names)
                or names != sorted(set(names))
            ):
                raise DataError(f"not a vocabulary: its actions {side!r} are {str(names)[:80]}")
            sides.append(tuple(names))
        return cls(*sides)


class Track(NamedTuple):
    """One mouse, alone or towards another, in one video.

    Attributes:
        video: index of the recording.
        agent: mouse id.
        other: mouse id of the second body: the target, or for actions of the agent alone the first
            other mouse of the video; 0 where there is none.
        target: as a triple spells it, `mouse2` or `self`.
        actions: entries of the vocabulary that were looked for, ascending.
    """

    video: int
    agent: int
    other: int
    target: str
    actions: tuple[int, ...]


def tracks_of(
    video: int, recording: Recording, looked_for: Iterable[Triple], vocabulary: ActionVocabulary
) -> list[Track]:
    """The tracks of one video, by agent, actions alone before those to other mice.

    Triples of untracked mice or of actions that the vocabulary lacks make none.
    """
    mice = recording.tracking.mice
    entries: dict[tuple[int, int], set[int]] = defaultdict(set)
    for triple in looked_for:
        agent, target = triple.mouse_ids()
        entry = vocabulary.index(triple)
        if entry is not None and agent in mice and target in mice:
            entries[agent, 0 if agent == target else target].add(entry)
    found = []
    for (agent, target), actions in sorted(entries.items()):
        other = target or next((mouse for mouse in mice if mouse != agent), 0)
        spelled = f"mouse{target}" if target else "self"
        found.append(Track(video, agent, other, spelled, tuple(sorted(actions))))
    return found


def all_tracks(video: int, recording: Recording) -> list[Track]:
    """Each mouse towards each other one, or alone if there is no other; no action is looked for."""
    mice = recording.tracking.mice
    pairs = [(agent, other) for agent in mice for other in mice if other != agent]
    met = [Track(video, agent, other, f"mouse{other}", ()) for agent, other in pairs]
    return met or [Track(video, mouse, 0, "self", ()) for mouse in mice]


def action_bits(
    recording: Recording, track: Track, vocabulary: ActionVocabulary
) -> NDArray[np.uint32]:
    """Uint32 `[t, w]`: bit e % 32 of word e // 32 is set in the frames of entry e.

    Only what was looked for is set; events of other actions stay out, as they are masked anyway.
    """
    words = -(-len(vocabulary) // 32)
    bits = np.zeros((recording.tracking.frames, words), np.uint32)
    events = recording.events
    if events is None:
        return bits
    agent = f"mouse{track.agent}"
    for triple, start, stop in zip(events.triples, events.start, events.stop, strict=True):
        if triple.agent == agent and triple.target == track.target:
            entry = vocabulary.index(triple)
            if entry in track.actions:
                bits[start:stop, entry // 32] |= np.uint32(1 << entry % 32)
    return bits


def seen_frames(bits: NDArray[np.uint32], entry: int) -> NDArray[np.bool_]:
    """Bool `[t]`, the frames of one entry, from the `[t, w]` of `action_bits`."""
    return (bits[:, entry // 32] >> np.uint32(entry % 32) & np.uint32(1)).astype(np.bool_)


def entry_frames(
    tracks: Sequence[Track], bits: Sequence[NDArray[np.uint32]], entries: int
) -> NDArray[np.int64]:
    """Int64 `[c, 2]`: frames in which each entry was seen, and in which it was looked for."""
    counts = np.zeros((entries, 2), np.int64)
    for track, words in zip(tracks, bits, strict=True):
        for entry in track.actions:
            counts[entry] += (int(seen_frames(words, entry).sum()), len(words))
    return counts
