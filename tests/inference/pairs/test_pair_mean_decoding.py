"""What was tuned for a mean is taken for that mean alone, wherever its runs lie."""

import json

import pytest
from pair_tracks import decoding

from jaxbeh.errors import RunError
from jaxbeh.inference.pairs.mean_decoding import Mean, MeanDecoding, kept_for
from jaxbeh.training.run_folder import RunFolder

MEAN = Mean.of(["b" * 64, "a" * 64], tta=False)
KEPT = MeanDecoding(
    weights=MEAN.weights, tta=False, videos=4, decoding=decoding(pair={"sniff": 1 / 3})
)


@pytest.fixture
def folder(tmp_path):
    run = RunFolder(tmp_path)
    run.add_text(MEAN.file, KEPT.to_json())
    return run


def test_it_is_taken_from_whichever_run_has_it_in_any_order(folder, tmp_path):
    bare = RunFolder(tmp_path / "bare")
    assert kept_for(MEAN, [bare, folder]) == KEPT
    assert kept_for(Mean.of(MEAN.weights[::-1], tta=False), [folder]) == KEPT
    assert kept_for(MEAN, [bare]) is None


@pytest.mark.parametrize(
    ("weights", "tta"),
    [
        ("ab", True),
        ("ac", False),
        ("a", False),
        ("abb", False),
        ("abc", False),
    ],
)
def test_other_runs_and_views_do_not_take_it(folder, weights, tta):
    other = Mean.of([letter * 64 for letter in weights], tta)
    assert other.file != MEAN.file
    assert kept_for(other, [folder]) is None


def test_a_run_by_itself_has_its_own():
    assert Mean.of(["a"], tta=False).is_one_run
    assert not Mean.of(["a"], tta=True).is_one_run
    assert not MEAN.is_one_run


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weights": ["a" * 64]}, "was tuned for other runs or views than its name says"),
        ({"tta": True}, "was tuned for other runs or views than its name says"),
        ({"videos": 0}, "videos: Input should be greater"),
        ({"decoding": {}}, r"decoding\.labs: Field required"),
        ({"more": 1}, "more: Extra inputs"),
    ],
)
def test_a_damaged_or_foreign_file_is_refused(folder, change, said):
    text = json.loads(KEPT.to_json()) | change
    folder.add_text(MEAN.file, json.dumps(text))
    with pytest.raises(RunError, match=rf"{MEAN.file}: {said}.* or remove it and give jaxbeh"):
        kept_for(MEAN, [folder])


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"\\ud800"'])
def test_what_is_no_record_is_refused(folder, text):
    folder.add_text(MEAN.file, text)
    with pytest.raises(RunError, match=rf"{MEAN.file}: .*restore the file, or remove it"):
        kept_for(MEAN, [folder])
