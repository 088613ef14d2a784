"""Whole synthetic collections: which videos there are, and the folder that holds them."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxbeh.data.synthetic.labs import DEFAULT_LABS, Lab, find_labs
from jaxbeh.data.synthetic.parallel import Source, write_videos
from jaxbeh.data.synthetic.video import simulate
from jaxbeh.data.writer import SPLITS, CollectionWriter, Entry, Split, Video
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
        require_possible(self.videos, self.frames, self.seed)
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
        key = _key(split, index)
        frames = self.length(split, index)
        return simulate(self._lab(index), frames, FIRST_ID[split] + index, self.seed, key)

    def length(self, split: Split, index: int) -> int:
        """Number of frames of video `index` of a split."""
        draw = np.random.Generator(
            np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=_key(split, index)))
        )
        return self.frames or int(draw.integers(FRAMES[0], FRAMES[1], endpoint=True))

    def make(self, split: Split) -> Iterator[Video]:
        """Make a split's videos one by one."""
        return (self.video(split, index) for index in range(self.count(split)))

    def _lab(self, index: int) -> Lab:
        labs = find_labs(self.labs)
        return labs[index % len(labs)]


def _key(split: Split, index: int) -> tuple[int, int]:
    """What tells a video's random numbers from those of all others of the collection."""
    return (0 if split == "train" else 1, index)


@dataclass
class Written:
    """What a collection came to: frames and events of a split's videos together."""

    train_frames: int = 0
    train_events: int = 0
    test_frames: int = 0


def require_possible(videos: int, frames: int | None, seed: int) -> None:
    """Raise a `SettingsError` about what makes no collection, with what is allowed."""
    if videos < FEWEST_VIDEOS:
        raise SettingsError(
            f"{videos} videos cannot be split for training and validation; at least "
            f"{FEWEST_VIDEOS} are needed"
        )
    if frames is not None and frames < FEWEST_FRAMES:
        raise SettingsError(
            f"{frames} frames a video are too few to show every class; at least "
            f"{FEWEST_FRAMES} are needed"
        )
    if seed < 0:
        raise SettingsError(f"seed {seed} is negative; seeds are 0 or more")


def synthesize(
    folder: Path,
    source: Source,
    processes: int = 1,
    on_video: Callable[[Entry], None] | None = None,
) -> Written:
    """Write a source's collection; the unlabelled videos' truth goes to `solution.csv`.

    The files are the same, bit for bit, whatever the number of processes. A run that is killed
    leaves nothing at `folder`, and what it leaves beside it the next one removes.

    Args:
        folder: absent or empty.
        source: of the videos, such as a `Plan`.
        processes: how many make videos at a time.
        on_video: told of each video once it is written.

    Raises:
        DataError: the folder is occupied or cannot be written, or the videos are too short.
    """
    written = Written()
    wanted = [(split, index) for split in SPLITS for index in range(source.count(split))]
    with CollectionWriter(folder) as writer:
        for entry in write_videos(source, wanted, writer.root, processes):
            writer.enter(entry)
            if entry.split == "train":
                written.train_frames += entry.frames
                written.train_events += entry.events
            else:
                written.test_frames += entry.frames
            if on_video is not None:
                on_video(entry)
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
