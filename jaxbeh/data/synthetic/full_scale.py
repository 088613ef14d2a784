"""A collection as large as the labelled part of the MABe challenge."""

from dataclasses import dataclass
from functools import cached_property

from jaxbeh.data.synthetic.challenge_labs import CHALLENGE_LABS
from jaxbeh.data.synthetic.collection import DEFAULT_SEED, require_possible
from jaxbeh.data.synthetic.labs import Lab
from jaxbeh.data.synthetic.video import simulate
from jaxbeh.data.writer import Split, Video
from jaxbeh.errors import SettingsError

FIRST_FULL_SCALE_ID = 920_000_000
"""Video ids count from here."""


@dataclass(frozen=True, kw_only=True)
class FullScale:
    """The 848 labelled videos of `CHALLENGE_LABS`, 21.3 million frames; no test videos.

    A video is a function of the seed and of its place in that table: the same whatever part of the
    table is asked for.

    Attributes:
        seed: of everything random.
        videos: only so many of them, evenly from the table; `None` for all.
        frames: of every video; `None` leaves each its own length.
    """

    seed: int = DEFAULT_SEED
    videos: int | None = None
    frames: int | None = None

    def __post_init__(self) -> None:
        """Refuse what makes no collection.

        Raises:
            SettingsError: naming the value and what is allowed.
        """
        there, wanted = len(self._table), self.count("train")
        require_possible(wanted, self.frames, self.seed)
        if wanted > there:
            raise SettingsError(f"{wanted} videos are more than the {there} of full scale")

    @property
    def labs(self) -> tuple[str, ...]:
        """The names of the labs."""
        return tuple(item.lab.name for item in CHALLENGE_LABS)

    def count(self, split: Split) -> int:
        """Number of videos of a split."""
        return 0 if split == "test" else len(self._table) if self.videos is None else self.videos

    def lab_of(self, index: int) -> Lab:
        """The lab of a labelled video, with that video's one frame rate."""
        return self._table[self._place("train", index)][0]

    def length(self, split: Split, index: int) -> int:
        """Number of frames of one video."""
        return self.frames or self._table[self._place(split, index)][1]

    def video(self, split: Split, index: int) -> Video:
        """Make one video; any process may make any of them."""
        place = self._place(split, index)
        lab, _ = self._table[place]
        frames, video_id = self.length(split, index), FIRST_FULL_SCALE_ID + place
        return simulate(lab, frames, video_id, self.seed, (2, place))

    def _place(self, split: Split, index: int) -> int:
        return index * len(self._table) // self.count(split)

    @cached_property
    def _table(self) -> list[tuple[Lab, int]]:
        return [video for item in CHALLENGE_LABS for video in item.videos()]
