import pytest
import torch
from torch import nn

from colorizer.generator import UNet, placed, predict, predict_with_log_variance

NORMS = ["batch", "instance", "group", "layer", "none"]
EXTRAS = [{"activation": "maxout"}, {"activation": "prelu"}, {"attention": True}, {"passes": 3}, {"confidence": True}]


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


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("upsample", ["transposed", "resize"])
@pytest.mark.parametrize("levels", [1, 2, 3])
def test_every_variant_maps_lines_of_any_size_to_colours_of_that_size(norm, upsample, levels):
    generator = make_generator(norm=norm, upsample=upsample, levels=levels)
    for height, width in [(5, 7), (1, 1), (16, 8), (9, 33)]:
        colors = predict(generator, some_lines(2, 1, height, width))
        assert colors.shape == (2, 3, height, width)
        assert colors.abs().max() <= 1


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_extra_maps_lines_of_any_size_to_colours_of_that_size(extra):
    generator = make_generator(**extra, levels=3)
    for height, width in [(5, 7), (1, 1), (16, 8), (9, 33)]:
        colors = predict(generator, some_lines(2, 1, height, width))
        assert colors.shape == (2, 3, height, width)
        assert 0 < colors.abs().max() <= 1


@pytest.mark.parametrize("activation", ["relu", "leaky", "prelu", "elu", "silu", "maxout"])
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


@pytest.mark.parametrize("norm", NORMS)
def test_a_bias_stands_where_no_norm_follows_and_nowhere_else(norm):
    generator = make_generator(norm=norm, levels=4, passes=2, attention=True, activation="maxout")
    for block in [*generator.down, *generator.up]:
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


@pytest.mark.parametrize("changes", [{}, *EXTRAS])
def test_a_size_between_multiples_is_seen_as_a_drawing_on_larger_paper(changes):
    generator = make_generator(norm="none", **changes)
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


@pytest.mark.parametrize("changes", [*({"norm": norm} for norm in NORMS), *EXTRAS])
def test_several_generators_run_as_one_under_vmap(changes):
    generators = [make_generator(**changes, levels=3, seed=seed).eval() for seed in range(3)]
    parameters, buffers = torch.func.stack_module_state(generators)
    lines = some_lines(2, 1, 8, 16)

    def call(parameters, buffers):
        return torch.func.functional_call(generators[0], (parameters, buffers), (lines,))

    together = torch.func.vmap(call)(parameters, buffers)
    for one, generator in zip(together, generators, strict=True):
        assert torch.allclose(one, predict(generator, lines), atol=1e-5)


def test_what_is_off_leaves_no_trace():
    """Checkpoints of networks without any extra hold the tensors that they always held."""
    plain = make_generator()
    assert all(name.split(".")[0] in {"down", "up", "head", "sketch"} for name in plain.state_dict())
    assert plain.down[0][0].weight.shape == (4, 1, 4, 4)
    assert plain.sketch.weight.shape == (3, 1, 3, 3)


def test_attention_begins_as_if_it_were_not_there_and_then_sees_the_whole_drawing():
    plain, attentive = make_generator(norm="none"), make_generator(norm="none", attention=True)
    attentive.load_state_dict(plain.state_dict(), strict=False)
    lines = some_lines(2, 1, 40, 24)
    assert torch.equal(predict(plain, lines), predict(attentive, lines))
    nn.init.normal_(attentive.deepest.adds.weight, std=3.0, generator=torch.Generator().manual_seed(5))
    for generator, seen in ((plain, False), (attentive, True)):
        paper = some_lines(1, 1, 40, 24).requires_grad_()
        generator(paper)[0, :, 0, 0].sum().backward()
        assert bool(paper.grad[0, 0, -1, -1]) is seen


@pytest.mark.parametrize("passes", [2, 3])
def test_each_pass_sees_the_lines_and_what_the_one_before_painted(passes):
    generator = make_generator(passes=passes, norm="none")
    lines = some_lines(2, 1, 8, 12)
    picture = torch.ones(2, 3, 8, 12)  # white paper
    with torch.no_grad():
        for _ in range(passes):
            given = torch.cat((lines, picture), dim=1)
            first = generator.down[0](given)
            deep = generator.up[0](generator.down[1](first))
            features = generator.up[1](torch.cat((deep, first), dim=1))
            picture = torch.tanh(generator.head(features) + generator.sketch(given))
    assert torch.allclose(predict(generator, lines), picture, atol=1e-6)


def test_gradients_reach_back_through_every_pass():
    generator, lines = make_generator(passes=2, norm="none"), some_lines(2, 1, 8, 12)
    first, _ = generator._pass(torch.cat((lines, torch.ones(2, 3, 8, 12)), dim=1))
    second, _ = generator._pass(torch.cat((lines, first.detach()), dim=1))
    weight = generator.down[0][0].weight
    (whole,), (last,) = (torch.autograd.grad(made.sum(), weight) for made in (generator(lines), second))
    assert (whole - last).norm() > 0.05 * whole.norm()


class TestConfidence:
    def test_the_colours_are_those_of_a_call_and_the_doubt_is_one_number_a_pixel(self):
        generator = make_generator(confidence=True)
        nn.init.normal_(generator.doubt.weight, generator=torch.Generator().manual_seed(4))
        for height, width in [(5, 7), (1, 1), (16, 8)]:
            lines = some_lines(2, 1, height, width)
            colors, told = predict_with_log_variance(generator, lines)
            assert torch.equal(colors, predict(generator, lines))
            assert told.shape == (2, 1, height, width)
            assert not told.requires_grad
        assert told.std() > 0.01

    def test_it_begins_equally_unsure_of_everything_between_its_bounds(self):
        _, told = predict_with_log_variance(make_generator(confidence=True), some_lines(2, 1, 5, 7))
        assert told.unique().tolist() == [0.0]

    @pytest.mark.parametrize(("bias", "end"), [(-1e6, -8.0), (1e6, 2.0)])
    def test_it_is_clamped_and_finds_back_from_near_an_end(self, bias, end):
        generator = make_generator(confidence=True)
        nn.init.constant_(generator.doubt.bias, bias)
        _, told = predict_with_log_variance(generator, some_lines(2, 1, 5, 7))
        assert torch.allclose(told, torch.tensor(end), atol=1e-3)
        nn.init.constant_(generator.doubt.bias, 5 * end)
        _, told = generator.with_log_variance(some_lines(2, 1, 5, 7))
        told.mean().backward()
        assert generator.doubt.bias.grad.item() == pytest.approx(1 / 36)  # of 1 / (1 + 5)

    def test_a_network_without_it_says_so(self):
        with pytest.raises(ValueError, match="Expected a generator of confidence=True"):
            predict_with_log_variance(make_generator(), some_lines(2, 1, 5, 7))
