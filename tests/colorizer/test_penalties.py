import pytest
import torch
from torch.func import functional_call

from colorizer.discriminator import PatchDiscriminator
from colorizer.penalties import around, between, r1_penalty, slope_penalty, slopes


def some(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def make_discriminator(norm="none", layers=1):
    rng = torch.Generator().manual_seed(0)
    return PatchDiscriminator(channels=2, layers=layers, norm=norm, rng=rng).double()


def steep(lines, colors):
    """Its verdict is the sum of all values of an example, times the first value of its lines."""
    return (lines[:, :1, :1, :1] * colors.sum((1, 2, 3), keepdim=True)).expand(-1, 1, 2, 4)


def test_the_slope_is_that_of_each_example_over_all_its_values():
    lines = torch.tensor([3.0, -0.5], dtype=torch.float64)[:, None, None, None].expand(2, 1, 5, 7)
    found = slopes(steep, lines, some(2, 3, 5, 7))
    expected = torch.tensor([3.0, 0.5], dtype=torch.float64) * (3 * 5 * 7) ** 0.5
    assert torch.allclose(found, expected)
    assert slope_penalty(steep, lines, some(2, 3, 5, 7)).item() == pytest.approx((expected - 1).square().mean().item())
    assert r1_penalty(steep, lines, some(2, 3, 5, 7)).item() == pytest.approx(expected.square().mean().item() / 2)


@pytest.mark.parametrize("norm", ["none", "group", "instance"])
def test_slopes_are_those_found_by_moving_one_value_after_the_other(norm):
    judge = make_discriminator(norm, layers=2)
    lines, colors = some(2, 1, 6, 9), some(2, 3, 6, 9, seed=1)
    step, squares = 1e-6, torch.zeros(2, dtype=torch.float64)
    with torch.no_grad():
        for c, h, w in torch.cartesian_prod(*(torch.arange(n) for n in (3, 6, 9))).tolist():
            moved = colors.clone()
            moved[:, c, h, w] += step
            above = judge(lines, moved).mean((1, 2, 3))
            moved[:, c, h, w] -= 2 * step
            squares += ((above - judge(lines, moved).mean((1, 2, 3))) / (2 * step)).square()
    assert torch.allclose(slopes(judge, lines, colors), squares.sqrt(), atol=1e-7)
    assert slope_penalty(judge, lines, colors).item() == pytest.approx((squares.sqrt() - 1).square().mean().item())
    assert r1_penalty(judge, lines, colors).item() == pytest.approx(squares.mean().item() / 2)


@pytest.mark.parametrize("penalty", [slope_penalty, r1_penalty])
@pytest.mark.parametrize("norm", ["none", "group", "instance"])
def test_gradients_for_the_discriminator_agree_with_finite_differences(penalty, norm):
    judge = make_discriminator(norm, layers=2)
    lines, colors = some(2, 1, 6, 9), some(2, 3, 6, 9, seed=1)
    names = [name for name, _ in judge.named_parameters() if "bias" not in name]
    weights = tuple(judge.get_parameter(name) for name in names)

    def cost(*values):
        parameters = dict(zip(names, values, strict=True))
        return penalty(lambda *given: functional_call(judge, parameters, given), lines, colors)

    assert torch.autograd.gradcheck(cost, weights, atol=1e-4)


def test_each_example_is_penalised_alone():
    judge = make_discriminator("group", layers=2)
    lines, colors = some(3, 1, 6, 10), some(3, 3, 6, 10, seed=1)
    alone = [slope_penalty(judge, lines[n : n + 1], colors[n : n + 1]).item() for n in range(3)]
    assert slope_penalty(judge, lines, colors).item() == pytest.approx(sum(alone) / 3)
    assert len({round(value, 9) for value in alone}) == 3


def test_a_flat_discriminator_has_finite_gradients():
    judge = make_discriminator()
    torch.nn.init.zeros_(judge.body[-1].weight)
    slope_penalty(judge, some(2, 1, 5, 7), some(2, 3, 5, 7)).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in judge.parameters())


def test_points_between_lie_on_one_line_for_each_example():
    torch.manual_seed(0)
    real, fake = some(40, 3, 5, 7).float(), some(40, 3, 5, 7, seed=1).float()
    share = (between(real, fake) - real) / (fake - real)
    place = share.flatten(1).median(1).values
    assert torch.allclose(share, place[:, None, None, None].expand_as(share), atol=1e-3)
    assert 0 <= place.min() < 0.2
    assert 0.8 < place.max() <= 1


def test_points_around_are_within_half_a_deviation_of_the_example_itself():
    torch.manual_seed(0)
    real = some(2, 3, 30, 50).float() * torch.tensor([1.0, 5.0])[:, None, None, None]
    noise = around(real) - real
    for one, scale in zip(noise, (1.0, 5.0), strict=True):
        assert one.min() >= -1e-6
        assert one.max().item() == pytest.approx(scale / 2, rel=0.05)
        assert one.mean().item() == pytest.approx(scale / 4, rel=0.05)
