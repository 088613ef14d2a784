"""The collection of the challenge's size: its table, its videos, and writing them in parallel."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import typer
from recordings import recording, wander
from typer.testing import CliRunner

from jaxbeh.config import load_config
from jaxbeh.data.mabe import read_labelled
from jaxbeh.data.partial import PartialFolder
from jaxbeh.data.report import ReadingReport
from jaxbeh.data.scene import Labels
from jaxbeh.data.shards import Room
from jaxbeh.data.store import Scene, build_store, window_table
from jaxbeh.data.synthetic import FullScale, Plan, synthesize
from jaxbeh.data.synthetic.acts import ACTS, CLASS_OF, REACTIONS, SELF_ACTS
from jaxbeh.data.synthetic.challenge_labs import CHALLENGE_LABS
from jaxbeh.data.writer import CollectionWriter, Split, Video
from jaxbeh.errors import DataError, SettingsError
from jaxbeh.settings.run import DataSettings
from jaxbeh.synthesize import synthesize as command
from jaxbeh.vocabulary import DROPPED_KEYPOINTS, KEYPOINT_SLOTS, SlotTable

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# The table


def test_the_table_has_the_size_of_the_challenge() -> None:
    lengths = [length for item in CHALLENGE_LABS for _, length in item.videos()]
    points = sum(
        length * lab.mice * len(lab.keypoints)
        for item in CHALLENGE_LABS
        for lab, length in item.videos()
    )
    assert (len(CHALLENGE_LABS), len(lengths), sum(lengths)) == (19, 848, 21_266_783)
    assert points == 320_575_208
    source = FullScale()
    assert source.count("train") == 848
    assert source.count("test") == 0
    assert [source.length("train", index) for index in range(848)] == lengths


def test_all_frames_of_the_challenge_take_two_gigabytes_on_a_device_at_most() -> None:
    """A few frames of each lab, packed; a store of all of them has the same bytes a frame."""
    window = load_config("v6").window
    labs = [item.lab for item in CHALLENGE_LABS]
    scenes = [
        Scene(
            recording(
                wander(3, mice=lab.mice, keypoints=len(lab.keypoints)),
                mice=range(1, lab.mice + 1),
                keypoints=lab.keypoints,
            ),
            Labels(values=np.zeros(3, np.int8), looked_for=np.ones(4, np.bool_)),
        )
        for lab in labs
    ]
    slots = SlotTable.build({name for lab in labs for name in lab.keypoints}, {})
    few = build_store(scenes, slots, window_table([3] * len(labs), 3, 3))
    lengths = [[length for _, length in item.videos()] for item in CHALLENGE_LABS]
    frames = np.array([sum(of_lab) for of_lab in lengths])
    every = [length for of_lab in lengths for length in of_lab]
    room = Room(
        points=int((frames * few.width).sum()),
        frames=int(frames.sum()),
        videos=len(every),
        windows=len(window_table(every, window.length, window.train_stride)),
    )
    assert 0.9 * 320_575_208 < room.points <= 320_575_208
    assert room.nbytes(few) < 2e9


@pytest.mark.parametrize("item", CHALLENGE_LABS, ids=lambda item: item.lab.name)
def test_a_lab_of_the_table_is_sound(item) -> None:
    lab, videos = item.lab, item.videos()
    assert lab.name.startswith("Synthetic-")
    assert set(lab.keypoints) <= set(KEYPOINT_SLOTS) | DROPPED_KEYPOINTS
    actions = {action.name for action in lab.actions}
    reactions = {reaction for options in REACTIONS.values() for reaction, _ in options}
    assert actions <= set(ACTS) | reactions | set(SELF_ACTS) | {"huddle"}
    assert {CLASS_OF.get(action, 0) for action in actions & set(ACTS)} >= {1, 2, 3}
    assert all(0 < action.median < action.p90 for action in lab.actions)
    assert all(max(triple.mouse_ids()) <= lab.mice for triple in lab.whitelist)
    assert sum(length for _, length in videos) == item.frames
    seconds = [length / made.fps[0] for made, length in videos]
    assert all(len(made.fps) == 1 for made, _ in videos)
    assert min(seconds) > 20
    # The median is the lab's own, or the mean where that is shorter; rates mix a little in.
    mean = sum(seconds) / len(seconds)
    assert np.median(seconds) == pytest.approx(min(item.median_seconds, mean), rel=0.12)


# Its videos


def test_every_lab_can_be_filmed_and_shows_every_class() -> None:
    source = FullScale(frames=480)
    first = {source.lab_of(index).name: index for index in reversed(range(848))}
    assert len(first) == 19
    for name, index in first.items():
        video = source.video("train", index)
        lab = source.lab_of(index)
        assert video.lab_id == name
        assert video.xy.shape == (480, lab.mice, len(lab.keypoints), 2)
        assert np.isfinite(video.xy).mean() > 0.8
        assert video.fps == lab.fps[0]
        assert {CLASS_OF.get(event.triple.action, 0) for event in video.events or ()} >= {1, 2, 3}


def test_a_part_of_the_collection_holds_the_same_videos() -> None:
    whole, part = FullScale(frames=480), FullScale(frames=480, videos=25)
    one = part.video("train", 7)
    index = one.video_id - whole.video("train", 0).video_id
    other = whole.video("train", index)
    assert np.array_equal(one.xy, other.xy, equal_nan=True)
    assert one.events == other.events
    labs = {part.lab_of(index).name for index in range(25)}
    assert len(labs) >= 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"videos": 2}, "2 videos cannot be split"),
        ({"videos": 849}, "849 videos are more than the 848 of full scale"),
        ({"frames": 199}, "199 frames a video are too few"),
        ({"seed": -1}, "seed -1 is negative"),
    ],
)
def test_impossible_parts_are_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        FullScale(**changes)


# Written in parallel


def test_several_processes_write_the_bytes_of_one(tmp_path: Path) -> None:
    plan = Plan(videos=5, seed=3, frames=300)
    told: list[int] = []
    one = synthesize(tmp_path / "one", plan)
    two = synthesize(
        tmp_path / "two", plan, processes=2, on_video=lambda entry: told.append(entry.video_id)
    )
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    assert one == two
    assert told == sorted(told)
    assert len(told) == 6
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two"}


@dataclass(frozen=True)
class Faulty:
    """Videos of which one cannot be made."""

    ends_process: bool

    def count(self, split: Split) -> int:
        return 4 if split == "train" else 0

    def video(self, split: Split, index: int) -> Video:
        if index == 2 and self.ends_process:
            os._exit(9)
        if index == 2:
            raise DataError("video 2 is not to be had")
        return Plan(videos=4, frames=300).video(split, index)


@pytest.mark.parametrize(
    ("ends_process", "message"),
    [(False, "video 2 is not to be had"), (True, "was ended from outside, as where memory runs")],
)
def test_a_fault_in_a_process_is_told_and_leaves_nothing(
    tmp_path: Path, ends_process: bool, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        synthesize(tmp_path / "c", Faulty(ends_process), processes=2)
    assert list(tmp_path.iterdir()) == []


# Killed


def alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_for(what) -> None:
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


@LINUX
def test_a_killed_run_leaves_no_process_and_no_collection_and_the_next_tidies_up(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "mice[1]"
    words = ["-m", "jaxbeh.synthesize", "--out", str(folder), "--full-scale"]
    with subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        # Some files are there: others are being made.
        wait_for(lambda: len(list(tmp_path.rglob("*.parquet"))) >= 3)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert len(children) >= 2
        os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: not any(alive(int(child)) for child in children))
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".mice[1].partial-")
    assert not (left / "train.csv").exists()
    synthesize(folder, Plan(videos=3, frames=300))
    assert [path.name for path in tmp_path.iterdir()] == ["mice[1]"]
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_what_a_living_writer_or_a_stranger_has_there_stays(tmp_path: Path) -> None:
    stranger = tmp_path / ".c.partial-of-mine"
    stranger.mkdir()
    with CollectionWriter(tmp_path / "c") as writer:
        writer.add(Plan(videos=3, frames=300).video("train", 0), "train")
        other = PartialFolder.make(tmp_path / "c")
        assert writer.root.exists()
        other.remove()
    assert (tmp_path / "c" / "train.csv").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"c", stranger.name}


# The command


def test_the_command_writes_a_part_that_can_be_read(tmp_path: Path) -> None:
    application = typer.Typer()
    application.command()(command)
    options = ["--out", str(tmp_path / "c"), "--full-scale", "--videos", "3", "--frames", "480"]
    result = CliRunner().invoke(application, options)
    assert result.exit_code == 0
    assert "labelled videos 3 (1,440 frames, " in result.output
    assert "events), no test videos" in result.output
    report = ReadingReport()
    recordings = read_labelled(tmp_path / "c", DataSettings(), report, None)
    assert [recording.tracking.frames for recording in recordings] == [480] * 3
    assert len({recording.lab_id for recording in recordings}) == 3
    refused = CliRunner().invoke(application, [*options, "--labs", "Synthetic-CRIM13"])
    assert isinstance(refused.exception, SettingsError)
