"""Tracks made in memory: recordings without points, probabilities drawn or given."""

from functools import partial

import numpy as np
from hypothesis import strategies as st

from jaxbeh.inference.pairs.decoding import Decoding, Thresholds
from jaxbeh.inference.pairs.probabilities import TrackProbabilities
from jaxbeh.vocabulary import Triple
from tests.recordings import motionless

PAIR = ("attack", "mount", "sniff")
ALONE = ("groom", "rear", "sniff")  # sniff is both


def triples(*texts):
    return frozenset(Triple.parse(text) for text in texts)


ALL = frozenset(
    Triple(agent, target, action)
    for agent, other in (("mouse1", "mouse2"), ("mouse2", "mouse1"))
    for target, actions in ((other, PAIR), ("self", ALONE))
    for action in actions
)


recording = partial(motionless, fps=10.0, whitelist=ALL, events=())
"""A recording whose events are (text, start, stop), or nobody's if `None`."""


def track(of=None, agent="mouse1", target="mouse2", **rows):
    """A track from one row of probabilities an action, `sniff=[0.1, 0.9]`."""
    values = np.array(list(rows.values()), np.float32).T
    return TrackProbabilities(of or recording(len(values)), agent, target, tuple(rows), values)


def decoding(lab="lab", alone=(), pair=(), **times):
    """Thresholds of one lab, pooled ones the same."""
    thresholds = Thresholds(alone=dict(alone), pair=dict(pair))
    return Decoding(labs={lab: thresholds}, pooled=thresholds, **times)


def made(bouts):
    columns = ["agent_id", "target_id", "action", "start_frame", "stop_frame"]
    return [tuple(row) for row in bouts.table[columns].itertuples(index=False)]


def true_frames(track_of):
    """`[t, a]`: which of a track's actions were annotated on which frames."""
    truth = np.zeros(track_of.values.shape, bool)
    events = track_of.recording.events
    for triple, start, stop in zip(events.triples, events.start, events.stop, strict=True):
        if triple[:2] == (track_of.agent, track_of.target) and triple.action in track_of.actions:
            truth[start:stop, track_of.actions.index(triple.action)] = True
    return truth


def noisy(of, draw, strength=3.0):
    """All whitelisted tracks of a recording: log-odds −2, higher on annotated frames, and noise."""
    actions = {}
    for triple in sorted(of.whitelist):
        actions.setdefault((triple.agent, triple.target), []).append(triple.action)
    tracks = []
    for (agent, target), names in actions.items():
        blank = np.zeros((of.tracking.frames, len(names)), np.float32)
        empty = TrackProbabilities(of, agent, target, tuple(names), blank)
        odds = strength * true_frames(empty) - 2 + draw.normal(size=blank.shape)
        values = (1 / (1 + np.exp(-odds))).astype(np.float32)
        tracks.append(TrackProbabilities(of, agent, target, tuple(names), values))
    return tracks


@st.composite
def recordings(draw, labs=("lab", "other"), most=4, frames=40):
    """Some labelled recordings of different labs, lengths, frame rates and whitelists."""
    found = []
    for number in range(draw(st.integers(1, most))):
        length = draw(st.integers(1, frames))
        whitelist = draw(st.frozensets(st.sampled_from(sorted(ALL)), min_size=1))
        events = draw(
            st.lists(
                st.tuples(
                    st.sampled_from(sorted(ALL)).map(str),  # some were not looked for
                    st.integers(0, length - 1),
                    st.integers(1, length),
                ).filter(lambda event: event[1] < event[2]),
                max_size=8,
            )
        )
        found.append(
            recording(
                length,
                video=f"{number}",
                lab=draw(st.sampled_from(labs)),
                fps=draw(st.sampled_from([5.0, 10.0, 29.97])),
                whitelist=whitelist,
                events=events,
                first_frame=draw(st.integers(0, 3)),
            )
        )
    return found


@st.composite
def track_lists(draw, strength=3.0, **kinds):
    """All tracks of some recordings, in any order."""
    found = draw(recordings(**kinds))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    tracks = [track for item in found for track in noisy(item, generator, strength)]
    return draw(st.permutations(tracks))


THRESHOLD = st.floats(1e-6, 1)


@st.composite
def thresholds(draw):
    return Thresholds(
        alone=draw(st.dictionaries(st.sampled_from(ALONE), THRESHOLD)),
        pair=draw(st.dictionaries(st.sampled_from(PAIR), THRESHOLD)),
    )


def decodings():
    seconds = st.sampled_from([0.0, 0.1, 0.2, 0.5, 1.0])
    return st.builds(
        Decoding,
        smoothing=seconds,
        gap=seconds,
        shortest=seconds,
        labs=st.dictionaries(st.just("lab"), thresholds()),
        pooled=thresholds(),
    )
