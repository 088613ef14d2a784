import os
import shutil

import numpy as np
import pytest
from safetensors.numpy import save_file

from jaxbeh.errors import CheckpointError
from jaxbeh.training.checkpoints import (
    NOT_VALIDATED,
    Checkpoints,
    content_hash,
)


def leaves(seed):
    random = np.random.default_rng(seed)
    return {
        "params.dense.kernel": random.normal(size=(40, 30)).astype(np.float32),
        "params.dense.bias": np.array([np.nan, np.inf, -0.0, 1e-45], np.float32),
        "step": np.asarray(seed, np.int32),
        "counts": random.integers(0, 255, 7).astype(np.uint8),
    }


def open_at(folder, told=None, **keywords):
    return Checkpoints(folder, ([] if told is None else told).append, **keywords)


def save_all(folder, scores):
    checkpoints = open_at(folder)
    for step, score in scores.items():
        checkpoints.save(step, leaves(step), score)
    checkpoints.close()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def tree_bytes(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(tmp_path):
    """Step 1 is the best, 3 the latest."""
    path = tmp_path / "checkpoints"
    save_all(path, {1: 0.5, 2: 0.25, 3: 0.375})
    return path


@pytest.fixture(params=[False, True], ids=["training", "reading"])
def read_only(request):
    return request.param


def data_file(folder, step):
    """The file that holds the arrays and the record."""
    (path,) = (folder / str(step)).rglob("*.safetensors")
    return path


def test_restores_every_bit(folder, read_only):
    restored = open_at(folder, read_only=read_only).latest()
    saved = leaves(3)
    assert (restored.step, restored.score) == (3, 0.375)
    assert restored.leaves.keys() == saved.keys()
    for path, leaf in saved.items():
        assert restored.leaves[path].dtype == leaf.dtype
        assert restored.leaves[path].shape == leaf.shape
        assert restored.leaves[path].tobytes() == leaf.tobytes()
    assert restored.sha256 == content_hash(saved)


def test_an_empty_folder_has_none(tmp_path):
    checkpoints = open_at(tmp_path / "new")
    assert checkpoints.latest() is None
    assert checkpoints.best() is None


def test_the_best_is_the_earliest_of_equal_scores(tmp_path):
    save_all(tmp_path / "c", {1: 0.25, 2: 0.5, 3: 0.5, 4: 0.375, 5: 0.375, 6: 0.25})
    checkpoints = open_at(tmp_path / "c")
    assert checkpoints.best().step == 2
    assert checkpoints.latest().step == 6


def test_one_from_the_middle_of_an_epoch_is_the_latest_and_never_the_best(tmp_path):
    save_all(tmp_path / "c", {1: 0.0, 2: NOT_VALIDATED})
    checkpoints = open_at(tmp_path / "c")
    assert checkpoints.best().step == 1
    assert checkpoints.latest().step == 2


SCORES = {1: 0.25, 2: 0.5, 3: 0.375, 4: 0.375, 5: NOT_VALIDATED, 6: 0.5, 7: 0.125}


def test_keeps_the_latest_two_and_the_best(tmp_path):
    save_all(tmp_path / "c", SCORES)
    assert names(tmp_path / "c") == ["2", "6", "7"]


def test_keeps_the_same_ones_when_every_step_is_saved_by_another_process(tmp_path):
    for step, score in SCORES.items():
        save_all(tmp_path / "c", {step: score})
    assert names(tmp_path / "c") == ["2", "6", "7"]


def test_the_folder_of_deleted_steps_is_emptied_by_saving_and_by_opening(folder):
    assert "deleted" not in names(folder)
    (folder / "deleted" / "7").mkdir(parents=True)
    open_at(folder, read_only=True)
    assert "deleted" in names(folder)
    open_at(folder)
    assert "deleted" not in names(folder)


def test_a_step_that_a_kill_kept_from_being_removed_is_removed_at_the_end(folder, tmp_path):
    """Killed after the last step was whole, and before one that it replaces was set apart."""
    before = names(folder)
    save_all(tmp_path / "other", {0: 0.1})
    shutil.copytree(tmp_path / "other" / "0", folder / "0")
    checkpoints = open_at(folder)
    assert checkpoints.latest().step == 3
    assert "0" in names(folder)  # till then it may be needed
    checkpoints.close()
    assert names(folder) == before


def test_a_step_that_is_there_stays_as_it_is(folder):
    checkpoints = open_at(folder)
    before = tree_bytes(folder)
    checkpoints.save(3, leaves(99), 0.9)
    checkpoints.close()
    assert tree_bytes(folder) == before


def flip_a_bit(folder):
    path = data_file(folder, 3)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def truncate(folder):
    path = data_file(folder, 3)
    path.write_bytes(path.read_bytes()[:100])


def delete(folder):
    data_file(folder, 3).unlink()


def lose_the_record(folder):
    save_file(leaves(3), data_file(folder, 3))


def garble_the_record(folder):
    record = {"sha256": content_hash(leaves(3)), "score": "best of all"}
    save_file(leaves(3), data_file(folder, 3), record)


def swap(folder, old, new):
    """Other words of the same length in the file's header."""
    path = data_file(folder, 3)
    content = path.read_bytes()
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, new.ljust(len(old))))


