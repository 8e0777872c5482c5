"""Folders become a dataset, whole or not at all, whatever lies in them."""

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw

from colorizer.line_art import lines_from_colors
from colorizer.prepare import PrepareError, prepare

MODULE = sys.modules["colorizer.prepare"]  # the package offers a function of that name


def draw(number: int, width: int = 24, height: int = 20) -> tuple[Image.Image, Image.Image]:
    """Colours and line art of a circle somewhere, each number another one; transparent around, as line art
    often is."""
    color, line = (Image.new("RGBA", (width, height), (0, 0, 0, 0)) for _ in range(2))
    x, y = number % 10, number // 10 % 10
    for image, fill in ((color, (number * 37 % 256, 90, 200)), (line, None)):
        ImageDraw.Draw(image).ellipse((x, y, x + 9, y + 8), fill=fill, outline=(0, 0, 0))
    return color, line


def make_folders(root: Path, count: int = 20) -> tuple[Path, Path]:
    colors, lines = root / "color", root / "line"
    for folder in (colors, lines):
        folder.mkdir(parents=True)
    for i in range(count):
        color, line = draw(i)
        color.save(colors / f"{i:03}.png")
        line.save(lines / f"{i:03}.png")
    return colors, lines


def rows_of(dataset: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(dataset / "drawings.parquet").to_pylist()
    return rows


def described(dataset: Path) -> dict[str, Any]:
    description: dict[str, Any] = json.loads((dataset / "dataset.json").read_text(encoding="utf-8"))
    return description


def pixels(image: dict[str, Any]) -> Image.Image:
    return Image.open(io.BytesIO(image["bytes"]))


def on_white(image: Image.Image) -> np.ndarray:
    return np.asarray(Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB"))


def test_drawings_are_stored_as_they_are_seen(tmp_path: Path) -> None:
    colors, lines = make_folders(tmp_path)
    prepared = prepare(colors, tmp_path / "out", lines)
    rows = rows_of(tmp_path / "out")
    assert [row["name"] for row in rows] == [f"{i:03}" for i in range(20)]
    for i, row in enumerate(rows):
        color, line = draw(i)
        assert (pixels(row["color"]).mode, pixels(row["line"]).mode) == ("RGB", "L")
        np.testing.assert_array_equal(pixels(row["color"]), on_white(color))
        np.testing.assert_array_equal(pixels(row["line"]), on_white(line)[:, :, 0])
        assert row["color"]["path"] == f"{i:03}.png"
    assert prepared.counts == {"train": 14, "val": 4, "test": 2}
    assert prepared.rejected == {}


def test_the_schema_tells_other_tools_which_columns_are_images(tmp_path: Path) -> None:
    colors, lines = make_folders(tmp_path)
    prepare(colors, tmp_path / "out", lines)
    schema = pq.read_schema(tmp_path / "out/drawings.parquet")
    assert schema.names == ["name", "split", "group", "line", "color"]
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features["line"] == features["color"] == {"_type": "Image"}
    assert features["group"] == {"dtype": "int64", "_type": "Value"}


def test_the_description_says_what_was_made_from_what(tmp_path: Path) -> None:
    colors, lines = make_folders(tmp_path)
    prepared = prepare(colors, tmp_path / "out", lines, seed=7)
    description = described(tmp_path / "out")
    assert (description["format"], description["version"]) == ("huetune-dataset", 1)
    assert description["counts"] == prepared.counts
    assert description["digest"] == prepared.digest
    assert description["source"] == {"colors": "color", "lines": "line"}
    assert (description["seed"], description["fractions"]) == (7, [0.7, 0.2, 0.1])


def test_without_a_line_folder_lines_are_drawn_from_the_colours(tmp_path: Path) -> None:
    colors, _ = make_folders(tmp_path)
    prepare(colors, tmp_path / "out")
    for row in rows_of(tmp_path / "out"):
        np.testing.assert_array_equal(pixels(row["line"]), lines_from_colors(np.asarray(pixels(row["color"]))))
    assert described(tmp_path / "out")["source"] == {"colors": "color", "lines": None}


def test_drawings_of_identical_line_art_share_a_group_and_a_split(tmp_path: Path) -> None:
    colors, lines = make_folders(tmp_path)
    for i in (3, 8, 15):
        draw(3)[1].save(lines / f"{i:03}.png", compress_level=i % 9)  # same pixels, other bytes
    prepared = prepare(colors, tmp_path / "out", lines)
    rows = rows_of(tmp_path / "out")
    assert len({rows[i]["group"] for i in (3, 8, 15)}) == 1
    assert len({rows[i]["split"] for i in (3, 8, 15)}) == 1
    assert prepared.groups == len({row["group"] for row in rows}) == 18


def test_the_result_does_not_depend_on_the_order_of_the_file_system(tmp_path: Path) -> None:
    for name, order in (("a", range(20)), ("b", reversed(range(20)))):
        for kind in ("color", "line"):
            (tmp_path / name / kind).mkdir(parents=True)
        for i in order:
            for image, kind in zip(draw(i), ("color", "line"), strict=True):
                image.save(tmp_path / name / kind / f"{i:03}.png")
    digests = {prepare(tmp_path / n / "color", tmp_path / f"out-{n}", tmp_path / n / "line").digest for n in "ab"}
    assert len(digests) == 1
    assert prepare(tmp_path / "a/color", tmp_path / "other", tmp_path / "a/line", seed=1).digest not in digests


def test_every_bad_file_is_a_counted_rejection_and_the_good_ones_stay(tmp_path: Path) -> None:
    colors, lines = make_folders(tmp_path)
    whole = (colors / "000.png").read_bytes()
    (colors / "000.png").write_bytes(whole[:60])
    (colors / "001.png").write_bytes(b"")
    Image.new("RGB", (1, 1)).save(colors / "002.png")
    (colors / "003.png").write_bytes(b"these are words")
    (lines / "004.png").write_bytes(whole[:60])
    draw(5, 24, 40)[1].save(lines / "005.png")
    (colors / "006.png").unlink()
    os.mkfifo(colors / "006.png")
    (colors / "007.png").unlink()
    (colors / "notes.txt").write_text("hello")
    prepared = prepare(colors, tmp_path / "out", lines)
    assert {str(reason): (tally.count, tally.examples[0]) for reason, tally in prepared.rejected.items()} == {
        "truncated or damaged": (2, "color/000.png"),
        "empty file": (1, "color/001.png"),
        "too small": (1, "color/002.png"),
        "not an image": (2, "color/notes.txt"),
        "line and colours of different shape": (1, "005"),
        "not a file": (1, "color/006.png"),
    }
    assert prepared.unpaired["line"].examples == ["007.png"]
    assert sum(prepared.counts.values()) == len(rows_of(tmp_path / "out")) == 12
    assert described(tmp_path / "out")["rejected"]["empty file"] == [1, ["color/001.png"]]
    assert described(tmp_path / "out")["unpaired"]["line"] == [1, ["007.png"]]


def test_many_drawings_make_several_row_groups_in_the_order_of_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MODULE, "_ROWS_PER_GROUP", 6)
    colors, lines = make_folders(tmp_path)
    (colors / "019.png").write_bytes(b"")  # the last one: what waits for it is still written
    seen: list[tuple[int, int]] = []
    prepare(colors, tmp_path / "out", lines, progress=lambda done, total: seen.append((done, total)))
    file = pq.ParquetFile(tmp_path / "out/drawings.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [6, 6, 6, 1]
    assert [row["name"] for row in rows_of(tmp_path / "out")] == [f"{i:03}" for i in range(19)]
    assert seen == [(i, 20) for i in range(1, 21)]


def test_large_drawings_make_smaller_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MODULE, "_BYTES_PER_GROUP", 1)
    colors, lines = make_folders(tmp_path, 5)
    prepare(colors, tmp_path / "out", lines)
    assert pq.ParquetFile(tmp_path / "out/drawings.parquet").num_row_groups == 5


def test_licences_travel_with_the_data_and_do_not_hide_each_other(tmp_path: Path) -> None:
    colors, lines = make_folders(tmp_path / "set")
    (tmp_path / "set/LICENSE.txt").write_text("CC BY-SA")
    (colors / "COPYING").write_text("colours")
    (lines / "COPYING").write_text("lines")
    prepared = prepare(colors, tmp_path / "out", lines)
    assert prepared.licences == described(tmp_path / "out")["licences"] == ["COPYING", "LICENSE.txt", "line-COPYING"]
    assert (tmp_path / "out/line-COPYING").read_text() == "lines"


def test_an_existing_output_is_not_touched(tmp_path: Path) -> None:
    colors, lines = make_folders(tmp_path)
    (tmp_path / "out").mkdir()
    with pytest.raises(PrepareError, match=r"out exists and is not overwritten; give another name"):
        prepare(colors, tmp_path / "out", lines)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    colors, lines = make_folders(tmp_path / "set")

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare(colors, tmp_path / "out", lines, progress=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_an_output_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    colors, lines = make_folders(tmp_path, 3)
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(PrepareError, match=r"file/out could not be written: .*Not a directory"):
        prepare(colors, tmp_path / "file/out", lines)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "color").mkdir()
    with pytest.raises(PrepareError, match=r"no drawing in .*color\. Expected images: .*\.png"):
        prepare(tmp_path / "color", tmp_path / "out")


def test_a_folder_without_images_is_an_error_that_names_what_is_there(tmp_path: Path) -> None:
    colors, _ = make_folders(tmp_path)
    (tmp_path / "line2").mkdir()
    (tmp_path / "line2/a.txt").write_text("words")
    with pytest.raises(PrepareError, match=r"no drawing in .*line2 \(passed over: not an image: 1 \(line2/a\.txt\)\)"):
        prepare(colors, tmp_path / "out", tmp_path / "line2")


def test_folders_that_do_not_pair_are_an_error_with_numbers_examples_and_a_hint(tmp_path: Path) -> None:
    colors, lines = make_folders(tmp_path)
    for path in list(lines.iterdir()):
        path.rename(lines / f"line-{path.name}")
    with pytest.raises(
        PrepareError, match=r"20 \(000\.png, .*…\) of the former and 20 \(line-000\.png.*Names must match"
    ):
        prepare(colors, tmp_path / "out", lines)
    assert not (tmp_path / "out").exists()


def test_only_rejections_are_an_error_with_the_reasons(tmp_path: Path) -> None:
    colors, lines = make_folders(tmp_path / "set", 4)
    for path in colors.iterdir():
        path.write_bytes(b"")
    with pytest.raises(PrepareError, match=r"None of the 4 drawings .*empty file: 4 \(color/000\.png"):
        prepare(colors, tmp_path / "out", lines)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_too_few_drawings_are_an_error_that_says_how_many_are_needed(tmp_path: Path) -> None:
    colors, lines = make_folders(tmp_path, 2)
    with pytest.raises(PrepareError, match=r"at least 3 drawings of different line art, got 2"):
        prepare(colors, tmp_path / "out", lines)
    colors, lines = make_folders(tmp_path / "three", 3)
    assert prepare(colors, tmp_path / "out", lines).counts == {"train": 1, "val": 1, "test": 1}


@pytest.mark.parametrize("fractions", [(0.7, 0.2, 0.2), (1.0, 0.0, 0.0), (0.5, 0.5), (float("nan"), 0.5, 0.5)])
def test_wrong_fractions_are_refused(tmp_path: Path, fractions: tuple[float, ...]) -> None:
    colors, lines = make_folders(tmp_path, 3)
    with pytest.raises(PrepareError, match="positive fractions of train, val, test with sum 1, got"):
        prepare(colors, tmp_path / "out", lines, fractions=fractions)


def test_wrong_folders_are_refused(tmp_path: Path) -> None:
    colors, _ = make_folders(tmp_path, 3)
    with pytest.raises(PrepareError, match="absent does not exist"):
        prepare(tmp_path / "absent", tmp_path / "out")
    with pytest.raises(PrepareError, match=r"000\.png is none"):
        prepare(colors, tmp_path / "out", colors / "000.png")
    with pytest.raises(PrepareError, match="two folders"):
        prepare(colors, tmp_path / "out", tmp_path / "line/../color")
