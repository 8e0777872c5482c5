"""Error Gram matrices: all of squared-error ensembling in k x k numbers per example, without the pixels.

For example n and members i, j let G_n[i, j] be the mean over its values of e_i * e_j, e = prediction -
target. For weights w that sum to one the blend's mean squared error on n is exactly w' G_n w, before any
clipping or rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_VALUES_AT_ONCE = 2**21  # 16 MiB of float64 errors, however many examples a batch brings


class BadPredictions(ValueError):
    """Predictions that cannot be used. `member` is the position of the member they came from."""

    def __init__(self, member: int, reason: str) -> None:
        super().__init__(f"Member {member}: {reason}")
        self.member = member
        self.reason = reason


def check_predictions(member: int, predictions: Any, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """The predictions as an array, or `BadPredictions` if they have another shape or hold NaN or infinity."""
    values = np.asarray(predictions)
    if values.shape != shape:
        raise BadPredictions(member, f"expected predictions of shape {shape}, got {values.shape}.")
    if not np.issubdtype(values.dtype, np.floating):
        raise BadPredictions(member, f"expected predictions in floating point, got {values.dtype}.")
    finite = np.isfinite(values)
    if not finite.all():
        bad = values.size - int(finite.sum())
        raise BadPredictions(
            member, f"expected finite predictions, got NaN or infinity in {bad} of {values.size} values."
        )
    return values


class ErrorGram:
    """Gathers the Gram matrix of the errors of `members` members for each example, batch by batch."""

    def __init__(self, members: int) -> None:
        if members < 1:
            raise ValueError(f"Expected at least one member, got {members}.")
        self._members = members
        self._blocks: list[Floats] = []

    @property
    def members(self) -> int:
        return self._members

    def add(self, predictions: Sequence[npt.NDArray[Any]] | npt.NDArray[Any], targets: npt.NDArray[Any]) -> None:
        """Take in a batch: predictions (k, B, ...), or k arrays (B, ...), and targets (B, ...).

        Nothing of the batch is taken in when `BadPredictions` names a member that gave NaN, infinity or
        another shape.
        """
        if len(predictions) != self._members:
            raise ValueError(f"Expected the predictions of {self._members} members, got {len(predictions)}.")
        if targets.size == 0:
            raise ValueError(f"Expected at least one value in the targets, got shape {targets.shape}.")
        if not np.isfinite(targets).all():
            raise ValueError("Expected finite targets, got NaN or infinity; errors cannot be told without targets.")
        examples = len(targets)
        flat = [
            check_predictions(member, values, targets.shape).reshape(examples, -1)
            for member, values in enumerate(predictions)
        ]
        truth = targets.reshape(examples, -1)  # (B, V)
        step = max(1, _VALUES_AT_ONCE // (self._members * truth.shape[1]))
        for start in range(0, examples, step):
            part = slice(start, start + step)
            self._blocks.append(_gram([values[part] for values in flat], truth[part]))

    def drop(self, member: int) -> None:
        """Forget one member; the members after it move up by one."""
        if self._members == 1:
            raise ValueError("Expected a member to remain, but the last one was to be dropped.")
        self._blocks = [np.delete(np.delete(block, member, axis=1), member, axis=2) for block in self._blocks]
        self._members -= 1

    @property
    def per_example(self) -> Floats:
        """(N, k, k), float64, in the order in which the examples came."""
        if not self._blocks:
            return np.empty((0, self._members, self._members))
        return np.concatenate(self._blocks)


def _gram(predictions: Sequence[npt.NDArray[Any]], truth: npt.NDArray[Any]) -> Floats:
    examples, values = truth.shape
    errors = np.empty((examples, len(predictions), values))  # (B, k, V)
    for member, predicted in enumerate(predictions):
        np.subtract(predicted, truth, out=errors[:, member], dtype=np.float64)
    return np.asarray(errors @ errors.transpose(0, 2, 1) / values, dtype=np.float64)


def check_weights(weights: npt.NDArray[Any] | Sequence[float], members: int) -> Floats:
    """The weights as float64 (k,), or `ValueError` if there are not k of them or they do not sum to one."""
    values = np.asarray(weights, dtype=np.float64)
    if values.shape != (members,):
        raise ValueError(f"Expected one weight for each of {members} members, got shape {values.shape}.")
    if not np.isfinite(values).all() or abs(values.sum() - 1.0) > 1e-6:
        raise ValueError(f"Expected finite weights that sum to one, got {values.tolist()} (sum {values.sum():.6g}).")
    return values


def blend_error(gram: Floats, weights: npt.NDArray[Any] | Sequence[float]) -> Floats:
    """Mean squared error of a blend, w' G w: of one Gram matrix (k, k) -> (), of many (N, k, k) -> (N,)."""
    w = check_weights(weights, gram.shape[-1])
    return np.asarray((gram @ w) @ w)


def blend(predictions: Iterable[npt.NDArray[Any]], weights: npt.NDArray[Any] | Sequence[float]) -> npt.NDArray[Any]:
    """The weighted sum of predictions (B, ...), summed in float64, given back in the first one's type.

    The predictions may come from a generator: one is held at a time. Raises `BadPredictions` where one
    differs in shape from the first or is not finite.
    """
    values = np.asarray(weights, dtype=np.float64)
    total: Floats | None = None
    kind: npt.DTypeLike = np.float32
    for member, (predicted, weight) in enumerate(zip(predictions, values, strict=True)):
        if total is None:
            total, kind = np.zeros(np.shape(predicted)), np.asarray(predicted).dtype
        total += weight * check_predictions(member, predicted, total.shape).astype(np.float64, copy=False)
    if total is None:
        raise ValueError("Expected the predictions of at least one member, got none.")
    return total.astype(kind)


def blend_each(predictions: Sequence[npt.NDArray[Any]], weights: Floats) -> npt.NDArray[Any]:
    """The sum of predictions, k of (B, ...), under weights (B, k) that differ from example to example."""
    shape = (-1, *(1,) * (predictions[0].ndim - 1))
    total = np.zeros(predictions[0].shape)
    for member, predicted in enumerate(predictions):
        total += weights[:, member].reshape(shape) * predicted
    return total.astype(predictions[0].dtype)
