"""What a run of pairs remembers beside its weights."""

import json

import pytest

from jaxbeh.data.tracks import ActionVocabulary
from jaxbeh.errors import DataError
from jaxbeh.inference.pairs.records import Known

KNOWN = Known(
    vocabulary=ActionVocabulary(("rear",), ("chase", "sniff")),
    labs=("a", "b"),
    lab_fold=(-1, 2),
    folds=3,
    seeds=2,
)


def test_what_is_written_is_read_back():
    assert Known.from_json(KNOWN.to_json()) == KNOWN


def test_a_run_without_a_note_of_labs_held_out_is_one_that_learnt_all():
    value = json.loads(KNOWN.to_json())
    del value["lab_fold"]
    assert Known.from_json(json.dumps(value)).lab_fold == (-1, -1)


@pytest.mark.parametrize("wrong", [None, 1, [0], [0, 3], [0, -2], [0, 10**30], [0, 1.0], [0, "1"]])
def test_a_damaged_note_is_refused(wrong):
    value = json.loads(KNOWN.to_json()) | {"lab_fold": wrong}
    with pytest.raises(DataError, match=r"lab_fold is .*; restore the file"):
        Known.from_json(json.dumps(value))
