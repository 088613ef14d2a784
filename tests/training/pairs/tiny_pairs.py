"""A run of pairs of seconds: two labs, three actions, windows of 32."""

import functools

import jax
import numpy as np
import optax
from recordings import recording, wander

from jaxbeh.config import load_config
from jaxbeh.data.report import ReadingReport
from jaxbeh.inference.pairs.predictor import PairPredictor
from jaxbeh.settings.pairs import PairConfig
from jaxbeh.training.pairs.assemble import recipe_of
from jaxbeh.training.pairs.dataset import PairDataset, build_pair_dataset
from jaxbeh.training.pairs.members import Members, labs_learnt
from jaxbeh.training.pairs.programs import init_members

SETTINGS = (
    "window={length: 32, train_stride: 16}",
    "network={stem: 8, lab_embedding: 4, encoder: {name: tcn, channels: [8, 8], dropout: 0.2}}",
    "augmentation.time_stretch=1.3",
    "members={folds: 2, seeds: 2}",
    "training={epochs: 2, batch_size: 4}",
)


def tiny_config(*overrides) -> PairConfig:
    return load_config("v7", [*SETTINGS, *overrides])


def tiny_videos(count=6):
    made = []
    for index in range(count):
        frames = 60 + 10 * index
        events = [
            ("mouse1,mouse2,sniff", 5, 25),
            ("mouse2,self,rear", 10, 30),
            ("mouse1,mouse2,mount", 40, 50),
        ]
        made.append(
            recording(
                wander(frames, seed=index),
                events,
                video_id=str(index),
                lab_id="ab"[index % 2],
                fps=[30.0, 25.0, 60.0][index % 3],
                pixels_per_cm=4.0,
                whitelist=[triple for triple, _, _ in events],
            )
        )
    return made


def tiny_dataset(config, count=6):
    return build_pair_dataset(tiny_videos(count), config, ReadingReport())


def drawn_predictor(config: PairConfig, dataset: PairDataset) -> PairPredictor:
    """All members, by weights as they are drawn."""
    members = Members.all(dataset.folds, config.members.seeds)
    recipe = recipe_of(config, dataset)
    init = functools.partial(init_members, recipe, optax.identity(), members)
    state = jax.device_get(jax.jit(init)(jax.random.key(3)))
    return PairPredictor(
        recipe=recipe,
        slots=dataset.slots,
        vocabulary=dataset.vocabulary,
        labs=dataset.labs,
        learnt=labs_learnt(members, dataset.lab_fold),
        members=members,
        variables={"params": state.average, "batch_stats": state.batch_stats},
    )


def host(tree):
    return jax.tree.map(np.asarray, jax.device_get(tree))
