"""The invented laboratories: what each tracks, films and annotates.

Each is modelled on one lab of the MABe challenge and named after it with `Synthetic-` in front, so
that none can be mistaken for real data. Frame rates, scales, keypoints, tracking methods and the
durations of bouts follow the real lab; two things do not. Every invented lab looks for at least
one social, one mating and one aggressive action, which few real ones do, and the labs of the
default collection all track the seven keypoints that engineered features need.
"""

from dataclasses import dataclass

from jaxbeh.errors import SettingsError
from jaxbeh.vocabulary import Triple

Direction = tuple[int, int]
"""Agent and target, as mouse ids; equal for self actions."""

ONE_WAY: tuple[Direction, ...] = ((1, 2),)
BOTH_WAYS: tuple[Direction, ...] = ((1, 2), (2, 1))
ALL_FOUR: tuple[Direction, ...] = tuple(
    (agent, target) for agent in range(1, 5) for target in range(1, 5) if agent != target
)
FIRST: tuple[Direction, ...] = ((1, 1),)
SECOND: tuple[Direction, ...] = ((2, 2),)
EACH: tuple[Direction, ...] = ((1, 1), (2, 2))
EACH_OF_FOUR: tuple[Direction, ...] = ((1, 1), (2, 2), (3, 3), (4, 4))

SEVEN_KEYPOINTS = ("nose", "ear_left", "ear_right", "neck", "hip_left", "hip_right", "tail_base")
"""What engineered features need; tracked by every lab of the default collection."""


@dataclass(frozen=True)
class LabAction:
    """An action that a lab looks for.

    Attributes:
        name: one of `acts.ACTS`, `acts.REACTIONS` or `acts.SELF_ACTS`.
        directions: who may do it to whom.
        median: of the bouts' durations, seconds.
        p90: their ninth decile, seconds.
        weight: how often it is chosen among the lab's actions of the same class.
    """

    name: str
    directions: tuple[Direction, ...]
    median: float
    p90: float
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Lab:
    """One invented laboratory.

    Attributes:
        name: the `lab_id`.
        mice: animals in a video.
        fps: frame rates; a video has one of them.
        pixels_per_cm: lowest and highest scale; a video has one between.
        size_px: width and height of the picture, pixels; at least as large as the arena.
        arena_cm: width and height, centimetres.
        keypoints: in the order of the table.
        actions: what is looked for, in all of the lab's videos.
        jitter_px: standard deviation of the tracking error of one coordinate, pixels.
        dropout: share of a keypoint's frames in which it is lost while nothing hides it.
        nan_files: share of the videos that write lost points as NaN instead of leaving them out.
    """

    name: str
    mice: int = 2
    fps: tuple[float, ...]
    pixels_per_cm: tuple[float, float]
    size_px: tuple[int, int]
    arena_cm: tuple[float, float]
    tracking_method: str
    keypoints: tuple[str, ...]
    actions: tuple[LabAction, ...]
    jitter_px: float = 0.7
    dropout: float = 0.01
    nan_files: float = 0.0

    @property
    def whitelist(self) -> tuple[Triple, ...]:
        """Every (agent, target, action) that the lab looks for, sorted."""
        return tuple(
            sorted(
                Triple.of_ids(agent, target, action.name)
                for action in self.actions
                for agent, target in action.directions
            )
        )


