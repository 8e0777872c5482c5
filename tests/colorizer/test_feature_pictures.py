"""The pictures of filters and features show the numbers that they are made of."""

from typing import Any

import numpy as np
import pytest
import torch

from colorizer.config import TrainingConfig, build_generator
from colorizer.inference import Colorizer
from colorizer.inspecting.feature_pictures import feature_maps, first_filters


def colorizer(**settings: Any) -> Colorizer:
    config = TrainingConfig.from_dict({"size": 16, "channels": 4, "levels": 2, "discriminator_layers": 1, **settings})
    return Colorizer(build_generator(config).eval(), 16)


def test_weights_are_white_for_nothing_orange_above_and_blue_below() -> None:
    generator = colorizer().module
    weights = generator.down[0][0].weight  # (4, 1, 4, 4)
    with torch.no_grad():
        weights.zero_()
        weights[1, 0, 2, 3], weights[1, 0, 0, 1] = 5.0, -5.0
    picture = first_filters(generator)
    assert picture.shape == (20, 4 * 20 + 3 * 2, 3)  # a tile has 5 x 5 pixels a weight
    assert (picture[:, :20] == 255).all()
    assert (picture[:, 20:22] == 128).all()  # between two
    second = picture[:, 22:42]
    assert (second[10:15, 15:20] == [181, 88, 20]).all()
    assert (second[:5, 5:10] == [42, 111, 181]).all()
    assert (second[5:10] == 255).all()


def test_of_many_filters_the_strongest_are_shown() -> None:
    generator = colorizer(channels=70).module
    weights = generator.down[0][0].weight
    with torch.no_grad():
        weights.zero_()
        weights[6:, 0, 0, 0] = torch.arange(1.0, 65.0)
    picture = first_filters(generator)
    assert picture.shape == (4 * 20 + 3 * 2, 16 * 20 + 15 * 2, 3)
    assert (picture[:5, :5] == [181, 88, 20]).all()  # the first six, which are nothing, are not there


@pytest.mark.parametrize(
    "settings", [{}, {"passes": 2}, {"activation": "maxout"}, {"attention": True}, {"hint_points": 3}]
)
def test_every_level_is_there_for_every_kind_of_generator(settings: dict[str, Any]) -> None:
    lines = np.random.default_rng(0).uniform(-1, 1, (1, 1, 8, 12)).astype(np.float32)
    found = feature_maps(colorizer(**settings), lines)
    told = [(one.level, one.channels, one.size) for one in found]
    assert told == [("down.0", 4, (4, 6)), ("down.1", 8, (2, 3)), ("up.0", 4, (4, 6)), ("up.1", 4, (8, 12))]
    assert all(one.shown == one.channels for one in found)


def test_a_feature_goes_from_black_to_white_and_the_model_is_left_as_it_was() -> None:
    model = colorizer(channels=20)
    lines = np.random.default_rng(0).uniform(-1, 1, (1, 1, 8, 12)).astype(np.float32)
    before = model(lines)
    first = feature_maps(model, lines)[0]
    with torch.no_grad():
        values = model.module.down[0](torch.from_numpy(lines))[0].numpy()  # (20, 4, 6)
    assert (first.channels, first.shown) == (20, 16)
    most = np.sort(np.argsort(-values.std(axis=(1, 2)), kind="stable")[:16])
    factor = (first.picture.shape[1] - 7 * 2) // 8 // 6
    for number, feature in enumerate(values[most]):
        top, left = number // 8 * (4 * factor + 2), number % 8 * (6 * factor + 2)
        tile = first.picture[top : top + 4 * factor : factor, left : left + 6 * factor : factor]
        gray = (255 * (feature - feature.min()) / (feature.max() - feature.min())).round()
        for channel in range(3):
            np.testing.assert_allclose(tile[..., channel], gray, atol=1)
    assert not any(module._forward_hooks for module in model.module.modules())
    np.testing.assert_array_equal(model(lines), before)
