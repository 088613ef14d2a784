import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxbeh.errors import DataError, SettingsError
from jaxbeh.vocabulary import (
    DROPPED_KEYPOINTS,
    KEYPOINT_SLOTS,
    MOUSE_SLOTS,
    ClassMap,
    SlotTable,
    Triple,
)

ALL_KEYPOINTS = [
    *("body_center", "ear_left", "ear_right", "forepaw_left", "forepaw_right", "head"),
    *("headpiece_bottombackleft", "headpiece_bottombackright"),
    *("headpiece_bottomfrontleft", "headpiece_bottomfrontright"),
    *("headpiece_topbackleft", "headpiece_topbackright"),
    *("headpiece_topfrontleft", "headpiece_topfrontright"),
    *("hindpaw_left", "hindpaw_right", "hip_left", "hip_right", "lateral_left", "lateral_right"),
    *("neck", "nose", "spine_1", "spine_2", "tail_base", "tail_middle_1", "tail_middle_2"),
    *("tail_midpoint", "tail_tip"),
]


def test_the_29_known_keypoints_are_eighteen_slots_and_eleven_without_one():
    assert len(ALL_KEYPOINTS) == 29
    assert len(KEYPOINT_SLOTS) == 18
    assert len(DROPPED_KEYPOINTS) == 11
    assert set(KEYPOINT_SLOTS) | DROPPED_KEYPOINTS == set(ALL_KEYPOINTS)
    assert MOUSE_SLOTS == 4


# Triples


@pytest.mark.parametrize(
    "text",
    [
        "mouse1,mouse2,sniff",
        "'mouse1','mouse2','sniff'",
        '"mouse1","mouse2","sniff"',
        "'mouse1,mouse2,sniff'",
        " mouse1 , ' mouse2 ', sniff\n",
        "mouse1,mouse2,sniff'",
    ],
)
def test_parses_a_triple_without_its_stray_quotes(text):
    triple = Triple.parse(text)
    assert triple == ("mouse1", "mouse2", "sniff")
    assert str(triple) == "mouse1,mouse2,sniff"


@pytest.mark.parametrize("text", ["mouse3,self,rear", "mouse3,mouse3,rear", "'mouse3','self',rear"])
def test_both_spellings_of_a_self_action_are_one(text):
    assert Triple.parse(text) == ("mouse3", "self", "rear")
    assert Triple.parse(text) == Triple.of_ids(3, 3, "rear")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mouse1,mouse2",
        "mouse1,mouse2,",
        "mouse1,mouse2,''",
        "mouse1,mouse2,sniff,rear",
        "self,mouse2,sniff",
        "mouse0,mouse2,sniff",
        "mouse01,mouse2,sniff",
        "1,2,sniff",
        "mouse1,rat2,sniff",
        "Mouse1,mouse2,sniff",
        "mouse²,mouse2,sniff",
        "mouse1,mouse1234567890,sniff",
        "mouse1,mouse2,\ud800sniff",
    ],
)
def test_what_is_no_triple_is_refused_and_shown(text):
    with pytest.raises(DataError) as caught:
        Triple.parse(text)
    assert repr(text) in str(caught.value)


@given(
    agent=st.integers(1, 200),
    target=st.integers(1, 200),
    action=st.text("abcdefghijklmnopqrstuvwxyz_ ", min_size=1).map(str.strip).filter(bool),
)
def test_triples_of_integers_and_texts_are_the_same(agent, target, action):
    triple = Triple.of_ids(agent, target, action)
    assert Triple.parse(str(triple)) == triple
    assert triple.mouse_ids() == (agent, target)
    assert (triple.target == "self") == (agent == target)


# Slots


def test_canonical_names_take_their_own_slots():
    table = SlotTable.build(["tail_base", "nose"], {})
    assert len(table.names) == 18
    assert table.names[0] == "nose"
    assert table.names[16] == "tail_base"
    assert table.names.count(None) == 16


def test_unknown_names_take_free_slots_in_sorted_order():
    table = SlotTable.build(["whisker", "nose", "belly", "ear_right"], {})
    assert table.names[:5] == ("nose", "belly", "ear_right", "whisker", None)
    assert SlotTable.build({"belly", "ear_right", "nose", "whisker"}, {}) == table


def test_aliases_come_first():
    table = SlotTable.build(["chest", "snout", "nose"], {"chest": "body_center", "snout": "belly"})
    assert table.names[KEYPOINT_SLOTS.index("body_center")] == "body_center"
    assert table.names[:2] == ("nose", "belly")
    assert "chest" not in table.names


def test_known_names_without_a_slot_take_none_but_an_alias_brings_one_in():
    table = SlotTable.build([*sorted(DROPPED_KEYPOINTS), "nose"], {})
    assert [name for name in table.names if name] == ["nose"]
    table = SlotTable.build(["tail_midpoint"], {"tail_midpoint": "tail_tip"})
    assert [name for name in table.names if name] == ["tail_tip"]


