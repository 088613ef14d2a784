"""The synthetic collections: what holds for every video, and that the same seed gives the same."""

import dataclasses
import hashlib
import itertools
import threading
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner

from jaxbeh.config import load_config
from jaxbeh.data.synthetic import (
    DEFAULT_LABS,
    DEFAULT_SEED,
    FRAMES,
    LABS,
    Plan,
    ensure_default,
    synthesize,
)
from jaxbeh.data.synthetic.acts import ACTS, CLASS_OF, REACTIONS, SELF_ACTS
from jaxbeh.data.synthetic.collection import content_version
from jaxbeh.data.synthetic.labs import SEVEN_KEYPOINTS
from jaxbeh.data.synthetic.video import simulate
from jaxbeh.data.writer import Video
from jaxbeh.errors import DataError, SettingsError
from jaxbeh.synthesize import synthesize as command
from jaxbeh.vocabulary import DROPPED_KEYPOINTS, KEYPOINT_SLOTS, ClassMap

ALL_LABS = tuple(LABS)


def class_map() -> ClassMap:
    return ClassMap.build((item.name, item.actions) for item in load_config("v6").classes)


def scene_classes(video: Video) -> NDArray[np.int64]:
    """The v6 class of every frame."""
    scene = np.zeros(len(video.xy), np.int64)
    classes = class_map()
    for event in video.events or ():
        part = scene[event.start : event.stop]
        np.maximum(part, classes.index(event.triple.action), out=part)
    return scene


@pytest.fixture(scope="module")
def default_videos() -> list[Video]:
    return list(Plan(videos=22).make("train"))


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# The table of labs


@pytest.mark.parametrize("name", ALL_LABS)
def test_labs_are_sound(name: str) -> None:
    lab = LABS[name]
    assert name.startswith("Synthetic-")
    assert set(lab.keypoints) <= set(KEYPOINT_SLOTS) | DROPPED_KEYPOINTS
    actions = {action.name for action in lab.actions}
    reactions = {reaction for options in REACTIONS.values() for reaction, _ in options}
    assert actions <= set(ACTS) | reactions | set(SELF_ACTS) | {"huddle"}
    assert {class_map().index(action) for action in actions & set(ACTS)} >= {1, 2, 3}
    assert all(0 < action.median < action.p90 for action in lab.actions)
    assert len(set(lab.whitelist)) == len(lab.whitelist)
    for triple in lab.whitelist:
        agent, target = triple.mouse_ids()
        assert max(agent, target) <= lab.mice
    scale = lab.pixels_per_cm[1]
    assert scale * lab.arena_cm[0] <= lab.size_px[0]
    assert scale * lab.arena_cm[1] <= lab.size_px[1]


def test_default_labs_have_the_seven_keypoints_and_differ() -> None:
    labs = [LABS[name] for name in DEFAULT_LABS]
    assert all(set(SEVEN_KEYPOINTS) <= set(lab.keypoints) for lab in labs)
    assert len({lab.fps for lab in labs}) >= 3
    assert len({lab.pixels_per_cm for lab in labs}) == len(labs)
    assert len({frozenset(lab.keypoints) for lab in labs}) >= 3
    assert len({lab.whitelist for lab in labs}) == len(labs)


def test_the_classes_that_steer_are_those_of_v6() -> None:
    classes = class_map()
    for action in {*ACTS, *SELF_ACTS, *CLASS_OF}:
        assert CLASS_OF.get(action, 0) == classes.index(action), action


# What holds for every video


def check_video(video: Video) -> None:
    lab = LABS[video.lab_id]
    frames = len(video.xy)
    assert video.xy.dtype == np.float32
    assert video.xy.shape == (frames, lab.mice, len(lab.keypoints), 2)
    assert video.fps in lab.fps
    assert video.pixels_per_cm is not None
    assert lab.pixels_per_cm[0] <= video.pixels_per_cm <= lab.pixels_per_cm[1]
    assert np.array_equal(np.isnan(video.xy[..., 0]), np.isnan(video.xy[..., 1]))
    assert (np.bincount(scene_classes(video), minlength=4) >= 0.03 * frames).all()
    assert video.events is not None
    last: dict[tuple[str, str], int] = {}
    for event in video.events:
        assert event.triple in lab.whitelist
        assert 0 <= event.start < event.stop <= frames
        # The metric takes no two actions of one agent and target in one frame.
        assert event.start >= last.get(event.triple[:2], 0)
        last[event.triple[:2]] = event.stop


def test_every_default_video_holds_what_training_needs(default_videos: list[Video]) -> None:
    for video in default_videos:
        check_video(video)
        assert FRAMES[0] <= len(video.xy) <= FRAMES[1]


