"""What members predict for examples that they were not trained on, as a second level wants to see it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy

import numpy as np
import numpy.typing as npt

from ensembles.capabilities import Confident
from ensembles.combining.combiner import Array, Positions, Predicted
from ensembles.combining.gram import BadPredictions, ErrorGram, Floats, check_predictions
from ensembles.combining.method import Measures
from ensembles.members.folds import Folds, Groups
from ensembles.predictor import Predictor

SPLIT = "train"


def groups_of(predictor: Predictor, split: str = SPLIT) -> Groups:
    """The groups of a split, (N,), in its order."""
    return np.concatenate([np.asarray(batch.groups, dtype=np.int64) for batch in predictor.batches(split)])


class OutOfFold:
    """`Observed` over the training split: each example as predicted by members that were trained without it.

    Nothing is held but the Gram matrices, after a first pass for them. Each pass asks each member once for each
    example, so that members whose predictions are cached are asked again at no cost.

    Args:
        judge: has the data and the measures.
        folds: how its training split was cut.
        parts: [member][fold], each trained on the fold's training part.
    """

    def __init__(self, judge: Predictor, folds: Folds, parts: Sequence[Sequence[Predictor]]) -> None:
        if not parts or any(len(of_member) != len(folds.folds) for of_member in parts):
            raise ValueError(
                f"Expected members with {len(folds.folds)} parts each, one for each fold, got "
                f"{[len(of_member) for of_member in parts]}."
            )
        self.measures: Measures = judge
        self._judge, self._folds, self._parts = judge, folds, parts
        self._fold_of = folds.fold_of
        self._tell = all(isinstance(part, Confident) for of_member in parts for part in of_member)
        self._whole = self
        self._whole_gram: Floats | None = None
        self._examples, self._positions = folds.seen, np.arange(len(parts))

    @property
    def members(self) -> int:
        return len(self._positions)

    @property
    def groups(self) -> Groups:
        return self._folds.groups[self._examples]

    @property
    def gram(self) -> Floats:
        whole = self._whole
        if whole._whole_gram is None:
            gram = ErrorGram(whole.members)
            for predicted, targets in whole.stream():
                gram.add(predicted.values, targets)
            whole._whole_gram = gram.per_example
        rows = np.flatnonzero(self._examples[whole._examples])
        return whole._whole_gram[np.ix_(rows, self._positions, self._positions)]

    def stream(self) -> Iterator[tuple[Predicted, Array]]:
        """Predictions with targets, batch by batch, in the order of the split.

        Raises `BadPredictions` for a member that fails, `ValueError` where the split is not the one that was cut.
        """
        start = 0
        for batch in self._judge.batches(SPLIT):
            rows = np.arange(start, start + len(batch.targets))
            start += len(rows)
            if not np.array_equal(self._folds.groups[rows[0] : start], batch.groups):
                raise ValueError(
                    f"Expected the split that was cut, got other groups in examples {rows[0]}..{start - 1}."
                )
            wanted = self._examples[rows]
            if wanted.any():
                targets = np.asarray(batch.targets)[wanted]
                yield self._predicted(np.asarray(batch.inputs)[wanted], targets, self._fold_of[rows[wanted]]), targets
        if start != len(self._folds.groups):
            raise ValueError(f"Expected the {len(self._folds.groups)} examples that were cut into folds, got {start}.")

    def only(self, examples: npt.NDArray[np.bool_]) -> OutOfFold:
        result = copy(self)
        result._examples = np.zeros_like(self._examples)
        result._examples[np.flatnonzero(self._examples)[examples]] = True
        return result

    def of(self, members: Sequence[int] | Positions) -> OutOfFold:
        result = copy(self)
        result._positions = self._positions[np.asarray(members, dtype=np.intp)]
        return result

    def _predicted(self, inputs: Array, targets: Array, fold: Positions) -> Predicted:
        values, told = [], []
        for member in self._positions:
            # NaN until a fold fills it: what none covers is refused, and never taken for a prediction of zero.
            own = np.full(targets.shape, np.nan, dtype=np.float32)
            log_variance = np.full(targets.shape, np.nan)
            for number in np.unique(fold[fold >= 0]):
                here = fold == number
                found, sure = self._asked(int(member), int(number), inputs[here], targets[here].shape)
                own = own.astype(found.dtype, copy=False)
                own[here] = found
                if sure is not None:
                    log_variance[here] = sure
            values.append(check_predictions(int(member), own, targets.shape))
            told.append(log_variance)
        return Predicted(inputs, values, told if self._tell else None)

    def _asked(self, member: int, number: int, inputs: Array, shape: tuple[int, ...]) -> tuple[Array, Array | None]:
        part = self._parts[member][number]
        try:
            if self._tell and isinstance(part, Confident):
                found, told = part.with_log_variance(inputs)
                return check_predictions(member, found, shape), np.broadcast_to(told, shape)
            return check_predictions(member, part(inputs), shape), None
        except BadPredictions:
            raise
        except Exception as error:  # a predictor is anyone's code; its error is reported with its number
            raise BadPredictions(member, f"cannot predict: {type(error).__name__}: {error}") from error
