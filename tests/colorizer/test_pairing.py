"""Files are paired by name; what does not belong is counted; links do not lead out."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from colorizer.images import Reason
from colorizer.pairing import LINK_OUT, LINKED_FOLDER, SAME_NAME, Tally, licences, pair_drawings, side_by_side


@contextmanager
def nobody() -> Iterator[None]:
    """As a user whom permissions hold back; root may all."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def test_pairs_are_made_by_relative_path_without_suffix_and_sorted(tmp_path: Path) -> None:
    colors = touch(tmp_path / "c", "b.png", "cat/a.jpg", "a.PNG")
    lines = touch(tmp_path / "l", "cat/a.png", "a.png", "b.bmp")
    pairs = pair_drawings(colors, lines).pairs
    assert [pair.name for pair in pairs] == ["a", "b", "cat/a"]
    assert pairs[2].color == colors / "cat/a.jpg"
    assert pairs[2].line == lines / "cat/a.png"


def test_files_without_a_partner_are_counted_on_both_sides(tmp_path: Path) -> None:
    colors = touch(tmp_path / "c", "a.png", "b.png", "d.png")
    lines = touch(tmp_path / "l", "a.png", "e.png")
    pairing = pair_drawings(colors, lines)
    assert [pair.name for pair in pairing.pairs] == ["a"]
    assert pairing.unpaired == {"color": Tally(2, ["b.png", "d.png"]), "line": Tally(1, ["e.png"])}


def test_without_lines_every_drawing_stands_alone(tmp_path: Path) -> None:
    pairing = pair_drawings(touch(tmp_path, "a.png", "b.png"), None)
    assert [pair.line for pair in pairing.pairs] == [None, None]
    assert pairing.unpaired == {"color": Tally(), "line": Tally()}


def test_other_files_are_counted_and_hidden_ones_and_licences_are_not(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "notes.txt", "table.csv", ".DS_Store", ".git/b.png", "LICENSE.png", "copying")
    pairing = pair_drawings(tmp_path, None)
    assert [pair.name for pair in pairing.pairs] == ["a"]
    (tally,) = pairing.rejected.values()
    assert tally.count == 2
    assert pairing.rejected.keys() == {Reason.NOT_AN_IMAGE}


def test_of_two_files_of_one_name_the_first_is_taken(tmp_path: Path) -> None:
    pairing = pair_drawings(touch(tmp_path, "a.jpg", "a.png"), None)
    assert [pair.color.name for pair in pairing.pairs] == ["a.jpg"]
    assert pairing.rejected[SAME_NAME].examples == [f"{tmp_path.name}/a.png"]


def test_links_stay_inside_their_folder(tmp_path: Path) -> None:
    touch(tmp_path / "secret", "s.png", "more/t.png")
    colors = touch(tmp_path / "c", "a.png")
    (colors / "inside.png").symlink_to(colors / "a.png")
    (colors / "outside.png").symlink_to(tmp_path / "secret/s.png")
    (colors / "relative.png").symlink_to("../secret/s.png")
    (colors / "loop.png").symlink_to("loop.png")
    (colors / "folder").symlink_to(tmp_path / "secret")
    pairing = pair_drawings(colors, None)
    assert [pair.name for pair in pairing.pairs] == [
        "a",
        "inside",
        "loop",
    ]  # the loop fails when it is opened
    assert pairing.rejected == {
        LINK_OUT: Tally(2, ["c/outside.png", "c/relative.png"]),
        LINKED_FOLDER: Tally(1, ["c/folder"]),
    }


def test_a_folder_that_is_itself_a_link_is_read(tmp_path: Path) -> None:
    touch(tmp_path / "real", "a.png")
    (tmp_path / "c").symlink_to("real")
    assert [pair.name for pair in pair_drawings(tmp_path / "c", None).pairs] == ["a"]


def test_an_accent_spelled_in_two_ways_is_one_name(tmp_path: Path) -> None:
    colors, lines = touch(tmp_path / "c", "caf\u00e9.png"), touch(tmp_path / "l", "cafe\u0301.png")
    (pair,) = pair_drawings(colors, lines).pairs
    assert pair.name == "caf\u00e9"


def test_a_name_that_is_no_utf8_is_kept_with_escapes(tmp_path: Path) -> None:
    try:
        touch(tmp_path, os.fsdecode(b"\xff.png"))
    except OSError:
        pytest.skip("this file system knows UTF-8 names only")
    (pair,) = pair_drawings(tmp_path, None).pairs
    assert pair.name == "\\udcff"
    assert pair.color.exists()


def test_only_the_first_few_names_are_kept() -> None:
    tally = Tally()
    for i in range(9):
        tally = tally.plus(f"{i}.png")
    assert tally == Tally(9, ["0.png", "1.png", "2.png", "3.png", "4.png"])
    assert str(tally) == "9 (0.png, 1.png, 2.png, 3.png, 4.png, …)"


def test_licences_of_folders_and_their_parents_are_found_once(tmp_path: Path) -> None:
    touch(tmp_path / "set", "LICENSE.txt", "color/COPYING", "color/licensed.png", "line/a.png")
    found = licences([tmp_path / "set/color", tmp_path / "set/line"])
    assert sorted(path.name for path in found) == ["COPYING", "LICENSE.txt"]


def test_a_parent_that_may_not_be_listed_does_not_stop_the_rest() -> None:
    with tempfile.TemporaryDirectory() as root:
        Path(root).chmod(0o777)
        touch(Path(root) / "set", "LICENSE.txt", "color/COPYING")
        (Path(root) / "set").chmod(0o311)
        with nobody():
            assert [path.name for path in licences([Path(root) / "set/color"])] == ["COPYING"]
        (Path(root) / "set").chmod(0o755)


def test_licences_of_one_name_lie_beside_each_other_and_none_is_lost(tmp_path: Path) -> None:
    files = []
    for folder, content in (("a/art", "one"), ("b/art", "two"), ("c/art", "three"), ("d/art", "one")):
        (tmp_path / folder).mkdir(parents=True)
        files.append(tmp_path / folder / "LICENSE")
        files[-1].write_text(content)
    found = side_by_side(files, {"COPYING": b"given"})
    assert found == {"COPYING": b"given", "LICENSE": b"one", "art-LICENSE": b"two", "art-2-LICENSE": b"three"}
    assert side_by_side(files[:1], {"LICENSE": b"given"}) == {"LICENSE": b"given", "art-LICENSE": b"one"}
