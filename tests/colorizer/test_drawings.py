"""The embedded drawings: reproducible, all different, and true to what a network is to learn from them."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice, pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from colorizer.character.look import PALETTE, choose_look, vary_palette
from colorizer.character.painting import INK, Canvas, Shape, View
from colorizer.drawings import Drawing, draw_character, draw_characters, draw_look

TONES = np.array([(255, 255, 255), *(tone for pair in PALETTE.values() for tone in pair)], dtype=np.float64)


@pytest.fixture(scope="module")
def drawings() -> list[Drawing]:
    return list(draw_characters(200, seed=3, size=48))


def away_from_lines(drawing: Drawing, pixels: int = 2) -> NDArray[np.bool_]:
    """(S, S): no ink within so many pixels."""
    darkest = Image.fromarray(drawing.line).filter(ImageFilter.MinFilter(2 * pixels + 1))
    paper: NDArray[np.bool_] = np.asarray(darkest) == 255
    return paper


def test_the_same_seed_gives_the_same_bits_whatever_was_drawn_before() -> None:
    first = draw_character(11, 40)
    draw_character(12, 56)
    np.random.default_rng(0).random(5)
    again = draw_character(11, 40)
    assert first.name == again.name
    assert np.array_equal(first.line, again.line)
    assert np.array_equal(first.color, again.color)


def test_a_drawing_does_not_depend_on_how_many_are_drawn() -> None:
    few, many = list(draw_characters(3, seed=5, size=32)), islice(draw_characters(10**9, seed=5, size=32), 3)
    for one, other in zip(few, many, strict=True):
        assert one.name == other.name
        assert np.array_equal(one.color, other.color)


def test_each_of_a_series_can_be_drawn_again_by_the_number_in_its_name() -> None:
    for drawing in draw_characters(3, seed=2, size=32):
        number = int(drawing.name.removeprefix("character-"))
        assert np.array_equal(draw_character(number, 32).color, drawing.color)


def test_200_drawings_are_200_different_line_drawings(drawings: list[Drawing]) -> None:
    assert len({drawing.line.tobytes() for drawing in drawings}) == 200
    assert len({drawing.name for drawing in drawings}) == 200
    far_apart = [np.abs(one.line.astype(int) - other.line).mean() for one, other in pairwise(drawings)]
    assert min(far_apart) > 5


def test_no_two_seeds_share_a_drawing(drawings: list[Drawing]) -> None:
    others = {drawing.name for drawing in draw_characters(20, seed=4, size=16)}
    assert not others & {drawing.name for drawing in drawings}


@pytest.mark.parametrize("size", [16, 17, 48, 97, 512])
def test_every_size_has_paper_and_lines(size: int) -> None:
    for seed in (0, 1, 5):
        drawing = draw_character(seed, size)
        assert drawing.line.shape == (size, size)
        assert drawing.color.shape == (size, size, 3)
        assert drawing.line.dtype == drawing.color.dtype == np.uint8
        assert drawing.line.flags.writeable
        assert drawing.color.flags.writeable
        assert drawing.line.min() < 100
        assert drawing.line.max() == 255


@pytest.mark.parametrize("size", [15, 0, -96, 96.0, "96", None, True])
def test_a_wrong_size_is_refused_with_the_rule_and_the_value(size: object) -> None:
    with pytest.raises(ValueError, match=rf"size to be an integer of at least 16, got size={size!r}"):
        draw_character(0, size)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="size"):
        draw_characters(1, size=size)  # type: ignore[arg-type]


def test_a_wrong_seed_or_count_is_refused_before_anything_is_drawn() -> None:
    with pytest.raises(ValueError, match=r"seed to be an integer of at least 0, got seed=-1"):
        draw_character(-1)
    with pytest.raises(ValueError, match=r"seed=1\.5"):
        draw_characters(1, seed=1.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"count to be an integer of at least 0, got count=-2"):
        draw_characters(-2)


def test_the_line_drawing_is_mostly_paper_yet_not_blank(drawings: list[Drawing]) -> None:
    for drawing in drawings:
        ink = 1 - drawing.line.mean() / 255
        assert 0.04 < ink < 0.4


def test_the_colours_are_dark_where_the_lines_are(drawings: list[Drawing]) -> None:
    for drawing in drawings:
        line = drawing.line < 8
        assert line.any()
        assert np.abs(drawing.color[line].astype(int) - INK).max() < 12


def test_the_line_drawing_is_white_wherever_the_colours_are_white(drawings: list[Drawing]) -> None:
    for drawing in drawings:
        white = (drawing.color == 255).all(axis=-1)
        assert (drawing.line[white] >= 254).all()


def test_between_the_lines_lie_the_colours_of_the_parts() -> None:
    strange = []
    for drawing in draw_characters(30, seed=1, size=96):
        flat = drawing.color[away_from_lines(drawing)].astype(np.float64)
        distance = np.abs(flat[:, None] - TONES).max(axis=-1).min(axis=-1)
        strange.append((distance > 18).mean())
    assert max(strange) < 0.05  # where two tones of one part meet, pixels lie between them
    assert np.mean(strange) < 0.02


def test_a_part_has_nearly_one_colour_in_all_drawings() -> None:
    hair = np.array(PALETTE["hair"][0], dtype=np.float64)
    means = []
    for drawing in draw_characters(30, seed=6, size=96):
        flat = drawing.color[away_from_lines(drawing, pixels=1)].astype(np.float64)
        nearest = np.abs(flat[:, None] - TONES).sum(axis=-1).argmin(axis=-1)
        of_hair = flat[(TONES[nearest] == hair).all(axis=-1)]
        assert len(of_hair) > 20  # her hair is in every picture
        means.append(of_hair.mean(axis=0))
    assert np.abs(np.array(means) - hair).max() < 18
    assert np.ptp(means, axis=0).max() > 2  # a little variation there is


def test_palettes_vary_by_a_few_percent_only() -> None:
    for seed in range(50):
        for part, tones in vary_palette(np.random.default_rng(seed)).items():
            assert np.abs(np.subtract(tones, PALETTE[part])).max() <= 26, part


def test_a_whole_figure_lies_on_the_paper() -> None:
    seen = 0
    for seed in range(60):
        if choose_look(np.random.default_rng(seed)).framing == "whole":
            line = draw_character(seed, 64).line
            seen += 1
            assert min(line[0].min(), line[-1].min(), line[:, 0].min(), line[:, -1].min()) == 255
    assert seen > 10


@pytest.mark.parametrize("held", ["nothing", "book", "cup", "flower", "balloon"])
@pytest.mark.parametrize("top", ["T-shirt", "hoodie", "sailor", "dress"])
def test_clothes_and_things_show_in_their_colours(held: str, top: str) -> None:
    look = replace(
        choose_look(np.random.default_rng(1)),
        top=top,
        held=held,
        bottom="dress" if top == "dress" else "trousers",
        arms={"book": ("read", "read"), "cup": ("sip", "down")}.get(held, ("offer", "down")),
        hair="bob",
    )
    canvas = Canvas(96, View(-2.5, -1.8, 1 / 6), PALETTE)
    canvas.paint(draw_look(look))
    colours = {tuple(pixel) for pixel in canvas.color().reshape(-1, 3).tolist()}
    assert PALETTE["blouse" if top == "sailor" else top][0] in colours
    for thing in ("book", "cup", "petal", "balloon"):
        if thing != "petal":  # petals are as white as paper
            assert (PALETTE[thing][0] in colours) == (thing == held)


def test_what_is_painted_later_hides_lines_and_colours_below() -> None:
    def square(low: float, high: float) -> tuple[np.ndarray, ...]:
        return (np.array([(low, low), (high, low), (high, high), (low, high)]),)

    canvas = Canvas(40, View(0, 0, 1), {"a": ((200, 0, 0), (100, 0, 0)), "b": ((0, 200, 0), (0, 100, 0))})
    canvas.paint([Shape(square(0.3, 0.7), "a"), Shape(square(0.2, 0.8), "b", shade=(0.1, 0.0))])
    line, color = canvas.line(), canvas.color()
    assert (line[10:30, 10:30] == 255).all()
    assert (line[6:8, 10:30] < 255).any()
    assert color[20, 20].tolist() == [0, 200, 0]
    assert color[20, 9].tolist() == [0, 100, 0]
    assert color[2, 2].tolist() == [255, 255, 255]


def test_a_mirrored_view_mirrors_lines_and_shadows() -> None:
    marks = [Shape((np.array([(0.2, 0.2), (0.7, 0.3), (0.5, 0.8)]),), "a", shade=(0.1, 0.0))]
    tones = {"a": ((200, 0, 0), (100, 0, 0))}
    plain, mirrored = (Canvas(40, View(0, 0, 1, flag), tones) for flag in (False, True))
    plain.paint(marks)
    mirrored.paint(marks)
    difference = np.abs(plain.color().astype(int) - mirrored.color()[:, ::-1]).max(axis=-1)
    assert (difference > 60).mean() < 0.02  # up to the rounding of edges to the finer grid
