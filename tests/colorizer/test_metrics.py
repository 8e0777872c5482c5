"""What the tables of huetune print, against direct computations."""

import math

import numpy as np
import pytest
import skimage.color
import skimage.metrics
import torch
from torch import Tensor

from colorizer.metrics import colourfulness, score_images, summarize


def pair(shape: tuple[int, int, int, int] = (2, 3, 13, 17), noise: float = 0.2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(shape, generator=generator) * 2 - 1
    return (target + noise * torch.randn(shape, generator=generator)).clamp(-1, 1), target


def as_picture(image: Tensor) -> np.ndarray:
    return ((image + 1) / 2).movedim(0, -1).double().numpy()


def test_every_score_has_one_value_per_image() -> None:
    scores = score_images(*pair((2, 3, 5, 7)))
    names = {"mse", "psnr", "ssim", "ciede2000", "colourfulness", "colourfulness_true"}
    assert scores.keys() == names
    assert all(values.shape == (2,) and values.dtype == torch.float32 for values in scores.values())


def test_mse_is_on_minus_one_to_one_and_psnr_follows() -> None:
    scores = score_images(torch.ones(1, 3, 5, 7), torch.tensor([-1.0, 1.0, 1.0]).reshape(1, 3, 1, 1).expand(1, 3, 5, 7))
    assert scores["mse"].item() == pytest.approx(4 / 3)
    assert scores["psnr"].item() == pytest.approx(10 * math.log10(3), rel=1e-5)


def test_psnr_and_ssim_agree_with_scikit_image() -> None:
    predictions, targets = pair()
    scores = score_images(predictions, targets)
    for i, (p, t) in enumerate(zip(predictions, targets, strict=True)):
        psnr = skimage.metrics.peak_signal_noise_ratio(as_picture(t), as_picture(p), data_range=1)
        ssim = skimage.metrics.structural_similarity(
            as_picture(t), as_picture(p), channel_axis=-1, data_range=1,
            gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
        )  # fmt: skip
        assert scores["psnr"][i].item() == pytest.approx(psnr, rel=1e-4)
        assert scores["ssim"][i].item() == pytest.approx(ssim, abs=1e-4)


def test_ciede2000_is_the_mean_over_the_pixels() -> None:
    predictions, targets = pair()
    scores = score_images(predictions, targets)
    for i, (p, t) in enumerate(zip(predictions, targets, strict=True)):
        lab1, lab2 = skimage.color.rgb2lab(as_picture(p)), skimage.color.rgb2lab(as_picture(t))
        assert scores["ciede2000"][i].item() == pytest.approx(
            skimage.color.deltaE_ciede2000(lab1, lab2).mean(), rel=1e-3
        )


def test_colourfulness_is_the_formula_of_the_paper_with_signed_differences() -> None:
    _, targets = pair()
    # Opposite differences must cancel: half reddish, half greenish has mean 0, which absolute values would
    # hide.
    targets[1, :, :, :8], targets[1, :, :, 8:16] = targets[1, [0, 1, 1], :, :8], targets[1, [1, 0, 0], :, :8]
    scores = score_images(targets, targets)
    for i, target in enumerate(targets):
        red, green, blue = np.moveaxis(255 * as_picture(target), -1, 0)
        rg, yb = red - green, (red + green) / 2 - blue
        m3 = math.sqrt(rg.std() ** 2 + yb.std() ** 2) + 0.3 * math.sqrt(rg.mean() ** 2 + yb.mean() ** 2)
        assert scores["colourfulness_true"][i].item() == pytest.approx(m3, rel=1e-4)
        assert scores["colourfulness"][i].item() == pytest.approx(m3, rel=1e-4)


def test_grey_has_no_colourfulness() -> None:
    assert colourfulness(torch.rand(2, 1, 5, 7).expand(2, 3, 5, 7) * 255).tolist() == [0, 0]


@pytest.mark.parametrize("height_width", [(1, 1), (1, 9), (4, 3), (5, 7), (10, 11), (12, 40)])
def test_a_perfect_prediction_of_any_size_scores_best(height_width: tuple[int, int]) -> None:
    _, targets = pair((2, 3, *height_width))
    scores = score_images(targets, targets)
    assert scores["mse"].tolist() == [0, 0]
    assert scores["psnr"].tolist() == [60, 60]
    assert scores["ciede2000"].tolist() == [0, 0]
    np.testing.assert_allclose(scores["ssim"], 1, atol=1e-5)


def test_psnr_is_capped() -> None:
    _, targets = pair()
    assert score_images(targets + 1e-5, targets)["psnr"].tolist() == [60, 60]


def test_an_image_scores_the_same_alone_and_among_many() -> None:
    predictions, targets = pair((70, 3, 50, 51))  # more than one step
    together = score_images(predictions, targets)
    for i in (0, 40, 69):
        alone = score_images(predictions[i : i + 1], targets[i : i + 1])
        for name, values in alone.items():
            torch.testing.assert_close(values, together[name][i : i + 1], atol=1e-4, rtol=1e-4)


def test_a_prediction_that_is_not_finite_scores_nan_and_harms_no_other() -> None:
    predictions, targets = pair()
    whole = score_images(predictions, targets)
    predictions[0, 1, 2, 3] = float("nan")
    scores = score_images(predictions, targets)
    for name in scores.keys() - {"colourfulness_true"}:
        assert scores[name][0].isnan(), name
        assert scores[name][1] == whole[name][1]


def test_scores_of_half_precision_are_computed_in_float32() -> None:
    predictions, targets = pair()
    halves = score_images(predictions.bfloat16(), targets.bfloat16())
    floats = score_images(predictions.bfloat16().float(), targets.bfloat16().float())
    for name, values in halves.items():
        torch.testing.assert_close(values, floats[name])


def test_a_model_in_training_gets_no_graph_from_its_scores() -> None:
    predictions, targets = pair()
    assert not any(v.requires_grad for v in score_images(predictions.requires_grad_(), targets).values())


def test_the_summary_is_means_and_the_ratio_of_mean_colourfulness() -> None:
    scores = {
        "mse": [1.0, 2.0],
        "colourfulness": np.array([10.0, 20.0]),
        "colourfulness_true": torch.tensor([50.0, 10.0]),
    }
    assert summarize(scores) == {"mse": 1.5, "colourfulness": 0.5}


def test_a_grey_truth_gives_a_finite_ratio() -> None:
    def ratio(predicted: float, true: float) -> float:
        return summarize({"colourfulness": [predicted], "colourfulness_true": [true]})["colourfulness"]

    assert ratio(0, 0) == 1
    assert ratio(20, 0) == 20
    assert math.isnan(ratio(math.nan, 0))


def test_scores_without_colourfulness_are_summarized_too() -> None:
    assert summarize({"psnr": np.array([18.0, 20.0])}) == {"psnr": 19}


@pytest.mark.parametrize(
    ("first", "second"),
    [((2, 3, 5, 7), (2, 3, 7, 5)), ((2, 1, 5, 7), (2, 1, 5, 7)), ((0, 3, 5, 7), (0, 3, 5, 7))],
)
def test_other_shapes_are_refused_with_what_came(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"got \(\d, \d, 5, 7\)"):
        score_images(torch.zeros(first), torch.zeros(second))
