"""What is done to drawings is what its name says, up to what was asked for, and the same from one seed."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from colorizer.augment import Moves, Tints, blurred, moved, tinted


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=rng(9))


def dot(height: int, width: int, row: int, column: int) -> torch.Tensor:
    picture = torch.ones(1, 4, height, width)
    picture[..., row, column] = 0
    return picture


def centre_of_ink(picture: torch.Tensor) -> tuple[float, float]:
    """Row and column, in pixels from the centre of the picture."""
    ink = (1 - picture[0, 0]).double()
    rows, columns = (torch.arange(side, dtype=torch.float64) - (side - 1) / 2 for side in ink.shape)
    return float((ink.sum(1) * rows).sum() / ink.sum()), float((ink.sum(0) * columns).sum() / ink.sum())


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 45), st.floats(0, 0.49), st.floats(0.2, 1))
def test_paper_stays_paper_and_ink_does_not_come_from_nowhere(
    seed: int, rotate: float, shift: float, crop: float
) -> None:
    moves = Moves(rotate, shift, crop)
    assert (moved(torch.ones(2, 3, 5, 7), moves, rng(seed)) == 1).all()
    pictures = noise(2, 3, 5, 7)
    result = moved(pictures, moves, rng(seed))
    assert result.shape == (2, 3, 5, 7)
    assert result.min() >= pictures.min() - 1e-5
    for one in (result, moved(torch.zeros(2, 3, 5, 7), moves, rng(seed))):
        assert one.min() >= 0
        assert one.max() <= 1


def test_lines_and_colours_move_together() -> None:
    picture = noise(3, 1, 9, 13).expand(-1, 4, -1, -1)
    result = moved(picture, Moves(30, 0.2, 0.7), rng())
    for channel in range(1, 4):
        assert torch.equal(result[:, 0], result[:, channel])
    assert not torch.allclose(result[0], result[1])


def test_a_drawing_is_turned_around_its_centre_by_up_to_the_angle_without_distortion() -> None:
    """Also where it is wider than high: a dot keeps its distance from the centre in pixels."""
    angles = []
    for seed in range(40):
        row, column = centre_of_ink(moved(dot(41, 61, 20, 40), Moves(rotate=30), rng(seed)))
        assert math.hypot(row, column) == pytest.approx(10, abs=0.3)
        angles.append(math.degrees(math.atan2(row, column)))
    assert -30.5 < min(angles) < -20
    assert 20 < max(angles) < 30.5


def test_a_drawing_is_shifted_by_up_to_the_share_of_its_side() -> None:
    places = np.array([centre_of_ink(moved(dot(41, 61, 20, 30), Moves(shift=0.2), rng(seed))) for seed in range(60)])
    for offsets, side in zip(places.T, (41, 61), strict=True):
        assert -0.2 * side - 0.5 <= offsets.min() < -0.14 * side
        assert 0.14 * side < offsets.max() <= 0.2 * side + 0.5
    assert abs(np.corrcoef(places.T)[0, 1]) < 0.5


def test_a_crop_is_of_the_picture_alone_and_fills_it() -> None:
    """Of a black picture a crop is black up to its edges; ink grows by at most the scale."""
    assert moved(torch.zeros(50, 1, 21, 31), Moves(crop=0.5), rng())[:, :, 1:-1, 1:-1].max() < 1e-5
    bar = torch.ones(1, 1, 40, 60)
    bar[:, :, 15:25, 25:35] = 0
    larger = [float((1 - moved(bar, Moves(crop=0.5), rng(seed))).sum()) / 100 for seed in range(60)]
    assert min(larger) < 1.3
    assert 2.5 < max(larger) < 4.1


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 180), st.floats(0, 1), st.floats(0, 3))
def test_white_stays_white_and_black_black_and_grey_grey(
    seed: int, hue: float, saturation: float, exposure: float
) -> None:
    grey = torch.tensor([0.0, 0.3, 0.7, 1.0]).view(1, 1, 2, 2).expand(2, 3, 2, 2)
    result = tinted(grey, Tints(hue, saturation, exposure), rng(seed))
    assert (result[..., 1, 1] == 1).all()
    assert result[..., 0, 0].max() < 1e-6
    torch.testing.assert_close(result, result.mean(dim=1, keepdim=True).expand_as(result), atol=1e-5, rtol=0)
    if not exposure:
        torch.testing.assert_close(result, grey, atol=1e-5, rtol=0)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 180), st.floats(0, 1), st.floats(0, 3))
def test_colours_stay_in_range(seed: int, hue: float, saturation: float, exposure: float) -> None:
    colors = torch.rand((2, 3, 5, 7), generator=rng(seed))
    result = tinted(colors, Tints(hue, saturation, exposure), rng(seed))
    assert result.shape == colors.shape
    assert result.min() >= 0
    assert result.max() <= 1


def test_hue_turns_red_into_other_colours_of_the_same_brightness_mean() -> None:
    soft = torch.tensor([0.6, 0.4, 0.4]).view(1, 3, 1, 1).expand(200, 3, 1, 1)
    turned = tinted(soft, Tints(hue=180), rng())
    torch.testing.assert_close(turned.mean(dim=1), soft.mean(dim=1))
    chroma, before = (tint - tint.mean(dim=1, keepdim=True) for tint in (turned, soft))
    torch.testing.assert_close(chroma.norm(dim=1), before.norm(dim=1))
    strongest = turned.argmax(dim=1).flatten().bincount(minlength=3)
    assert strongest.min() > 40
    slightly = tinted(soft, Tints(hue=20), rng())
    assert (slightly.argmax(dim=1) == 0).all()
    angles = torch.rad2deg(torch.acos(torch.cosine_similarity(slightly - slightly.mean(dim=1, keepdim=True), before)))
    assert 18 < angles.max() < 20.1


def test_saturation_makes_colours_more_and_less_vivid_and_leaves_their_hue() -> None:
    soft = torch.tensor([0.6, 0.5, 0.4]).view(1, 3, 1, 1).expand(200, 3, 1, 1)
    result = tinted(soft, Tints(saturation=0.5), rng())
    spread = result.amax(dim=1) - result.amin(dim=1)
    assert 0.1 <= spread.min() < 0.12
    assert 0.28 < spread.max() <= 0.3 + 1e-6
    torch.testing.assert_close(result[:, 1], soft[:, 1])


def test_exposure_makes_drawings_lighter_and_darker_by_stops() -> None:
    result = tinted(torch.full((200, 3, 1, 1), 0.5), Tints(exposure=1), rng())
    assert 0.25 <= result.min() < 0.27
    assert 0.69 < result.max() <= math.sqrt(0.5)


def test_blur_spreads_each_drawings_ink_by_a_width_of_its_own() -> None:
    lines = torch.ones(30, 1, 25, 31)
    lines[:, :, 12, 15] = 0
    result = blurred(lines, 2.0, rng())
    assert result.shape == lines.shape
    torch.testing.assert_close((1 - result).sum(dim=(1, 2, 3)), torch.ones(30), atol=1e-3, rtol=0)
    columns = torch.arange(31) - 15
    spread = ((1 - result).sum(dim=2)[:, 0] * columns**2).sum(dim=1).sqrt()
    assert spread.min() < 0.5
    assert 1.7 < spread.max() < 2.05
    assert len(spread.unique()) > 20
    assert (blurred(torch.ones(2, 1, 5, 7), 3.0, rng()) - 1).abs().max() < 1e-6


def test_what_a_blur_does_to_one_drawing_it_does_not_do_to_the_next() -> None:
    lines = noise(3, 1, 5, 7)
    changed = lines.clone()
    changed[1] = 0
    one, other = blurred(lines, 1.0, rng()), blurred(changed, 1.0, rng())
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[2], other[2])
    assert not torch.equal(one[1], other[1])


@pytest.mark.parametrize("seed", [0, 1])
def test_one_seed_gives_one_result(seed: int) -> None:
    pictures, colors = noise(2, 4, 5, 7), noise(2, 3, 5, 7)
    for change in (
        lambda g: moved(pictures, Moves(10, 0.1, 0.8), g),
        lambda g: tinted(colors, Tints(40, 0.3, 0.5), g),
        lambda g: blurred(pictures[:, :1], 1.0, g),
    ):
        assert torch.equal(change(rng(seed)), change(rng(seed)))
        assert not torch.equal(change(rng(seed)), change(rng(seed + 7)))
