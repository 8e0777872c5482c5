"""Any regressor or classifier with scikit-learn's `fit` and `predict` as a second-level model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from ensembles.combining.combiner import Array, Combiner, Predicted, State
from ensembles.combining.gram import Floats, check_predictions
from ensembles.combining.method import Method, Observed
from ensembles.combining.stacking import as_output, in_channels
from ensembles.predictor import Output

_ROWS_AT_ONCE = 2**16


class Model(Protocol):
    """What `Estimator` needs of a model: features (M, p) and targets (M,) or (M, C)."""

    def fit(self, features: Any, targets: Any, /) -> Any: ...

    def predict(self, features: Any, /) -> Any: ...


@runtime_checkable
class Classifier(Protocol):
    """A model that is fitted to class numbers (M,), keeps those it saw as `classes_`, and gives (M, classes it saw)."""

    def fit(self, features: Any, targets: Any, /) -> Any: ...

    def predict_proba(self, features: Any, /) -> Any: ...


@dataclass(frozen=True, eq=False)
class Fitted(Combiner):
    """A fitted model over rows of features: all channels of all members at one place, members first.

    It holds an object of a foreign class, so that it cannot be stored.
    """

    model: Any
    takes: int  # members
    output: Output
    kind: ClassVar[str] = "estimator"

    @property
    def members(self) -> int:
        return self.takes

    def __call__(self, predicted: Predicted) -> Array:
        """(B, ...). Raises `BadPredictions` for a member with NaN, infinity or a shape unlike the first one's."""
        first = np.asarray(predicted.values[0])
        features, shape = _features(predicted, first.shape), in_channels(first).shape  # (M, p) and (B, C, n)
        parts = [
            _predict(self.model, features[start : start + _ROWS_AT_ONCE], shape[1], self.output)
            for start in range(0, len(features), _ROWS_AT_ONCE)
        ]
        rows = np.concatenate(parts) if parts else np.zeros((0, shape[1]))
        values = rows.reshape(shape[0], shape[2], shape[1]).transpose(0, 2, 1).reshape(first.shape)
        return as_output(values, self.output).astype(first.dtype)

    def state(self) -> State:
        raise ValueError(
            f"Expected a rule of numbers, got a fitted {type(self.model).__name__}, which only pickling could store, "
            "and pickled files can run code. Use it in this process, or stack with `Ridge` or `Convolution`, whose "
            "rules can be stored."
        )

    @classmethod
    def restore(cls, settings: Mapping[str, Any], arrays: Mapping[str, Array]) -> Fitted:
        raise ValueError("Expected a rule that can be stored, found a fitted estimator; fit it anew.")


@dataclass(frozen=True)
class Estimator(Method):
    """Stacking by a model of the caller's (Wolpert, Stacked Generalization, Neural Networks 5, 1992).

    Attributes:
        make: gives a model that is not fitted yet, such as `lambda: GradientBoostingRegressor(random_state=0)`. For
            probabilities one that has `predict_proba` is fitted to the numbers of the classes.
        most: for pictures, how many of their pixels are learnt from; drawn evenly from all. Of values and
            probabilities every example is learnt from.
        seed: of the draw.
    """

    make: Callable[[], Model | Classifier]
    most: int = 20_000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.most < 1:
            raise ValueError(f"Expected to learn from at least one pixel, got most={self.most}.")

    def fit(self, seen: Observed) -> Fitted:
        """Raises `ValueError` where there is no example or a target is not finite, and what the model raises."""
        output = seen.measures.output
        rows = _Rows(self.most if output in ("colours", "dense") else None, self.seed)
        single = False
        for predicted, targets in seen.stream():
            truth = in_channels(targets)  # (B, C, n)
            if not np.isfinite(truth).all():
                raise ValueError("Expected finite targets, got NaN or infinity; nothing can be learnt from them.")
            rows.add(_features(predicted, targets.shape), truth.transpose(0, 2, 1).reshape(-1, truth.shape[1]))
            single = truth.shape[1] == 1
        features, goals = rows.taken
        model = self.make()
        if output == "probabilities" and isinstance(model, Classifier):
            model.fit(features, goals.argmax(axis=1))
        else:
            model.fit(features, goals[:, 0] if single else goals)
        return Fitted(model, seen.members, output)


class _Rows:
    """Keeps rows as they come: all, or evenly drawn ones, so that memory does not grow with what comes by.

    Each row draws a key; those with the lowest keys stay (reservoir sampling by sorting: Knuth, TAOCP 2, 3.4.2).
    """

    def __init__(self, most: int | None, seed: int) -> None:
        self._most, self._generator = most, np.random.default_rng(seed)
        self._features: list[Floats] = []
        self._goals: list[Floats] = []
        self._keys: list[Floats] = []
        self._held, self._limit = 0, 1.0

    def add(self, features: Floats, goals: Floats) -> None:
        keys = self._generator.random(len(features))
        below = keys < self._limit
        self._features.append(features[below])
        self._goals.append(goals[below])
        self._keys.append(keys[below])
        self._held += int(below.sum())
        if self._most is not None and self._held > 2 * self._most:
            self._thin(self._most)

    @property
    def taken(self) -> tuple[Floats, Floats]:
        """Features (M, p) and targets (M, C), in the order in which they came."""
        if not self._held:
            raise ValueError("Expected at least one example to fit a second-level model to, got none.")
        self._thin(self._held if self._most is None else self._most)
        return self._features[0], self._goals[0]

    def _thin(self, most: int) -> None:
        keys = np.concatenate(self._keys)
        chosen = np.sort(np.argsort(keys, kind="stable")[:most])
        self._features = [np.concatenate(self._features)[chosen]]
        self._goals = [np.concatenate(self._goals)[chosen]]
        self._keys = [keys[chosen]]
        self._held = len(chosen)
        if self._held == self._most:
            self._limit = float(self._keys[0].max())


def _features(predicted: Predicted, shape: tuple[int, ...]) -> Floats:
    """(B * n, k * C)."""
    values = [
        in_channels(check_predictions(member, each, shape)) for member, each in enumerate(predicted.values)
    ]  # k of (B, C, n)
    joined = np.concatenate(values, axis=1)
    return joined.transpose(0, 2, 1).reshape(-1, joined.shape[1])


def _predict(model: Any, features: Floats, channels: int, output: Output) -> Floats:
    """(M, C)."""
    if output == "probabilities" and isinstance(model, Classifier):
        seen_classes = getattr(model, "classes_", np.arange(channels))
        found = np.zeros((len(features), channels))
        found[:, np.asarray(seen_classes, dtype=np.intp)] = model.predict_proba(features)
    else:
        found = np.asarray(model.predict(features), dtype=np.float64)
    if math.prod(found.shape) != len(features) * channels or len(found) != len(features):
        raise ValueError(f"Expected predictions ({len(features)}, {channels}) of the model, got shape {found.shape}.")
    if not np.isfinite(found).all():
        raise ValueError(f"Expected finite predictions of the fitted {type(model).__name__}, got NaN or infinity.")
    return found.reshape(len(features), channels)
