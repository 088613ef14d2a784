"""Synthetic collections in the MABe layout: mice that move, meet and are annotated."""

from jaxbeh.data.synthetic.collection import (
    DEFAULT_SEED,
    FEWEST_FRAMES,
    FEWEST_VIDEOS,
    FRAMES,
    Plan,
    ensure_default,
    synthesize,
)
from jaxbeh.data.synthetic.full_scale import FullScale
from jaxbeh.data.synthetic.labs import DEFAULT_LABS, LABS, Lab

__all__ = [
    "DEFAULT_LABS",
    "DEFAULT_SEED",
    "FEWEST_FRAMES",
    "FEWEST_VIDEOS",
    "FRAMES",
    "LABS",
    "FullScale",
    "Lab",
    "Plan",
    "ensure_default",
    "synthesize",
]
