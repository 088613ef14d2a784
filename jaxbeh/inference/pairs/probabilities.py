"""What a pair model says of a track: the probability of each action at each of a video's frames."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from jaxbeh.data.recording import Recording
from jaxbeh.errors import DataError
from jaxbeh.vocabulary import Triple

Kind = Literal["alone", "pair"]
"""Whether an action is done by an agent alone (target `self`) or to another mouse."""

ROUNDING = 1e-5
"""How far a float32 mean or softmax may leave 0 … 1."""

_MOUSE = re.compile(r"mouse[1-9][0-9]*")


@dataclass(frozen=True, eq=False, repr=False)
class TrackProbabilities:
    """What a model says of one track: one video, agent and target or self.

    Attributes:
        recording: the video.
        agent: as `Triple` spells it, `mouse1`.
        target: likewise, `mouse2` or `self`.
        actions: a names that were looked for here, in the vocabulary's order.
        values: float32 `[t, a]`, probability of each action at each of the video's own frames. The
            actions of a frame need not sum to at most 1.

    Raises:
        DataError: agent or target is misspelled; an action is there twice, none is, or one was not
            looked for; a mouse is not tracked where nobody says what was looked for; the values are
            of another type or shape, or not probabilities.
    """

    recording: Recording
    agent: str
    target: str
    actions: tuple[str, ...]
    values: NDArray[np.float32]

    def __post_init__(self) -> None:
        """Check the names, then the numbers."""
        self._check_names()
        self._check_values()

    @property
    def kind(self) -> Kind:
        """`alone` where the target is `self`, else `pair`."""
        return "alone" if self.target == "self" else "pair"

    @property
    def key(self) -> tuple[str, str, str]:
        """Video, agent and target: what tells tracks apart."""
        return self.recording.video_id, self.agent, self.target

    def __repr__(self) -> str:
        return f"video {self.recording.video_id}, {self.agent} → {self.target}"

    def _check_names(self) -> None:
        spelled = _MOUSE.fullmatch(self.agent) and (
            self.target == "self" or _MOUSE.fullmatch(self.target)
        )
        if not spelled or self.agent == self.target:
            raise DataError(
                f"{self}: write mouse1 for the agent, and mouse2 or, for itself, self for the "
                f"target"
            )
        if not self.actions or len(set(self.actions)) < len(self.actions):
            raise DataError(
                f"{self}: the actions are {', '.join(self.actions) or 'none'}; give at least one, "
                f"each once"
            )
        whitelist = self.recording.whitelist
        for action in self.actions:
            triple = Triple(self.agent, self.target, action)
            if whitelist is not None and triple not in whitelist:
                raise DataError(f"{self}: {action!r} was not looked for; leave it out")
            missing = set(triple.mouse_ids()) - set(self.recording.tracking.mice)
            if whitelist is None and missing:
                raise DataError(f"{self}: mouse{min(missing)} is not tracked; leave the track out")

    def _check_values(self) -> None:
        expected = (self.recording.tracking.frames, len(self.actions))
        if self.values.shape != expected or self.values.dtype != np.float32:
            raise DataError(
                f"{self}: probabilities are {self.values.dtype} {list(self.values.shape)}; give "
                f"float32 [{expected[0]} frames, {expected[1]} actions]"
            )
        good = (self.values >= -ROUNDING) & (self.values <= 1 + ROUNDING)  # false for NaN
        if not good.all():
            frame, column = map(int, np.argwhere(~good)[0])
            raise DataError(
                f"{self}: the probability of {self.actions[column]!r} at frame index {frame} is "
                f"{self.values[frame, column]}; if it is not a number, the model's weights are "
                f"unusable: train again"
            )