@pytest.mark.parametrize("name", ALL_LABS)
@pytest.mark.parametrize("least", [200, 1500])
def test_every_lab_shows_every_class_even_in_short_videos(name: str, least: int) -> None:
    frames = max(least, round(4 * max(LABS[name].fps)))
    plan = Plan(videos=3, seed=7, labs=(name,), frames=frames)
    for video in itertools.islice(plan.make("train"), 2):
        check_video(video)
        assert len(video.xy) == frames


def test_class_shares(default_videos: list[Video]) -> None:
    scenes = np.concatenate([scene_classes(video) for video in default_videos])
    shares = np.bincount(scenes, minlength=4) / len(scenes)
    assert 0.55 <= shares[0] <= 0.70
    assert (shares[1:] >= 0.05).all()


def test_most_actions_of_the_default_labs_occur(default_videos: list[Video]) -> None:
    seen = {
        (video.lab_id, event.triple.action)
        for video in default_videos
        for event in video.events or ()
    }
    wanted = {(name, action.name) for name in DEFAULT_LABS for action in LABS[name].actions}
    assert len(seen & wanted) >= 0.9 * len(wanted)


def test_either_mouse_is_the_agent_where_the_lab_looks_for_both(
    default_videos: list[Video],
) -> None:
    for name in DEFAULT_LABS:
        agents = {
            event.triple.agent
            for video in default_videos
            if video.lab_id == name
            for event in video.events or ()
            if event.triple.target != "self"
        }
        pairs = {triple.agent for triple in LABS[name].whitelist if triple.target != "self"}
        assert agents == pairs


def test_some_bouts_overlap_a_self_action(default_videos: list[Video]) -> None:
    overlaps = 0
    for video in default_videos:
        for one, other in itertools.combinations(video.events or (), 2):
            together = one.start < other.stop and other.start < one.stop
            overlaps += together and "self" in (one.triple.target, other.triple.target)
    assert overlaps > 0


def test_points_are_lost_and_some_frames_have_none(default_videos: list[Video]) -> None:
    lost = [np.isnan(video.xy[..., 0]) for video in default_videos]
    shares = np.array([share.mean() for share in lost])
    assert (shares > 0.0).all()
    assert (shares < 0.1).all()
    gaps = [share.reshape(len(share), -1).all(axis=1).sum() for share in lost]
    assert 0 < np.count_nonzero(gaps) < len(gaps) / 2
    assert {video.nan_rows for video in default_videos} == {True, False}


def test_losses_do_not_give_the_classes_away(default_videos: list[Video]) -> None:
    """Bodies hide each other, so contact loses more points; no class stands far out."""
    scenes = np.concatenate([scene_classes(video) for video in default_videos])
    lost = np.concatenate([np.isnan(video.xy[..., 0]).mean((1, 2)) for video in default_videos])
    rates = np.array([lost[scenes == index].mean() for index in range(4)])
    assert rates.max() < 3 * rates.min()


def test_mice_stay_in_the_arena_and_have_the_size_of_mice(default_videos: list[Video]) -> None:
    for video in default_videos:
        assert video.pixels_per_cm is not None
        lab = LABS[video.lab_id]
        cm = video.xy.astype(np.float64) / video.pixels_per_cm
        width, height = np.nanpercentile(cm, 99.9, axis=(0, 1, 2)) - np.nanpercentile(
            cm, 0.1, axis=(0, 1, 2)
        )
        assert width < lab.arena_cm[0] + 1.0
        assert height < lab.arena_cm[1] + 1.0
        nose, tail = (cm[:, :, lab.keypoints.index(name)] for name in ("nose", "tail_base"))
        assert 6.5 < np.nanmedian(np.linalg.norm(nose - tail, axis=-1)) < 10.5


def test_mice_move_as_mice_do(default_videos: list[Video]) -> None:
    for video in default_videos:
        assert video.pixels_per_cm is not None
        assert video.fps is not None
        neck = video.xy[:, :, LABS[video.lab_id].keypoints.index("neck")] / video.pixels_per_cm
        half_second = round(video.fps / 2)
        speed = np.linalg.norm(neck[half_second:] - neck[:-half_second], axis=-1) * 2
        assert 1.0 < np.nanmedian(speed) < 15.0
        assert np.nanpercentile(speed, 99.5) < 60.0


# Collections


def test_a_video_is_the_same_in_a_collection_of_any_size() -> None:
    one = Plan(videos=3, seed=5, frames=300).video("train", 2)
    other = Plan(videos=50, seed=5, frames=300).video("train", 2)
    assert np.array_equal(one.xy, other.xy, equal_nan=True)
    assert one.events == other.events
    assert one.video_id == other.video_id
    third = Plan(videos=3, seed=6, frames=300).video("train", 2)
    assert not np.array_equal(one.xy, third.xy, equal_nan=True)


