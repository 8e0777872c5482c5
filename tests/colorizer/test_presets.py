"""Recipes are what their papers say, at any size a network can have."""

import pytest
import torch
from torch import nn

from colorizer.config import TrainingConfig, build_discriminator, build_generator
from colorizer.presets import preset


@pytest.mark.parametrize("size", [8, 16, 24, 32, 48, 64, 96, 128, 200, 256, 512])
def test_pix2pix_is_a_training_at_every_size(size: int) -> None:
    config = TrainingConfig.from_dict(preset("pix2pix", size))
    assert config.size == size
    assert (config.l1_weight, config.mse_weight, config.adversarial_weight) == (100, 0, 1)
    assert (config.lr_g, config.lr_d, config.beta1, config.schedule) == (2e-4, 2e-4, 0.5, "constant")


def test_pix2pix_at_the_published_size_is_the_published_network_but_for_what_is_told() -> None:
    config = TrainingConfig.from_dict({**preset("pix2pix", 256), "channels": 64, "discriminator_channels": 64})
    generator, discriminator = build_generator(config), build_discriminator(config)
    strided = [layer for layer in generator.down.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in strided] == [64, 128, 256, 512, 512, 512, 512, 512]
    assert {layer.kernel_size for layer in strided} == {(4, 4)}
    assert generator.multiple == 256  # down to one pixel
    weights = torch.cat([layer.weight.detach().flatten()[:5000] for layer in strided])
    assert float(weights.std()) == pytest.approx(0.02, rel=0.02)
    layers = [layer for layer in discriminator.body if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in layers] == [64, 128, 256, 512, 1]
    assert seen_by_a_verdict(discriminator, 256) == 78  # 70 there


def test_at_64_pixels_the_three_layers_with_dropout_are_those_of_the_paper() -> None:
    generator = build_generator(TrainingConfig.from_dict(preset("pix2pix", 64)))
    with_dropout = [any(isinstance(layer, nn.Dropout) for layer in up) for up in generator.up]
    assert with_dropout == [True, True, True, False, False, False]


@pytest.mark.parametrize(("size", "pixels"), [(32, 8), (64, 18), (128, 38)])
def test_the_patch_of_a_verdict_is_about_as_large_a_share_of_the_drawing(size: int, pixels: int) -> None:
    config = TrainingConfig.from_dict(preset("pix2pix", size))
    assert seen_by_a_verdict(build_discriminator(config), size) == pixels


def seen_by_a_verdict(discriminator: nn.Module, size: int) -> int:
    """The side of what one verdict in the middle depends on, by its gradient; without norms, which see everything."""
    plain = nn.Sequential(*(layer for layer in discriminator.body if not isinstance(layer, nn.InstanceNorm2d)))
    x = torch.randn(1, 4, size, size, requires_grad=True)
    verdicts = plain(x)
    verdicts[0, 0, verdicts.shape[2] // 2, verdicts.shape[3] // 2].backward()
    rows = x.grad.abs().sum(dim=(0, 1, 3)).nonzero()
    return int(rows.max() - rows.min()) + 1


def test_an_unknown_preset_and_a_size_that_is_none_are_refused() -> None:
    with pytest.raises(ValueError, match="Take 'pix2pix'"):
        preset("pix2pixHD", 64)
    with pytest.raises(ValueError, match="at least 8 pixels, got 4"):
        preset("pix2pix", 4)
