"""One synthetic video: a pure function of its lab, its length and its seeds."""

import math
from collections.abc import Sequence

import numpy as np

from jaxbeh.data.synthetic.acts import CLASS_OF
from jaxbeh.data.synthetic.annotator import annotate
from jaxbeh.data.synthetic.body import keypoints
from jaxbeh.data.synthetic.camera import draw_view, film
from jaxbeh.data.synthetic.labs import Lab
from jaxbeh.data.synthetic.scene import run_scene
from jaxbeh.data.writer import Event, MouseDescription, Video
from jaxbeh.errors import DataError

_ATTEMPTS = 200
_LEAST_SHARE = 0.03


def simulate(lab: Lab, frames: int, video_id: int, seed: int, spawn_key: tuple[int, ...]) -> Video:
    """Make one video in which social, mating and aggressive bouts all occur.

    The same arguments give the same video, bit for bit on one machine and numpy; nothing else
    enters. A draw in which a class has less than 3 % of the frames is thrown away for the next.

    Args:
        lab: what is filmed, and how.
        frames: number of frames.
        video_id: for the result.
        seed: of the collection.
        spawn_key: tells the collection's videos apart, as numpy's `SeedSequence` takes it.

    Raises:
        DataError: the classes never come together in so few frames.
    """
    for attempt in range(_ATTEMPTS):
        entropy = np.random.SeedSequence(seed, spawn_key=(*spawn_key, attempt))
        streams = [np.random.Generator(np.random.PCG64(child)) for child in entropy.spawn(5)]
        view = draw_view(lab, streams[0])
        course = run_scene(lab, frames / view.fps, streams[1])
        events = annotate(course.deeds, lab, view.fps, frames, streams[2])
        if _has_every_class(events, frames):
            break
    else:
        raise DataError(
            f"{frames} frames are too few for lab {lab.name} to show a social, a mating and an "
            f"aggressive bout; at {view.fps:g} frames a second ask for {math.ceil(4 * view.fps)}"
        )
    times = np.arange(frames) / view.fps
    points = keypoints(course.states, course.lengths, lab.keypoints, times, streams[3])
    return Video(
        video_id=video_id,
        lab_id=lab.name,
        xy=film(points, lab, view, streams[4]),
        keypoints=lab.keypoints,
        mouse_ids=tuple(range(1, lab.mice + 1)),
        fps=view.fps,
        pixels_per_cm=view.pixels_per_cm,
        size_px=lab.size_px,
        arena_cm=lab.arena_cm,
        arena_shape="square" if lab.arena_cm[0] == lab.arena_cm[1] else "rectangular",
        arena_type="synthetic",
        tracking_method=lab.tracking_method,
        mice=_describe(lab, video_id),
        whitelist=lab.whitelist,
        events=events,
        nan_rows=bool(streams[4].random() < lab.nan_files),
    )


def _has_every_class(events: Sequence[Event], frames: int) -> bool:
    scene = np.zeros(frames, np.int8)
    for event in events:
        part = scene[event.start : event.stop]
        np.maximum(part, CLASS_OF.get(event.triple.action, 0), out=part)
    return bool((np.bincount(scene, minlength=4) >= _LEAST_SHARE * frames).all())


def _describe(lab: Lab, video_id: int) -> tuple[MouseDescription, ...]:
    return tuple(
        MouseDescription(
            strain="synthetic",
            color="black" if mouse == 0 else "white",
            sex="male" if mouse == 0 else "female",
            id=str(lab.mice * (video_id % 1_000_000) + mouse + 1),
            age="8-12 weeks",
        )
        for mouse in range(lab.mice)
    )
