import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from colorizer.losses import (
    adversarial_cost,
    decay_cost,
    discriminator_cost,
    feature_cost,
    in_space,
    likelihood_cost,
    reconstruction_cost,
    variation_cost,
)

KINDS = ["vanilla", "least_squares", "hinge", "wgan_gp", "dragan"]


def some(*shape, seed=0, scale=3.0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * scale


def test_the_discriminators_cost_is_binary_cross_entropy():
    real, fake = some(2, 1, 5, 7), some(3, 1, 5, 7, seed=1)
    expected = F.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    expected += F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    assert discriminator_cost(real, fake).item() == pytest.approx(expected.item() / 2)


def test_the_generators_cost_is_that_of_being_taken_for_true():
    fake = some(2, 1, 5, 7)
    expected = F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))
    assert adversarial_cost(fake).item() == pytest.approx(expected.item())


def test_costs_at_chance_are_log_two():
    undecided = torch.zeros(2, 1, 5, 7)
    assert discriminator_cost(undecided, undecided).item() == pytest.approx(math.log(2))
    assert adversarial_cost(undecided).item() == pytest.approx(math.log(2))


def test_extreme_logits_cost_what_they_should_and_not_infinity():
    far = torch.full((2, 3), 1e4)
    assert adversarial_cost(-far).item() == pytest.approx(1e4)
    assert discriminator_cost(far, -far).item() == 0
    assert discriminator_cost(-far, far).item() == pytest.approx(1e4)


def test_the_generator_still_learns_when_it_is_recognised_with_certainty():
    """The saturating cost log(1 - D) would have no gradient here."""
    fake = torch.full((2, 1, 5, 7), -50.0, requires_grad=True)
    adversarial_cost(fake).backward()
    assert fake.grad.sum().item() == pytest.approx(-1)


REAL, FAKE = torch.tensor([[2.0, -1.0, 0.5]], dtype=torch.float64), torch.tensor([[-3.0], [0.5]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("kind", "of_discriminator", "of_generator"),
    [
        # ((2-1)^2 + (-1-1)^2 + (0.5-1)^2) / 3 = 1.75 and (9 + 0.25) / 2 = 4.625, half each; (16 + 0.25) / 2
        ("least_squares", (1.75 + 4.625) / 2, 8.125),
        # (0 + 2 + 0.5) / 3 and (0 + 1.5) / 2; minus the mean of fake
        ("hinge", 2.5 / 3 + 0.75, 1.25),
        ("wgan_gp", -1.25 - 0.5, 1.25),
    ],
)
def test_adversarial_costs_by_hand(kind, of_discriminator, of_generator):
    assert discriminator_cost(REAL, FAKE, kind).item() == pytest.approx(of_discriminator)
    assert adversarial_cost(FAKE, kind).item() == pytest.approx(of_generator)


def test_dragan_has_the_costs_of_vanilla():
    assert discriminator_cost(REAL, FAKE, "dragan", 0.1) == discriminator_cost(REAL, FAKE, "vanilla", 0.1)
    assert adversarial_cost(FAKE, "dragan") == adversarial_cost(FAKE)


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_is_recognised_pays_more(kind):
    steps = [some(2, 1, 5, 7) - shift for shift in (-0.5, 0.0, 0.5)]
    generator = [adversarial_cost(fake.clamp(-1, 1), kind).item() for fake in steps]
    assert generator == sorted(generator)
    discriminator = [discriminator_cost(torch.ones(1), fake.clamp(-1, 1).abs() - 1, kind).item() for fake in steps]
    assert discriminator[0] != discriminator[2]
    worse, better = (discriminator_cost(s * torch.ones(2, 3), -s * torch.ones(3, 2), kind).item() for s in (-0.9, 0.9))
    assert worse > better


@given(st.floats(0, 0.49))
def test_smoothing_moves_the_label_of_true_drawings_alone(smoothing):
    real, fake = some(2, 1, 5, 7), some(3, 1, 5, 7, seed=1)
    labels = torch.full_like(real, 1 - smoothing)
    entropy = F.binary_cross_entropy_with_logits(real, labels)
    entropy += F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake))
    assert discriminator_cost(real, fake, "vanilla", smoothing).item() == pytest.approx(entropy.item() / 2)
    squares = F.mse_loss(real, labels) + F.mse_loss(fake, torch.zeros_like(fake))
    assert discriminator_cost(real, fake, "least_squares", smoothing).item() == pytest.approx(squares.item() / 2)


def test_a_smoothed_label_is_where_the_cost_is_smallest():
    logits = torch.linspace(-6, 6, 2401, dtype=torch.float64)
    far = torch.tensor([-50.0], dtype=torch.float64)
    costs = torch.stack([discriminator_cost(logit, far, "vanilla", 0.2) for logit in logits])
    assert torch.sigmoid(logits[costs.argmin()]).item() == pytest.approx(0.8, abs=1e-3)


