"""The engineered features of whole random videos against a frame-by-frame reference."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st
from poses import SLOTS, columns, scene, turned, window

from jaxbeh.features.engineered import LEAST_SPREAD, QUANTITIES, engineered_set

SET = engineered_set(16)
FRAMES, LENGTH = 40, 12


def reference(xy, valid, fps):
    """Values `[t, 115]` in float64, NaN where missing, one frame after another."""
    points = np.where(valid[..., None], xy, np.nan)[:, :2, SLOTS].astype(np.float64)
    single = np.array([_frame(points, t, fps) for t in range(len(points))])
    rows = []
    for t in range(len(points)):
        row = list(single[t])
        kept = [
            [number for number in column if not np.isnan(number)]
            for column in single[max(0, t - 9) : t + 1].T
        ]
        for statistic in (np.mean, np.std, np.min, np.max):
            row += [statistic(column) if column else np.nan for column in kept]
        rows.append(row)
    return np.array(rows)


def _frame(points, t, fps):
    here = points[t]
    centre = [_mean(mouse) for mouse in here]
    head = [_mean(mouse[:3]) for mouse in here]
    nose, tail = here[:, 0], here[:, 6]
    angles = [_heading(points, t, mouse) for mouse in (0, 1)]
    row = [
        np.hypot(*(a - b))
        for a, b in (
            (centre[0], centre[1]),
            (head[0], head[1]),
            (head[0], tail[1]),
            (head[1], tail[0]),
            (nose[0], tail[0]),
            (nose[1], tail[1]),
        )
    ]
    for mouse in (0, 1):
        velocity = _velocity(points, t, mouse, fps)
        row += [np.hypot(*velocity), *velocity, _change(points, t, mouse, fps)]
    for mouse in (0, 1):
        row += [angles[mouse], _turning(points, t, mouse, fps)]
    row.append(_around(angles[1] - angles[0]))
    for mouse in here:
        seen = mouse[~np.isnan(mouse[:, 0])]
        wide, high = seen.std(axis=0) if len(seen) > 1 else (np.nan, np.nan)
        row += [wide * high, wide / max(high, LEAST_SPREAD) if len(seen) > 1 else np.nan]
    return row


def _mean(points):
    seen = points[~np.isnan(points[:, 0])]
    return seen.mean(axis=0) if len(seen) else np.full(2, np.nan)


def _velocity(points, t, mouse, fps):
    t = max(t, 1)
    return _mean(points[t, mouse] - points[t - 1, mouse]) * fps if t < len(points) else [np.nan] * 2


def _change(points, t, mouse, fps):
    t = max(t, 1)
    now, before = (np.hypot(*_velocity(points, at, mouse, fps)) for at in (t, t - 1))
    return (now - before) * fps


def _heading(points, t, mouse):
    x, y = points[t, mouse, 0] - points[t, mouse, 6]
    return np.nan if x == y == 0 else np.arctan2(y, x)


def _turning(points, t, mouse, fps):
    t = max(t, 1)
    if t >= len(points):
        return np.nan
    return _around(_heading(points, t, mouse) - _heading(points, t - 1, mouse)) * fps


def _around(angle):
    return angle - 2 * np.pi * np.round(angle / (2 * np.pi)) if np.isfinite(angle) else np.nan


def recorded(seed, frames, lost):
    """A video of two mice on a grid of 1/64 cm, with lost points and gaps of lost mice."""
    draw = np.random.default_rng(seed)
    mice = []
    for _ in range(2):
        place = draw.normal(0, 10, 2) + draw.normal(0, 0.5, (frames, 1, 2)).cumsum(axis=0)
        mouse = place + turned(draw.normal(0, 0.4, frames).cumsum()) + draw.normal(
            0, 0.1, (frames, 7, 2)
        )  # fmt: skip
        mouse = np.round(mouse * 64) / 64
        mouse[draw.random((frames, 7)) < lost] = np.nan
        start = draw.integers(0, frames)
        mouse[start : start + int(draw.integers(0, 15) * (lost > 0))] = np.nan
        mice.append(mouse)
    return scene(*mice)


@given(
    st.integers(0, 2**32 - 1),
    st.one_of(st.integers(1, 15), st.just(FRAMES)),
    st.sampled_from([0.0, 0.2, 0.7, 1.0]),
    st.sampled_from([25.0, 33.3]),
)
@example(seed=0, frames=FRAMES, lost=0.0, fps=30.0)
@example(seed=1, frames=FRAMES, lost=0.3, fps=30.0)
@example(seed=2, frames=1, lost=0.0, fps=30.0)
@settings(max_examples=15)
def test_every_window_of_every_video_equals_the_reference(seed, frames, lost, fps):
    xy, valid = recorded(seed, frames, lost)
    fps = float(np.float32(fps))
    expected = reference(xy, valid, fps)
    for start in range(0, frames, 5):
        found = window(SET, xy, valid, start, LENGTH, fps)
        assert found.flat.dtype == np.float32
        assert found.flat.shape == found.flat_valid.shape == (1, LENGTH, 143)
        flat, known = np.asarray(found.flat[0]), np.asarray(found.flat_valid[0])
        assert np.isfinite(flat).all()
        assert not flat[~known].any()
        inside = min(LENGTH, frames - start)
        assert not known[inside:, :23].any()  # behind the video's end
        wanted = expected[start : start + inside]
        np.testing.assert_array_equal(known[:inside, :115], ~np.isnan(wanted))
        scale = np.maximum(np.abs(np.nan_to_num(expected)).max(axis=0), 1.0)
        np.testing.assert_allclose(
            flat[:inside, :115] / scale, np.nan_to_num(wanted) / scale, atol=1e-5
        )


def test_a_frame_has_the_same_features_in_every_window():
    xy, valid = recorded(5, FRAMES, 0.3)
    whole = window(SET, xy, valid, 0, FRAMES, 30.0)
    for start in range(FRAMES - LENGTH):
        part = window(SET, xy, valid, start, LENGTH, 30.0)
        same = slice(start, start + LENGTH)
        np.testing.assert_array_equal(part.flat_valid[0], whole.flat_valid[0, same])
        np.testing.assert_allclose(part.flat[0], whole.flat[0, same], rtol=1e-5, atol=2e-3)


def test_the_oldest_of_the_eleven_frames_before_counts_for_the_first_frame_alone():
    # The second mouse's only jump lies between the frames eleven and ten before the window.
    mouse = np.stack([turned(np.float64(0.0))] * (SET.history + LENGTH))
    other = np.add(mouse, (0.0, 20.0))
    other[0] += [5.0, 0.0]
    xy, valid = scene(mouse, other)
    complete = columns(SET, window(SET, xy, valid, SET.history, LENGTH, 30.0))
    valid[0] = False
    shorter = columns(SET, window(SET, xy, valid, SET.history, LENGTH, 30.0))
    name = "rolling_minimum.mouse2.centroid_speed_change"
    np.testing.assert_allclose(complete[name][0][0], -5.0 * 30 * 30, rtol=1e-4)
    assert shorter[name][0][0] == 0
    for quantity in (*QUANTITIES, *complete):
        np.testing.assert_array_equal(complete[quantity][0][1:], shorter[quantity][0][1:])
