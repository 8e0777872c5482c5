"""Measures of a drawing are what they say, at any shape."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from colorizer.drawings import draw_character
from colorizer.images import to_square
from colorizer.metrics import colourfulness
from colorizer.preparing.look import Look, look_at


def looked(seed: int, size: int = 72) -> tuple[Image.Image, Image.Image]:
    drawing = draw_character(seed, size)
    return Image.fromarray(drawing.line), Image.fromarray(drawing.color)


def apart(one: Look, other: Look) -> int:
    return int(np.bitwise_count(one.likeness ^ other.likeness).sum())


def test_the_square_is_what_networks_are_given() -> None:
    line, color = looked(3)
    line, color = line.crop((0, 0, 72, 40)), color.crop((0, 0, 72, 40))
    square = look_at(line, color).square
    np.testing.assert_array_equal(square[0], np.asarray(to_square(line, 64)))
    np.testing.assert_array_equal(square[1:].transpose(1, 2, 0), np.asarray(to_square(color, 64)))


def test_ink_and_density_are_of_the_line_drawing_as_it_came() -> None:
    values = np.full((10, 30), 255, dtype=np.uint8)
    values[0, :3] = 0, 127, 128
    look = look_at(Image.fromarray(values), Image.new("RGB", (30, 10), "white"))
    assert look.density == pytest.approx(2 / 300)
    assert look.ink == pytest.approx((255 + 128 + 127) / 255 / 300)


def test_colourfulness_is_that_of_the_metrics() -> None:
    line, color = looked(1)
    look = look_at(line, color)
    colors = torch.from_numpy(look.square[1:].copy()).float()[None]
    assert look.colourfulness == pytest.approx(float(colourfulness(colors)), rel=1e-4)
    grey = look_at(line, color.convert("L").convert("RGB"))
    assert grey.colourfulness == pytest.approx(0, abs=1e-4)


def test_contrast_is_the_widest_channel() -> None:
    color = Image.new("RGB", (20, 12), (10, 100, 200))
    color.paste((10, 130, 190), (0, 0, 10, 12))
    assert look_at(Image.new("L", (20, 12), 255), color.resize((64, 64), Image.Resampling.NEAREST)).contrast == 30


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(0, 20), st.integers(8, 40), st.integers(8, 20))
def test_the_subject_is_the_box_of_what_is_drawn(x: int, y: int, width: int, height: int) -> None:
    line, color = Image.new("L", (128, 64), 255), Image.new("RGB", (128, 64), "white")
    x, y, width, height = (2 * value for value in (x, y, width // 2, height // 2))
    color.paste((200, 0, 0), (x, y, x + width, y + height))
    clipped = min(width, 128 - x) * min(height, 64 - y)
    assert look_at(line, color).subject == pytest.approx(clipped / (128 * 64), abs=0.01)
    assert look_at(line, Image.new("RGB", (128, 64), "white")).subject == 0


@pytest.mark.parametrize("seed", range(5))
def test_what_a_person_calls_the_same_is_near_and_another_drawing_is_far(seed: int) -> None:
    line, color = looked(seed)
    first = look_at(line, color)
    larger = look_at(*(image.resize((200, 200), Image.Resampling.BICUBIC) for image in (line, color)))
    assert apart(first, larger) <= 8
    assert apart(first, look_at(*looked(seed + 100))) > 12


def test_half_the_bits_of_a_symmetric_drawing_do_not_hang_on_a_speck() -> None:
    clean, specked = (np.full((64, 64), 255, dtype=np.uint8) for _ in range(2))
    for values in (clean, specked):
        values[20:44, 12:52] = 0
    specked[3, 5] = 252
    looks = [look_at(Image.fromarray(v), Image.fromarray(v).convert("RGB")) for v in (clean, specked)]
    assert apart(*looks) <= 2
