"""The table of videos: exact ids, checked numbers, whitelists."""

import pytest
from mabe_folder import Video, write_table

from jaxbeh.data.mabe.videos import parse_whitelist, read_videos
from jaxbeh.errors import DataError
from jaxbeh.vocabulary import Triple


def read(tmp_path, text):
    path = tmp_path / "train.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_videos(path)


def test_every_column_that_is_used(tmp_path):
    write_table(tmp_path / "train.csv", [Video(fps=29.97, pix_per_cm=6.5, width=800, height=600)])
    (row,) = read_videos(tmp_path / "train.csv")
    assert (row.video_id, row.lab_id) == ("101", "Lab")
    assert (row.fps, row.pixels_per_cm, row.size) == (29.97, 6.5, (800.0, 600.0))
    assert len(parse_whitelist(row.behaviors)) == 3


def test_ids_are_kept_as_written(tmp_path):
    rows = read(
        tmp_path, "lab_id,video_id\n007,0012\n1e3,123.0\n nan,nan\nÉcole,12345678901234567890\n"
    )
    assert [(row.lab_id, row.video_id) for row in rows] == [
        ("007", "0012"),
        ("1e3", "123.0"),
        (" nan", "nan"),
        ("École", "12345678901234567890"),
    ]


def test_columns_in_any_order_with_a_byte_order_mark_and_windows_line_ends(tmp_path):
    (row,) = read(tmp_path, "\ufefffps,video_id,lab_id\r\n3,a,b\r\n\r\n")
    assert (row.video_id, row.lab_id, row.fps) == ("a", "b", None)


@pytest.mark.parametrize("text", ["", "nan", "NaN", " NA ", "0", "-1", "-0.0", "inf", "null"])
def test_numbers_that_are_missing(tmp_path, text):
    header = "lab_id,video_id,frames_per_second,pix_per_cm_approx,video_width_pix,video_height_pix"
    (row,) = read(tmp_path, f"{header}\nlab,1,{text},{text},800,{text}\n")
    assert (row.fps, row.pixels_per_cm, row.size) == (None, None, None)


def test_an_impossible_picture_has_no_size(tmp_path):
    header = "lab_id,video_id,video_width_pix,video_height_pix"
    rows = read(tmp_path, f"{header}\nlab,1,100000,600\nlab,2,1e300,600\nlab,3,800,100001\n")
    assert [row.size for row in rows] == [(100_000, 600), None, None]


@pytest.mark.parametrize("text", ["thirty", "30 fps", "1_000", '"30,5"', "0x1e"])
@pytest.mark.parametrize("column", ["frames_per_second", "pix_per_cm_approx", "video_width_pix"])
def test_text_in_place_of_a_number_is_refused_with_its_line(tmp_path, column, text):
    with pytest.raises(DataError) as caught:
        read(tmp_path, f"lab_id,video_id,{column}\nlab,1,30\nlab,2,{text}\n")
    for part in ("train.csv, line 3", column, text.strip('"'), "write a number"):
        assert part in str(caught.value)


@pytest.mark.parametrize("column", ["lab_id", "video_id"])
def test_a_missing_id_column_is_refused(tmp_path, column):
    header = ",".join({"lab_id", "video_id", "x"} - {column})
    with pytest.raises(DataError, match=f"train.csv: has no column '{column}'"):
        read(tmp_path, f"{header}\n1,2\n")


def test_ids_that_are_there_twice_are_refused_with_both_lines(tmp_path):
    with pytest.raises(DataError, match="video_id '5' is in lines 2 and 5"):
        read(tmp_path, "lab_id,video_id\na,5\na,6\n\nb,5\n")


@pytest.mark.parametrize(
    "text", ["a/b", "a\\b", "..", "../x", "a\0b", "", "  ", "C:x", "a\tb", '"a""b"', '"a\nb"']
)
@pytest.mark.parametrize("column", ["lab_id", "video_id"])
def test_ids_that_could_leave_the_folder_are_refused(tmp_path, column, text):
    cells = {"lab_id": "lab", "video_id": "1", column: text}
    with pytest.raises(DataError, match=rf"train.csv, line \d: ({column}|is not valid CSV)"):
        read(tmp_path, f"lab_id,video_id\n{cells['lab_id']},{cells['video_id']}\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("lab_id,video_id\n1\n", "line 2: has 1 cells under 2 column names"),
        ("lab_id,video_id\n1,2,3\n", "line 2: has 3 cells under 2 column names"),
        ("lab_id,lab_id,video_id\n1,2,3\n", "has 2 columns 'lab_id'"),
        ('lab_id,video_id\n"1,2\n', "is not valid CSV"),
        (b"lab_id,video_id\n\xff\xfe,2\n", "is not UTF-8"),
        ("lab_id,video_id\n1," + "9" * 200_000, "is not valid CSV"),
    ],
)
def test_tables_that_are_none(tmp_path, text, message):
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path, text)
    assert "train.csv" in str(caught.value)


def test_a_header_alone_lists_no_video(tmp_path):
    assert read(tmp_path, "lab_id,video_id\n") == []


def test_a_whitelist_in_the_spellings_of_real_files():
    found = parse_whitelist(
        """["mouse1,mouse2,sniff", "'mouse1','mouse2','sniff'", "mouse2,self,rear",
            "mouse3,mouse3,climb"]"""
    )
    assert found == {
        Triple("mouse1", "mouse2", "sniff"),
        Triple("mouse2", "self", "rear"),
        Triple("mouse3", "self", "climb"),
    }


def test_an_empty_list_says_nothing():
    assert parse_whitelist("[]") is None


@pytest.mark.parametrize(
    "text",
    [
        "mouse1,mouse2,sniff",
        "['mouse1,mouse2,sniff']",
        '["mouse1,mouse2,sniff"',
        '"mouse1,mouse2,sniff"',
        "{}",
        "[1]",
        '["mouse1,sniff"]',
        '["mouse0,mouse2,sniff"]',
        '["mouse1,mouse2,"]',
        '[["mouse1,mouse2,sniff"]]',
        "null",
        "[" * 100_000,
        "9" * 5_000,
    ],
)
def test_a_malformed_whitelist_is_refused_with_its_value(text):
    with pytest.raises(DataError, match="behaviors_labeled") as caught:
        parse_whitelist(text)
    assert text[:10].strip('[{"') in str(caught.value)
    assert len(str(caught.value)) < 300
