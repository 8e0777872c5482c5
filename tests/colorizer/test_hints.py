"""Hints tell true colours at a few points between the lines; generators take them or do without."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from colorizer.config import TrainingConfig, build_generator
from colorizer.generator import predict
from colorizer.hints import dotted
from colorizer.inference import Colorizer
from colorizer.narrowing import narrow, widths_of
from ensembles import Ensemble, Flipped, Member, Weighted
from ensembles.export import to_onnx


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawings(count: int, height: int, width: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Colours in a frame of paper, with a black line through them."""
    colors = torch.rand((count, 3, height, width), generator=rng(seed)) * 1.8 - 1
    lines = torch.ones(count, 1, height, width)
    colors[..., 0], colors[..., -1] = 1, 1
    lines[..., height // 2, :] = -1
    return lines, colors


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.floats(0, 1), st.integers(3, 9), st.integers(3, 9))
def test_a_dot_tells_the_true_colour_between_the_lines_and_off_the_paper(
    seed: int, points: int, keep: float, height: int, width: int
) -> None:
    lines, colors = drawings(2, height, width, seed)
    hints = dotted(lines, colors, points, keep, rng(seed))
    told, mask = hints[:, :3], hints[:, 3:]
    assert hints.shape == (2, 4, height, width)
    assert set(mask.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(told, mask * colors)
    assert (mask.sum(dim=(1, 2, 3)) <= points).all()
    assert not (mask * (lines < 0)).any()
    assert not mask[..., 0].any()
    assert not mask[..., -1].any()


def test_drawings_get_none_to_all_points_and_each_place_has_its_turn() -> None:
    lines, colors = drawings(600, 5, 7)
    mask = dotted(lines, colors, 4, 1.0, rng())[:, 3]
    counts = mask.sum(dim=(1, 2)).int().bincount(minlength=5)
    assert counts[0] > 80
    assert counts[4] > 60
    assert len(counts) == 5
    seen = mask.sum(dim=0)
    assert (seen[[0, 1, 3, 4], 1:-1] > 30).all()


@pytest.mark.parametrize(("keep", "least", "most"), [(0.0, 0, 0), (0.25, 0.4, 0.6), (1.0, 1.8, 2.2)])
def test_a_share_of_the_points_is_kept(keep: float, least: float, most: float) -> None:
    lines, colors = drawings(800, 20, 30)
    told = dotted(lines, colors, 4, keep, rng())[:, 3].sum(dim=(1, 2)).mean()
    assert least <= told <= most  # 2 points a drawing on average


def test_blank_and_black_drawings_get_no_hints() -> None:
    lines, colors = drawings(2, 5, 7)
    assert not dotted(lines, torch.ones_like(colors), 9, 1.0, rng()).any()
    assert not dotted(-torch.ones_like(lines), colors, 9, 1.0, rng()).any()


def test_dots_grow_with_the_drawing_and_are_of_one_colour_each() -> None:
    lines, colors = drawings(4, 192, 200)
    hints = dotted(lines, colors, 1, 1.0, rng(1))
    found = [one for one in hints if one[3].any()]
    assert found
    for one in found:
        assert one[3].sum() in (49, 42, 35, 28)  # 7 x 7 pixels; fewer at the edge
        where = one[:3, one[3] > 0]
        assert (where == where[:, :1]).all()
    crowded = dotted(lines, colors, 4000, 1.0, rng())
    inside = crowded[:, 3:] > 0
    assert inside.float().mean() > 0.5
    assert (crowded[:, :3].abs().amax(dim=1, keepdim=True) <= 1).all()


def generator(**changes):
    settings = {"channels": 4, "levels": 3, "size": 16, "hint_points": 5, "discriminator_channels": 4}
    return build_generator(TrainingConfig.from_dict(settings | changes)).eval()


@pytest.mark.parametrize("changes", [{}, {"passes": 2}, {"confidence": True, "upsample": "resize"}])
@pytest.mark.parametrize("size", [(5, 7), (16, 24), (1, 1)])
def test_lines_alone_are_lines_that_nobody_has_dotted(changes, size):
    network = generator(**changes)
    lines = torch.rand((2, 1, *size), generator=rng()) * 2 - 1
    alone = predict(network, lines)
    assert alone.shape == (2, 3, *size)
    assert torch.equal(alone, predict(network, torch.cat((lines, torch.zeros(2, 4, *size)), dim=1)))
    hints = dotted(torch.ones_like(lines), torch.zeros(2, 3, *size), 50, 1.0, rng())
    assert hints.any()
    assert not torch.allclose(alone, predict(network, torch.cat((lines, hints), dim=1)))


def test_what_is_laid_around_a_drawing_tells_nothing():
    """Of a size that needs no padding, with paper and no hints where the smaller one is padded."""
    network = generator()
    lines, colors = drawings(2, 13, 11)
    given = torch.cat((lines, dotted(lines, colors, 20, 1.0, rng())), dim=1)
    padded = torch.cat((torch.ones(2, 1, 16, 16), torch.zeros(2, 4, 16, 16)), dim=1)
    padded[:, :, :13, :11] = given
    assert torch.equal(predict(network, given), predict(network, padded)[..., :13, :11])


def test_without_hints_nothing_is_as_it_was_not():
    plain = generator(hint_points=0)
    assert plain.sketch.weight.shape == (3, 1, 3, 3)
    assert generator().sketch.weight.shape == (3, 5, 3, 3)
    assert generator(passes=3).sketch.weight.shape == (3, 8, 3, 3)


def test_a_narrowed_generator_sees_hints_as_before():
    network = generator(norm="none")
    kept = [torch.arange(int(width)) for width in widths_of(network).split(",")]
    kept[1] = kept[1][:5]
    narrowed = copy.deepcopy(network)
    narrow(narrowed, kept)
    with torch.no_grad():  # what was cut out is as good as zero
        block = next(layer for layer in network.down[1].children() if hasattr(layer, "weight"))
        block.weight[5:] = 0
        block.bias[5:] = 0
    lines, colors = drawings(2, 16, 24)
    given = torch.cat((lines, dotted(lines, colors, 20, 1.0, rng())), dim=1)
    torch.testing.assert_close(predict(narrowed, given), predict(network, given))
    rebuilt = generator(norm="none", widths=widths_of(narrowed))
    rebuilt.load_state_dict(narrowed.state_dict())
    assert torch.equal(predict(rebuilt, given), predict(narrowed, given))


def test_ensembles_and_their_exports_run_generators_with_hints_as_others(tmp_path):
    models = [Colorizer(generator(seed=seed), 16) for seed in range(3)]
    lines = np.random.default_rng(0).uniform(-1, 1, (3, 1, 16, 16)).astype(np.float32)
    ensemble = Ensemble([Member(Flipped(model), tmp_path) for model in models], Weighted(np.full(3, 1 / 3)), "mean")
    expected = np.mean([model(lines) + model(lines[..., ::-1].copy())[..., ::-1] for model in models], axis=0) / 2
    np.testing.assert_allclose(ensemble(lines), expected, atol=1e-5)
    np.testing.assert_allclose(ensemble.quickened(lines)(lines), expected, atol=1e-4)
    exported = to_onnx([model.module for model in models], [0.2, 0.3, 0.5], tmp_path / "mean.onnx", lines)
    assert exported.dynamic_axes == (0, 2, 3)
    assert exported.max_difference < 1e-4


@pytest.mark.parametrize("name", ["hint_keep", "hint_keep_end"])
@pytest.mark.parametrize("value", [-0.1, 1.1, np.nan])
def test_shares_beyond_zero_and_one_are_refused(name, value):
    with pytest.raises(ValueError, match=f"Expected .*{name}"):
        TrainingConfig.from_dict({name: value})


def test_the_share_falls_evenly_from_the_first_step_to_the_last():
    config = TrainingConfig(hint_points=1, hint_keep=0.8, hint_keep_end=0.2)
    assert [config.hint_share(done) for done in (0, 0.5, 1)] == pytest.approx([0.8, 0.5, 0.2])
