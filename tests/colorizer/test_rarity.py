import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from colorizer.rarity import Rarity
from colorizer.sampling import to_floats


def weights_of(colors, strength):
    return Rarity(colors, strength).weights(torch.from_numpy(to_floats(colors)))


@given(arrays(np.uint8, (2, 3, 5, 7), elements=st.sampled_from([0, 30, 33, 200, 255])), st.floats(0.01, 0.99))
def test_weights_average_one_and_rarer_colours_weigh_more(colors, strength):
    weights = weights_of(colors, strength)
    assert weights.shape == (2, 1, 5, 7)
    assert weights.mean().item() == pytest.approx(1, rel=1e-4)
    boxes = [tuple(pixel // 32) for pixel in colors.transpose(0, 2, 3, 1).reshape(-1, 3)]
    weight = dict(zip(boxes, weights.flatten().tolist(), strict=True))
    by_count = sorted(weight, key=boxes.count)
    assert [weight[box] for box in by_count] == pytest.approx(sorted(weight.values(), reverse=True))


def test_by_hand():
    colors = np.full((1, 3, 2, 5), 255, np.uint8)
    colors[0, :, 1, 3] = (255, 0, 0)  # one pixel of ten
    raw = [1 / (0.5 * share + 0.5 / 512) for share in (0.9, 0.1)]
    expected = torch.tensor(raw) / (0.9 * raw[0] + 0.1 * raw[1])
    weights = weights_of(colors, 0.5)[0, 0]
    assert weights[0, 0].item() == pytest.approx(expected[0].item())
    assert weights[1, 3].item() == pytest.approx(expected[1].item())


def test_strength_goes_from_all_alike_to_all_colours_as_if_equally_common():
    colors = np.full((1, 3, 2, 5), 255, np.uint8)
    colors[0, :, 1, 3] = (255, 0, 0)
    assert torch.allclose(weights_of(colors, 0.0), torch.ones(1, 1, 2, 5))
    strong = weights_of(colors, 0.999999)[0, 0]
    assert (strong[1, 3] / strong[0, 0]).item() == pytest.approx(9, rel=1e-3)


@pytest.mark.parametrize("value", [edge + side for edge in range(0, 256, 32) for side in (0, 1, 31)])
def test_a_colour_is_found_in_the_box_that_it_was_counted_in(value):
    """Though training sees floats: the boundaries of boxes are those of bytes."""
    colors = np.full((1, 3, 1, 3), value, np.uint8)
    colors[..., 2] = (value + 128) % 256
    weights = weights_of(colors, 0.5)[0, 0, 0]
    assert weights[0] == weights[1] < 1 < weights[2]


def test_a_colour_never_counted_weighs_a_finite_amount():
    rarity = Rarity(np.zeros((1, 3, 2, 2), np.uint8), 0.5)
    assert rarity.weights(torch.ones(2, 3, 5, 7)).isfinite().all()