def test_one_of_before_there_were_seals_is_taken(folder):
    record = {"sha256": content_hash(leaves(3)), "score": "0.375"}
    save_file(leaves(3), data_file(folder, 3), record)
    restored = open_at(folder, read_only=True).latest()
    assert (restored.step, restored.score) == (3, 0.375)


def change_the_score(folder):
    swap(folder, b'"score":"0.375"', b'"score":"9.375"')


def put_a_pipe_in_its_place(folder):
    """It would be waited for, for ever."""
    path = data_file(folder, 3)
    path.unlink()
    os.mkfifo(path)


def claim_a_size(folder):
    swap(folder, b'"shape":[40,30]', b'"shape":[9999999]')


def claim_an_unknown_type(folder):
    swap(folder, b'"dtype":"U8"', b'"dtype":"F8_E4M3"')


DAMAGES = [
    flip_a_bit,
    truncate,
    delete,
    lose_the_record,
    garble_the_record,
    change_the_score,
    put_a_pipe_in_its_place,
    claim_a_size,
    claim_an_unknown_type,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_one_is_set_aside_and_the_one_before_it_taken(folder, damage):
    damage(folder)
    told = []
    checkpoints = open_at(folder, told)
    restored = checkpoints.latest()
    assert restored.step == 2
    assert restored.sha256 == content_hash(leaves(2))
    assert len(told) == 1
    assert str(folder / "3") in told[0]
    assert "damaged-3-0" in told[0]
    assert names(folder) == ["1", "2", "damaged-3-0"]
    checkpoints.save(3, leaves(3), 0.375)
    checkpoints.close()
    assert open_at(folder).latest().step == 3


@pytest.mark.parametrize("damage", DAMAGES)
def test_reading_passes_over_a_damaged_one_and_changes_nothing(folder, damage):
    damage(folder)
    before, told = tree_bytes(folder), []
    checkpoints = open_at(folder, told, read_only=True)
    assert checkpoints.latest().step == 2
    assert checkpoints.best().step == 1
    assert len(told) == 1
    assert "passed over" in told[0]
    assert tree_bytes(folder) == before


def test_the_second_best_stands_in_for_a_damaged_best(folder):
    path = data_file(folder, 1)
    path.write_bytes(path.read_bytes()[:100])
    assert open_at(folder).best().step == 3


def test_a_foreign_folder_with_a_number_for_a_name_is_passed_over(folder, read_only):
    (folder / "99").mkdir()
    told = []
    checkpoints = open_at(folder, told, read_only=read_only)
    assert checkpoints.best().step == 1
    assert checkpoints.latest().step == 3
    assert len(told) == 1
    assert str(folder / "99") in told[0]
    assert ("99" in names(folder)) == read_only


@pytest.mark.parametrize("kind", ["file", "folder", "link"])
def test_no_odd_note_of_orbax_keeps_a_folder_closed(folder, tmp_path, kind):
    note = folder / "3" / "_CHECKPOINT_METADATA"
    note.unlink(missing_ok=True)
    if kind == "file":
        note.write_text("{")
    elif kind == "folder":
        (note / "deep").mkdir(parents=True)
    else:
        (tmp_path / "elsewhere").mkdir()
        note.symlink_to(tmp_path / "elsewhere")
    assert open_at(folder).latest().step == 3
    assert (kind == "link") == (tmp_path / "elsewhere").exists()


def test_a_second_damaged_one_of_a_step_does_not_overwrite_the_first(folder):
    for expected in (["damaged-99-0"], ["damaged-99-0", "damaged-99-1"]):
        (folder / "99").mkdir()
        assert open_at(folder).latest().step == 3
        assert names(folder)[3:] == expected


def test_none_intact_is_an_error_that_names_the_folder(tmp_path):
    save_all(tmp_path / "c", {1: 0.5})
    data_file(tmp_path / "c", 1).unlink()
    with pytest.raises(CheckpointError, match="no checkpoint is intact") as caught:
        open_at(tmp_path / "c", read_only=True).latest()
    assert str(tmp_path / "c") in str(caught.value)


def test_none_intact_stays_an_error_until_the_folder_is_removed(folder):
    """Else the same command, given again, would begin anew and cut all lines."""
    for step in (1, 2, 3):
        data_file(folder, step).unlink()
    for _ in range(2):
        with pytest.raises(CheckpointError, match="no checkpoint is intact"):
            open_at(folder).latest()
    assert names(folder) == ["damaged-1-0", "damaged-2-0", "damaged-3-0"]
    shutil.rmtree(folder)
    assert open_at(folder).latest() is None


def test_a_copy_of_a_step_under_another_number_is_passed_over(folder, read_only):
    """It would be the latest for ever, and later steps deleted beside it."""
    shutil.copytree(folder / "2", folder / "99")
    told = []
    checkpoints = open_at(folder, told, read_only=read_only)
    assert (checkpoints.latest().step, checkpoints.best().step) == (3, 1)
    assert "another step's" in told[0]


def test_a_folder_that_cannot_be_made_is_an_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="file/checkpoints"):
        open_at(tmp_path / "file" / "checkpoints")


