"""The leaves of a checkpoint: put into their places, refused, hashed."""

from dataclasses import dataclass

import numpy as np
import pytest

from jaxbeh.errors import CheckpointError
from jaxbeh.training.checkpoints import content_hash, fill, leaves_of


@dataclass(frozen=True)
class Leaf:
    shape: tuple[int, ...]
    dtype: np.dtype


TEMPLATE = {"a": Leaf((2, 3), np.dtype(np.float32)), "b": [Leaf((), np.dtype(np.int32))]}
FITTING = {"a": np.ones((2, 3), np.float32), "b.0": np.asarray(7, np.int32)}


def test_fill_puts_leaves_into_their_places(tmp_path):
    filled = fill(TEMPLATE, FITTING, tmp_path)
    assert filled["a"] is FITTING["a"]
    assert filled["b"] == [7]
    assert leaves_of(filled).keys() == FITTING.keys()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"a": np.ones((3, 2), np.float32)}, ["a is float32[3, 2], expected float32[2, 3]"]),
        ({"a": np.ones((2, 3), np.float16)}, ["a is float16[2, 3], expected float32[2, 3]"]),
        ({"b.0": np.asarray([7], np.int32)}, ["b.0 is int32[1], expected int32[]"]),
        ({"c": np.ones(1)}, ["c is unknown here"]),
        ({"a": None}, ["a is missing"]),
        ({"a": None, "d.e": np.ones(1)}, ["a is missing", "d.e is unknown here"]),
    ],
)
def test_fill_refuses_another_content_by_name(tmp_path, change, said):
    changed = {path: leaf for path, leaf in (FITTING | change).items() if leaf is not None}
    with pytest.raises(CheckpointError) as caught:
        fill(TEMPLATE, changed, tmp_path / "checkpoints")
    assert str(tmp_path / "checkpoints") in str(caught.value)
    for part in said:
        assert part in str(caught.value)


def test_the_hash_is_of_path_dtype_shape_and_bytes():
    array = np.arange(6, dtype=np.float32)
    nan = np.array([np.nan], np.float32)
    other_nan = (nan.view(np.uint32) | np.uint32(1)).view(np.float32)
    different = [
        {"a": array},
        {"b": array},
        {"a": array.reshape(2, 3)},
        {"a": array.reshape(3, 2)},
        {"a": array.view(np.int32)},
        {"a": array.astype(np.float64)},
        {"a": -array},
        {"a": array, "b": array},
        {"a": np.zeros(1, np.float32)},
        {"a": -np.zeros(1, np.float32)},
        {"a": nan},
        {"a": other_nan},
        {},
    ]
    assert len({content_hash(item) for item in different}) == len(different)


def test_the_hash_does_not_depend_on_order_or_memory_layout():
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    first = content_hash({"a": array, "b": array[0]})
    assert content_hash({"b": array[0].copy(), "a": np.asfortranarray(array)}) == first
