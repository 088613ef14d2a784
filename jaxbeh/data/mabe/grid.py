"""The cells that one video's rows are scattered into: one a frame, mouse and keypoint."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from jaxbeh.data.mabe.parquet import FileError
from jaxbeh.vocabulary import MOUSE_SLOTS

CELLS_PER_ROW, SPARE_CELLS = 20, 50_000_000
"""Bound on the number of cells.

A file may leave cells empty, but not so many that one wrong frame number exhausts the memory: at
most 20 cells a row and 50 million (400 MB while reading) beside. The longest MABe recordings have
some 14 million cells in all."""


class PointGrid:
    """Positions by frame, mouse and keypoint; mice and keypoints are added as they come.

    Attributes:
        xy: `[2, t, m, k]` pixels, NaN where no row has been.
        first_frame: the file's number of the frame at index 0.
        first_mouse: the mouse id at index 0 of axis m.
        keypoints: one name an entry of axis k, in no particular order.
    """

    def __init__(
        self, path: Path, frames: tuple[int, int] | None, rows: int, dtype: DTypeLike
    ) -> None:
        """Begin without mice and keypoints.

        Args:
            path: the file, for messages.
            frames: its first and last frame, `None` if it has none.
            rows: how many rows it has, which bounds the number of cells.
            dtype: of the positions.

        Raises:
            FileError: a frame number is negative.
        """
        self._path, self._rows = path, rows
        self.first_frame, self._last_frame = frames or (0, -1)
        if self.first_frame < 0:
            raise FileError(
                path, f"video_frame {self.first_frame} is negative; number the frames from 0"
            )
        self.first_mouse = 1
        self.keypoints: list[str] = []
        self.xy: NDArray[np.floating[Any]] = np.empty((2, 0, 0, 0), dtype)

    def _cover(self, mice: tuple[int, int], keypoints: Sequence[str]) -> None:
        """Have cells for these mice, first to last, and these keypoints."""
        for mouse in mice:
            if not 1 <= mouse <= MOUSE_SLOTS:
                raise FileError(
                    self._path,
                    f"mouse_id {mouse} is outside 1 to {MOUSE_SLOTS}, for which there is room; "
                    f"number the mice from 1 and keep at most {MOUSE_SLOTS}",
                )
        old = self.xy
        if old.size:
            last = self.first_mouse + old.shape[2] - 1
            mice = min(mice[0], self.first_mouse), max(mice[1], last)
        added = sorted(set(keypoints).difference(self.keypoints))
        frames, width = self._last_frame - self.first_frame + 1, len(self.keypoints) + len(added)
        shape = (2, frames, mice[1] - mice[0] + 1, width)
        if shape == old.shape:
            return
        if shape[1] * shape[2] * shape[3] > CELLS_PER_ROW * self._rows + SPARE_CELLS:
            raise FileError(
                self._path,
                f"frames {self.first_frame} to {self._last_frame}, {shape[2]} mice and {width} "
                f"body parts are far more than its {self._rows} rows; correct the frame numbers "
                f"or the names",
            )
        self.xy = np.full(shape, np.nan, old.dtype)
        if old.size:
            mouse = self.first_mouse - mice[0]
            self.xy[:, :, mouse : mouse + old.shape[2], : old.shape[3]] = old
        self.first_mouse = mice[0]
        self.keypoints += added

    def place(
        self,
        frames: NDArray[np.integer[Any]],
        mice: NDArray[np.integer[Any]],
        codes: NDArray[np.integer[Any]],
        names: Sequence[str],
        x: NDArray[np.floating[Any]],
        y: NDArray[np.floating[Any]],
    ) -> None:
        """Put each row's position into its cell, over what is there; the last row wins.

        Args:
            frames: `[n]`, n ≥ 1, the file's frame numbers, within those that it was made for.
            mice: `[n]`, the file's mouse ids.
            codes: `[n]`, indices into `names`.
            names: body parts.
            x: `[n]`, pixels.
            y: `[n]`, pixels.

        Raises:
            FileError: a mouse id has no slot, or the cells would be too many for the rows.
        """
        self._cover((int(mice.min()), int(mice.max())), names)
        column = {name: index for index, name in enumerate(self.keypoints)}
        cell = frames.astype(np.int64)
        cell -= self.first_frame
        cell *= self.xy.shape[2]
        cell += mice.astype(np.int64, copy=False)
        cell -= self.first_mouse
        cell *= self.xy.shape[3]
        cell += np.array([column[name] for name in names], np.int64).take(codes)
        for axis, values in enumerate((x, y)):
            self.xy[axis].reshape(-1)[cell] = values