def test_as_many_unknown_names_as_free_slots_fit():
    unknown = [f"point_{number:02}" for number in range(17)]
    assert None not in SlotTable.build(["nose", *unknown], {}).names


def test_more_unknown_names_than_free_slots_are_refused_with_the_list_and_an_example():
    unknown = [f"point_{number:02}" for number in range(18)]
    with pytest.raises(SettingsError) as caught:
        SlotTable.build(["nose", *reversed(unknown)], {})
    said = str(caught.value)
    assert "18 keypoint names are unknown and only 17 slots are free" in said
    assert ", ".join(unknown) in said
    assert "data: {aliases: {point_00: body_center}}" in said
    assert ", ".join(KEYPOINT_SLOTS) in said
    assert "tail_midpoint" in said
    # Two names of one keypoint share a slot; a known name without a slot needs none.
    SlotTable.build(["nose", *unknown], {"point_00": "neck", "point_01": "neck"})
    SlotTable.build(["nose", *unknown], {"point_00": "tail_midpoint"})


def test_columns_say_where_each_slot_finds_its_keypoint():
    table = SlotTable.build(["nose", "tail_base", "chest", "belly"], {"chest": "body_center"})
    columns, dropped = table.columns(["belly", "headpiece_topfrontleft", "chest", "odd", "nose"])
    assert dropped == ["headpiece_topfrontleft", "odd"]
    found = {table.names[slot]: column for slot, column in enumerate(columns) if column >= 0}
    assert found == {"belly": 0, "body_center": 2, "nose": 4}
    assert len(columns) == 18
    assert set(columns) == {0, 2, 4, -1}


def test_a_video_may_call_an_aliased_keypoint_by_its_own_or_by_its_known_name():
    table = SlotTable.build(["chest"], {"chest": "body_center"})
    slot = KEYPOINT_SLOTS.index("body_center")
    assert table.columns(["chest"])[0][slot] == 0
    assert table.columns(["body_center"])[0][slot] == 0


def test_two_names_of_one_keypoint_are_refused_with_both():
    table = SlotTable.build(["snout"], {"snout": "nose"})
    with pytest.raises(DataError, match=r"'nose' and 'snout' both mean 'nose'.*data\.aliases"):
        table.columns(["nose", "snout"])


def test_a_video_without_any_known_keypoint_is_refused_with_both_lists():
    table = SlotTable.build(["nose", "tail_base"], {})
    with pytest.raises(DataError) as caught:
        table.columns(["snout", "rump"])
    said = str(caught.value)
    assert "(snout, rump)" in said
    assert "(nose, tail_base)" in said
    assert "data.aliases" in said
    with pytest.raises(DataError):
        table.columns([])


@given(
    keypoints=st.sets(st.one_of(st.sampled_from(ALL_KEYPOINTS), st.text(min_size=1)), max_size=17),
    data=st.data(),
)
def test_every_name_finds_a_slot_of_its_own_or_is_dropped(keypoints, data):
    table = SlotTable.build(keypoints, {})
    names = data.draw(st.permutations(sorted(keypoints)))
    known = [name for name in names if name not in DROPPED_KEYPOINTS]
    if not known:
        return
    columns, dropped = table.columns(names)
    assert sorted(dropped) == sorted(keypoints & DROPPED_KEYPOINTS)
    taken = [column for column in columns if column >= 0]
    assert sorted(taken) == [index for index, name in enumerate(names) if name in known]
    assert all(
        names[column] == table.names[slot] for slot, column in enumerate(columns) if column >= 0
    )
    assert SlotTable.from_json(json.loads(json.dumps(table.to_json()))) == table


def test_the_table_is_read_back_from_json():
    table = SlotTable.build(["nose", "belly", "chest"], {"chest": "body_center"})
    again = SlotTable.from_json(json.loads(json.dumps(table.to_json())))
    assert again == table
    assert isinstance(again.names, tuple)


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"names": ["nose"], "aliases": {}},
        {"names": [None] * 19, "aliases": {}},
        {"names": [*([None] * 17), 3], "aliases": {}},
        {"names": [None] * 18},
        {"names": [None] * 18, "aliases": ["chest"]},
        {"names": [None] * 18, "aliases": {"chest": None}},
        {"names": ["nose", "nose", *([None] * 16)], "aliases": {}},
    ],
)
def test_json_of_another_kind_is_refused(value):
    with pytest.raises(DataError, match="not a slot table of 18"):
        SlotTable.from_json(value)


# Classes


def test_classes_are_numbered_in_order_and_the_rest_is_background():
    classes = ClassMap.build(
        [("background", []), ("social", ["sniff", "approach"]), ("mating", ["mount"])]
    )
    assert classes.names == ("background", "social", "mating")
    assert [classes.index(action) for action in ("sniff", "approach", "mount")] == [1, 1, 2]
    assert classes.index("rear") == 0


def test_the_background_may_list_actions_of_its_own():
    classes = ClassMap.build([("other", ["rear"]), ("social", ["sniff"])])
    assert classes.index("rear") == 0
    assert dict(classes.class_of) == {"rear": 0, "sniff": 1}