@given(st.floats(0, 300), st.floats(0, 300))
def test_reconstruction_is_the_weighted_sum_of_both_errors(mse_weight, l1_weight):
    predictions, targets = some(2, 3, 5, 7), some(2, 3, 5, 7, seed=1)
    expected = mse_weight * F.mse_loss(predictions, targets) + l1_weight * F.l1_loss(predictions, targets)
    found = reconstruction_cost(predictions, targets, mse_weight, l1_weight)
    assert found.item() == pytest.approx(expected.item())


def test_the_huber_error_by_hand():
    predictions = torch.tensor([0.05, -0.1, 0.5, -0.3], dtype=torch.float64).reshape(2, 1, 1, 2)
    expected = (0.05**2 / 0.2 + 0.05 + (0.5 - 0.05) + (0.3 - 0.05)) / 4
    found = reconstruction_cost(predictions, torch.zeros_like(predictions), 0, 0, huber_weight=3.0, huber_delta=0.1)
    assert found.item() == pytest.approx(3 * expected)


@given(st.floats(0.01, 2))
def test_huber_lies_between_absolute_error_less_half_of_delta_and_absolute_error(delta):
    predictions, targets = some(2, 3, 5, 7), some(2, 3, 5, 7, seed=1)
    huber = reconstruction_cost(predictions, targets, 0, 0, 1.0, delta).item()
    absolute = F.l1_loss(predictions, targets).item()
    assert absolute - delta / 2 - 1e-12 <= huber <= absolute


def test_pixels_count_by_their_weights_in_every_error():
    predictions, targets = some(2, 3, 5, 7), some(2, 3, 5, 7, seed=1)
    weights = some(2, 1, 5, 7, seed=2).abs()
    expected = 0.0
    for b, c, h, w in torch.cartesian_prod(*(torch.arange(n) for n in (2, 3, 5, 7))).tolist():
        error = abs(predictions[b, c, h, w] - targets[b, c, h, w]).item()
        huber = error**2 / 0.8 if error < 0.4 else error - 0.2
        expected += weights[b, 0, h, w].item() * (2 * error**2 + 3 * error + 5 * huber) / 210
    found = reconstruction_cost(predictions, targets, 2.0, 3.0, 5.0, 0.4, weights)
    assert found.item() == pytest.approx(expected)


class TestLikelihood:
    def test_it_is_minus_the_log_density_of_a_normal_distribution(self):
        predictions, targets, told = some(2, 3, 5, 7), some(2, 3, 5, 7, seed=1), some(2, 1, 5, 7, seed=2)
        density = torch.distributions.Normal(predictions, (told / 2).exp().expand_as(predictions)).log_prob(targets)
        constant = math.log(2 * math.pi) / 2
        assert likelihood_cost(predictions, targets, told).item() == pytest.approx(-density.mean().item() - constant)

    @given(st.floats(0.01, 2), st.floats(-2, 2).filter(lambda shift: abs(shift) > 1e-2))
    def test_it_is_smallest_where_the_variance_is_the_squared_error(self, error, shift):
        targets = torch.zeros(2, 3, 5, 7, dtype=torch.float64)
        best = torch.full((2, 1, 5, 7), 2 * math.log(error), dtype=torch.float64)
        assert likelihood_cost(targets + error, targets, best) < likelihood_cost(targets + error, targets, best + shift)

    def test_doubt_without_a_place_for_each_pixel_is_refused(self):
        with pytest.raises(ValueError, match=r"log-variances of shape \(2, 1, 5, 7\), got \(2, 1, 1, 1\)"):
            likelihood_cost(torch.zeros(2, 3, 5, 7), torch.zeros(2, 3, 5, 7), torch.zeros(2, 1, 1, 1))


class TestFeatures:
    def test_layers_count_alike_whatever_their_size(self):
        real = [torch.zeros(2, 3, 5, 7), torch.zeros(2, 4, 1, 1)]
        fake = [torch.full((2, 3, 5, 7), 2.0), torch.full((2, 4, 1, 1), -6.0)]
        assert feature_cost(real, fake).item() == pytest.approx((2 + 6) / 2)

    def test_the_true_ones_are_a_target(self):
        real, fake = some(2, 3, 5, 7).requires_grad_(), some(2, 3, 5, 7, seed=1).requires_grad_()
        feature_cost([real], [fake]).backward()
        assert real.grad is None
        assert fake.grad.abs().sum() > 0


