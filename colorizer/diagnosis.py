"""Why a training goes badly: measures of its last step, and what they say in words.

One step in each report is looked at more closely; the others cost nothing. What is usual: Karpathy, CS231n notes
(2015), for the size of steps; Glorot and Bengio (2010) for gradients that die on the way down; Goodfellow (NIPS 2016
tutorial, 2017) for discriminators that are never fooled.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from colorizer import baselines
from colorizer.layers import Maxout

Measures = dict[str, float]

_ACTIVATIONS = (nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.SiLU, Maxout)
_INNER = (5, 25, 50, 75, 95)  # per cent of a layer's weights; with the least and the largest they are its histogram
_SORTED = 4096  # weights of a layer that tell its inner quantiles: sorting millions would cost more than the step


class Examination:
    """One training step, seen from inside. Enter it around the step; then `measures` has what was seen.

    Args:
        generator: "g" in the names of measures.
        discriminator: "d"; it is seen with the true pictures in the first half of its batch and generated ones in the
            second.
        threshold: what it says of more than this it takes for true; None where its cost knows no such number.
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module, threshold: float | None = 0.0) -> None:
        self._networks = {"g": generator, "d": discriminator}
        self._threshold = threshold
        self._before: dict[str, Tensor] = {}
        self._acts: dict[str, Tensor] = {}
        self._logits: Tensor | None = None
        self._undo = ExitStack()

    def __enter__(self) -> "Examination":
        """From here on, look."""
        self._before = {name: layer.weight.detach().clone() for name, layer in self._layers()}
        for short, network in self._networks.items():
            for name, module in network.named_modules():
                if isinstance(module, _ACTIVATIONS):
                    self._watch(module, partial(self._note_activation, f"{short}.{name}"))
        self._watch(self._networks["d"], self._note_logits)
        return self

    def __exit__(self, *fault: object) -> None:
        """Look no more."""
        self._undo.close()

    def measures(self) -> Measures:
        """What the step was like, by flat names.

        Returns:
            update_ratio_g and update_ratio_d, medians over layers of the norm of a step over that of the weights;
            dead_g and dead_d, the shares of units that said the same of every place of every drawing, in [0, 1];
            d_real_acc and d_fake_acc, the shares of patches that the discriminator took for what they were, where one
            was at work. And of each layer, as layers/MEASURE/NETWORK.LAYER: gradient (norm of what was followed, after
            any cut), update_ratio, dead (share), mean and std of what it says, and a histogram of its weights:
            weight_q00, q05, q25, q50, q75, q95 and q100, the values below which so many per cent of them lie. The least
            and the largest are of all weights, those between of a sample.
        """
        seen: dict[str, Tensor] = {}
        ratios: dict[str, list[str]] = {short: [] for short in self._networks}
        dead: dict[str, list[Tensor]] = {short: [] for short in self._networks}
        for name, layer in self._layers():
            weight, before = layer.weight.detach(), self._before[name]
            seen |= {f"layers/weight_q{share:02}/{name}": each for share, each in _histogram(weight).items()}
            if layer.weight.grad is not None:
                seen[f"layers/gradient/{name}"] = layer.weight.grad.norm()
            if layer.weight.requires_grad:
                ratio = f"layers/update_ratio/{name}"
                seen[ratio] = (weight - before).norm() / before.norm().clamp_min(1e-12)
                ratios[name[0]].append(ratio)
        for name, output in self._acts.items():
            seen[f"layers/mean/{name}"], seen[f"layers/std/{name}"] = output.mean(), output.std()
            if output.numel() > output.shape[1]:  # who spoke but once cannot have said the same
                still = output.amax(dim=(0, 2, 3)) == output.amin(dim=(0, 2, 3))
                dead[name[0]].append(still)
                seen[f"layers/dead/{name}"] = still.float().mean()
        for short, units in dead.items():
            if units:
                seen[f"dead_{short}"] = torch.cat(units).float().mean()
        if self._logits is not None and self._threshold is not None:
            real, fake = self._logits.chunk(2)
            seen["d_real_acc"] = (real > self._threshold).float().mean()
            seen["d_fake_acc"] = (fake < self._threshold).float().mean()
        numbers = dict(zip(seen, torch.stack([each.float() for each in seen.values()]).tolist(), strict=True))
        for short, names in ratios.items():
            if names and (short == "g" or self._logits is not None):
                numbers[f"update_ratio_{short}"] = median(numbers[name] for name in names)
        return numbers

    def _layers(self) -> Iterator[tuple[str, nn.Conv2d | nn.ConvTranspose2d]]:
        for short, network in self._networks.items():
            for name, module in network.named_modules():
                if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                    yield f"{short}.{name}", module

    def _watch(self, module: nn.Module, note: Any) -> None:
        handle: RemovableHandle = module.register_forward_hook(lambda _, __, output: note(output))
        self._undo.callback(handle.remove)

    def _note_activation(self, name: str, output: Tensor) -> None:
        # A network runs several times in a step; the first is the one on true drawings.
        self._acts.setdefault(name, output.detach())

    def _note_logits(self, output: Tensor) -> None:
        if self._logits is None:
            self._logits = output.detach()


