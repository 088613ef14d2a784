"""Names: mouse and keypoint slots, keypoint aliases, (agent, target, action) triples, classes."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from jaxbeh.errors import DataError, SettingsError

MOUSE_SLOTS = 4
"""Individuals a scene has room for; mouse ids 1 to 4 take slots 0 to 3, as MABe numbers them."""

KEYPOINT_SLOTS = (
    "nose",
    "ear_left",
    "ear_right",
    "head",
    "neck",
    "forepaw_left",
    "forepaw_right",
    "spine_1",
    "body_center",
    "spine_2",
    "lateral_left",
    "lateral_right",
    "hip_left",
    "hip_right",
    "hindpaw_left",
    "hindpaw_right",
    "tail_base",
    "tail_tip",
)
"""The eighteen canonical keypoints, in slot order."""

DROPPED_KEYPOINTS = frozenset(
    [
        f"headpiece_{level}{end}{side}"
        for level in ("bottom", "top")
        for end in ("back", "front")
        for side in ("left", "right")
    ]
    + ["tail_middle_1", "tail_middle_2", "tail_midpoint"]
)
"""Known MABe keypoints without a slot: three mid-tail points and a headpiece's eight corners."""

_HALF_LETTER = re.compile("[\ud800-\udfff]")
"""JSON may have them; no file of text can."""
_MOUSE = re.compile(r"mouse([1-9][0-9]{0,8})")


class Triple(NamedTuple):
    """Who does what to whom, as the metric writes it: `mouse1`, `mouse2` or `self`, action."""

    agent: str
    target: str
    action: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `mouse1,mouse2,sniff`, without the stray quotes that some real entries carry.

        Self actions come in two spellings, `mouse1,self,rear` and `mouse1,mouse1,rear`; both give
        target `self`.

        Raises:
            DataError: the text is not three parts, or agent or target is no mouse.
        """
        parts = [part.strip().strip("'\"").strip() for part in text.split(",")]
        if _HALF_LETTER.search(text):
            raise DataError(f"{text!r} has half a letter, which no table can hold; write it anew")
        if len(parts) != 3 or not parts[2]:
            raise DataError(f"{text!r} is not 'agent,target,action', such as 'mouse1,mouse2,sniff'")
        agent, target, action = parts
        if not _MOUSE.fullmatch(agent) or not (target == "self" or _MOUSE.fullmatch(target)):
            raise DataError(f"{text!r}: the agent is written mouse1, the target mouse2 or self")
        return cls(agent, "self" if target == agent else target, action)

    @classmethod
    def of_ids(cls, agent: int, target: int, action: str) -> Self:
        """Build from the annotation files' integers, where a self action has target == agent."""
        return cls(f"mouse{agent}", "self" if agent == target else f"mouse{target}", action)

    def mouse_ids(self) -> tuple[int, int]:
        """Agent and target as the annotation files' integers (equal for self actions)."""
        agent = int(self.agent.removeprefix("mouse"))
        return agent, agent if self.target == "self" else int(self.target.removeprefix("mouse"))

    def __str__(self) -> str:
        return ",".join(self)


@dataclass(frozen=True)
class SlotTable:
    """Which keypoint stands in which of the eighteen slots; made once a run from training videos.

    Attributes:
        names: one name a slot; `None` where a canonical slot is unused and not lent out.
        aliases: a file's own name → the name it goes by here.
    """

    names: tuple[str | None, ...]
    aliases: Mapping[str, str]

    @classmethod
    def build(cls, keypoints: Iterable[str], aliases: Mapping[str, str]) -> Self:
        """Place the keypoint names of all training videos.

        Canonical names take their own slots; unknown names take the free slots in sorted order;
        the known names without a slot (`DROPPED_KEYPOINTS`) are left out.

        Raises:
            SettingsError: more unknown names than free slots.
        """
        used = {aliases.get(name, name) for name in keypoints} - DROPPED_KEYPOINTS
        names: list[str | None] = [name if name in used else None for name in KEYPOINT_SLOTS]
        unknown = sorted(used - set(KEYPOINT_SLOTS))
        free = [slot for slot, name in enumerate(names) if name is None]
        if len(unknown) > len(free):
            raise SettingsError(
                f"{len(unknown)} keypoint names are unknown and only {len(free)} slots are free: "
                f"{', '.join(unknown)}. Say which known keypoint they are, for example\n"
                f"  data: {{aliases: {{{unknown[0]}: body_center}}}}\n"
                f"Known: {', '.join(KEYPOINT_SLOTS)}.\n"
                f"What is aliased to tail_midpoint, known and without a slot, is left out."
            )
        for slot, name in zip(free, unknown, strict=False):
            names[slot] = name
        return cls(tuple(names), dict(aliases))

    def columns(self, keypoints: Sequence[str]) -> tuple[list[int], list[str]]:
        """Where each slot finds its keypoint among a video's own, and which names have no slot.

        Returns:
            `columns`, one a slot: an index into `keypoints`, −1 where the video lacks it;
            `dropped`: the video's names that no slot takes.

        Raises:
            DataError: two of the video's names mean the same keypoint, or none has a slot.
        """
        columns = [-1] * len(self.names)
        slot_of = {name: slot for slot, name in enumerate(self.names) if name is not None}
        dropped = []
        for column, own_name in enumerate(keypoints):
            slot = slot_of.get(self.aliases.get(own_name, own_name))
            if slot is None:
                dropped.append(own_name)
            elif columns[slot] >= 0:
                raise DataError(
                    f"keypoints {keypoints[columns[slot]]!r} and {own_name!r} both mean "
                    f"{self.names[slot]!r}; mend data.aliases"
                )
            else:
                columns[slot] = column
        if len(dropped) == len(keypoints):
            known = ", ".join(name for name in self.names if name is not None)
            raise DataError(
                f"none of its keypoints ({', '.join(keypoints)}) is among the run's ({known}); "
                f"name them in data.aliases"
            )
        return columns, dropped

    def to_json(self) -> dict[str, object]:
        """The table as `slots.json` holds it."""
        return {"names": list(self.names), "aliases": dict(self.aliases)}

    @classmethod
    def from_json(cls, value: Mapping[str, object]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            DataError: the value is not such a table.
        """
        names, aliases = value.get("names"), value.get("aliases")
        if (
            not isinstance(names, list)
            or len(names) != len(KEYPOINT_SLOTS)
            or not all(name is None or isinstance(name, str) for name in names)
            or len(set(names) - {None}) != len(names) - names.count(None)
            or not isinstance(aliases, dict)
            or not all(isinstance(item, str) for pair in aliases.items() for item in pair)
        ):
            raise DataError(
                f"not a slot table of {len(KEYPOINT_SLOTS)} names and their aliases; restore it"
            )
        return cls(tuple(names), aliases)


@dataclass(frozen=True)
class ClassMap:
    """The classes of a scene in order, the first the background, and the actions of each.

    Attributes:
        names: c class names.
        class_of: action → class index; actions absent here belong to the background (0).
    """

    names: tuple[str, ...]
    class_of: Mapping[str, int]

    @classmethod
    def build(cls, classes: Iterable[tuple[str, Sequence[str]]]) -> Self:
        """From (name, actions) pairs in class order; they were validated with the settings."""
        pairs = list(classes)
        return cls(
            tuple(name for name, _ in pairs),
            {action: index for index, (_, actions) in enumerate(pairs) for action in actions},
        )

    def index(self, action: str) -> int:
        """The class of an action; the background's 0 for an action named nowhere."""
        return self.class_of.get(action, 0)
