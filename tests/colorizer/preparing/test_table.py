"""Labels are found under any spelling of a file's name; a table that says too little or too much is told so."""

from pathlib import Path

import pytest

from colorizer.pairing import Tally
from colorizer.preparing import PrepareError
from colorizer.preparing.table import read_labels

NAMES = ["a", "cat/b", "caf\u00e9", "v1.2"]


def written(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    file = folder / "table.csv"
    file.write_text(text, encoding=encoding)
    return file


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_rows_name_drawings_by_path_with_or_without_suffix(tmp_path: Path, delimiter: str) -> None:
    rows = ["kind|file|more", 'x|a.png|"1|2"', "y|cat\\b.JPG|", "z|cafe\u0301.png|", "w|v1.2|"]
    file = written(tmp_path, "\r\n".join(rows).replace("|", delimiter), "utf-8-sig")
    found = read_labels(file, "kind", NAMES)
    assert found.of == {"a": "x", "cat/b": "y", "caf\u00e9": "z", "v1.2": "w"}
    assert found.without_row == found.without_drawing == Tally()


def test_the_first_column_names_the_drawing_where_none_is_called_file(tmp_path: Path) -> None:
    assert read_labels(written(tmp_path, "image,kind\na.png,x\n"), "kind", NAMES).of == {"a": "x"}


def test_what_is_on_one_side_only_is_counted_and_named(tmp_path: Path) -> None:
    file = written(tmp_path, "file,kind\nz.png,x\na.png,x\ncat/b.png,\n\nshort\ny.png,x\n")
    found = read_labels(file, "kind", NAMES)
    assert found.of == {"a": "x"}
    assert found.without_drawing == Tally(2, ["z.png", "y.png"])
    assert found.without_row == Tally(2, ["caf\u00e9", "v1.2"])


def test_a_label_said_twice_is_one_and_two_labels_are_an_error(tmp_path: Path) -> None:
    assert read_labels(written(tmp_path, "file,kind\na.png,x\na.jpg,x\n"), "kind", NAMES).of == {"a": "x"}
    with pytest.raises(PrepareError, match=r"gives a\.jpg a second one in line 3: 'y' after 'x'\. Remove one"):
        read_labels(written(tmp_path, "file,kind\na.png,x\na.jpg,y\n"), "kind", NAMES)


@pytest.mark.parametrize(
    ("text", "column", "rule"),
    [
        ("file,kind,size\na.png,x,3\n", "colour", r"one of kind, size; got 'colour'"),
        ("file,kind,size\na.png,x,3\n", None, r"one of kind, size; none was named"),
        ("file,kind,size\na.png,x,3\n", "file", r"one of kind, size; got 'file'"),
        ("file\na.png\n", "kind", r"at least two columns in .*table\.csv, a file and a label, found \['file'\]"),
        ("", "kind", r"at least two columns"),
        ("file,kind\nz.png,x\n", "kind", r"found none; it names 1 \(z\.png\)\. A row names its drawing by the path"),
        ('file,kind\na.png,"x\n', "kind", r"table\.csv cannot be read: "),
    ],
)
def test_tables_that_do_not_do_are_refused_with_what_they_hold(
    tmp_path: Path, text: str, column: str | None, rule: str
) -> None:
    with pytest.raises(PrepareError, match=rule):
        read_labels(written(tmp_path, text), column, NAMES)


def test_tables_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PrepareError, match=r"cannot be read: .*No such file"):
        read_labels(tmp_path / "absent.csv", "kind", NAMES)
    with pytest.raises(PrepareError, match=r"cannot be read: .*utf-8"):
        read_labels(written(tmp_path, "file,kind\na.png,\xe9t\xe9\n", "latin-1"), "kind", NAMES)
