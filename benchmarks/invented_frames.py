"""Recordings of two wandering mice, made in memory as fast as they can be: for timing alone."""

from collections.abc import Sequence

import numpy as np

from jaxbeh.data.recording import Recording, Tracking
from jaxbeh.data.scene import Labels
from jaxbeh.data.store import Scene

KEYPOINTS = ("ear_left", "ear_right", "hip_left", "hip_right", "neck", "nose", "tail_base")
CLASSES = 4
MOTIF = 4096  # frames of the walk that every video repeats from another place


def scenes(lengths: Sequence[int], seed: int = 0) -> list[Scene]:
    """One video a length, two mice of seven keypoints, a class a frame in stretches of a second."""
    draw = np.random.default_rng(seed)
    body = np.cumsum(draw.normal(0, 8, (MOTIF, 2, 1, 2)), axis=0)
    walk = body + draw.normal(0, 100, (1, 2, len(KEYPOINTS), 2))
    walk = np.clip(walk + draw.normal(0, 4, (MOTIF, 2, len(KEYPOINTS), 2)), -30_000, 30_000)
    walk = walk.astype(np.int16)
    stretches = draw.integers(0, CLASSES, MOTIF // 32, np.int8).repeat(32)
    made = []
    for number, length in enumerate(lengths):
        place = int(draw.integers(0, MOTIF))
        frames = np.arange(place, place + length) % MOTIF
        tracking = Tracking(
            xy=walk[frames],
            origin=np.zeros(2),
            step=1 / 16,
            first_frame=0,
            mice=(1, 2),
            keypoints=KEYPOINTS,
            content_hash=str(number),
        )
        recording = Recording(
            video_id=str(number),
            lab_id="invented",
            tracking=tracking,
            fps=30.0,
            pixels_per_cm=16.0,
            centre=np.zeros(2),
            whitelist=None,
            events=None,
        )
        labels = Labels(values=stretches[frames], looked_for=np.ones(CLASSES, np.bool_))
        made.append(Scene(recording, labels))
    return made
