"""Everything that reads what others wrote: a folder of intact files, and what is done with it."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from jaxbeh.compare import compare
from jaxbeh.config import bundled_configs, load_config
from jaxbeh.data.cache import TrackingCache
from jaxbeh.data.checks import examine
from jaxbeh.data.mabe import read_labelled, read_test
from jaxbeh.data.mabe.annotation import place_events, read_annotation
from jaxbeh.data.mabe.tracking import read_tracking
from jaxbeh.data.report import ReadingReport
from jaxbeh.data.split import split_videos
from jaxbeh.score import score
from jaxbeh.settings.run import DataSettings
from jaxbeh.vocabulary import ClassMap, SlotTable
from tests.data.mabe_folder import Video, annotation, rows, walk, write_folder, write_parquet
from tests.recordings import recording, wander

CLASSES = ClassMap.build([("background", []), ("social", ["sniff"]), ("aggressive", ["attack"])])
EVENTS = [(1, 2, "sniff", 3, 9), (2, 1, "attack", 9, 20), (1, 1, "rear", 0, 4)] * 3
SOLUTION = (
    "video_id,agent_id,target_id,action,start_frame,stop_frame,lab_id,behaviors_labeled\n"
    + "".join(
        f'{video},mouse1,mouse2,{action},{start},{start + 5},Lab,"[""mouse1,mouse2,sniff"", '
        f'""mouse1,mouse2,attack""]"\n'
        for video in (101, 102)
        for start, action in ((3, "sniff"), (10, "attack"))
    )
)
SUBMISSION = "row_id,video_id,agent_id,target_id,action,start_frame,stop_frame\n" + "".join(
    f"{row},{video},mouse1,mouse2,{action},{4 + 6 * row},{8 + 6 * row}\n"
    for row, (video, action) in enumerate(((101, "sniff"), (102, "attack"), (101, "attack")))
)

LEAVES = {
    step: {"a.b": np.full((3, 4), step, np.float32), "c": np.asarray(step, np.int32)}
    for step in (1, 2)
}
"""Of checkpoints, by step."""


@dataclasses.dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        make: writes the intact files into an empty folder.
        read: reads them as a command does; may raise a `JaxbehError`.
        never: whether it may raise at all.
        damage: which of the files are damaged, as a glob.
    """

    make: Callable[[Path], object]
    read: Callable[[Path], object]
    never: bool = False
    damage: str = "**/*.*"


def _tracking(folder):
    pixels = walk(60)
    pixels[5, 1, 2] = np.nan
    write_parquet(folder / "1.parquet", rows(pixels, first_frame=7), row_group_size=200)


def _read_events(folder):
    events = read_annotation(folder / "1.parquet")
    place_events(events, 0, 40, 25 / 30, ReadingReport(), "1")


def _collection(folder):
    videos = [Video(video_id=str(101 + n), tracking=rows(walk(40, seed=n))) for n in range(3)]
    return write_folder(folder, videos, [Video(video_id="201", tracking=rows(walk(30, seed=9)))])


def _read_collection(folder):
    read_labelled(folder, DataSettings(), ReadingReport(), None)
    read_test(folder, DataSettings(), ReadingReport(), None)


def _lists(folder):
    """A collection whose lists are in `cell.json`, to be damaged before they are quoted."""
    _collection(folder)
    (folder / "cell.json").write_text(json.dumps(["mouse1,mouse2,sniff", "mouse1,self,rear"]))


def _read_lists(folder):
    cell = (folder / "cell.json").read_bytes().decode("utf-8", "replace").replace('"', '""')
    table = "".join(f'Lab,{101 + n},"{cell}"\n' for n in range(3))
    (folder / "train.csv").write_text("lab_id,video_id,behaviors_labeled\n" + table)
    _read_collection(folder)


def _config(folder):
    (folder / "mine.yaml").write_text(bundled_configs()["debug"].read_text())


def _split(folder):
    (folder / "split.json").write_text('{"train": ["1", "2"], "validation": ["3"]}')


RECORDINGS = [recording(wander(30, seed=n), video_id=str(n)) for n in (1, 2, 3)]


def _read_split(folder):
    settings = DataSettings(split_file=str(folder / "split.json"))
    split_videos(RECORDINGS, settings, 0, CLASSES, ReadingReport())


