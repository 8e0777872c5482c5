"""What some predictors can do beside predicting. Each is a protocol of its own: an ensemble uses what it finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from ensembles.predictor import Array, Predictor

if TYPE_CHECKING:
    from torch import nn


@runtime_checkable
class Flippable(Predictor, Protocol):
    """A flipped input has the flipped truth, so that a flip can be undone."""

    @property
    def flip_axes(self) -> tuple[int, ...]:
        """The axes, counted from the end and below zero, along which inputs and predictions may be flipped."""
        ...


@runtime_checkable
class Confident(Predictor, Protocol):
    """A model that says how far off it expects to be."""

    def with_log_variance(self, inputs: Array, /) -> tuple[Array, Array]:
        """Predictions (B, ...), and the logarithm of the expected squared error, which broadcasts to them."""
        ...


@runtime_checkable
class Baselines(Predictor, Protocol):
    """A workload that knows what trivial predictors there are, which every model has to beat."""

    def baselines(self) -> Mapping[str, Callable[[Array], Array]]:
        """By name, each from inputs (B, ...) to predictions (B, ...). They learn from the training split alone."""
        ...


@runtime_checkable
class TorchPredictor(Predictor, Protocol):
    """A model of PyTorch that shows its network, for averages of weights, fused passes and export."""

    @property
    def module(self) -> nn.Module:
        """In eval mode: a tensor of inputs (B, ...) to the tensor of predictions (B, ...), the numbers of a call."""
        ...

    def with_module(self, module: nn.Module, /) -> TorchPredictor:
        """The same data and measures around another network of the same classes. The original is left as it is."""
        ...

    def save(self, folder: Path, /, **notes: Any) -> None:
        """Write a checkpoint that `load_predictor` reads, without what only training needs. Notes are JSON values."""
        ...


@runtime_checkable
class Retrainable(Predictor, Protocol):
    """A model that can be trained again, on a part of its training split or on other targets."""

    @property
    def default_settings(self) -> Mapping[str, Any]:
        """Settings by which `retrain` makes a model of the default size, such as the student of an ensemble."""
        ...

    def retrain(
        self,
        rows: npt.NDArray[np.intp],
        folder: Path,
        /,
        *,
        seed: int,
        targets: Array | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """Train anew on the examples `rows` of the training split, write a checkpoint into `folder`.

        `rows` (M,) are positions in the order of `batches("train")`. `targets` (M, ...) stand in for the truth.
        `settings` override those of this model.
        """
        ...
