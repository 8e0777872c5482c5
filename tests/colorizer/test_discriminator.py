import pytest
import torch

from colorizer.discriminator import PatchDiscriminator
from colorizer.losses import discriminator_cost

NORMS = ["instance", "group", "none"]


def make_discriminator(norm="group", layers=2, seed=0):
    return PatchDiscriminator(channels=6, layers=layers, norm=norm, rng=torch.Generator().manual_seed(seed))


def some(*shape, seed=1):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("layers", "patches"), [(1, (10, 14)), (2, (5, 7)), (3, (2, 3))])
def test_there_is_one_logit_a_patch(norm, layers, patches):
    logits = make_discriminator(norm, layers)(some(2, 1, 20, 28), some(2, 3, 20, 28))
    assert logits.shape == (2, 1, *patches)


@pytest.mark.parametrize("norm", NORMS)
def test_true_and_generated_in_one_pass_equal_two_passes(norm):
    """The verdicts and every gradient are those of two separate passes; what the training's speed relies on."""
    discriminator = make_discriminator(norm)
    lines, colors, fake = some(3, 1, 20, 28), some(3, 3, 20, 28, seed=2), some(3, 3, 20, 28, seed=3) / 9

    logits = discriminator(torch.cat((lines, lines)), torch.cat((colors, fake)))
    one_pass = torch.autograd.grad(discriminator_cost(*logits.chunk(2)), list(discriminator.parameters()))
    real_logits, fake_logits = discriminator(lines, colors), discriminator(lines, fake)
    two_passes = torch.autograd.grad(discriminator_cost(real_logits, fake_logits), list(discriminator.parameters()))

    assert torch.allclose(logits, torch.cat((real_logits, fake_logits)), atol=1e-5)
    for a, b in zip(one_pass, two_passes, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_the_verdict_depends_on_the_lines_and_on_the_colours():
    discriminator = make_discriminator()
    lines, colors = some(2, 1, 20, 28), some(2, 3, 20, 28, seed=2)
    verdict = discriminator(lines, colors)
    assert not torch.allclose(verdict, discriminator(-lines, colors))
    assert not torch.allclose(verdict, discriminator(lines, -colors))


@pytest.mark.parametrize(("layers", "reach"), [(2, 18), (3, 38)])
def test_a_verdict_sees_the_patch_it_is_said_to_see(layers, reach):
    colors = some(1, 3, 96, 88).requires_grad_()
    logits = make_discriminator("none", layers)(some(1, 1, 96, 88), colors)
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    seen = colors.grad[0].abs().sum(0)
    assert int((seen.sum(1) > 0).sum()) == reach
    assert int((seen.sum(0) > 0).sum()) == reach


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    first, second, other = (make_discriminator(seed=seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["body.0.weight"], other["body.0.weight"])