def _histogram(weight: Tensor) -> dict[int, Tensor]:
    """Quantiles by their shares in per cent, ascending."""
    some = weight.flatten()[:: max(1, weight.numel() // _SORTED)].float()
    inner = torch.quantile(some, some.new_tensor(_INNER) / 100)
    least, largest = weight.aminmax()
    return {0: least, **dict(zip(_INNER, inner, strict=True)), 100: largest}


def verdict(measures: Mapping[str, float]) -> str:
    """What is wrong with a training, each with the numbers that say so, joined by "; "; "" where nothing is.

    What precedes a colon is the same for all trainings with the fault, so that they can be counted; what is of one
    training alone follows it.

    Args:
        measures: of `Examination`; further rate, the share of the learning rates that was in force at the step;
            val_mse and train_mse, mean squared errors of the validation drawings and of some training drawings;
            colourfulness, the ratio to that of the true colours; and psnr, with baseline/NAME/psnr of `baselines`.
    """
    return "; ".join(said for rule in _RULES if (said := rule(measures)))


# Beyond these something is wrong; each is provoked in a test by a training that has the fault.
TOO_LARGE, NEXT_TO_NOTHING = 2.5e-2, 1e-6  # steps over weights, at the full learning rate; about 1e-3 is healthy
LEAST_RATE = 1e-3  # of the full learning rate, at which steps still say something
OVERFITTED = 1.5  # validation error over training error
NEVER_FOOLED = 0.98
MOSTLY_DEAD = 0.5
VANISHED = 1e-4  # smallest gradient of a layer over the largest
WASHED_OUT = 0.25  # of the colourfulness of the truth


def _steps(measures: Mapping[str, float]) -> str:
    said = []
    for short, whose in (("g", "G"), ("d", "D")):
        ratio = measures.get(f"update_ratio_{short}")
        if ratio is None:
            continue
        # A schedule that ends at zero makes steps small, which is no fault; the last cannot be told from none.
        rate = measures.get("rate", 1.0)
        ratio /= max(rate, LEAST_RATE)
        number = f"update ratio {ratio:.1e}{'' if rate == 1 else ' at the full learning rate'}"
        if not ratio < TOO_LARGE:
            said.append(f"learning rate of {whose} likely too high: {number}")
        elif ratio < NEXT_TO_NOTHING and rate >= LEAST_RATE:
            said.append(f"{whose} hardly moves: {number}")
    return "; ".join(said)


def _overfitting(measures: Mapping[str, float]) -> str:
    if {"val_mse", "train_mse"} <= measures.keys() and measures["train_mse"] > 0:
        times = measures["val_mse"] / measures["train_mse"]
        if times > OVERFITTED:
            return f"overfits: validation {times:.1f} x train"
    return ""


def _balance(measures: Mapping[str, float]) -> str:
    real, fake = measures.get("d_real_acc", 0.0), measures.get("d_fake_acc", 0.0)
    if min(real, fake) > NEVER_FOOLED:
        return f"discriminator has won: it knows {real:.0%} of true and {fake:.0%} of generated patches"
    return ""


def _dead(measures: Mapping[str, float]) -> str:
    said = []
    for short, whose in (("g", "G"), ("d", "D")):
        share = measures.get(f"dead_{short}", 0.0)
        if share > MOSTLY_DEAD:
            said.append(f"most units of {whose} are dead: {100 * share:.0f} %")
    return "; ".join(said)


def _gradients(measures: Mapping[str, float]) -> str:
    mark = "layers/gradient/g."
    norms = {name.removeprefix(mark): norm for name, norm in measures.items() if name.startswith(mark)}
    if not norms:
        return ""
    least, most = min(norms, key=lambda name: norms[name]), max(norms.values())
    if median(norms.values()) == 0:
        return "no gradient reaches most of G: what it says is saturated, or most of its units are dead"
    if norms[least] < VANISHED * most:
        return f"gradients vanish in G: {least} has {norms[least] / most:.1e} of the largest"
    return ""


def _colours(measures: Mapping[str, float]) -> str:
    share = measures.get("colourfulness")
    if share is not None and share < WASHED_OUT:
        return f"colours are washed out: {share:.0%} of the truth's colourfulness"
    return ""


def _baselines(measures: Mapping[str, float]) -> str:
    """The best of the trivial predictors that are better."""
    found = {name: measures.get(f"baseline/{name}/psnr", -math.inf) for name in baselines.WORDS}
    best, psnr = max(found, key=lambda name: found[name]), measures.get("psnr", math.inf)
    if psnr < found[best]:
        return f"worse than {baselines.WORDS[best]}: psnr {psnr:.1f} against {found[best]:.1f}"
    return ""


_RULES = (_steps, _overfitting, _balance, _dead, _gradients, _colours, _baselines)
