"""How far predicted colours are from the true ones, drawing by drawing, and the means over a split."""

from collections.abc import Mapping

import numpy as np
import torch
from kornia.metrics import ssim
from numpy.typing import ArrayLike
from torch import Tensor

from colorizer.color import ciede2000, srgb_to_lab

PSNR_CAP = 60.0
_SSIM_WINDOW = 11
_INVISIBLE = 1.0  # on the scale of `colourfulness`, where 15 is called slightly colourful
# Pixels of one step: few enough to stay in a core's cache, 2.5 times as fast as whole splits at once.
_PIXELS_AT_ONCE = 64 * 48 * 48


@torch.no_grad()
def score_images(predictions: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Measures each prediction against its target.

    Args:
        predictions, targets: (B, 3, H, W), RGB in [-1, 1], any floating type; computed in float32 on their
            device.

    Returns:
        Tensors of shape (B,), float32:
        mse: mean squared error on [-1, 1], in [0, 4].
        psnr: 10 log10(4 / mse) in dB, at most 60. Higher is better.
        ssim: mean structural similarity over channels and pixels (Wang, Bovik, Sheikh, Simoncelli 2004):
            Gaussian window of 11 pixels, sigma 1.5, inside the image only. Pictures smaller than that get the
            largest odd window that fits.
        ciede2000: mean colour difference over the pixels; lower is better.
        colourfulness, colourfulness_true: of prediction and target, see `colourfulness`.
        A prediction that is not finite scores NaN.

    Raises:
        ValueError: the shapes differ, there is no image, or the second axis is not of size 3.
    """
    if predictions.shape != targets.shape or targets.dim() != 4 or targets.shape[1] != 3 or targets.numel() == 0:
        raise ValueError(
            "Expected predictions and targets as (B, 3, H, W) of one shape, B > 0, got "
            f"{tuple(predictions.shape)} and {tuple(targets.shape)}."
        )
    chunk = max(1, _PIXELS_AT_ONCE // (targets.shape[2] * targets.shape[3]))
    parts = [
        _score_chunk(p.float().contiguous(), t.float().contiguous())
        for p, t in zip(torch.split(predictions, chunk), torch.split(targets, chunk), strict=True)
    ]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def summarize(scores: Mapping[str, ArrayLike]) -> dict[str, float]:
    """Per-example scores of a split -> its row in a table.

    Every score becomes its mean. `colourfulness` becomes the mean of the predictions over the mean of the
    truth (1: as colourful as the true drawings; below: washed out), and `colourfulness_true` is dropped. A
    truth that is grey throughout counts as colourfulness 1, which nobody sees, so that the ratio stays
    finite; grey for grey is 1.

    Args:
        scores: name -> (N,) numbers, as `score_images` returns them (as NumPy arrays or CPU tensors).
    """
    means = {name: float(np.mean(np.asarray(values, dtype=np.float64))) for name, values in scores.items()}
    if "colourfulness_true" in means:
        means["colourfulness"] = _ratio(means["colourfulness"], means.pop("colourfulness_true"))
    return means


def colourfulness(rgb: Tensor) -> Tensor:
    """M3 of Hasler and Süsstrunk, "Measuring colourfulness in natural images" (2003).

    With the signed opponent values rg = R - G and yb = (R + G) / 2 - B: the length of their standard
    deviations plus 0.3 times the length of their means. 0 is grey, above 100 extremely colourful.

    Args:
        rgb: (B, 3, H, W) in [0, 255].

    Returns:
        (B,), not negative.
    """
    red, green, blue = rgb.flatten(2).unbind(1)  # (B, H*W)
    red_green = red - green
    yellow_blue = (red + green) / 2 - blue
    spread = torch.hypot(red_green.std(1, correction=0), yellow_blue.std(1, correction=0))
    return spread + 0.3 * torch.hypot(red_green.mean(1), yellow_blue.mean(1))


def _score_chunk(prediction: Tensor, target: Tensor) -> dict[str, Tensor]:
    mse = (prediction - target).square().mean((1, 2, 3))
    # The cap is an error of 4e-6, half a step of 8 bits: nothing finer can be seen or saved.
    psnr = (10 * torch.log10(4 / mse)).clamp(max=PSNR_CAP)
    prediction, target = (prediction + 1) / 2, (target + 1) / 2  # [0, 1] from here on
    window = min(_SSIM_WINDOW, *target.shape[2:])
    window -= 1 - window % 2
    return {
        "mse": mse,
        "psnr": psnr,
        "ssim": ssim(prediction, target, window, padding="valid").mean((1, 2, 3)),
        "ciede2000": ciede2000(srgb_to_lab(prediction), srgb_to_lab(target)).mean((1, 2)),
        "colourfulness": colourfulness(255 * prediction),
        "colourfulness_true": colourfulness(255 * target),
    }


def _ratio(predicted: float, true: float) -> float:
    return 1.0 if predicted == true else predicted / max(true, _INVISIBLE)
