"""The labelled part of the MABe challenge in figures: a collection of its size follows this table.

Videos, frames, median lengths, frame rates, scales, pictures, arenas, keypoints and tracking
methods are those of the 19 real labs. The names begin with `Synthetic-`, and every lab looks for at
least one social, one mating and one aggressive action, as all invented labs do (`labs`); bouts of
what the real lab looks for last as long as there. Where a lab filmed at several rates, how many
videos have which is chosen so that its frames and its hours agree.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from jaxbeh.data.synthetic.labs import (
    BOTH_WAYS,
    EACH,
    LABS,
    SEVEN_KEYPOINTS,
    Lab,
    LabAction,
)

_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, kw_only=True)
class ChallengeLab:
    """One lab of the full-scale collection.

    Attributes:
        lab: how its videos are made.
        frames: of all its videos together.
        median_seconds: of their lengths.
        rates: frames a second and how many videos have them.
    """

    lab: Lab
    frames: int
    median_seconds: float
    rates: tuple[tuple[float, int], ...]

    def videos(self) -> list[tuple[Lab, int]]:
        """How each video is made, with its one frame rate, and its number of frames.

        Lengths are the quantiles of a log-normal distribution as wide as the lab's mean and median
        ask for (all equal where the mean is not the larger), scaled so that the sum is `frames`.
        """
        rates = [rate for rate, count in self.rates for _ in range(count)]
        mean = self.frames / sum(rates)
        spread = math.sqrt(2 * math.log(max(mean / self.median_seconds, 1.0)))
        quantile = statistics.NormalDist().inv_cdf
        # Long and short ones mixed, so that no rate gets all of one kind.
        ranks = sorted(range(len(rates)), key=lambda rank: rank * _GOLDEN % 1)
        shares = [
            rate * math.exp(spread * quantile((rank + 0.5) / len(rates)))
            for rate, rank in zip(rates, ranks, strict=True)
        ]
        lengths = _in_proportion(shares, self.frames)
        return [
            (replace(self.lab, fps=(rate,)), length)
            for rate, length in zip(rates, lengths, strict=True)
        ]


def _in_proportion(shares: Sequence[float], total: int) -> list[int]:
    """Whole numbers in proportion to the shares, up to rounding, whose sum is `total`."""
    ends = [round(end / sum(shares) * total) for end in accumulate(shares, initial=0.0)]
    return [stop - start for start, stop in pairwise(ends)]


_EARS = ("ear_left", "ear_right")
_SIDES = ("lateral_left", "lateral_right")
_FIVE_KEYPOINTS = ("body_center", *_EARS, "nose", "tail_base")
_EIGHT_KEYPOINTS = ("body_center", *_EARS, *_SIDES, "nose", "tail_base", "tail_tip")


def _like(
    model: str, *, scale: tuple[float, float], size: tuple[int, int], arena: tuple[float, float]
) -> Lab:
    """An invented lab with the real one's scale, picture and arena."""
    return replace(LABS[model], pixels_per_cm=scale, size_px=size, arena_cm=arena)


_CALMS21 = _like("Synthetic-CalMS21", scale=(18.33, 18.33), size=(1024, 570), arena=(35.0, 15.0))

