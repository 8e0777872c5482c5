"""Linear second-level models: ridge regression of the truth on what the members predict, from one streamed pass."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from ensembles.combining.combiner import Array, Combiner, Positions, Predicted, State
from ensembles.combining.gram import Floats, blend_error, check_predictions
from ensembles.combining.method import Method, Observed
from ensembles.combining.normal_equations import Moments, Solution, solve
from ensembles.combining.weights import uniform
from ensembles.predictor import Output

Cells = list[dict[int, Moments]]  # of each fold, by inner fold

SHARES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 1e3)  # of the features' spread, that alpha is chosen among
INNER_FOLDS = 5

_VALUES_AT_ONCE = 2**21  # 16 MiB of float64 features, however many examples a batch brings
_PART_OF_POWER = 1e-4  # an error below this part of an example's power counts as this part: 40 dB


def as_output(values: Floats, output: Output) -> Floats:
    """Values (B, ...) put into the range of their kind.

    Colours are clipped to [-1, 1]. Of probabilities what is below zero becomes zero, and rows are scaled to sum to
    one; a row without anything above zero becomes uniform. Other kinds stay as they are.
    """
    if output == "colours":
        return values.clip(-1, 1)
    if output == "probabilities":
        positive = values.clip(min=0)
        total = positive.sum(axis=1, keepdims=True)
        even = np.full_like(positive, 1 / values.shape[1])
        return np.divide(positive, total, out=even, where=total > 0)
    return values


def in_channels(values: Array) -> Floats:
    """(B,), (B, C) or (B, C, ...) as (B, C, n) in float64."""
    examples, channels = len(values), values.shape[1] if values.ndim > 1 else 1
    return np.asarray(values, dtype=np.float64).reshape(examples, channels, math.prod(values.shape[2:]))


@dataclass(frozen=True, eq=False)
class Linear(Combiner):
    """Each channel a linear function of what the members predict for the same place, in the range of its kind.

    Attributes:
        coefficients: (C, k): of each member's own channel. Or (C, k, C): of all channels of each member.
        intercept: (C,).
        output: what the predictions are.
    """

    coefficients: Floats
    intercept: Floats
    output: Output
    kind: ClassVar[str] = "linear"

    def __post_init__(self) -> None:
        coefficients = np.asarray(self.coefficients, dtype=np.float64)
        intercept = np.asarray(self.intercept, dtype=np.float64)
        found, channels = coefficients.shape, intercept.shape
        if len(found) not in (2, 3) or found[:1] != channels or found[2:] not in ((), channels) or 0 in found:
            raise ValueError(f"Expected coefficients (C, k) or (C, k, C), intercepts (C,), got {found}, {channels}.")
        if not (np.isfinite(coefficients).all() and np.isfinite(intercept).all()):
            raise ValueError("Expected finite coefficients and intercepts, got NaN or infinity.")
        object.__setattr__(self, "coefficients", coefficients)
        object.__setattr__(self, "intercept", intercept)

    @property
    def members(self) -> int:
        return self.coefficients.shape[1]

    @property
    def used(self) -> Positions:
        """Those with a coefficient other than zero; the first where there is none, for a shape to fill."""
        each = np.moveaxis(self.coefficients, 1, 0).reshape(self.members, -1)
        used = np.flatnonzero(each.any(axis=1))
        return used if len(used) else np.zeros(1, dtype=np.intp)

    def narrowed(self) -> Linear:
        return Linear(self.coefficients[:, self.used], self.intercept, self.output)

    def __call__(self, predicted: Predicted) -> Array:
        """(B, ...). Raises `BadPredictions` for a member with NaN, infinity or a shape unlike the first one's."""
        first = np.asarray(predicted.values[0])
        total = np.zeros_like(in_channels(first)) + self.intercept[:, None]  # (B, C, n)
        if total.shape[1] != len(self.intercept):
            raise ValueError(f"Expected predictions of {len(self.intercept)} channels, got {first.shape}.")
        for member in self.used:
            values = in_channels(check_predictions(int(member), predicted.values[member], first.shape))
            of_member = self.coefficients[:, member]  # (C,) or (C, C)
            total += of_member[:, None] * values if of_member.ndim == 1 else of_member @ values
        return as_output(total.reshape(first.shape), self.output).astype(first.dtype)

    def state(self) -> State:
        return {"output": self.output}, {"coefficients": self.coefficients, "intercept": self.intercept}

    @classmethod
    def restore(cls, settings: Mapping[str, Any], arrays: Mapping[str, Array]) -> Linear:
        return cls(arrays["coefficients"], arrays["intercept"], settings["output"])


