"""A blend for people who look at pictures: as colourful as true ones, where a mean is pale."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

from ensembles.combining.colours import in_lab
from ensembles.combining.combiner import Array, Combiner, Predicted
from ensembles.combining.gram import Floats
from ensembles.combining.method import Measures, Method, Observed
from ensembles.combining.shares import Shared, Weighting, shares_of, spread_out
from ensembles.predictor import Scores

_NEEDED = ("colourfulness", "ciede2000")
_HALVES = (0.0, 20.0)  # units of chroma; more than 20 gains little, costs PSNR and turns what is pale to grey
_GAINS = np.geomspace(0.8, 3.2, 6)
_CURVES = tuple(product(_HALVES, _GAINS))
_FINE = np.linspace(np.log(_GAINS[0]), np.log(_GAINS[-1]), 257)
_NEAR_GOAL = 0.01
_SAMPLE = 256  # examples; the colourfulness of pictures varies so much that 100 of them leave 7 % of doubt


@dataclass(frozen=True, eq=False)
class VividBlend(Shared):
    """The weighted mean in CIE L*a*b*, its chroma C made gain * C * C^2 / (C^2 + half^2); hue and lightness stay.

    Strong colours grow by `gain`, and those of less chroma than `half`, about which members disagree or which are the
    remains of white, lose some: that costs far less colour difference than one factor for all. A colour that sRGB
    cannot show keeps as much chroma as it can (`colours.to_rgb`).

    Args:
        weights: (k,), none below zero, that sum to one.
        gain: above 0; what strong colours are multiplied by.
        half: chroma that gets half the gain, at least 0; 0 is one factor for all.

    Predictions are colours (B, 3, H, W) in [-1, 1], and so is the result.
    """

    gain: float
    half: float
    kind: ClassVar[str] = "vivid"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value, least in (("gain", self.gain, "> 0"), ("half", self.half, ">= 0")):
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not (0 < value < np.inf or (value == 0 and name == "half")):
                raise ValueError(f"Expected a finite {name} {least}, got {value!r}.")

    def __call__(self, predicted: Predicted) -> Array:
        values, weights = self.counting(predicted)
        return in_lab(values, lambda lab: [_stretched(np.tensordot(weights, lab, axes=1), self.half, self.gain)])[0]


@dataclass(frozen=True)
class Vivid(Method):
    """Colours as strong as the true ones, at the lowest CIEDE2000: `VividBlend`.

    For `half` at 0 and at 20 the gain is found at which colourfulness (that of a split, as `summarize` gives
    it) is `goal` times the truth's, and the pair with the lowest CIEDE2000 is taken. One pass over at most 256 of the
    examples tries them all. Where no gain from 0.8 to 3.2 gets there, the pair that comes nearest is taken.

    Args:
        goal: colourfulness wanted, 1 that of the truth. A little less leaves room on either side.
        weights: from the mean error Gram matrix (k, k) to weights (k,); None for all alike.
    """

    goal: float = 0.98
    weights: Weighting | None = None

    def __post_init__(self) -> None:
        if not 0 < self.goal < np.inf:
            raise ValueError(f"Expected goal > 0, 1 for colours as strong as the true ones, got {self.goal}.")

    def unsuited(self, seen: Observed) -> str | None:
        if seen.measures.output != "colours":
            return f"it strengthens colours, and these members predict {seen.measures.output}"
        predicted, targets = next(iter(seen.stream()))
        given = seen.measures.summarize(seen.measures.scores(predicted.values[0][:1], targets[:1]))
        missing = [name for name in _NEEDED if name not in given]
        return f"it goes by {' and '.join(_NEEDED)}, and no {' or '.join(missing)} is measured" if missing else None

    def fit(self, seen: Observed) -> VividBlend:
        weights = shares_of(seen, self.weights)
        some = seen.only(spread_out(len(seen.groups), _SAMPLE))
        return self._best(weights, seen.measures, _tried(some, weights))

    def cross_fit(self, seen: Observed, fold: npt.NDArray[np.intp]) -> list[Combiner]:
        return self.fit_and_cross_fit(seen, fold)[1]

    def fit_and_cross_fit(self, seen: Observed, fold: npt.NDArray[np.intp]) -> tuple[Combiner, list[Combiner]]:
        folds = range(int(fold.max()) + 1)
        if self.weights is not None:
            return self.fit(seen), [self.fit(seen.only(fold != number)) for number in folds]
        weights, chosen = shares_of(seen, None), spread_out(len(seen.groups), _SAMPLE)
        scores, inside = _tried(seen.only(chosen), weights), fold[chosen]
        without = [{name: values[inside != number] for name, values in scores.items()} for number in folds]
        best = self._best(weights, seen.measures, scores)
        return best, [self._best(weights, seen.measures, part) for part in without]

    def _best(self, weights: Floats, measures: Measures, scores: Scores) -> VividBlend:
        """The curve of choice by the scores (N, curves) of examples."""
        if not all(len(values) for values in scores.values()):
            raise ValueError("Expected at least one example to choose the colours' strength on, got none.")
        split = [
            measures.summarize({name: values[:, curve] for name, values in scores.items()})
            for curve in range(len(_CURVES))
        ]
        shape = (len(_HALVES), len(_GAINS))
        colourful, off = (np.reshape([one[name] for one in split], shape) for name in _NEEDED)
        found = []
        for half, strengths, differences in zip(_HALVES, colourful, off, strict=True):
            miss = np.abs(_smooth(strengths) - self.goal)
            at = int(miss.argmin())
            difference = float(_smooth(differences)[at])
            found.append((max(float(miss[at]), _NEAR_GOAL), difference, half, float(np.exp(_FINE[at]))))
        _, _, half, gain = min(found)
        return VividBlend(weights, gain, half)


def _tried(seen: Observed, weights: Floats) -> Scores:
    """The scores of each example under each of the curves, (N, curves)."""

    def each(lab: Floats) -> list[Floats]:
        mean = np.tensordot(weights, lab, axes=1)
        return [_stretched(mean, half, gain) for half, gain in _CURVES]

    parts: list[Scores] = []
    for predicted, targets in seen.stream():
        scores = [seen.measures.scores(one, targets) for one in in_lab(predicted.values, each)]
        parts.append({name: np.stack([one[name] for one in scores], axis=1) for name in scores[0]})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _smooth(values: Floats) -> Floats:
    """Values at `_GAINS` to values at `_FINE`."""
    return np.asarray(PchipInterpolator(np.log(_GAINS), values)(_FINE))


def _stretched(lab: Floats, half: float, gain: float) -> Floats:
    """Colours (P, 3) with more chroma, or less."""
    squared = np.square(lab[:, 1:]).sum(axis=1, keepdims=True)
    share = squared / np.maximum(squared + half**2, np.finfo(np.float64).tiny)
    return np.concatenate([lab[:, :1], gain * share * lab[:, 1:]], axis=1)