class TestVariation:
    def test_by_loops(self):
        pictures = some(2, 3, 5, 7)
        total = 0.0
        for b, c, h, w in torch.cartesian_prod(*(torch.arange(n) for n in (2, 3, 5, 7))).tolist():
            total += abs(pictures[b, c, h + 1, w] - pictures[b, c, h, w]).item() if h < 4 else 0
            total += abs(pictures[b, c, h, w + 1] - pictures[b, c, h, w]).item() if w < 6 else 0
        assert variation_cost(pictures).item() == pytest.approx(total / 210)

    @given(st.floats(-1, 1), st.floats(0, 5))
    def test_it_grows_with_contrast_and_knows_no_colour(self, shift, contrast):
        pictures = some(2, 3, 5, 7)
        expected = contrast * variation_cost(pictures)
        assert variation_cost(contrast * pictures + shift).item() == pytest.approx(expected.item(), abs=1e-12)

    def test_a_picture_of_one_pixel_has_none(self):
        assert variation_cost(torch.ones(2, 3, 1, 1)).item() == 0


def test_decay_by_hand():
    weights = [torch.tensor([[1.0, -2.0]]), torch.tensor([[[3.0]]])]
    assert decay_cost(weights, 0.5, 0.0).item() == pytest.approx(0.5 * 6)
    assert decay_cost(weights, 0.0, 0.1).item() == pytest.approx(0.05 * 14)
    assert decay_cost(weights, 0.5, 0.1).item() == pytest.approx(0.5 * 6 + 0.05 * 14)


class TestSpaces:
    def test_rgb_is_left_as_it_is(self):
        colors = some(2, 3, 5, 7)
        assert in_space(colors, "rgb") is colors

    def test_lab_is_that_of_the_colours_as_bytes_show_them(self):
        """White, and sRGB's red, after Lindbloom's calculator (D65)."""
        colors = torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, -1.0]], dtype=torch.float64)[..., None, None]
        lab = 64 * in_space(colors, "lab")[..., 0, 0]
        expected = torch.tensor([[100.0, 0.0, 0.0], [53.24, 80.09, 67.20]], dtype=torch.float64)
        assert torch.allclose(lab, expected, atol=0.05)

    def test_errors_of_random_colours_are_about_as_large_in_both(self):
        a, b = (torch.rand(1, 3, 200, 300, generator=torch.Generator().manual_seed(seed)) * 2 - 1 for seed in (0, 1))
        for weights in ((1.0, 0.0), (0.0, 1.0)):
            rgb, lab = (reconstruction_cost(in_space(a, s), in_space(b, s), *weights) for s in ("rgb", "lab"))
            assert lab.item() == pytest.approx(rgb.item(), rel=0.07)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_gradients_of_verdicts_agree_with_finite_differences(kind, smoothing):
    real, fake = some(2, 1, 3, 5).requires_grad_(), some(2, 1, 3, 5, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda r, f: discriminator_cost(r, f, kind, smoothing), (real, fake))
    assert torch.autograd.gradcheck(lambda f: adversarial_cost(f, kind), (fake,))


@pytest.mark.parametrize("space", ["rgb", "lab"])
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_of_errors_agree_with_finite_differences(space, weighted):
    predictions, targets = torch.tanh(some(2, 3, 3, 5)).requires_grad_(), torch.tanh(some(2, 3, 3, 5, seed=1))
    weights = some(2, 1, 3, 5, seed=2).abs() if weighted else None

    def cost(p):
        return reconstruction_cost(in_space(p, space), in_space(targets, space), 3.0, 2.0, 1.5, 0.1, weights)

    assert torch.autograd.gradcheck(cost, (predictions,))


def test_gradients_of_all_else_agree_with_finite_differences():
    predictions, targets = some(2, 3, 3, 5).requires_grad_(), some(2, 3, 3, 5, seed=1)
    told = some(2, 1, 3, 5, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(lambda p, t: likelihood_cost(p, targets, t), (predictions, told))
    assert torch.autograd.gradcheck(variation_cost, (predictions,))
    assert torch.autograd.gradcheck(lambda p, t: decay_cost([p, t], 0.3, 0.7), (predictions, told))
    assert torch.autograd.gradcheck(lambda p: feature_cost([targets, targets[:1]], [p, p[:1]]), (predictions,))


@pytest.mark.parametrize("value", [-1.0, -0.92, 0.0, 1.0])
def test_lab_has_finite_gradients_at_black_white_and_grey(value):
    colors = torch.full((1, 3, 2, 3), value, requires_grad=True)
    in_space(colors, "lab").square().sum().backward()
    assert colors.grad.isfinite().all()


def test_shapes_that_would_only_broadcast_are_refused():
    with pytest.raises(ValueError, match=r"one shape, got \(2, 3, 5, 7\) and \(2, 1, 5, 7\)"):
        reconstruction_cost(torch.zeros(2, 3, 5, 7), torch.zeros(2, 1, 5, 7), 1.0, 1.0)