def test_videos_differ_and_test_videos_are_others() -> None:
    plan = Plan(videos=3, labs=("Synthetic-CRIM13",), frames=300)
    videos = [plan.video("train", 0), plan.video("train", 1), plan.video("test", 0)]
    assert len({video.video_id for video in videos}) == 3
    assert len({video.xy.tobytes() for video in videos}) == 3


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    plan = Plan(videos=5, seed=3, frames=300)
    synthesize(tmp_path / "one", plan)
    synthesize(tmp_path / "two", plan)
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    synthesize(tmp_path / "three", Plan(videos=5, seed=4, frames=300))
    one, three = hashes(tmp_path / "one"), hashes(tmp_path / "three")
    assert one.keys() == three.keys()
    same = [name for name in one if one[name] == three[name]]
    assert same == ["sample_submission.csv"]


@pytest.mark.parametrize(("videos", "test_videos"), [(3, 1), (4, 1), (11, 2)])
def test_a_fifth_as_many_test_videos(tmp_path: Path, videos: int, test_videos: int) -> None:
    written = synthesize(tmp_path / "c", Plan(videos=videos, frames=200))
    assert written.train_frames == 200 * videos
    assert written.test_frames == 200 * test_videos
    folders = [
        tmp_path / "c" / name for name in ("train_tracking", "train_annotation", "test_tracking")
    ]
    counts = [len(list(folder.rglob("*.parquet"))) for folder in folders]
    assert counts == [videos, videos, test_videos]
    events = sum(pq.read_metadata(path).num_rows for path in folders[1].rglob("*.parquet"))
    assert written.train_events == events
    truth = (tmp_path / "c" / "solution.csv").read_text().splitlines()
    assert len({line.split(",")[0] for line in truth[1:]}) == test_videos


def test_lost_points_are_absent_rows_and_gaps_absent_frames(tmp_path: Path) -> None:
    plan = Plan(videos=24, labs=("Synthetic-ElegantMink",), frames=500)
    synthesize(tmp_path / "c", plan)
    incomplete = 0
    for path in (tmp_path / "c" / "train_tracking").rglob("*.parquet"):
        table = pq.read_table(path)
        assert table.num_rows < 500 * 2 * 7
        incomplete += len(np.unique(table["video_frame"].to_numpy())) < 500
    assert incomplete > 0


def test_videos_too_short_for_every_class_are_refused() -> None:
    fast = dataclasses.replace(LABS["Synthetic-LyricalHare"], fps=(1000.0,))
    with pytest.raises(DataError, match=r"300 frames are too few .* ask for 4000"):
        simulate(fast, 300, 1, 0, (0,))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"videos": 2}, "2 videos cannot be split .* at least 3"),
        ({"frames": 199}, "199 frames a video .* at least 200"),
        ({"seed": -1}, "seed -1 is negative"),
        ({"labs": ("Synthetic-CRIM13", "Nowhere")}, "no lab 'Nowhere'; there are Synthetic-CRIM13"),
        ({"labs": ("Synthetic-CRIM13",) * 2}, "named 2 times"),
        ({"labs": ()}, "no lab is named"),
    ],
)
def test_impossible_plans_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Plan(**{"videos": 3, **changes})


def test_an_occupied_folder_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "note").write_text("")
    with pytest.raises(DataError, match="not an empty folder"):
        synthesize(tmp_path, Plan(videos=100_000))


def test_the_default_collection_is_made_once(tmp_path: Path) -> None:
    folder = ensure_default(tmp_path, 3)
    assert folder.parent == tmp_path
    assert content_version() in folder.name
    written = (folder / "train.csv").stat().st_mtime_ns
    assert ensure_default(tmp_path, 3) == folder
    assert (folder / "train.csv").stat().st_mtime_ns == written
    assert ensure_default(tmp_path, 4) != folder


def test_two_makers_of_the_default_collection_agree(tmp_path: Path) -> None:
    folders: list[Path] = []
    makers = [
        threading.Thread(target=lambda: folders.append(ensure_default(tmp_path / "cache", 3)))
        for _ in range(2)
    ]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    assert len(folders) == 2
    assert folders[0] == folders[1]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [folders[0].name]
    rows = (folders[0] / "train.csv").read_text().splitlines()
    assert len(rows) == 4


# The command


def test_the_command_writes_and_says_what(tmp_path: Path) -> None:
    application = typer.Typer()
    application.command()(command)
    options = ["--out", str(tmp_path / "c"), "--videos", "3", "--frames", "200"]
    result = CliRunner().invoke(application, [*options, "--labs", "Synthetic-CRIM13"])
    assert result.exit_code == 0
    assert "labelled videos 3 (600 frames, " in result.output
    assert "test videos 1 (200 frames, their truth in solution.csv)" in result.output
    table = (tmp_path / "c" / "train.csv").read_text().splitlines()
    assert all(line.startswith("Synthetic-CRIM13,91000000") for line in table[1:])


def test_the_commands_help_names_every_lab() -> None:
    assert command.__doc__ is not None
    assert all(name in command.__doc__ for name in LABS)
    assert command.__defaults__ is not None
    assert DEFAULT_SEED in command.__defaults__