_DEFAULT = (
    Lab(
        name="Synthetic-CRIM13",
        fps=(25.0,),
        pixels_per_cm=(14.4, 15.7),
        size_px=(640, 480),
        arena_cm=(35.0, 20.0),
        tracking_method="MARS",
        keypoints=SEVEN_KEYPOINTS,
        actions=(
            LabAction("approach", ONE_WAY, 1.28, 2.36),
            LabAction("attack", ONE_WAY, 1.56, 5.09),
            LabAction("disengage", ONE_WAY, 1.58, 2.92),
            LabAction("mount", ONE_WAY, 2.36, 6.34),
            LabAction("rear", EACH, 1.2, 6.47),
            LabAction("selfgroom", FIRST, 0.54, 6.74),
            LabAction("sniff", ONE_WAY, 1.04, 5.76, 2.0),
        ),
        jitter_px=0.6,
        dropout=0.004,
    ),
    Lab(
        name="Synthetic-CalMS21",
        fps=(30.0,),
        pixels_per_cm=(18.33, 18.33),
        size_px=(1024, 570),
        arena_cm=(35.0, 20.0),
        tracking_method="MARS",
        keypoints=SEVEN_KEYPOINTS,
        actions=(
            LabAction("approach", ONE_WAY, 0.53, 1.17),
            LabAction("attack", ONE_WAY, 1.4, 4.65),
            LabAction("attemptmount", ONE_WAY, 0.7, 1.66, 0.5),
            LabAction("intromit", ONE_WAY, 8.93, 15.63, 0.4),
            LabAction("mount", ONE_WAY, 2.1, 6.13),
            LabAction("sniffbody", ONE_WAY, 0.7, 2.13),
            LabAction("sniffface", ONE_WAY, 0.57, 2.77),
            LabAction("sniffgenital", ONE_WAY, 1.03, 4.57, 2.0),
        ),
        dropout=0.004,
    ),
    Lab(
        name="Synthetic-ElegantMink",
        fps=(30.0,),
        pixels_per_cm=(17.3, 20.3),
        size_px=(720, 480),
        arena_cm=(33.0, 22.0),
        tracking_method="SLEAP",
        keypoints=SEVEN_KEYPOINTS,
        actions=(
            LabAction("allogroom", BOTH_WAYS, 2.5, 6.0, 0.3),
            LabAction("attack", BOTH_WAYS, 3.47, 9.79),
            LabAction("attemptmount", BOTH_WAYS, 0.47, 1.12, 0.5),
            LabAction("chase", BOTH_WAYS, 1.5, 3.0),
            LabAction("intromit", BOTH_WAYS, 9.57, 20.86, 0.3),
            LabAction("mount", BOTH_WAYS, 1.83, 4.99),
            LabAction("sniff", BOTH_WAYS, 1.97, 8.63),
        ),
        dropout=0.02,
    ),
    Lab(
        name="Synthetic-UppityFerret",
        fps=(24.98, 25.0),
        pixels_per_cm=(12.5, 13.0),
        size_px=(624, 572),
        arena_cm=(38.0, 38.0),
        tracking_method="DeepLabCut",
        keypoints=(
            "nose",
            "ear_left",
            "ear_right",
            "neck",
            "spine_1",
            "body_center",
            "spine_2",
            "lateral_left",
            "lateral_right",
            "hip_left",
            "hip_right",
            "tail_base",
            "tail_middle_1",
            "tail_middle_2",
            "tail_tip",
        ),
        actions=(
            LabAction("attack", BOTH_WAYS, 1.3, 4.0),
            LabAction("follow", BOTH_WAYS, 1.6, 4.0),
            LabAction("huddle", EACH, 1.44, 7.14),
            LabAction("mount", BOTH_WAYS, 2.0, 5.5),
            LabAction("reciprocalsniff", BOTH_WAYS, 0.44, 1.6),
            LabAction("sniffgenital", BOTH_WAYS, 0.56, 2.76),
        ),
        jitter_px=0.5,
        dropout=0.015,
    ),
    Lab(
        name="Synthetic-SparklingTapir",
        fps=(50.0, 60.0),
        pixels_per_cm=(22.0, 27.0),
        size_px=(620, 860),
        arena_cm=(22.0, 30.0),
        tracking_method="DeepLabCut",
        keypoints=(*SEVEN_KEYPOINTS, "body_center", "lateral_left", "lateral_right"),
        actions=(
            LabAction("attack", BOTH_WAYS, 0.9, 3.38),
            LabAction("chase", BOTH_WAYS, 1.37, 2.84),
            LabAction("defend", BOTH_WAYS, 0.5, 1.93),
            LabAction("escape", BOTH_WAYS, 0.57, 1.12),
            LabAction("follow", BOTH_WAYS, 0.9, 2.5),
            LabAction("mount", BOTH_WAYS, 2.4, 7.17),
            LabAction("rear", SECOND, 1.0, 2.4),
            LabAction("sniff", BOTH_WAYS, 1.04, 4.5, 2.0),
        ),
        jitter_px=0.8,
        dropout=0.015,
        nan_files=0.5,
    ),
)

