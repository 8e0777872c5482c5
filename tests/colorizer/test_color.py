"""Colour spaces and differences, against published values and a second implementation."""

import numpy as np
import pytest
import skimage.color
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from colorizer.color import ciede2000, srgb_to_lab

# Table 1 of Sharma, Wu and Dalal (2005): L1 a1 b1 L2 a2 b2 and their difference.
SHARMA = np.array([
    [50.0000, 2.6772, -79.7751, 50.0000, 0.0000, -82.7485, 2.0425],
    [50.0000, 3.1571, -77.2803, 50.0000, 0.0000, -82.7485, 2.8615],
    [50.0000, 2.8361, -74.0200, 50.0000, 0.0000, -82.7485, 3.4412],
    [50.0000, -1.3802, -84.2814, 50.0000, 0.0000, -82.7485, 1.0000],
    [50.0000, -1.1848, -84.8006, 50.0000, 0.0000, -82.7485, 1.0000],
    [50.0000, -0.9009, -85.5211, 50.0000, 0.0000, -82.7485, 1.0000],
    [50.0000, 0.0000, 0.0000, 50.0000, -1.0000, 2.0000, 2.3669],
    [50.0000, -1.0000, 2.0000, 50.0000, 0.0000, 0.0000, 2.3669],
    [50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0009, 7.1792],
    [50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0010, 7.1792],
    [50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0011, 7.2195],
    [50.0000, 2.4900, -0.0010, 50.0000, -2.4900, 0.0012, 7.2195],
    [50.0000, -0.0010, 2.4900, 50.0000, 0.0009, -2.4900, 4.8045],
    [50.0000, -0.0010, 2.4900, 50.0000, 0.0010, -2.4900, 4.8045],
    [50.0000, -0.0010, 2.4900, 50.0000, 0.0011, -2.4900, 4.7461],
    [50.0000, 2.5000, 0.0000, 50.0000, 0.0000, -2.5000, 4.3065],
    [50.0000, 2.5000, 0.0000, 73.0000, 25.0000, -18.0000, 27.1492],
    [50.0000, 2.5000, 0.0000, 61.0000, -5.0000, 29.0000, 22.8977],
    [50.0000, 2.5000, 0.0000, 56.0000, -27.0000, -3.0000, 31.9030],
    [50.0000, 2.5000, 0.0000, 58.0000, 24.0000, 15.0000, 19.4535],
    [50.0000, 2.5000, 0.0000, 50.0000, 3.1736, 0.5854, 1.0000],
    [50.0000, 2.5000, 0.0000, 50.0000, 3.2972, 0.0000, 1.0000],
    [50.0000, 2.5000, 0.0000, 50.0000, 1.8634, 0.5757, 1.0000],
    [50.0000, 2.5000, 0.0000, 50.0000, 3.2592, 0.3350, 1.0000],
    [60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644],
    [63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630],
    [61.2901, 3.7196, -5.3901, 61.4292, 2.2480, -4.9620, 1.8731],
    [35.0831, -44.1164, 3.7933, 35.0232, -40.0716, 1.5901, 1.8645],
    [22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373],
    [36.4612, 47.8580, 18.3852, 36.2715, 50.5065, 21.2231, 1.4146],
    [90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441],
    [90.9257, -0.5406, -0.9208, 88.6381, -0.8985, -0.7239, 1.5381],
    [6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377],
    [2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082],
])  # fmt: skip


def as_image(lab: np.ndarray, dtype: torch.dtype = torch.float64) -> Tensor:
    """(N, 3) colours -> (1, 3, 1, N)."""
    return torch.tensor(lab, dtype=dtype).T[None, :, None]


def random_lab(shape: tuple[int, ...], seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.uniform(0, 100, shape), *rng.uniform(-110, 110, (2, *shape))], -1)


def test_ciede2000_agrees_with_the_published_pairs() -> None:
    difference = ciede2000(as_image(SHARMA[:, :3]), as_image(SHARMA[:, 3:6])).flatten()
    np.testing.assert_allclose(difference, SHARMA[:, 6], atol=5.1e-5)
    second_source = skimage.color.deltaE_ciede2000(SHARMA[:, :3], SHARMA[:, 3:6])
    np.testing.assert_allclose(difference, second_source, atol=1e-9)