CHALLENGE_LABS: tuple[ChallengeLab, ...] = (
    ChallengeLab(
        lab=_like(
            "Synthetic-AdaptableSnail", scale=(9.7, 16.0), size=(1204, 1058), arena=(60.0, 60.0)
        ),
        frames=733_220,
        median_seconds=619.7,
        rates=((25.0, 4), (30.0, 13)),
    ),
    ChallengeLab(
        lab=_like(
            "Synthetic-BoisterousParrot", scale=(5.5, 5.5), size=(300, 300), arena=(45.0, 45.0)
        ),
        frames=4_752_204,
        median_seconds=19_800.9,
        rates=((30.0, 8),),
    ),
    ChallengeLab(
        lab=_like("Synthetic-CRIM13", scale=(14.4, 15.7), size=(640, 480), arena=(35.0, 15.0)),
        frames=208_605,
        median_seconds=419.0,
        rates=((25.0, 21),),
    ),
    ChallengeLab(
        lab=replace(_CALMS21, name="Synthetic-CalMS21_supplemental"),
        frames=5_544_597,
        median_seconds=613.3,
        rates=((30.0, 297),),
    ),
    ChallengeLab(
        lab=replace(_CALMS21, name="Synthetic-CalMS21_task1"),
        frames=981_129,
        median_seconds=261.9,
        rates=((30.0, 101),),
    ),
    ChallengeLab(
        lab=replace(_CALMS21, name="Synthetic-CalMS21_task2"),
        frames=1_491_318,
        median_seconds=602.3,
        rates=((30.0, 76),),
    ),
    ChallengeLab(
        lab=Lab(
            name="Synthetic-CautiousGiraffe",
            fps=(25.0,),
            pixels_per_cm=(21.0, 21.0),
            size_px=(600, 600),
            arena_cm=(30.0, 30.0),
            tracking_method="DeepLabCut",
            keypoints=SEVEN_KEYPOINTS,
            actions=(
                LabAction("chase", BOTH_WAYS, 1.56, 6.9),
                LabAction("escape", BOTH_WAYS, 3.48, 16.2),
                LabAction("mount", BOTH_WAYS, 2.0, 5.5),
                LabAction("reciprocalsniff", BOTH_WAYS, 1.04, 2.48, 4.0),
                LabAction("sniff", BOTH_WAYS, 0.96, 2.82),
                LabAction("sniffbody", BOTH_WAYS, 0.84, 2.18),
                LabAction("sniffgenital", BOTH_WAYS, 0.88, 2.93),
            ),
        ),
        frames=150_000,
        median_seconds=600.0,
        rates=((25.0, 10),),
    ),
    ChallengeLab(
        lab=Lab(
            name="Synthetic-DeliriousFly",
            fps=(60.0, 60.01),
            pixels_per_cm=(16.0, 16.0),
            size_px=(864, 412),
            arena_cm=(38.0, 18.5),
            tracking_method="DeepLabCut",
            keypoints=_EIGHT_KEYPOINTS,
            actions=(
                LabAction("attack", BOTH_WAYS, 0.97, 2.13),
                LabAction("mount", BOTH_WAYS, 2.0, 5.5),
                LabAction("sniff", BOTH_WAYS, 0.52, 2.42),
            ),
        ),
        frames=324_026,
        median_seconds=900.0,
        rates=((60.0, 3), (60.01, 3)),
    ),
    ChallengeLab(
        lab=_like("Synthetic-ElegantMink", scale=(17.3, 20.3), size=(720, 480), arena=(33.0, 22.0)),
        frames=910_341,
        median_seconds=1806.9,
        rates=((30.0, 19),),
    ),
    ChallengeLab(
        lab=Lab(
            name="Synthetic-GroovyShrew",
            fps=(30.0,),
            pixels_per_cm=(9.8, 12.6),
            size_px=(533, 309),
            arena_cm=(33.0, 19.0),
            tracking_method="SLEAP",
            keypoints=("head", *_EARS, "tail_base"),
            actions=(
                LabAction("approach", BOTH_WAYS, 0.63, 1.27),
                LabAction("attack", BOTH_WAYS, 1.3, 4.5),
                LabAction("attemptmount", BOTH_WAYS, 1.5, 5.33),
                LabAction("defend", BOTH_WAYS, 0.45, 1.43),
                LabAction("escape", BOTH_WAYS, 0.67, 1.41),
                LabAction("rear", EACH, 1.17, 2.43),
                LabAction("selfgroom", EACH, 1.3, 5.29),
                LabAction("sniff", BOTH_WAYS, 0.73, 2.61, 4.0),
                LabAction("sniffgenital", BOTH_WAYS, 0.93, 3.43),
            ),
            dropout=0.02,
        ),
        frames=450_756,
        median_seconds=749.6,
        rates=((30.0, 17),),
    ),
    ChallengeLab(
        lab=Lab(
            name="Synthetic-InvincibleJellyfish",
            fps=(30.0,),
            pixels_per_cm=(32.0, 32.0),
            size_px=(1024, 768),
            arena_cm=(28.0, 18.0),
            tracking_method="MARS",
            keypoints=SEVEN_KEYPOINTS,
            actions=(
                LabAction("allogroom", BOTH_WAYS, 3.23, 16.27, 0.3),
                LabAction("attack", BOTH_WAYS, 1.67, 6.71),
                LabAction("escape", BOTH_WAYS, 1.2, 3.52),
                LabAction("mount", BOTH_WAYS, 2.1, 6.1),
                LabAction("selfgroom", EACH, 2.2, 8.67),
                LabAction("sniff", BOTH_WAYS, 1.13, 4.95, 2.0),
                LabAction("sniffgenital", BOTH_WAYS, 1.3, 5.36),
            ),
            dropout=0.004,
        ),
        frames=565_521,
        median_seconds=570.6,
        rates=((30.0, 33),),
    ),
    ChallengeLab(
        lab=_like(
            "Synthetic-JovialSwallow", scale=(15.3, 15.3), size=(400, 480), arena=(15.0, 35.0)
        ),
        frames=468_000,
        median_seconds=900.0,
        rates=((10.0, 52),),
    ),
    ChallengeLab(
        lab=_like("Synthetic-LyricalHare", scale=(10.9, 10.9), size=(560, 680), arena=(30.8, 22.2)),
        frames=887_304,
        median_seconds=305.8,
        rates=((120.0, 12), (120.02, 12)),
    ),
    ChallengeLab(
        lab=Lab(
            name="Synthetic-NiftyGoldfinch",
            fps=(30.0,),
            pixels_per_cm=(13.5, 13.5),
            size_px=(600, 350),
            arena_cm=(33.0, 19.0),
            tracking_method="SLEAP",
            keypoints=_FIVE_KEYPOINTS,
            actions=(
                LabAction("approach", BOTH_WAYS, 0.8, 1.7),
                LabAction("attack", BOTH_WAYS, 0.77, 2.2, 2.0),
                LabAction("chase", BOTH_WAYS, 0.83, 2.57),
                LabAction("defend", BOTH_WAYS, 0.67, 1.9),
                LabAction("escape", BOTH_WAYS, 0.73, 1.7),
                LabAction("flinch", BOTH_WAYS, 0.27, 0.56),
                LabAction("follow", BOTH_WAYS, 0.83, 1.87, 0.2),
                LabAction("mount", BOTH_WAYS, 2.0, 5.5),
                LabAction("rear", EACH, 1.03, 2.43),
                LabAction("selfgroom", EACH, 1.1, 4.56),
                LabAction("sniff", BOTH_WAYS, 0.53, 1.63),
                LabAction("sniffface", BOTH_WAYS, 0.37, 1.1),
                LabAction("sniffgenital", BOTH_WAYS, 0.73, 2.19, 0.1),
            ),
            dropout=0.02,
        ),
        frames=354_249,
        median_seconds=1179.9,
        rates=((30.0, 11),),
    ),
    ChallengeLab(
        lab=_like(
            "Synthetic-PleasantMeerkat", scale=(15.8, 15.8), size=(2020, 2021), arena=(120.0, 120.0)
        ),
        frames=972_000,
        median_seconds=600.0,
        rates=((45.0, 36),),
    ),
    ChallengeLab(
        lab=Lab(
            name="Synthetic-ReflectiveManatee",
            fps=(25.0,),
            pixels_per_cm=(15.0, 15.0),
            size_px=(656, 492),
            arena_cm=(35.0, 20.0),
            tracking_method="DeepLabCut",
            keypoints=("body_center", *_EARS, *_SIDES, "nose", "tail_base"),
            actions=(
                LabAction("attack", BOTH_WAYS, 1.32, 4.19),
                LabAction("mount", BOTH_WAYS, 2.0, 5.5),
                LabAction("sniff", BOTH_WAYS, 1.12, 5.14),
            ),
        ),
        frames=303_022,
        median_seconds=602.6,
        rates=((25.0, 20),),
    ),
    ChallengeLab(
        lab=replace(
            _like(
                "Synthetic-SparklingTapir",
                scale=(15.0, 65.0),
                size=(1000, 1544),
                arena=(19.0, 28.5),
            ),
            keypoints=("body_center", *_EARS, *_SIDES, "nose", "tail_base"),
        ),
        frames=621_544,
        median_seconds=194.6,
        rates=((30.0, 43), (50.0, 4), (60.0, 4), (120.0, 3)),
    ),
    ChallengeLab(
        lab=Lab(
            name="Synthetic-TranquilPanther",
            fps=(30.0,),
            pixels_per_cm=(9.0, 13.7),
            size_px=(640, 480),
            arena_cm=(35.0, 20.0),
            tracking_method="SLEAP",
            keypoints=SEVEN_KEYPOINTS,
            actions=(
                LabAction("attack", BOTH_WAYS, 1.3, 4.5),
                LabAction("intromit", BOTH_WAYS, 7.73, 48.31, 0.3),
                LabAction("mount", BOTH_WAYS, 2.47, 6.55),
                LabAction("rear", EACH, 1.4, 3.08),
                LabAction("selfgroom", EACH, 1.0, 3.67),
                LabAction("sniff", BOTH_WAYS, 0.58, 2.0, 3.0),
                LabAction("sniffgenital", BOTH_WAYS, 1.28, 5.27),
            ),
            dropout=0.02,
        ),
        frames=1_234_590,
        median_seconds=1235.0,
        rates=((30.0, 25),),
    ),
    ChallengeLab(
        lab=replace(
            _like(
                "Synthetic-UppityFerret", scale=(12.5, 13.0), size=(624, 572), arena=(38.0, 38.0)
            ),
            keypoints=(
                "body_center",
                *_EARS,
                "hip_left",
                "hip_right",
                *_SIDES,
                "nose",
                "spine_1",
                "spine_2",
                "tail_base",
                "tail_middle_1",
                "tail_middle_2",
                "tail_tip",
            ),
        ),
        frames=314_357,
        median_seconds=600.2,
        rates=((24.36, 2), (24.62, 2), (24.98, 2), (24.99, 2), (25.0, 13)),
    ),
)
"""The labs in the order of their names; 848 videos and 21,266,783 frames in all."""
