import pytest
import torch
from torch import nn

from colorizer.generator import UNet, placed, predict


def make_generator(**changes):
    settings = {
        "channels": 4,
        "levels": 2,
        "norm": "batch",
        "activation": "relu",
        "dropout": 0.0,
        "upsample": "transposed",
    }
    seed = changes.pop("seed", 0)
    return UNet(**(settings | changes), rng=torch.Generator().manual_seed(seed))


def some_lines(*shape):
    return torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("norm", ["batch", "instance", "group", "none"])
@pytest.mark.parametrize("upsample", ["transposed", "resize"])
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_every_variant_maps_lines_of_any_size_to_colours_of_that_size(norm, upsample, levels):
    generator = make_generator(norm=norm, upsample=upsample, levels=levels)
    for height, width in [(5, 7), (1, 1), (16, 8), (9, 33)]:
        colors = predict(generator, some_lines(2, 1, height, width))
        assert colors.shape == (2, 3, height, width)
        assert colors.abs().max() <= 1


@pytest.mark.parametrize("activation", ["relu", "leaky", "elu", "silu"])
def test_every_parameter_learns(activation):
    generator = make_generator(activation=activation, levels=3, channels=6).train()
    generator(some_lines(4, 1, 24, 16)).square().mean().backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    first, second, other = make_generator(seed=3), make_generator(seed=3), make_generator(seed=4)
    assert torch.equal(torch.get_rng_state(), before)
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first.head.weight, other.head.weight)


@pytest.mark.parametrize("norm", ["batch", "instance", "group", "none"])
def test_a_bias_stands_where_no_norm_follows_and_nowhere_else(norm):
    for block in [*make_generator(norm=norm, levels=4).down, *make_generator(norm=norm, levels=4).up]:
        layers = list(block)
        convolution = next(layer for layer in layers if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d))
        after = layers[layers.index(convolution) + 1]
        assert (convolution.bias is None) == isinstance(after, nn.BatchNorm2d | nn.InstanceNorm2d | nn.GroupNorm)


def test_the_last_layer_can_reach_every_colour():
    generator = make_generator()
    with torch.no_grad():
        generator.head.weight.zero_()
        generator.sketch.weight.zero_()
        generator.head.bias.copy_(torch.tensor([-9.0, 0.0, 9.0]))
    colors = predict(generator, some_lines(1, 1, 4, 8))[0, :, 2, 3]
    assert torch.allclose(colors, torch.tensor([-1.0, 0.0, 1.0]), atol=1e-6)


def test_the_colours_see_each_pixel_of_the_lines_at_full_resolution():
    generator = make_generator(norm="none")
    lines = some_lines(1, 1, 8, 12).requires_grad_()
    generator(lines)[0, :, 3, 5].sum().backward()
    assert lines.grad[0, 0, 3, 5] != 0
    with torch.no_grad():
        generator.head.weight.zero_()  # without what comes from below, the drawing still comes through
    assert generator(lines)[0, 0].std() > 0.1


def test_a_size_between_multiples_is_seen_as_a_drawing_on_larger_paper():
    generator = make_generator(norm="none")
    lines = some_lines(2, 1, 8, 8)
    lines[..., 5:, :] = 1
    lines[..., :, 7:] = 1
    whole, cut = predict(generator, lines), predict(generator, lines[..., :5, :7])
    assert torch.allclose(whole[..., :5, :7], cut, atol=1e-6)


def test_examples_do_not_influence_each_other_when_predicting():
    generator = make_generator()
    generator.train()(some_lines(6, 1, 8, 8))
    lines = some_lines(3, 1, 8, 12)
    together = predict(generator, lines)
    alone = torch.cat([predict(generator, one[None]) for one in lines])
    assert torch.allclose(together, alone, atol=1e-6)


def test_the_memory_format_does_not_change_the_colours():
    lines = some_lines(2, 1, 8, 12)
    plain = predict(make_generator(), lines)
    fast = predict(placed(make_generator(), "cpu"), lines)
    assert torch.allclose(plain, fast, atol=1e-5)


def test_dropout_acts_in_training_only():
    generator = make_generator(dropout=0.5)
    lines = some_lines(2, 1, 8, 8)
    generator.train()
    assert not torch.equal(generator(lines), generator(lines))
    assert torch.equal(predict(generator, lines), predict(generator, lines))


@pytest.mark.parametrize("norm", ["batch", "instance", "group", "none"])
def test_several_generators_run_as_one_under_vmap(norm):
    generators = [make_generator(norm=norm, levels=3, seed=seed).eval() for seed in range(3)]
    parameters, buffers = torch.func.stack_module_state(generators)
    lines = some_lines(2, 1, 8, 16)

    def call(parameters, buffers):
        return torch.func.functional_call(generators[0], (parameters, buffers), (lines,))

    together = torch.func.vmap(call)(parameters, buffers)
    for one, generator in zip(together, generators, strict=True):
        assert torch.allclose(one, predict(generator, lines), atol=1e-5)