@dataclass(frozen=True)
class Ridge(Method):
    """Linear fusion by ridge regression, from sums gathered in one pass (Breiman, Stacked Regressions, 1996).

    Attributes:
        alpha: the penalty, added to squared errors that are summed over all values, as in scikit-learn. None: of
            `SHARES` of the features' spread the one with the least squared error on inner folds that were left out,
            with the last, near `toward`, where there are fewer than two groups of examples to leave out.
        positive: no coefficient below zero.
        per_channel: a channel is made of the same channel of the members, not of all their channels.
        toward: what a large alpha leads to: the plain mean of the members, without an intercept; or zero
            coefficients, with the intercept free.
        even: each example counts by one over its error under the plain mean, so that easy pictures count as much as
            hard ones, as they do in PSNR. None: where the gain metric is "psnr" and examples are pictures.
        seed: of the inner folds. An example falls into one by its group alone, whichever others are there.

    The rule is fitted before its results are put into the range of their kind.
    """

    alpha: float | None = None
    positive: bool = False
    per_channel: bool = False
    toward: Literal["mean", "zero"] = "mean"
    even: bool | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.alpha is not None and not 0 <= self.alpha < math.inf:
            raise ValueError(f"Expected 0 <= alpha, or None to have it chosen, got {self.alpha}.")
        if self.toward not in ("mean", "zero"):
            raise ValueError(f'Expected toward="mean" or "zero", got {self.toward!r}.')

    def fit(self, seen: Observed) -> Linear:
        """Raises `ValueError` where there is no example, `BadPredictions` where a prediction is not finite."""
        (cells,) = self._gathered(seen, np.zeros(len(seen.groups), dtype=np.intp))
        return self._rule(cells, seen)

    def cross_fit(self, seen: Observed, fold: npt.NDArray[np.intp]) -> list[Combiner]:
        cells = self._gathered(seen, fold)
        return [self._rule(_joined(cells[:left] + cells[left + 1 :]), seen) for left in range(len(cells))]

    def _gathered(self, seen: Observed, fold: npt.NDArray[np.intp]) -> Cells:
        if not len(seen.groups):
            raise ValueError("Expected at least one example to fit a second-level model to, got none.")
        inner = np.zeros(len(fold), dtype=np.intp)
        if self.alpha is None:
            inner = _scattered(seen.groups, self.seed)
        even = self.even
        if even is None:
            even = seen.measures.gain_metric == "psnr" and seen.measures.output in ("colours", "dense")
        error = blend_error(seen.gram, uniform(seen.members)) if even else None  # (N,)
        cells: Cells = [{} for _ in range(int(fold.max()) + 1)]
        start = 0
        for predicted, targets in seen.stream():
            examples = slice(start, start + len(targets))
            weights = None if error is None else even_weights(error[examples], targets)
            for (outer, within), rows in _parts(fold[examples], inner[examples]):
                for few in _few(rows, predicted, targets):
                    moments = _moments(predicted, targets, few, weights, self.per_channel)
                    cell = cells[outer]
                    cell[within] = cell[within] + moments if within in cell else moments
            start = examples.stop
        return cells

    def _rule(self, cells: Mapping[int, Moments], seen: Observed) -> Linear:
        if not cells:
            raise ValueError("Expected examples outside of each fold to fit to, got a fold that holds all of them.")
        whole = reduce(add, cells.values()).even
        start = self._start(whole, seen.members)
        alpha = self._chosen(cells, start) * whole.spread if self.alpha is None else self.alpha
        coefficients, intercepts = self._solved(whole, alpha, start)
        # Mixed, there is one problem with a target for each channel; else a problem for each, with one target.
        if self.per_channel:
            return Linear(coefficients[:, :, 0], intercepts[:, 0], seen.measures.output)
        channels = intercepts.shape[1]
        by_member = coefficients[0].T.reshape(channels, seen.members, channels)
        return Linear(by_member, intercepts[0], seen.measures.output)

    def _chosen(self, cells: Mapping[int, Moments], start: Floats) -> float:
        """The share of the spread with the least error on inner folds left out; no pass over the data."""
        if len(cells) < 2:
            return SHARES[-1]
        errors = np.zeros(len(SHARES))
        for left in cells:
            rest = reduce(add, (cells[number] for number in cells if number != left)).even
            for position, share in enumerate(SHARES):
                errors[position] += cells[left].squared_error(self._solved(rest, share * rest.spread, start))
        return SHARES[int(errors.argmin())]

    def _start(self, moments: Moments, members: int) -> Floats:
        problems, features, targets = moments.xy.shape
        if self.toward == "zero":
            return np.zeros((problems, features, targets))
        own = np.tile(np.eye(targets), (members, 1)) / members  # (p, T), also where p = k and T = 1
        return np.broadcast_to(own, (problems, features, targets)).copy()

    def _solved(self, moments: Moments, alpha: float, start: Floats) -> Solution:
        pull = self.toward == "mean"
        return solve(moments, alpha, start, positive=self.positive, pull_intercept=pull)


