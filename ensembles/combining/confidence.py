"""Averages in which a member counts, value by value, by how sure it says it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy.special import logsumexp

from ensembles.combining.combiner import Array, Combiner, Predicted, State
from ensembles.combining.gram import BadPredictions, Floats, check_predictions, check_weights
from ensembles.combining.method import Method, Observed
from ensembles.combining.stacking import as_output
from ensembles.combining.weights import Fit
from ensembles.combining.weights import uniform as equal_weights
from ensembles.predictor import Output

_LEAST = float(np.log(np.finfo(np.float64).tiny))  # the scale of a member that makes no error at all


@dataclass(frozen=True, eq=False)
class ByConfidence(Combiner):
    """The mean under weights that are, for each value, one over the variance each member expects, recalibrated.

    Attributes:
        log_scales: (k,), what is added to each member's log-variances.
        base: (k,), weights that sum to one and are the same for all values.
        share: in (0, 1], how much of the result is weighted by confidence; the rest is weighted by `base`.
        output: what the predictions are. Probabilities are scaled to sum to one again.
    """

    log_scales: Floats
    base: Floats
    share: float
    output: Output
    kind: ClassVar[str] = "confidence"
    asks_confidence: ClassVar[bool] = True

    def __post_init__(self) -> None:
        scales = np.asarray(self.log_scales, dtype=np.float64)
        if scales.ndim != 1 or not len(scales) or not np.isfinite(scales).all():
            raise ValueError(f"Expected a finite logarithmic scale for each member, got {scales.tolist()}.")
        _check_share(self.share)
        object.__setattr__(self, "log_scales", scales)
        object.__setattr__(self, "base", check_weights(self.base, len(scales)))

    @property
    def members(self) -> int:
        return len(self.log_scales)

    def __call__(self, predicted: Predicted) -> Array:
        """(B, ...). Raises `BadPredictions` for a member whose values or log-variances cannot be used."""
        first = np.asarray(predicted.values[0])
        logits = [
            -(told + scale) for told, scale in zip(_log_variances(predicted), self.log_scales, strict=True)
        ]  # k arrays that broadcast to (B, ...)
        highest = logits[0]
        for each in logits[1:]:
            highest = np.maximum(highest, each)
        total, weight = np.zeros(first.shape), np.zeros(first.shape)
        plain = np.zeros(first.shape)
        for member, each in enumerate(logits):
            values = check_predictions(member, predicted.values[member], first.shape).astype(np.float64, copy=False)
            sure = np.exp(each - highest)
            total += sure * values
            weight += sure
            plain += self.base[member] * values
        result = self.share * total / weight + (1 - self.share) * plain
        return as_output(result, self.output).astype(first.dtype)

    def state(self) -> State:
        return {
            "log_scales": self.log_scales.tolist(),
            "base": self.base.tolist(),
            "share": self.share,
            "output": self.output,
        }, {}

    @classmethod
    def restore(cls, settings: Mapping[str, Any], arrays: Mapping[str, Array]) -> ByConfidence:
        base, scales = np.asarray(settings["base"]), np.asarray(settings["log_scales"])
        return cls(scales, base, float(settings["share"]), settings["output"])


@dataclass(frozen=True)
class ConfidenceWeighted(Method):
    """Inverse-variance weights, value by value, from the members' own log-variances.

    What a network says of its own error (Nix & Weigend, Estimating the Mean and Variance of the Target Probability
    Distribution, ICNN 1994; Kendall & Gal, What Uncertainties Do We Need, NeurIPS 2017) is believed up to one scale
    a member: s_m^2 = mean(error^2 / variance), which maximises the Gaussian likelihood of the errors seen. Any other
    map of confidence works too, given as minus its logarithm: a constant factor of it is without effect.

    Attributes:
        share: in (0, 1], how much of the result is weighted by confidence.
        base: from Gram matrices to the weights of the rest: those in `weights`, such as `uniform`.
    """

    share: float = 1.0
    base: Fit | None = None

    def __post_init__(self) -> None:
        _check_share(self.share)

    def unsuited(self, seen: Observed) -> str | None:
        first = next(iter(seen.stream()), None)
        if first is not None and first[0].log_variances is None:
            return "it weighs members by their own variances, and not every member tells its own"
        return None

    def fit(self, seen: Observed) -> ByConfidence:
        """Raises `ValueError` where no variances are told, `BadPredictions` for one that cannot be used."""
        log_sums: list[Floats] = []  # of each batch, (k,)
        values = 0
        for predicted, targets in seen.stream():
            told = _log_variances(predicted)
            log_sums.append(np.array([_log_sum(m, predicted.values[m], targets, told[m]) for m in range(seen.members)]))
            values += targets.size
        if not values:
            raise ValueError("Expected at least one example to calibrate variances on, got none.")
        scales = np.maximum(logsumexp(np.stack(log_sums), axis=0) - np.log(values), _LEAST)
        base = equal_weights(seen.members) if self.base is None else self.base(seen.gram)
        return ByConfidence(scales, base, self.share, seen.measures.output)


def _log_variances(predicted: Predicted) -> Sequence[Floats]:
    """As float64, finite, each broadcasting to the values; `BadPredictions` names the first that is not."""
    if predicted.log_variances is None:
        raise ValueError(
            "Expected the log-variances of every member, got none; combine members that tell them "
            "(`with_log_variance`), or by another method."
        )
    checked = []
    for member, (values, told) in enumerate(zip(predicted.values, predicted.log_variances, strict=True)):
        each, shape = np.asarray(told, dtype=np.float64), np.shape(values)
        if not np.isfinite(each).all():
            bad = each.size - int(np.isfinite(each).sum())
            raise BadPredictions(
                member, f"expected finite log-variances, got NaN or infinity in {bad} of {each.size} values."
            )
        try:
            fits = np.broadcast_shapes(each.shape, shape) == shape
        except ValueError:
            fits = False
        if not fits:
            raise BadPredictions(member, f"expected log-variances that broadcast to {shape}, got shape {each.shape}.")
        checked.append(each)
    return checked


def _log_sum(member: int, values: Array, targets: Array, told: Floats) -> float:
    """The logarithm of the sum of squared errors over variances, without leaving logarithms."""
    error = np.abs(check_predictions(member, values, targets.shape).astype(np.float64, copy=False) - targets)
    with np.errstate(divide="ignore"):  # no error at all: minus infinity, which adds nothing
        return float(logsumexp(2 * np.log(error) - told))


def _check_share(share: float) -> None:
    if not 0 < share <= 1:
        raise ValueError(f"Expected 0 < share <= 1, got {share}; without confidence use weights alone.")
