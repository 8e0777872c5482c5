import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from colorizer.losses import adversarial_cost, discriminator_cost, reconstruction_cost


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


@given(st.floats(0, 300), st.floats(0, 300))
def test_reconstruction_is_the_weighted_sum_of_both_errors(mse_weight, l1_weight):
    predictions, targets = some(2, 3, 5, 7), some(2, 3, 5, 7, seed=1)
    expected = mse_weight * F.mse_loss(predictions, targets) + l1_weight * F.l1_loss(predictions, targets)
    found = reconstruction_cost(predictions, targets, mse_weight, l1_weight)
    assert found.item() == pytest.approx(expected.item())


def test_gradients_agree_with_finite_differences():
    real, fake = some(2, 1, 3, 5).requires_grad_(), some(2, 1, 3, 5, seed=1).requires_grad_()
    predictions, targets = some(2, 3, 5, 7).requires_grad_(), some(2, 3, 5, 7, seed=1)
    assert torch.autograd.gradcheck(discriminator_cost, (real, fake))
    assert torch.autograd.gradcheck(adversarial_cost, (fake,))
    assert torch.autograd.gradcheck(lambda p: reconstruction_cost(p, targets, 3.0, 2.0), (predictions,))


def test_shapes_that_would_only_broadcast_are_refused():
    with pytest.raises(ValueError, match=r"one shape, got \(2, 3, 5, 7\) and \(2, 1, 5, 7\)"):
        reconstruction_cost(torch.zeros(2, 3, 5, 7), torch.zeros(2, 1, 5, 7), 1.0, 1.0)
