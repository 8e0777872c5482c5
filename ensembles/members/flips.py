"""Test-time augmentation: a predictor asked about mirrored inputs as well. Knows arrays, and no network."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from ensembles.capabilities import Confident, Flippable
from ensembles.predictor import Array, Borrowing, Predictor

Axes = tuple[int, ...]


class Flipped(Borrowing):
    """The mean of what a predictor says of its inputs and, flipped back, of the flipped inputs.

    Every combination of the predictor's `flip_axes` is one view: 2 for one axis, 4 for two. A member or a whole
    ensemble will do; of an ensemble of means it is the mean of its flipped members. Averages over mirrored inputs
    at test time: Krizhevsky, Sutskever & Hinton, NeurIPS 2012, section 4.1.

    It has `with_log_variance` where the predictor has it. Raises `ValueError` for a predictor that is not `Flippable`,
    or is flipped already.
    """

    def __new__(cls, predictor: Predictor) -> Flipped:
        return super().__new__(ConfidentFlipped if isinstance(predictor, Confident) else cls)

    def __init__(self, predictor: Predictor) -> None:
        if isinstance(predictor, Flipped):
            raise ValueError("Expected a predictor that is not flipped yet, got one that is; use it as it stands.")
        if not isinstance(predictor, Flippable):
            raise ValueError(
                f"Expected a predictor whose flips can be undone, got a {type(predictor).__name__} without flip_axes; "
                "give it that property, such as (-1,) for pictures to be mirrored, or do without flips."
            )
        self.predictor: Predictor = predictor
        self.axes = check_axes(predictor.flip_axes)

    def __getnewargs__(self) -> tuple[Predictor]:
        return (self.predictor,)  # copies are made through __new__, which asks for one

    @property
    def views(self) -> int:
        """How often the predictor is asked for one prediction."""
        return 2 ** len(self.axes)

    def __call__(self, inputs: Array) -> Array:
        """Inputs (B, ...) to the mean over all views (B, ...), in the type of the predictor's own predictions."""
        return self.from_plain(self.predictor(inputs), inputs)

    def from_plain(self, plain: Array, inputs: Array) -> Array:
        """The same for who has the prediction for the inputs as they are, (B, ...): only flipped ones are asked for.

        Raises `ValueError` where an axis to flip is not there, or a flipped input gets a prediction of another shape.
        """
        return mean_of_views(self.predictor, self.axes, plain, inputs)

    @property
    def lender(self) -> Predictor:
        return self.predictor


class ConfidentFlipped(Flipped):
    """`Flipped` around a model that says how far off it expects to be; `Flipped(model)` makes it."""

    predictor: Confident

    def with_log_variance(self, inputs: Array) -> tuple[Array, Array]:
        """The mean over all views (B, ...), and the logarithm of the mean of the squared errors they expect.

        That is the most the squared error of the mean can be expected to be (Jensen's inequality), and what it is when
        all views err alike. They come of one model and nearly do, so it is not divided by their number. What flips
        gain beyond that is for the recalibration on validation to find.
        """
        return self.from_plain_with_log_variance(self.predictor.with_log_variance(inputs), inputs)

    def from_plain_with_log_variance(self, plain: tuple[Array, Array], inputs: Array) -> tuple[Array, Array]:
        """The same for who has the predictor's prediction and log-variance for the inputs as they are."""
        values, told = (np.asarray(part) for part in plain)
        total, log_total = values.astype(np.float64), told.astype(np.float64)
        for view in _views(self.axes):
            seen, doubt = self.predictor.with_log_variance(flip(inputs, view))
            total += _undone(seen, view, values.shape)
            log_total = np.logaddexp(log_total, _where_told(np.asarray(doubt), view))
        mean = total / self.views
        log_variance = log_total - np.log(self.views)
        return mean.astype(values.dtype), log_variance.astype(told.dtype)


def mean_of_views(predict: Callable[[Array], Array], axes: Axes, plain: Array, inputs: Array) -> Array:
    """The mean of `plain` (B, ...) and of what `predict` says of each flip of the inputs, flipped back. One at a time.

    Summed in float64, given back in the type of `plain`. Raises `ValueError` as `Flipped.from_plain` does.
    """
    plain = np.asarray(plain)
    total = plain.astype(np.float64)
    for view in _views(axes):
        total += _undone(predict(flip(inputs, view)), view, plain.shape)
    return (total / 2 ** len(axes)).astype(plain.dtype)


def flip(values: Array, axes: Axes) -> Array:
    """A copy (B, ...) mirrored along axes that are counted from the end, or `ValueError` where one is not there."""
    missing = [axis for axis in axes if -axis >= np.ndim(values)]
    if missing:
        raise ValueError(
            f"Expected flip axes {list(axes)} to lie behind the batch axis, got an array of shape {np.shape(values)}."
        )
    return np.ascontiguousarray(np.flip(values, axes))  # PyTorch takes no negative strides


def check_axes(axes: Iterable[int]) -> Axes:
    """The axes as a tuple, or `ValueError` where there are none, one is not below zero or one comes twice."""
    found = tuple(axes)
    if not found or max(found) >= 0 or len(set(found)) < len(found):
        raise ValueError(f"Expected flip axes below zero, at least one and none twice, got {list(found)}.")
    return found


def _views(axes: Axes) -> Iterator[Axes]:
    """All combinations of axes but the empty one, which is the plain view."""
    for size in range(1, len(axes) + 1):
        yield from itertools.combinations(axes, size)


def _undone(predictions: Array, view: Axes, shape: tuple[int, ...]) -> Array:
    if np.shape(predictions) != shape:
        raise ValueError(
            f"Expected predictions of shape {shape} for inputs flipped along {list(view)}, got {np.shape(predictions)}."
        )
    return flip(predictions, view)


def _where_told(values: Array, view: Axes) -> Array:
    """Mirrored, for what broadcasts to predictions: along an axis that it lacks it is the same everywhere."""
    return np.flip(values, tuple(axis for axis in view if -axis <= np.ndim(values)))
