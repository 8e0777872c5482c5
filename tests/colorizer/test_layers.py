import math

import pytest
import torch
from torch import nn

from colorizer.layers import Attention, Maxout, Silent, initialize, make_activation, norm_layers


def some(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_layer_normalisation_looks_at_one_example_and_all_of_it():
    x = 3 * some(2, 6, 5, 7) + some(2, 6, 5, 7, seed=1).square()
    (norm,) = norm_layers("layer", 6)
    for one, expected in zip(norm.double()(x), x, strict=True):
        by_hand = (expected - expected.mean()) / (expected.var(correction=0) + norm.eps).sqrt()
        assert torch.allclose(one, by_hand)


def test_maxout_is_the_larger_of_two_features():
    x = some(2, 6, 5, 7)
    made = Maxout()(x)
    assert made.shape == (2, 3, 5, 7)
    for channel in range(3):
        for place in [(0, 4, 6), (1, 2, 3)]:
            example, row, column = place
            pair = [x[example, channel, row, column], x[example, channel + 3, row, column]]
            assert made[example, channel, row, column] == max(pair)


def test_prelu_has_a_slope_for_each_channel_that_learns():
    prelu = make_activation("prelu", 3).double()
    assert prelu.weight.tolist() == [0.25, 0.25, 0.25]
    x = some(2, 3, 5, 7)
    prelu(x).sum().backward()
    assert torch.allclose(prelu.weight.grad, x.clamp(max=0).sum((0, 2, 3)))


def layers_deep(activation, depth, width=192):
    made = 2 * width if activation == "maxout" else width
    return [layer for _ in range(depth) for layer in (nn.Conv2d(width, made, 1), make_activation(activation, width))]


@pytest.mark.parametrize("activation", ["relu", "leaky", "prelu", "maxout"])
def test_he_weights_keep_the_size_of_features_through_many_layers(activation):
    network = nn.Sequential(*layers_deep(activation, depth=12))
    initialize(network, activation, rng())
    x = some(2, 192, 5, 7).float()
    with torch.no_grad():
        assert 0.6 < network(x).square().mean() / x.square().mean() < 1.6


@pytest.mark.parametrize(
    ("layer", "inputs", "outputs"),
    [
        (nn.Conv2d(30, 40, (3, 5)), 30 * 15, 40 * 15),
        (nn.Conv2d(30, 40, 4, stride=2), 30 * 16, 40 * 16 / 4),
        (nn.ConvTranspose2d(30, 40, 4, stride=2), 30 * 16 / 4, 40 * 16),
    ],
)
def test_weights_are_spread_by_the_values_that_meet(layer, inputs, outputs):
    """How many inputs make an output, and how many outputs an input takes part in."""
    expected = {"he": math.sqrt(2 / inputs), "glorot": math.sqrt(2 / (inputs + outputs)), "normal": 0.02}
    for name, spread in expected.items():
        initialize(layer, "relu", rng(), name)
        assert layer.weight.std().item() == pytest.approx(spread, rel=0.02)
        assert layer.weight.mean().item() == pytest.approx(0, abs=spread / 20)
        assert not layer.bias.any()


def test_weights_of_zero_are_refused_with_the_reason():
    with pytest.raises(ValueError, match=r"got 'zero': filters that begin equal get equal gradients.*at random"):
        initialize(nn.Conv2d(1, 2, 3), "relu", rng(), "zero")


def test_filters_that_begin_equal_do_stay_equal():
    """Why zero is refused."""
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.LeakyReLU(0.2), nn.Conv2d(4, 2, 3)).double()
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.1)
    sgd = torch.optim.SGD(network.parameters(), lr=0.01)
    for step in range(3):
        sgd.zero_grad()
        (network(some(2, 1, 7, 9, seed=step)) - some(2, 2, 3, 5, seed=9)).square().mean().backward()
        sgd.step()
    first = network[0].weight.detach()
    assert not torch.allclose(first, torch.full_like(first, 0.1))
    assert torch.allclose(first, first[:1].expand_as(first))


def test_silent_layers_say_nothing_at_first_and_can_learn():
    layer = Silent(3, 2, 3)
    initialize(layer, "relu", rng())
    assert not layer(some(2, 3, 5, 7).float()).any()
    (layer(some(2, 3, 5, 7).float()) - 1).square().sum().backward()
    assert layer.weight.grad.abs().min() > 0


class TestAttention:
    def made(self, channels=8):
        attention = Attention(channels)
        initialize(attention, "relu", rng(3))
        return attention.double()

    def test_it_begins_as_the_identity_bit_for_bit(self):
        x = some(2, 8, 3, 5)
        assert torch.equal(self.made()(x), x)

    def test_it_is_the_mean_of_what_is_told_by_how_well_keys_fit(self):
        attention, x = self.made(), some(2, 8, 3, 5)
        nn.init.normal_(attention.adds.weight, generator=rng(1))
        nn.init.normal_(attention.adds.bias, generator=rng(2))
        found = attention(x)
        weight, bias = attention.looks.weight[:, :, 0, 0], attention.looks.bias
        for example in range(2):
            places = [weight @ x[example, :, row, column] + bias for row in range(3) for column in range(5)]
            for number, place in enumerate(places):
                fits = torch.stack([place[:2] @ other[2:4] / math.sqrt(2) for other in places]).softmax(0)
                seen = sum(fit * other[4:] for fit, other in zip(fits, places, strict=True))
                added = attention.adds.weight[:, :, 0, 0] @ seen + attention.adds.bias
                row, column = divmod(number, 5)
                assert torch.allclose(found[example, :, row, column], x[example, :, row, column] + added)

    @pytest.mark.parametrize("size", [(1, 1), (2, 7)])
    def test_narrow_features_and_single_places_will_do(self, size):
        attention = self.made(channels=2)
        nn.init.ones_(attention.adds.weight)
        assert attention(some(3, 2, *size)).shape == (3, 2, *size)
