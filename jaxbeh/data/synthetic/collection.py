"""Whole synthetic collections: which videos there are, and the folder that holds them."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxbeh.data.synthetic.labs import DEFAULT_LABS, Lab, find_labs
from jaxbeh.data.synthetic.video import simulate
from jaxbeh.data.writer import CollectionWriter, Split, Video
from jaxbeh.errors import DataError, SettingsError

DEFAULT_SEED = 2025
"""Of the collection that training makes for itself."""

FEWEST_VIDEOS = 3
FEWEST_FRAMES = 200
FRAMES = (1500, 4000)
"""The shortest and the longest video where no length is asked for, frames."""

FIRST_ID = {"train": 910_000_000, "test": 960_000_000}
"""Video ids count from here, clear of the real collection's."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything a synthetic collection follows from.

    Video i of a split is a function of the seed, the labs, the frames and i: it is the same in a
    collection of any size. Labs take turns.

    Attributes:
        videos: number of labelled videos; a fifth as many unlabelled ones, at least one, come too.
        seed: of everything random.
        labs: names, in the order in which they take turns.
        frames: of every video; `None` draws each video's length between `FRAMES`.
    """

    videos: int
    seed: int = DEFAULT_SEED
    labs: tuple[str, ...] = DEFAULT_LABS
    frames: int | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no collection.

        Raises:
            SettingsError: naming the value and what is allowed.
        """
        if self.videos < FEWEST_VIDEOS:
            raise SettingsError(
                f"{self.videos} videos cannot be split for training and validation; at least "
                f"{FEWEST_VIDEOS} are needed"
            )
        if self.frames is not None and self.frames < FEWEST_FRAMES:
            raise SettingsError(
                f"{self.frames} frames a video are too few to show every class; at least "
                f"{FEWEST_FRAMES} are needed"
            )
        if self.seed < 0:
            raise SettingsError(f"seed {self.seed} is negative; seeds are 0 or more")
        find_labs(self.labs)

    @property
    def test_videos(self) -> int:
        """Number of unlabelled videos."""
        return max(1, self.videos // 5)

    def count(self, split: Split) -> int:
        """Number of videos of a split."""
        return self.videos if split == "train" else self.test_videos

    def video(self, split: Split, index: int) -> Video:
        """Make video `index` of a split; any process may make any of them."""
        lab = self._lab(index)
        key = (0 if split == "train" else 1, index)
        length = np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=key))
        )
        frames = self.frames or int(length.integers(FRAMES[0], FRAMES[1], endpoint=True))
        return simulate(lab, frames, FIRST_ID[split] + index, self.seed, key)

    def make(self, split: Split) -> Iterator[Video]:
        """Make a split's videos one by one."""
        return (self.video(split, index) for index in range(self.count(split)))

    def _lab(self, index: int) -> Lab:
        labs = find_labs(self.labs)
        return labs[index % len(labs)]


@dataclass
class Written:
    """What a collection came to: frames and events of a split's videos together."""

    train_frames: int = 0
    train_events: int = 0
    test_frames: int = 0


def synthesize(folder: Path, plan: Plan) -> Written:
    """Write a plan's collection; the unlabelled videos' truth goes to `solution.csv`.

    Raises:
        DataError: the folder is occupied or cannot be written, or the videos are too short.
    """
    written = Written()
    with CollectionWriter(folder) as writer:
        for video in plan.make("train"):
            writer.add(video, "train")
            written.train_frames += len(video.xy)
            written.train_events += len(video.events or ())
        for video in plan.make("test"):
            writer.add(video, "test")
            written.test_frames += len(video.xy)
    return written


def ensure_default(cache_dir: Path, videos: int) -> Path:
    """The folder of the collection that training uses when it is given none; made if absent.

    Its name holds a hash of the generator's source, so that a changed generator makes a new one.
    Two processes may do this at once: each makes its own, the first to finish is kept.

    Args:
        cache_dir: where such folders are kept.
        videos: number of labelled videos, 3 or more.

    Raises:
        SettingsError: too few videos.
        DataError: the folder cannot be written.
    """
    plan = Plan(videos=videos)
    folder = cache_dir / f"synthetic-{videos}-{content_version()}"
    if not (folder / "train.csv").is_file():
        try:
            synthesize(folder, plan)
        except DataError:
            if not (folder / "train.csv").is_file():
                raise
    return folder


def content_version() -> str:
    """Twelve hexadecimal digits that change with any source file that shapes a collection."""
    package = Path(__file__).parent
    sources: Sequence[Path] = sorted([*package.glob("*.py"), package.parent / "writer.py"])
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
