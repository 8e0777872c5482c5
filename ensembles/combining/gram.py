"""Error Gram matrices: all of squared-error ensembling in k x k numbers per example, without the pixels.

For example n and members i, j let G_n[i, j] be the mean over its values of e_i * e_j, e = prediction -
target. For weights w that sum to one the blend's mean squared error on n is exactly w' G_n w, before any
clipping or rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Errors and products are float64: float32 products are off by 3e-7 of an entry, and errors rounded to it by 2e-9 still.
_VALUES_AT_ONCE = 2**19  # 4 MiB of errors, which stay in the processor's cache, whatever a batch brings
_CHUNK = 768  # values of a product, and rows of it: the matrices for which BLAS needs no packing of its own
_ROWS = 8


class BadPredictions(ValueError):
    """Predictions that cannot be used. `member` is the position of the member they came from."""

    def __init__(self, member: int, reason: str) -> None:
        super().__init__(f"Member {member}: {reason}")
        self.member = member
        self.reason = reason


def check_predictions(member: int, predictions: Any, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """The predictions as an array, or `BadPredictions` if they have another shape or hold NaN or infinity."""
    values = _shaped(member, predictions, shape)
    finite = np.isfinite(values)
    if not finite.all():
        bad = values.size - int(finite.sum())
        raise BadPredictions(
            member, f"expected finite predictions, got NaN or infinity in {bad} of {values.size} values."
        )
    return values


def _shaped(member: int, predictions: Any, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    values = np.asarray(predictions)
    if values.shape != shape:
        raise BadPredictions(member, f"expected predictions of shape {shape}, got {values.shape}.")
    if not np.issubdtype(values.dtype, np.floating):
        raise BadPredictions(member, f"expected predictions in floating point, got {values.dtype}.")
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
        targets = np.asarray(targets)
        if targets.dtype.kind not in "fiu" or targets.size == 0:
            raise ValueError(
                f"Expected targets (B, ...) of at least one number, got shape {targets.shape} of {targets.dtype}."
            )
        if not np.isfinite(targets).all():
            raise ValueError("Expected finite targets, got NaN or infinity; errors cannot be told without targets.")
        shaped = [_shaped(member, values, targets.shape) for member, values in enumerate(predictions)]
        examples = len(targets)
        gram = _gram([values.reshape(examples, -1) for values in shaped], targets.reshape(examples, -1))
        # What is not finite shows on the diagonal, which spares a pass over the predictions.
        for member in np.flatnonzero(~np.isfinite(np.diagonal(gram, axis1=1, axis2=2)).all(axis=0)):
            check_predictions(int(member), shaped[member], targets.shape)
            raise BadPredictions(int(member), "expected errors that can be squared in float64, got larger ones.")
        self._blocks.append(gram)

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
    """(B, k, k), of k predictions (B, V). Not finite where they are not."""
    members, (examples, values) = len(predictions), truth.shape
    total = np.zeros((examples, members, members))
    at_once = max(1, _VALUES_AT_ONCE // (members + 1))
    with np.errstate(invalid="ignore", over="ignore"):
        for columns in _parts(values, at_once):
            for rows in _parts(examples, max(1, at_once // values)):
                part = [predicted[rows, columns] for predicted in predictions]
                total[rows] += _products(_errors(part, truth[rows, columns]))
        total /= values
    return total


def _parts(total: int, size: int) -> Iterator[slice]:
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))


def _errors(predictions: Sequence[npt.NDArray[Any]], truth: npt.NDArray[Any]) -> Floats:
    """The errors in chunks of C values, (B, V / C, k + 1, C): after those of k members (B, V) comes the truth itself.

    Chunks are of one size; zeros fill the last one.
    """
    examples, values = truth.shape
    chunks = -(-values // _CHUNK)
    size = -(-values // chunks)
    full, rest = divmod(values, size)
    errors = np.empty((examples, chunks, len(predictions) + 1, size))
    if rest:
        errors[:, full, :, rest:] = 0  # what lies there may be NaN
    for member, given in enumerate([*predictions, truth]):
        errors[:, :full, member] = given[:, : full * size].reshape(examples, full, size)
        if rest:
            errors[:, full, member, :rest] = given[:, full * size :]
    errors[:, :, :-1] -= errors[:, :, -1:].copy()
    return errors


def _products(errors: Floats) -> Floats:
    """Sums of e_i * e_j over all chunks, (B, k, k), from `_errors`: the upper half, mirrored.

    A few rows at a time, from the diagonal on. The truth in the last row goes along and is cut off: for a matrix and
    its own transpose NumPy would call BLAS's syrk, which is slower than these products of small matrices.
    """
    examples, _, rows, _ = errors.shape
    members = rows - 1
    turned = errors.transpose(0, 1, 3, 2)
    result = np.empty((examples, members, members))
    for part in _parts(members, _ROWS):
        block = (errors[:, :, part] @ turned[..., part.start :]).sum(axis=1)[..., :-1]
        result[:, part, part.start :] = block
    below, left = np.tril_indices(members, -1)
    result[:, below, left] = result[:, left, below]  # some BLAS round e_i * e_j and e_j * e_i apart
    return result


def check_gram(gram: Floats, dimensions: int = 2) -> None:
    """`ValueError` unless it is a finite Gram matrix (k, k), or for 3 dimensions one for each example (N, k, k)."""
    if gram.ndim != dimensions or gram.shape[-1] != gram.shape[-2] or not gram.size:
        expected = "a Gram matrix (k, k)" if dimensions == 2 else "a Gram matrix for each example (N, k, k)"
        raise ValueError(f"Expected {expected} with k >= 1, got shape {gram.shape}.")
    if not np.isfinite(gram).all():
        raise ValueError("Expected a finite Gram matrix, got NaN or infinity.")


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
