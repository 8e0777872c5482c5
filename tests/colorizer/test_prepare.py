"""Folders become a dataset, whole or not at all, whatever lies in them."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw

from colorizer.drawings import draw_characters
from colorizer.images import to_square
from colorizer.line_art import lines_from_colors
from colorizer.pairing import Tally
from colorizer.pens import PENS as STYLES
from colorizer.prepare import PENS, Limits, PrepareError, prepare
from colorizer.preparing import first_pass

OPENMOJI = Path(__file__).parents[3] / "shared/data/openmoji"


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
    assert schema.names == ["name", "split", "group", "label", "origin", "width", "height", "line", "color"]
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features["line"] == features["color"] == {"_type": "Image"}
    assert features["group"] == {"dtype": "int64", "_type": "Value"}
    assert features["width"] == {"dtype": "int32", "_type": "Value"}


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
    monkeypatch.setattr(first_pass, "_ROWS_PER_GROUP", 6)
    colors, lines = make_folders(tmp_path)
    (colors / "019.png").write_bytes(b"")  # the last one: what waits for it is still written
    seen: list[tuple[int, int]] = []
    prepare(colors, tmp_path / "out", lines, progress=lambda done, total: seen.append((done, total)))
    file = pq.ParquetFile(tmp_path / "out/drawings.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [6, 6, 6, 1]
    assert [row["name"] for row in rows_of(tmp_path / "out")] == [f"{i:03}" for i in range(19)]
    assert seen == [(i, 20) for i in range(1, 21)]


def test_large_drawings_make_smaller_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_pass, "_BYTES_PER_GROUP", 1)
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


def test_names_that_are_no_utf8_are_told_with_escapes(tmp_path: Path) -> None:
    try:
        colors, lines = make_folders(tmp_path / "set")
        colors = colors.rename(colors.with_name(os.fsdecode(b"\xe9")))
    except OSError:
        pytest.skip("this file system knows UTF-8 names only")
    (colors / os.fsdecode(b"\xfe.png")).write_bytes(b"words")
    (lines / os.fsdecode(b"\xfe.png")).write_bytes(b"words")
    prepare(colors, tmp_path / "out", lines)
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "<h1>\\udce9</h1>" in page
    assert "\\udce9/\\udcfe.png" in page
    assert described(tmp_path / "out")["source"]["colors"] == "\\udce9"


def test_ctrl_c_leaves_nothing_behind_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "color").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "color/000.png")
    for i in range(1, 100):  # work for a minute
        (tmp_path / f"color/{i:03}.png").symlink_to("000.png")
    command = [sys.executable, "-c", "from search.cli import main; main()", "prepare"]
    with subprocess.Popen(
        [*command, tmp_path / "color", "-o", tmp_path / "out"], stderr=subprocess.PIPE, text=True
    ) as process:
        while not list(tmp_path.glob(".out.*/scratch.parquet")) and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    assert process.returncode == 130, said
    assert said == "interrupted: nothing was written\n"
    assert [path.name for path in tmp_path.iterdir()] == ["color"]


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


EVERYTHING = Limits(likeness=0, aspect=0, ink=0, contrast=0, density=0, subject=0)


def painted(root: Path, count: int = 12, seed: int = 0) -> tuple[Path, Path]:
    """Folders of drawings that do not look alike."""
    for kind in ("color", "line"):
        (root / kind).mkdir(parents=True)
    for i, drawing in enumerate(draw_characters(count, seed=seed, size=32)):
        Image.fromarray(drawing.color).save(root / f"color/{i:03}.png")
        Image.fromarray(drawing.line).save(root / f"line/{i:03}.png")
    return root / "color", root / "line"


def test_what_is_unfit_is_counted_by_reason_and_zero_lets_it_pass(tmp_path: Path) -> None:
    colors, lines = painted(tmp_path)
    wide = Image.new("RGB", (100, 20), "white")
    wide.paste((200, 90, 30), (10, 5, 80, 18))
    ink = Image.new("L", (100, 20), 255)
    ink.paste(0, (10, 5, 80, 6))
    dot = Image.new("L", (32, 32), 255)
    dot.paste(0, (15, 15, 18, 18))
    grey = Image.open(colors / "000.png").convert("L")
    for name, color, line in [
        ("sliver", wide, ink),
        ("no-line", Image.open(colors / "000.png"), Image.new("L", (32, 32), 255)),
        ("no-colours", Image.new("RGB", (32, 32), (9, 80, 200)), Image.open(lines / "000.png")),
        ("grey", grey, Image.open(lines / "001.png")),
        ("night", Image.open(colors / "001.png"), Image.eval(Image.open(lines / "001.png"), lambda v: 255 - v)),
        ("tiny", Image.merge("RGB", (dot, dot, Image.new("L", (32, 32), 255))), dot),
    ]:
        color.save(colors / f"{name}.png")
        line.save(lines / f"{name}.png")
    strict = Limits(colourfulness=1.0)
    prepared = prepare(colors, tmp_path / "out", lines, limits=strict)
    assert {str(reason): tally.examples for reason, tally in prepared.rejected.items()} == {
        "sliver": ["sliver"],
        "blank": ["no-colours", "no-line"],
        "without colour": ["grey"],
        "too intricate": ["night"],
        "subject too small": ["tiny"],
    }
    assert sum(prepared.counts.values()) == 12
    assert described(tmp_path / "out")["rejected"]["blank"] == [2, ["no-colours", "no-line"]]
    everything = prepare(colors, tmp_path / "all", lines, limits=EVERYTHING)
    assert everything.rejected == {}
    assert sum(everything.counts.values()) == 18


def test_of_exact_duplicates_the_first_stays_and_recolourings_are_a_group(tmp_path: Path) -> None:
    colors, lines = painted(tmp_path)
    for copy, of in (("100", "003"), ("101", "003"), ("102", "004")):
        for folder in (colors, lines):
            Image.open(folder / f"{of}.png").save(folder / f"{copy}.png", compress_level=1)
    shutil.copy(lines / "005.png", lines / "103.png")
    Image.eval(Image.open(colors / "005.png"), lambda v: v ^ 96).save(colors / "103.png")
    prepared = prepare(colors, tmp_path / "out", lines)
    assert prepared.rejected["exact duplicate"] == Tally(3, ["100", "101", "102"])
    rows = {row["name"]: row for row in rows_of(tmp_path / "out")}
    assert rows.keys() == {*(f"{i:03}" for i in range(12)), "103"}
    assert (rows["103"]["group"], rows["103"]["split"]) == (rows["005"]["group"], rows["005"]["split"])
    assert (prepared.groups, prepared.alike) == (12, 2)


def test_near_duplicates_share_a_split_or_are_dropped(tmp_path: Path) -> None:
    colors, lines = painted(tmp_path)
    for folder in (colors, lines):
        Image.open(folder / "003.png").resize((128, 128), Image.Resampling.BICUBIC).save(folder / "larger.png")
    together = prepare(colors, tmp_path / "out", lines)
    rows = {row["name"]: row for row in rows_of(tmp_path / "out")}
    assert rows["larger"]["group"] == rows["003"]["group"]
    assert (together.groups, together.alike, sum(together.counts.values())) == (12, 2, 13)
    dropped = prepare(colors, tmp_path / "dropped", lines, limits=Limits(drop_near=True))
    assert dropped.rejected["near duplicate"] == Tally(1, ["larger"])
    assert (dropped.groups, dropped.alike, sum(dropped.counts.values())) == (12, 0, 12)
    assert [row["group"] for row in rows_of(tmp_path / "dropped")] == list(range(12))
    apart = prepare(colors, tmp_path / "apart", lines, limits=Limits(likeness=0))
    assert (apart.groups, apart.alike) == (13, 0)


def test_labels_of_a_table_become_a_column_that_every_split_has_its_share_of(tmp_path: Path) -> None:
    colors, lines = painted(tmp_path, 31)
    rows = [f"{i:03}.png,{('cat', 'dog', 'cow')[i % 3]}" for i in range(30)]
    (tmp_path / "table.csv").write_text("\n".join(["file,kind", *reversed(rows), "absent.png,cat"]))
    prepared = prepare(colors, tmp_path / "out", lines, table=tmp_path / "table.csv", label="kind")
    share = {"train": 7, "val": 2, "test": 1}
    assert prepared.labels == described(tmp_path / "out")["labels"] == dict.fromkeys(("cat", "cow", "dog"), share)
    labels = [row["label"] for row in rows_of(tmp_path / "out")]
    assert labels == ["cat", "dog", "cow"] * 10 + [""]
    assert prepared.unlabelled == {"drawings": Tally(1, ["030"]), "rows": Tally(1, ["absent.png"])}
    assert described(tmp_path / "out")["unlabelled"] == {"drawings": [1, ["030"]], "rows": [1, ["absent.png"]]}


def test_a_label_without_a_table_is_refused(tmp_path: Path) -> None:
    colors, lines = make_folders(tmp_path, 3)
    with pytest.raises(PrepareError, match=r"a table beside the label 'kind', got none\. Name the CSV file"):
        prepare(colors, tmp_path / "out", lines, label="kind")


def test_statistics_are_those_of_the_training_split_as_networks_meet_it(tmp_path: Path) -> None:
    colors, lines = painted(tmp_path, 15)
    prepare(colors, tmp_path / "out", lines)
    found = described(tmp_path / "out")["statistics"]
    train = [row for row in rows_of(tmp_path / "out") if row["split"] == "train"]
    squares = {
        kind: np.stack([np.asarray(to_square(pixels(row[kind]), 64)) for row in train]) / 127.5 - 1
        for kind in ("line", "color")
    }
    densities = [(np.asarray(pixels(row["line"])) < 128).mean() for row in train]
    assert found["line"]["mean"] == pytest.approx(squares["line"].mean())
    assert found["line"]["std"] == pytest.approx(squares["line"].std())
    assert found["line"]["density"] == pytest.approx(np.mean(densities))
    assert found["color"]["mean"] == pytest.approx(squares["color"].mean(axis=(0, 1, 2)))
    assert found["color"]["std"] == pytest.approx(squares["color"].std(axis=(0, 1, 2)))
    assert found["density"] == pytest.approx(np.quantile(densities, [0.05, 0.5, 0.95]))


def test_sizes_of_the_originals_and_their_origin_are_columns(tmp_path: Path) -> None:
    colors, lines = make_folders(tmp_path)
    prepare(colors, tmp_path / "out", lines)
    assert {(row["width"], row["height"], row["origin"]) for row in rows_of(tmp_path / "out")} == {(24, 20, "given")}


def test_nothing_is_decoded_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    colors, lines = painted(tmp_path)
    opened: list[str] = []
    decode = Image.open

    def counted(stream: Any, *args: Any, **kwargs: Any) -> Image.Image:
        opened.append(str(getattr(stream, "name", "bytes")))
        return decode(stream, *args, **kwargs)

    monkeypatch.setattr(Image, "open", counted)
    prepare(colors, tmp_path / "out", lines)
    assert sorted(opened) == sorted(str(path) for folder in (colors, lines) for path in folder.iterdir())


@pytest.mark.parametrize("pen", PENS)
def test_lines_are_drawn_with_the_pen_asked_for(tmp_path: Path, pen: str) -> None:
    colors, _ = painted(tmp_path, 4)
    prepare(colors, tmp_path / "out", pen=pen, limits=EVERYTHING)
    for row in rows_of(tmp_path / "out"):
        np.testing.assert_array_equal(pixels(row["line"]), lines_from_colors(np.asarray(pixels(row["color"])), pen))
    assert described(tmp_path / "out")["pen"] == pen


def test_mixed_pens_follow_from_name_and_seed_and_not_from_the_other_drawings(tmp_path: Path) -> None:
    def pens(name: str, seed: int = 0) -> dict[str, str]:
        prepare(colors, tmp_path / name, pen="mixed", seed=seed, limits=EVERYTHING)
        drawn = {}
        for row in rows_of(tmp_path / name):
            line, color = np.asarray(pixels(row["line"])), np.asarray(pixels(row["color"]))
            (drawn[row["name"]],) = (pen for pen in PENS if np.array_equal(line, lines_from_colors(color, pen)))
        return drawn

    colors, _ = painted(tmp_path)
    first, other = pens("first"), pens("other", seed=1)
    assert set(first.values()) == set(PENS)
    assert first != other
    (colors / "000.png").unlink()
    assert pens("fewer") == {name: pen for name, pen in first.items() if name != "000"}


def test_the_pens_are_those_of_the_line_art() -> None:
    assert set(PENS) == set(STYLES)


def test_wrong_pens_are_refused(tmp_path: Path) -> None:
    colors, lines = make_folders(tmp_path, 3)
    with pytest.raises(PrepareError, match="a pen out of dilation, xdog, threshold, mixed, got 'crayon'"):
        prepare(colors, tmp_path / "out", pen="crayon")
    with pytest.raises(PrepareError, match="a pen only where lines are drawn from the colours, got 'xdog' beside"):
        prepare(colors, tmp_path / "out", lines, pen="xdog")


def test_a_collection_in_grey_is_an_error_that_guesses_why(tmp_path: Path) -> None:
    _, lines = painted(tmp_path)
    with pytest.raises(PrepareError, match=r"colours in .*line, but all of the 12 .* grey.*It goes to --lines"):
        prepare(lines, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not OPENMOJI.is_dir(), reason="needs the real drawings beside the repository")
def test_real_drawings_lose_little_and_labels_are_spread_evenly(tmp_path: Path) -> None:
    names = sorted(path.name for path in (OPENMOJI / "color").iterdir())[::4]
    for kind in ("color", "line"):
        (tmp_path / kind).mkdir()
        for name in names:
            shutil.copy(OPENMOJI / kind / name, tmp_path / kind)
    table = OPENMOJI / "drawings.csv"
    prepared = prepare(tmp_path / "color", tmp_path / "out", tmp_path / "line", table=table, label="group")
    total = sum(prepared.counts.values())
    assert len(names) - total < 0.005 * len(names)
    assert prepared.unlabelled["drawings"].count == 0
    assert 0 < prepared.alike < 0.1 * total
    for counts in prepared.labels.values():
        for split, share in zip(("train", "val", "test"), (0.7, 0.2, 0.1), strict=True):
            assert abs(counts[split] - share * sum(counts.values())) < 3
