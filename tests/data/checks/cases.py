"""Cases made in memory: walking mice, with whatever a test does to them."""

from pathlib import Path

import numpy as np
from recordings import tracking

from jaxbeh.data.checks.case import Case
from jaxbeh.data.mabe.annotation import Annotation
from jaxbeh.data.mabe.scale import body_length
from jaxbeh.data.mabe.videos import VideoRow
from jaxbeh.settings.run import DataSettings
from jaxbeh.vocabulary import Triple

KEYPOINTS = ("ear_left", "ear_right", "nose", "tail_base")
SHAPE_CM = np.array([[1.5, -1.0], [1.5, 1.0], [4.5, 0.0], [-4.5, 0.0]])
SCALE = 10.0


def mice(frames=600, count=2):
    """Centimetres `[t, m, k, 2]` of mice 9 cm long on paths of their own, 20 cm apart, turning."""
    time = np.arange(frames)[:, None] / 30 + np.arange(count) * 1.7  # [t, m]
    place = np.stack([5 * np.sin(time) + 20 * np.arange(count), 5 * np.cos(1.3 * time)], axis=-1)
    along = np.stack([np.cos(0.8 * time), np.sin(0.8 * time)], axis=-1)
    across = np.stack([-along[..., 1], along[..., 0]], axis=-1)
    return place[:, :, None] + (
        SHAPE_CM[:, :1] * along[:, :, None] + SHAPE_CM[:, 1:] * across[:, :, None]
    )


def case(centimetres=None, events=None, behaviors=None, fps=30.0, scale=SCALE, **more):
    """A case of these positions; `events` are (triple, start, stop)."""
    pixels = (mice() if centimetres is None else centimetres) * SCALE
    made = tracking(
        pixels,
        mice=more.pop("ids", range(1, pixels.shape[1] + 1)),
        keypoints=more.pop("keypoints", KEYPOINTS),
        step=0.05,
    )
    length, nose_to_tail = body_length(made, DataSettings())
    cells = more.pop("cells", {})
    annotation = None
    if events is not None:
        ends = np.array([event[1:] for event in events], np.int64).reshape(-1, 2)
        annotation = Annotation(
            tuple(Triple.parse(event[0]) for event in events),
            ends[:, 0],
            ends[:, 1],
            more.pop("incomplete", 0),
            more.pop("strangers", 0),
        )
    return Case(
        row=VideoRow("7", "Lab", fps, scale, None, behaviors, cells),
        table=Path("train.csv"),
        tracking=made,
        tracking_file=Path("7.parquet"),
        met=more.pop("met", {}),
        annotation=annotation,
        annotation_file=Path("events.parquet"),
        event_factor=more.pop("event_factor", 1.0),
        fps=fps or 30.0,
        body_length=length,
        nose_to_tail=nose_to_tail,
        pixels_per_cm=scale or (None if length is None else length / 9),
        **more,
    )
