"""The page on a dataset: one file that asks for nothing, safe for any name, with pictures as they are."""

import base64
import io
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorizer.drawings import draw_characters
from colorizer.prepare import Limits, prepare
from colorizer.preparing import first_pass
from colorizer.preparing.first_pass import Example
from colorizer.preparing.look import look_at
from colorizer.preparing.markup import gallery, histogram, table

EVIL = '<img src=x onerror="alert(1)">&\'"'


class Page(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of drawings in a folder of a daring name, with each kind of thing to tell."""
    root = tmp_path_factory.mktemp("drawings")
    colors, lines = root / "color<b>", root / "line"
    for folder in (colors, lines):
        folder.mkdir()
    rows = ["file,kind"]
    for i, drawing in enumerate(draw_characters(24, size=40)):
        Image.fromarray(drawing.color).save(colors / f"{i:02}.png")
        Image.fromarray(drawing.line).save(lines / f"{i:02}.png")
        rows.append(f"{i:02}.png,<i>{i % 2}")
    for folder in (colors, lines):
        shutil.copy(folder / "03.png", folder / "copy.png")
        Image.open(folder / "05.png").resize((80, 80)).save(folder / "larger.png")
    (colors / "broken.png").write_bytes(b"none")
    shutil.copy(lines / "00.png", lines / "broken.png")
    (root / "table.csv").write_text("\n".join(rows))
    prepare(colors, root / "out", lines, table=root / "table.csv", label="kind")
    prepare(colors, root / "dropped", lines, limits=Limits(drop_near=True))
    return root


def read(made: Path, name: str = "out") -> Page:
    return Page((made / name / "report.html").read_text(encoding="utf-8"))


def test_the_page_asks_for_nothing(made: Path) -> None:
    page = read(made)
    assert not page.of("script")
    assert not page.of("link")
    (policy,) = (str(meta["content"]) for meta in page.of("meta") if "http-equiv" in meta)
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert not re.search(r"https?:|url\(|@import", (made / "out/report.html").read_text(encoding="utf-8"))
    assert all(str(image["src"]).startswith("data:image/webp;base64,") for image in page.of("img"))


def test_everything_on_it_has_a_name_for_who_does_not_see(made: Path) -> None:
    page = read(made)
    assert page.of("html") == [{"lang": "en"}]
    assert len(page.of("img")) > 20
    assert all(image["alt"] for image in page.of("img"))
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in page.of("svg"))
    assert [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)][:2] == [1, 2]


def test_it_tells_of_splits_labels_likenesses_and_rejections(made: Path) -> None:
    text = read(made).text
    assert "color<b>" in text
    assert "25 drawings: 17 train, 5 val, 3 test. 2 passed over." in text
    assert re.search(r"<i>0 +\d+ +\d+ +\d+ ", text)
    assert re.search(r"exact duplicate: 1 .*copy +same as 03", text, re.DOTALL)
    assert re.search(r"not an image: 1 +no picture +color<b>/broken.png", text)
    assert "2 drawings have the line art of another, or look like it." in text
    assert "drawing without a row in the table (has no label) 3 " in text
    dropped = read(made, "dropped")
    assert re.search(r"near duplicate: 1 +larger +looks like 05", dropped.text)
    assert "No drawing looks like another." in dropped.text
    assert "larger: line drawing and colours" in {image["alt"] for image in dropped.of("img")}


def test_pictures_belong_to_their_names_in_later_row_groups_too(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_pass, "_ROWS_PER_GROUP", 5)
    prepare(made / "color<b>", tmp_path / "out", made / "line", limits=Limits(drop_near=True))
    assert (tmp_path / "out/report.html").read_bytes() == (made / "dropped/report.html").read_bytes()


def test_a_picture_holds_the_pixels_that_networks_are_given() -> None:
    (drawing,) = draw_characters(1, size=50)
    square = look_at(Image.fromarray(drawing.line), Image.fromarray(drawing.color)).square
    (image,) = Page(gallery([Example(EVIL, "", square)])).of("img")
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(str(image["src"]).partition(",")[2]))))
    np.testing.assert_array_equal(shown[:, :64], np.repeat(square[0][:, :, None], 3, axis=2))
    np.testing.assert_array_equal(shown[:, 64:], square[1:].transpose(1, 2, 0))
    assert image["alt"] == f"{EVIL}: line drawing and colours"


def test_names_cannot_break_out_of_the_page() -> None:
    page = Page(gallery([Example(EVIL, EVIL, None)]) + table(EVIL, [EVIL], [(EVIL, EVIL)]))
    page.feed(histogram(EVIL, np.array([1, 2]), [EVIL], EVIL))
    assert not page.of("img")
    assert page.text.count(EVIL) == 8


def test_bars_are_as_high_as_the_roots_of_their_counts_and_nothing_is_no_bar() -> None:
    (bars,) = Page(histogram("x", np.array([4, 0, 16, 1]), ["0"], "")).of("path")
    assert bars["d"] == "M0.0 100v-50.0h75.0v50.0zM150.0 100v-100.0h75.0v100.0zM225.0 100v-25.0h75.0v25.0z"
    assert Page(histogram("x", np.zeros(3, dtype=np.int64), ["0"], "")).of("path") == [{"d": ""}]
