"""Pens draw lines where colours change, tell nothing of the colours between, and come as the seed has them."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from colorizer.config import TrainingConfig
from colorizer.line_art import lines_from_colors
from colorizer.pens import PENS, drawn
from colorizer.preparing import checks


def disc(side: int, fill: str = "orange", outline: str = "black") -> np.ndarray:
    image = Image.new("RGB", (side * 4, side * 4), "white")
    circle = (side, side, side * 3, side * 3)
    ImageDraw.Draw(image).ellipse(circle, fill=fill, outline=outline, width=side // 9)
    return np.asarray(image.resize((side, side), Image.Resampling.BOX))


def as_batch(*pictures: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).astype(np.float32) / 255)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 40), st.integers(2, 160))
def test_dilation_of_a_batch_is_that_of_the_line_art_bit_for_bit(seed: int, height: int, width: int) -> None:
    """Datasets are prepared by the one, models trained on the other."""
    rng = np.random.default_rng(seed)
    rgb = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    rgb[rng.random((height, width)) < 0.3] = 255
    lines = (255 * PENS["dilation"](as_batch(rgb, rgb[::-1]))).round().to(torch.uint8).numpy()
    np.testing.assert_array_equal(lines[0, 0], lines_from_colors(rgb))
    np.testing.assert_array_equal(lines[1, 0], lines_from_colors(rgb[::-1]))


def test_dilation_is_the_same_for_every_difference_of_two_values() -> None:
    rgb = np.repeat(np.arange(256, dtype=np.uint8), 8)[None, :, None].repeat(8, axis=0).repeat(3, axis=2)
    for other in range(256):
        both = rgb.copy()
        both[::2] = other
        lines = (255 * PENS["dilation"](as_batch(both))).round().to(torch.uint8).numpy()
        np.testing.assert_array_equal(lines[0, 0], lines_from_colors(both))


@pytest.mark.parametrize("pen", PENS)
@settings(deadline=None)
@given(st.tuples(*[st.integers(0, 255)] * 3), st.integers(2, 20), st.integers(2, 20))
def test_a_flat_area_of_any_colour_is_paper(pen: str, color: tuple[int, int, int], height: int, width: int) -> None:
    flat = as_batch(np.full((height, width, 3), color, np.uint8))
    assert torch.allclose(PENS[pen](flat), torch.ones(1, 1, height, width), atol=1e-3)


@pytest.mark.parametrize("pen", PENS)
def test_an_outline_becomes_a_line_and_its_filling_paper(pen: str) -> None:
    lines = PENS[pen](as_batch(disc(72), disc(72, fill="navy", outline="yellow")))
    assert lines.shape == (2, 1, 72, 72)
    assert 0 <= lines.min() < 0.3
    assert lines.max() == 1
    assert lines[0, 0, 36, 36] == pytest.approx(1, abs=1e-3)
    assert lines[1, 0, 36, 36] == pytest.approx(1, abs=1e-3)
    assert lines[0, 0, 0, 0] == pytest.approx(1, abs=1e-3)
    assert lines[0, 0, 36, 15:24].min() < 0.1


@pytest.mark.parametrize("pen", PENS)
def test_a_line_has_about_the_same_share_at_any_resolution(pen: str) -> None:
    inked = [float(1 - PENS[pen](as_batch(disc(side))).mean()) for side in (72, 144, 288)]
    assert max(inked) < 2 * min(inked)


@pytest.mark.parametrize("pen", PENS)
def test_a_picture_of_one_batch_is_drawn_as_it_is_alone(pen: str) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (5, 7, 3), dtype=np.uint8) for _ in range(2)]
    together = PENS[pen](as_batch(*pictures))
    assert together.shape == (2, 1, 5, 7)
    for line, picture in zip(together, pictures, strict=True):
        assert torch.allclose(line[None], PENS[pen](as_batch(picture)), atol=1e-5)


def test_pens_differ_from_each_other() -> None:
    colors = as_batch(disc(72))
    drawings = [PENS[pen](colors) for pen in PENS]
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert (drawings[first] - drawings[second]).abs().max() > 0.3
    assert set(PENS["threshold"](colors).unique().tolist()) == {0.0, 1.0}


def test_each_drawing_comes_in_one_of_the_styles_drawn_from_the_seed() -> None:
    colors = as_batch(*[disc(24)] * 40)
    lines = torch.full((40, 1, 24, 24), 0.5)
    mixed = drawn(lines, colors, "given, dilation,xdog,threshold", torch.Generator().manual_seed(3))
    styles = {"given": lines[:1], **{name: pen(colors[:1]) for name, pen in PENS.items()}}
    counts = {
        name: sum(torch.allclose(line[None], style, atol=1e-5) for line in mixed) for name, style in styles.items()
    }
    assert sum(counts.values()) == 40
    assert min(counts.values()) >= 4
    assert torch.equal(mixed, drawn(lines, colors, "given,dilation,xdog,threshold", torch.Generator().manual_seed(3)))
    other = drawn(lines, colors, "given,dilation,xdog,threshold", torch.Generator().manual_seed(4))
    assert not torch.equal(mixed, other)
    assert torch.equal(lines, torch.full((40, 1, 24, 24), 0.5))


def test_a_style_that_is_named_twice_comes_twice_as_often() -> None:
    lines = torch.full((900, 1, 8, 8), 0.5)
    mixed = drawn(lines, torch.ones(900, 3, 8, 8), "given,given,threshold", torch.Generator().manual_seed(0))
    assert 540 < int((mixed[:, 0, 0, 0] == 0.5).sum()) < 660


def test_the_line_art_of_a_collection_is_drawn_by_any_pen() -> None:
    rgb = disc(72)
    for pen in PENS:
        expected = (255 * PENS[pen](as_batch(rgb))).round().to(torch.uint8).numpy()[0, 0]
        np.testing.assert_array_equal(lines_from_colors(rgb, pen), expected)
    with pytest.raises(ValueError, match="Expected a style out of dilation, xdog, threshold, got 'pencil'"):
        lines_from_colors(rgb, "pencil")


@pytest.mark.parametrize("styles", ["", "pencil", "given,", "given;xdog", "xdog,pencil"])
def test_other_styles_are_refused_with_those_there_are(styles: str) -> None:
    with pytest.raises(ValueError, match="Expected line_styles out of given, dilation, xdog, threshold, with commas"):
        TrainingConfig(line_styles=styles)


def test_prepare_knows_every_pen_without_loading_torch() -> None:
    assert tuple(PENS) == checks.PENS
