"""What reading a collection met and did about it: one printed table, nothing silent."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """One line of the table: what was met, what was done, and how often.

    Attributes:
        what: what was found, such as "no frames per second".
        then: what was done, such as "taken as 30 (data.default_fps)".
        videos: the videos concerned, in the order met.
        count: rows, events or points concerned; the number of videos where nothing smaller counts.
    """

    what: str
    then: str
    videos: tuple[str, ...]
    count: int


@dataclass
class ReadingReport:
    """Collects findings while files are read; equal (what, then) pairs become one line."""

    _videos: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    _counts: dict[tuple[str, str], int] = field(default_factory=dict)

    def add(self, what: str, then: str, video_id: str, count: int = 1) -> None:
        """Note a finding about one video; `count` is what is summed over the line."""
        self._videos.setdefault((what, then), []).append(video_id)
        self._counts[what, then] = self._counts.get((what, then), 0) + count

    def findings(self) -> list[Finding]:
        """The lines, in the order first met; a video named twice for one line is named once."""
        return [
            Finding(what, then, tuple(dict.fromkeys(videos)), self._counts[what, then])
            for (what, then), videos in self._videos.items()
        ]