def _joined(cells: Cells) -> dict[int, Moments]:
    inner = sorted({number for cell in cells for number in cell})
    return {number: reduce(add, (cell[number] for cell in cells if number in cell)) for number in inner}


def _moments(
    predicted: Predicted, targets: Array, rows: Positions, weights: Floats | None, per_channel: bool
) -> Moments:
    values = [
        in_channels(check_predictions(member, each[rows], targets[rows].shape))
        for member, each in enumerate(predicted.values)
    ]
    truth = in_channels(targets[rows])  # (B, C, n)
    if not np.isfinite(truth).all():
        raise ValueError("Expected finite targets, got NaN or infinity; nothing can be learnt from them.")
    if per_channel:
        features = np.stack(values, axis=2).transpose(1, 2, 0, 3)  # (C, k, B, n)
        goals = truth.transpose(1, 0, 2)[:, None]  # (C, 1, B, n)
    else:
        features = np.concatenate(values, axis=1).transpose(1, 0, 2)[None]  # (1, k * C, B, n), members first
        goals = truth.transpose(1, 0, 2)[None]  # (1, C, B, n)
    each = None if weights is None else np.repeat(weights[rows], truth.shape[2])
    return Moments.of(features.reshape(*features.shape[:2], -1), goals.reshape(*goals.shape[:2], -1), each)


def even_weights(error: Floats, targets: Array) -> Floats:
    """One over each example's error, (B,). The floor is its own too, so that a fold's weights never move another's."""
    power = np.square(in_channels(targets)).mean(axis=(1, 2))
    return np.asarray(1 / np.maximum(error + _PART_OF_POWER * power, np.finfo(np.float32).tiny))


def _parts(fold: Positions, inner: Positions) -> Iterator[tuple[tuple[int, int], Positions]]:
    """The rows of a batch by their fold and inner fold."""
    for outer, within in np.unique(np.stack([fold, inner], axis=1), axis=0):
        yield (int(outer), int(within)), np.flatnonzero((fold == outer) & (inner == within))


def _few(rows: Positions, predicted: Predicted, targets: Array) -> Sequence[Positions]:
    """Rows cut so that their features stay small in memory."""
    each = len(predicted.values) * math.prod(targets.shape[1:])
    step = max(1, _VALUES_AT_ONCE // max(1, each))
    return [rows[start : start + step] for start in range(0, len(rows), step)]


def _scattered(groups: npt.NDArray[np.int64], seed: int) -> Positions:
    """An inner fold for each example by a hash of its group (SplitMix64: Steele, Lea & Flood, OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        mixed = np.asarray(groups).astype(np.int64).view(np.uint64) + np.uint64(seed % 2**64)
        mixed += np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return np.asarray(mixed % np.uint64(INNER_FOLDS), dtype=np.intp)