def _run(folder):
    from jaxbeh.inference.scene_bouts import ActionFrequencies
    from jaxbeh.training.run_folder import RunFolder

    slots = SlotTable.build(["nose", "tail_base", "whisker"], {"snout": "nose"})
    record = {
        "data_hash": "ab", "init_from": None, "data": "mice", "parameters": 3, "windows": 9,
        "train_shards": 2, "validation_shards": 1,
        "packages": {"jax": "0.10"}, "devices": {"count": 1, "kind": "cpu"},
        "train_content": ["cd"], "validation_content": ["ef"],
    }  # fmt: skip
    actions = ActionFrequencies.build(RECORDINGS).to_json()
    made = RunFolder(folder / "run")
    split = {"train": ["1", "2"], "validation": ["3"]}
    made.start(load_config("debug"), slots, split, {"actions.json": actions}, record)
    line = {"val_macro_f1": 0.5, "seconds": 2.0, "train_loss": 1.0}
    for epoch in (1, 2):
        made.append_metrics({"epoch": epoch, **line})


def _read_run(folder):
    from jaxbeh.data.store import Scene
    from jaxbeh.evaluate import _to_score
    from jaxbeh.inference.scene_bouts import ActionFrequencies
    from jaxbeh.train import _print_changed_versions
    from jaxbeh.training.run_folder import RunFolder

    run = RunFolder(folder / "run")
    config = run.config()
    run.slots()
    record = run.record()
    run.require_same(config, record, run.split())
    _print_changed_versions(record)
    run.parsed("actions.json", ActionFrequencies.from_json)
    assert Scene
    _to_score([run], ())
    compare([run.path, run.path])
    run.cut_metrics(1)


def _tables(folder):
    (folder / "solution.csv").write_text(SOLUTION)
    (folder / "submission.csv").write_text(SUBMISSION)


def _cache(folder):
    _tracking(folder)
    cache = TrackingCache(folder / "cache")
    cache.store("a" * 64, *read_tracking(folder / "1.parquet"))


def _read_cache(folder):
    """An entry that is not as it was written is not there; nothing else ever comes of it."""
    found = TrackingCache(folder / "cache").load("a" * 64)
    if found is not None:
        whole, findings = read_tracking(folder / "1.parquet")
        assert found[1] == findings
        assert found[0].content_hash == whole.content_hash
        assert np.array_equal(found[0].xy, whole.xy)


def _checkpoints(folder):
    from jaxbeh.training.checkpoints import Checkpoints

    made = Checkpoints(folder / "checkpoints", print)
    for step, leaves in LEAVES.items():
        made.save(step, leaves, step / 10)
    made.close()


def _read_checkpoints(folder):
    """The damaged one where no damage shows, or the one before it; nothing else."""
    from jaxbeh.training.checkpoints import Checkpoints

    told = []
    found = Checkpoints(folder / "checkpoints", told.append).best()
    assert found.step == 2 or told
    for path, leaf in LEAVES[found.step].items():
        assert found.leaves[path].dtype == leaf.dtype
        assert np.array_equal(found.leaves[path], leaf)


TARGETS = {
    "tracking": Target(_tracking, lambda folder: read_tracking(folder / "1.parquet")),
    "annotation": Target(
        lambda folder: write_parquet(folder / "1.parquet", annotation(EVENTS)), _read_events
    ),
    "videos": Target(_collection, _read_collection, damage="*.csv"),
    "whitelist": Target(_lists, _read_lists, damage="cell.json"),
    "collection": Target(_collection, _read_collection),
    "doctor": Target(
        _collection, lambda folder: examine(folder, DataSettings(), lambda *_: None), never=True
    ),
    "config": Target(_config, lambda folder: load_config(str(folder / "mine.yaml"))),
    "split": Target(_split, _read_split),
    "run": Target(_run, _read_run),
    "score": Target(
        _tables, lambda folder: score(folder / "solution.csv", folder / "submission.csv")
    ),
    "cache": Target(_cache, _read_cache, never=True, damage="cache/**/*.*"),
    "checkpoint": Target(_checkpoints, _read_checkpoints, never=True, damage="checkpoints/2/**/*"),
}
"""By name."""
