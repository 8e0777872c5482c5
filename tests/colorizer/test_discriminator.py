import pytest
import torch
from torch import nn

from colorizer.discriminator import PatchDiscriminator
from colorizer.layers import SpectralConv2d
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
def test_a_bias_stands_where_no_norm_follows_and_nowhere_else(norm):
    first, *inner, last = (layer for layer in make_discriminator(norm, 3).body if isinstance(layer, nn.Conv2d))
    assert first.bias is not None
    assert last.bias is not None
    assert len(inner) == 2
    assert all((layer.bias is None) == (norm != "none") for layer in inner)


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


class TestSpectral:
    def made(self, seed=0, norm="group"):
        rng = torch.Generator().manual_seed(seed)
        return PatchDiscriminator(channels=6, layers=3, norm=norm, rng=rng, spectral=True)

    def test_every_layer_of_weights_comes_to_have_a_largest_singular_value_of_one(self):
        discriminator = self.made().train()
        for _ in range(250):
            discriminator(some(2, 1, 20, 28), some(2, 3, 20, 28))
        layers = [layer for layer in discriminator.body if isinstance(layer, torch.nn.Conv2d)]
        assert len(layers) == 4
        for layer in layers:
            x = some(2, layer.in_channels, 5, 7)
            scaled = layer.weight / torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
            plain = torch.nn.functional.conv2d(x, scaled, layer.bias, layer.stride, layer.padding)
            assert torch.allclose(layer.eval()(x), plain, atol=1e-4)

    def test_true_and_generated_in_one_pass_equal_two_passes(self):
        discriminator = self.made().eval()  # in training, each pass is a step of the power iteration
        lines, colors, fake = some(3, 1, 20, 28), some(3, 3, 20, 28, seed=2), some(3, 3, 20, 28, seed=3)
        together = discriminator(torch.cat((lines, lines)), torch.cat((colors, fake)))
        apart = torch.cat((discriminator(lines, colors), discriminator(lines, fake)))
        assert torch.allclose(together, apart, atol=1e-5)

    def test_gradients_agree_with_pytorchs_own(self):
        ours = SpectralConv2d(3, 5, 3).double()
        torch.nn.init.normal_(ours.weight, generator=torch.Generator().manual_seed(0))
        ours.begin(torch.Generator().manual_seed(1))
        theirs = torch.nn.Conv2d(3, 5, 3).double()
        theirs.load_state_dict({"weight": ours.weight, "bias": ours.bias})
        torch.nn.utils.parametrizations.spectral_norm(theirs)
        x, found = some(2, 3, 5, 7).double(), []
        for layer, weight in ((ours, ours.weight), (theirs, theirs.parametrizations.weight.original)):
            for _ in range(300):
                layer(x)
            (gradient,) = torch.autograd.grad(layer(x).square().sum(), weight)
            found.append(gradient)
        assert torch.allclose(*found, rtol=1e-6)

    def test_verdicts_are_no_steeper_than_one(self):
        """1-Lipschitz layers without norms: a step of the colours moves the logits by no more than its length."""
        discriminator = self.made(norm="none").train()
        for _ in range(60):
            discriminator(some(2, 1, 24, 32), some(2, 3, 24, 32))
        discriminator.eval()
        lines, colors, step = some(1, 1, 24, 32), some(1, 3, 24, 32, seed=2), some(1, 3, 24, 32, seed=3) / 100
        moved = discriminator(lines, colors + step) - discriminator(lines, colors)
        # A strided convolution of 4 taps uses each pixel in four places, the last one of 3 taps in nine.
        assert moved.norm() <= step.norm() * 2**3 * 3

    def test_the_same_seed_gives_the_same_state_and_leaves_the_global_generator_alone(self):
        torch.manual_seed(1)
        before = torch.get_rng_state()
        first = self.made(seed=3).state_dict()
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(2)
        second, other = (self.made(seed=seed).state_dict() for seed in (3, 4))
        vectors = [name for name in first if name.endswith(".direction")]
        assert len(vectors) == 4
        assert all(torch.equal(first[name], second[name]) for name in first)
        assert not torch.equal(first[vectors[0]], other[vectors[0]])

    def test_it_moves_in_training_only(self):
        discriminator = self.made().eval()
        before = {name: tensor.clone() for name, tensor in discriminator.state_dict().items()}
        discriminator(some(2, 1, 20, 28), some(2, 3, 20, 28))
        assert all(torch.equal(tensor, before[name]) for name, tensor in discriminator.state_dict().items())
        discriminator.train()(some(2, 1, 20, 28), some(2, 3, 20, 28))
        assert not all(torch.equal(tensor, before[name]) for name, tensor in discriminator.state_dict().items())


def test_features_are_what_the_nonlinearities_make_on_the_way_to_the_same_logits():
    discriminator = make_discriminator(layers=3)
    lines, colors = some(2, 1, 20, 28), some(2, 3, 20, 28, seed=2)
    logits, features = discriminator.with_features(lines, colors)
    assert torch.equal(logits, discriminator(lines, colors))
    assert [tuple(each.shape) for each in features] == [(2, 6, 10, 14), (2, 12, 5, 7), (2, 24, 2, 3)]
    assert torch.equal(
        features[0], torch.nn.functional.leaky_relu(discriminator.body[0](torch.cat((lines, colors), 1)), 0.2)
    )
    assert torch.equal(discriminator.body[-1](features[-1]), logits)