_FURTHER = (
    Lab(
        name="Synthetic-AdaptableSnail",
        mice=4,
        fps=(25.0, 30.0),
        pixels_per_cm=(14.0, 16.0),
        size_px=(1204, 1058),
        arena_cm=(60.0, 60.0),
        tracking_method="DeepLabCut",
        keypoints=(
            "body_center",
            "ear_left",
            "ear_right",
            "headpiece_bottombackleft",
            "headpiece_bottombackright",
            "headpiece_bottomfrontleft",
            "headpiece_bottomfrontright",
            "headpiece_topbackleft",
            "headpiece_topbackright",
            "headpiece_topfrontleft",
            "headpiece_topfrontright",
            "lateral_left",
            "lateral_right",
            "neck",
            "nose",
            "tail_base",
            "tail_midpoint",
            "tail_tip",
        ),
        actions=(
            LabAction("approach", ALL_FOUR, 0.77, 1.4),
            LabAction("attack", ALL_FOUR, 1.28, 5.71),
            LabAction("avoid", ALL_FOUR, 1.53, 2.73),
            LabAction("chase", ALL_FOUR, 1.37, 2.84),
            LabAction("chaseattack", ALL_FOUR, 1.13, 3.2, 0.5),
            LabAction("mount", ALL_FOUR, 2.0, 5.0),
            LabAction("rear", EACH_OF_FOUR, 1.33, 4.15),
            LabAction("sniff", ALL_FOUR, 1.0, 3.5),
            LabAction("submit", ALL_FOUR, 1.47, 4.0),
        ),
        dropout=0.02,
    ),
    Lab(
        name="Synthetic-BoisterousParrot",
        fps=(30.0,),
        pixels_per_cm=(5.5, 5.5),
        size_px=(300, 300),
        arena_cm=(45.0, 45.0),
        tracking_method="DeepLabCut",
        keypoints=("body_center", "ear_left", "ear_right", "nose", "tail_base"),
        actions=(
            LabAction("attack", ONE_WAY, 1.5, 4.5),
            LabAction("follow", ONE_WAY, 3.77, 9.73),
            LabAction("mount", ONE_WAY, 2.0, 6.0),
            LabAction("sniff", ONE_WAY, 1.0, 4.0),
        ),
        jitter_px=0.3,
    ),
    Lab(
        name="Synthetic-JovialSwallow",
        fps=(10.0,),
        pixels_per_cm=(13.0, 13.0),
        size_px=(400, 480),
        arena_cm=(20.0, 35.0),
        tracking_method="SLEAP",
        keypoints=SEVEN_KEYPOINTS,
        actions=(
            LabAction("attack", BOTH_WAYS, 4.9, 10.96),
            LabAction("chase", BOTH_WAYS, 1.6, 2.8),
            LabAction("mount", BOTH_WAYS, 3.0, 8.0),
            LabAction("sniff", BOTH_WAYS, 2.1, 5.6),
        ),
        dropout=0.02,
    ),
    Lab(
        name="Synthetic-LyricalHare",
        fps=(120.0, 120.02),
        pixels_per_cm=(10.9, 10.9),
        size_px=(560, 680),
        arena_cm=(30.8, 22.2),
        tracking_method="DeepLabCut",
        keypoints=("ear_left", "ear_right", "nose", "tail_base", "tail_tip"),
        actions=(
            LabAction("approach", BOTH_WAYS, 1.04, 2.85),
            LabAction("attack", BOTH_WAYS, 2.13, 6.94),
            LabAction("defend", BOTH_WAYS, 0.45, 1.91),
            LabAction("escape", BOTH_WAYS, 0.7, 1.55),
            LabAction("freeze", EACH, 0.9, 6.08),
            LabAction("mount", BOTH_WAYS, 2.0, 5.0),
            LabAction("rear", EACH, 0.81, 2.7),
            LabAction("sniff", BOTH_WAYS, 0.98, 5.98),
        ),
        jitter_px=0.3,
        dropout=0.015,
    ),
    Lab(
        name="Synthetic-PleasantMeerkat",
        fps=(45.0,),
        pixels_per_cm=(15.8, 15.8),
        size_px=(2020, 2021),
        arena_cm=(120.0, 120.0),
        tracking_method="DeepLabCut",
        keypoints=(
            "body_center",
            "ear_left",
            "ear_right",
            "lateral_left",
            "lateral_right",
            "nose",
            "tail_base",
            "tail_tip",
        ),
        actions=(
            LabAction("attack", BOTH_WAYS, 0.5, 0.9),
            LabAction("chase", BOTH_WAYS, 0.8, 1.5),
            LabAction("escape", BOTH_WAYS, 0.5, 1.0),
            LabAction("follow", BOTH_WAYS, 3.0, 8.0),
            LabAction("mount", BOTH_WAYS, 2.0, 5.0),
        ),
    ),
)

DEFAULT_LABS = tuple(lab.name for lab in _DEFAULT)
"""The labs of the default collection, all of which track `SEVEN_KEYPOINTS`."""

LABS = {lab.name: lab for lab in (*_DEFAULT, *_FURTHER)}
"""Every invented lab by name, the default ones first."""


def find_labs(names: tuple[str, ...]) -> tuple[Lab, ...]:
    """The labs of these names, in the order given.

    Raises:
        SettingsError: a name is unknown or given twice, or there is none.
    """
    for name in names:
        if name not in LABS:
            raise SettingsError(f"there is no lab {name!r}; there are {', '.join(LABS)}")
        if names.count(name) > 1:
            raise SettingsError(f"lab {name!r} is named {names.count(name)} times; name it once")
    if not names:
        raise SettingsError(f"no lab is named; there are {', '.join(LABS)}")
    return tuple(LABS[name] for name in names)