def test_ciede2000_is_symmetric() -> None:
    there = ciede2000(as_image(SHARMA[:, :3]), as_image(SHARMA[:, 3:6]))
    back = ciede2000(as_image(SHARMA[:, 3:6]), as_image(SHARMA[:, :3]))
    torch.testing.assert_close(there, back, atol=1e-10, rtol=0)


def test_ciede2000_in_float32_agrees_with_scikit_image_on_random_colours() -> None:
    lab1, lab2 = random_lab((2, 50, 70), 1), random_lab((2, 50, 70), 2)
    near = lab1 + np.random.default_rng(3).normal(0, 1, lab1.shape)
    for other in (lab2, near):
        expected = skimage.color.deltaE_ciede2000(lab1, other)
        images = (torch.tensor(x, dtype=torch.float32).movedim(-1, 1) for x in (lab1, other))
        np.testing.assert_allclose(ciede2000(*images), expected, atol=2e-3, rtol=1e-4)


def test_ciede2000_keeps_the_shape_and_is_zero_only_between_equal_colours() -> None:
    lab = torch.tensor(random_lab((2, 5, 7), 0)).movedim(-1, 1)  # (2, 3, 5, 7)
    assert ciede2000(lab, lab).shape == (2, 5, 7)
    assert (ciede2000(lab, lab) == 0).all()
    assert (ciede2000(lab, lab + 0.1) > 0.01).all()


def test_a_prediction_that_is_not_a_number_is_no_perfect_match() -> None:
    lab = torch.full((1, 3, 2, 5), float("nan"))
    assert ciede2000(lab, torch.zeros_like(lab)).isnan().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_for_equal_grey_black_and_opposite_colours(dtype: torch.dtype) -> None:
    special = np.array(
        [[50, 0, 0], [0, 0, 0], [100, 0, 0], [50, 20, -30], [50, -20, 30], [50, 1e-12, 0], [50, 0, 1e-20]]
    )
    first = as_image(np.repeat(special, len(special), 0), dtype).requires_grad_()
    second = as_image(np.tile(special, (len(special), 1)), dtype).requires_grad_()
    ciede2000(first, second).sum().backward()
    for tensor in (first, second):
        assert tensor.grad is not None
        assert tensor.grad.isfinite().all()


def test_gradients_agree_with_finite_differences() -> None:
    lab1 = torch.tensor(random_lab((1, 2, 3), 4)).movedim(-1, 1).requires_grad_()
    lab2 = torch.tensor(random_lab((1, 2, 3), 5)).movedim(-1, 1).requires_grad_()
    assert torch.autograd.gradcheck(ciede2000, (lab1, lab2))


def test_gradients_reach_equal_rgb_colours_through_lab() -> None:
    rgb = torch.rand(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    rgb[0] = rgb[0, :1]  # grey
    rgb[1, :, 0] = 0  # black
    rgb.requires_grad_()
    ciede2000(srgb_to_lab(rgb), srgb_to_lab(rgb.detach())).sum().backward()
    assert rgb.grad is not None
    assert rgb.grad.isfinite().all()


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_lab_agrees_with_scikit_image(seed: int) -> None:
    rgb = np.random.default_rng(seed).uniform(0, 1, (2, 5, 7, 3))
    lab = srgb_to_lab(torch.tensor(rgb).movedim(-1, 1)).movedim(1, -1)
    np.testing.assert_allclose(lab, skimage.color.rgb2lab(rgb), atol=0.02)


def test_white_is_white_and_grey_has_no_colour() -> None:
    grey = torch.tensor([0.0, 0.25, 1.0]).expand(1, 3, 1, 3)
    lab = srgb_to_lab(grey)
    assert lab[0, 0, 0, 2] == pytest.approx(100, abs=1e-3)
    assert lab[:, 1:].abs().max() < 0.02


def test_other_shapes_are_refused_with_what_came() -> None:
    with pytest.raises(ValueError, match=r"got \(2, 4, 5, 7\)"):
        ciede2000(torch.zeros(2, 4, 5, 7), torch.zeros(2, 4, 5, 7))
    with pytest.raises(ValueError, match=r"\(2, 3, 5, 7\) and \(2, 3, 7, 5\)"):
        ciede2000(torch.zeros(2, 3, 5, 7), torch.zeros(2, 3, 7, 5))
