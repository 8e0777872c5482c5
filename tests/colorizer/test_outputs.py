"""Coloured drawings of any names take each other's place as little as that of the drawings themselves."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from colorizer.outputs import output_files, save_whole

PARTS = st.sampled_from(["a", "b", "A", "1", "1.x"])


def names(*images: str) -> list[str]:
    return [str(file.relative_to("out")) for file in output_files([Path(image) for image in images], Path("out"))]


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ([], []),
        (["a/1.png", "b/2.jpg"], ["1.png", "2.png"]),
        (["a/1.png", "b/1.png", "b/2.png"], ["a/1.png", "b/1.png", "b/2.png"]),
        (["1.png", "b/1.png"], ["1.png", "b/1.png"]),
        (["../x/1.png", "/1.png"], None),
        (["a/1.png", "a/1.jpg", "b/2.gif"], ["a/1.png.png", "a/1.jpg.png", "b/2.gif.png"]),
        (["a/A.png", "b/a.png"], ["a/A.png", "b/a.png"]),
        (["a/1.png", "a/../a/1.png"], ["1.png", "1.png"]),
        (["a/.png"], [".png.png"]),
    ],
)
def test_names_are_as_short_as_they_can_be(images: list[str], expected: list[str] | None) -> None:
    found = names(*images)
    assert expected is None or found == expected
    assert len({*found}) == len({os.path.abspath(image) for image in images})
    assert all(".." not in Path(name).parts and not Path(name).is_absolute() for name in found)


@given(st.lists(st.tuples(PARTS, PARTS, st.sampled_from(["png", "jpg", "PNG"])), max_size=6))
def test_no_two_drawings_share_a_file(parts: list[tuple[str, str, str]]) -> None:
    images = [f"{folder}/{stem}.{suffix}" for folder, stem, suffix in parts]
    assert len({*names(*images)}) == len({*images})


def test_a_drawing_is_not_overwritten_by_its_colours(tmp_path: Path) -> None:
    drawing = tmp_path / "1.png"
    drawing.write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(ValueError, match=r"1\.png is one of them.* Choose another with -o"):
        output_files([tmp_path / "2.jpg", drawing], tmp_path / "link")
    assert output_files([drawing], tmp_path / "out") == [tmp_path / "out" / "1.png"]
    # What was coloured before is coloured again.
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "1.png").write_bytes(b"")
    assert output_files([drawing], tmp_path / "out") == [tmp_path / "out" / "1.png"]


def test_a_picture_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, picture = tmp_path / "in" / "here" / "1.png", Image.new("RGB", (9, 7), "red")
    save_whole(picture, file)
    before = file.read_bytes()

    def broken_off(self: Image.Image, path: Path, **options: object) -> None:
        path.write_bytes(before[:20])
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", broken_off)
    with pytest.raises(KeyboardInterrupt):
        save_whole(picture, file)
    assert [*file.parent.iterdir()] == [file]
    assert file.read_bytes() == before


def test_a_drawing_with_two_names_is_not_overwritten_under_the_other(tmp_path: Path) -> None:
    drawing, out = tmp_path / "2.jpg", tmp_path / "out"
    drawing.write_bytes(b"")
    out.mkdir()
    (out / "1.png").hardlink_to(drawing)
    with pytest.raises(ValueError, match=r"out/1\.png is one of them"):
        output_files([tmp_path / "1.gif", drawing], out)


def test_many_drawings_are_compared_with_what_is_there_each_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [tmp_path / "in" / f"{number}.gif" for number in range(20)]
    files = [tmp_path / "out" / f"{number}.png" for number in range(20)]
    for file in (*images, *files):
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"")
    asked, real = [], os.stat
    monkeypatch.setattr(os, "stat", lambda *given, **options: asked.append(given) or real(*given, **options))
    assert output_files(images, tmp_path / "out") == files
    assert 40 <= len(asked) < 100
