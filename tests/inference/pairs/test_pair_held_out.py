"""Which videos each fold of a run held out, as its folder says."""

import json

import pytest
from pair_tracks import recording

from jaxbeh.errors import RunError
from jaxbeh.inference.pairs.decoding import Decoding, Thresholds
from jaxbeh.inference.pairs.held_out import by_fold
from jaxbeh.tasks.pair_evaluation import PairEvaluator
from jaxbeh.training.run_folder import RunFolder

SPLIT = {"train": ["a", "b", "c"], "validation": ["a", "b", "c"]}


def folder_of(path, **folds):
    (path / "split.json").write_text(json.dumps({**SPLIT, **folds}))
    return RunFolder(path)


def test_videos_are_told_by_their_ids(tmp_path):
    folder = folder_of(tmp_path, **{"fold 1": ["c", "a"], "fold 2": ["b"]})
    videos = [recording(5, name) for name in "abx"]
    found = by_fold(folder, 2, videos)
    assert [[item.video_id for item in own] for own in found] == [["a"], ["b"]]


@pytest.mark.parametrize("fold", [None, "a", [1]])
def test_a_damaged_split_is_refused(tmp_path, fold):
    folds = {"fold 1": ["a"]} | ({} if fold is None else {"fold 2": fold})
    with pytest.raises(RunError, match=r"no list.*'fold 2'; restore the file"):
        by_fold(folder_of(tmp_path, **folds), 2, [])


def test_a_collection_with_other_ids_is_refused(tmp_path):
    none = Thresholds(alone={}, pair={})
    evaluator = PairEvaluator(
        folders=(folder_of(tmp_path),),
        runs=(),
        decoding=Decoding(labs={}, pooled=none),
        fitted=False,
        tta=True,
        tell=print,
    )
    with pytest.raises(RunError, match="none of the 1 videos that it held out is here by the id"):
        evaluator.score_held_out([recording(5, "renamed")])
