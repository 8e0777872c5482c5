"""Lines drawn from colours: where colours change, and nowhere else."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from colorizer.line_art import lines_from_colors


def outlined_disc(side: int) -> np.ndarray:
    image = Image.new("RGB", (side * 4, side * 4), "white")
    circle = (side, side, side * 3, side * 3)
    ImageDraw.Draw(image).ellipse(circle, fill="orange", outline="black", width=side // 9)
    return np.asarray(image.resize((side, side), Image.Resampling.BOX))


@settings(deadline=None)
@given(st.tuples(*[st.integers(0, 255)] * 3), st.integers(8, 20), st.integers(8, 20))
def test_a_flat_area_of_any_colour_is_paper(color: tuple[int, int, int], height: int, width: int) -> None:
    assert (lines_from_colors(np.full((height, width, 3), color, dtype=np.uint8)) == 255).all()


def test_an_outline_becomes_a_line_and_its_filling_paper() -> None:
    lines = lines_from_colors(outlined_disc(72))
    assert lines.shape == (72, 72)
    assert lines.dtype == np.uint8
    assert lines[36, 36] == 255
    assert lines[0, 0] == 255
    assert lines[36, 15:24].min() < 20


def test_an_edge_between_colours_of_equal_brightness_is_drawn() -> None:
    rgb = np.zeros((16, 24, 3), dtype=np.uint8)
    rgb[:, :12], rgb[:, 12:] = (200, 0, 0), (0, 102, 0)  # both of luma 60
    assert lines_from_colors(rgb)[:, 11:13].min() < 60


def test_the_line_of_a_drawing_has_the_same_share_at_any_resolution() -> None:
    inked = [float((255 - lines_from_colors(outlined_disc(side))).mean()) for side in (72, 216, 360)]
    assert max(inked) < 1.35 * min(inked)


def test_the_same_colours_give_the_same_lines_and_stay_unchanged() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (17, 23, 3), dtype=np.uint8)
    before = rgb.copy()
    np.testing.assert_array_equal(lines_from_colors(rgb), lines_from_colors(rgb))
    np.testing.assert_array_equal(rgb, before)


@pytest.mark.parametrize("wrong", [np.zeros((5, 7), np.uint8), np.zeros((5, 7, 4), np.uint8), np.zeros((5, 7, 3))])
def test_other_arrays_are_refused_with_what_came(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"\(H, W, 3\) uint8, got \(5, 7"):
        lines_from_colors(wrong)


@pytest.mark.parametrize("style", ["xdog", "threshold"])
def test_a_large_drawing_gets_the_lines_of_a_small_one_in_its_own_size(style: str) -> None:
    large, small = (lines_from_colors(outlined_disc(side), style) for side in (1536, 768))  # 2.4 and 0.6 million pixels
    assert large.shape == (1536, 1536)
    shrunk = np.asarray(Image.fromarray(large).resize((768, 768), Image.Resampling.BOX), np.int16)
    assert np.abs(shrunk - small).mean() < 1
    assert (small < 128).mean() > 0.005


PEAK = """
import resource, sys
import numpy as np
from colorizer import pens
from colorizer.line_art import lines_from_colors

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

rgb = np.full((4000, 4000, 3), 255, np.uint8)
rgb[1000:2000, 1000:2000] = (200, 30, 10)
lines_from_colors(rgb[:64, :64], sys.argv[1])
before = peak()
assert lines_from_colors(rgb, sys.argv[1]).min() < 10
print(peak() - before)
"""


@pytest.mark.parametrize(("style", "most"), [("dilation", 8), ("xdog", 20), ("threshold", 20)])
def test_lines_of_a_large_drawing_take_little_more_memory_than_the_drawing(style: str, most: int) -> None:
    shown = subprocess.run([sys.executable, "-c", PEAK, style], capture_output=True, text=True, check=True)
    assert int(shown.stdout) * 2**20 < most * 4000**2