def test_an_unfinished_write_is_cleaned_up_by_training_only(folder, read_only):
    unfinished = folder / "4.orbax-checkpoint-tmp"
    shutil.copytree(folder / "3", unfinished)
    assert open_at(folder, read_only=read_only).latest().step == 3
    assert unfinished.exists() == read_only


def test_the_best_alone_is_copied_to_the_bit(folder, tmp_path):
    before = tree_bytes(folder)
    copied = open_at(folder, read_only=True).copy_best(tmp_path / "deep" / "copy")
    assert (copied.step, copied.score, copied.sha256) == (1, 0.5, content_hash(leaves(1)))
    assert names(tmp_path / "deep" / "copy") == ["1"]
    assert open_at(tmp_path / "deep" / "copy", read_only=True).latest().step == 1
    assert tree_bytes(folder) == before


def test_a_damaged_best_is_not_copied(folder, tmp_path):
    data_file(folder, 1).unlink()
    told = []
    assert open_at(folder, told, read_only=True).copy_best(tmp_path / "copy").step == 3
    assert "is passed over" in told[0]
    assert names(tmp_path / "copy") == ["3"]


def test_a_copy_that_came_out_otherwise_is_refused(folder, tmp_path, monkeypatch):
    checkpoints = open_at(folder, read_only=True)
    another = open_at(tmp_path / "another")
    another.save(1, leaves(2), 0.25)
    another.close()
    copytree = shutil.copytree

    def other(source, target, *inner):
        return copytree(source if inner else tmp_path / "another" / "1", target, *inner)

    monkeypatch.setattr(shutil, "copytree", other)
    with pytest.raises(CheckpointError, match="has another content"):
        checkpoints.copy_best(tmp_path / "copy")


def test_nothing_is_copied_where_there_is_nothing(tmp_path):
    (tmp_path / "empty").mkdir()
    assert open_at(tmp_path / "empty", read_only=True).copy_best(tmp_path / "copy") is None
    assert not (tmp_path / "copy").exists()
