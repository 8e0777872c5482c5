"""Members of one architecture as one pass through the network, where that is quicker than one after the other."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from ensembles.capabilities import TorchPredictor
from ensembles.members.networks import architecture, as_array, as_tensor
from ensembles.predictor import Array, Predictor

AGREEMENT = 1e-5  # how far one pass may be from a loop, in units of one or, if larger, of the largest prediction

_UNSUPPORTED = (RuntimeError, TypeError, ValueError)  # what PyTorch raises for what cannot be done to many at once


class Together:
    """k networks of one architecture as one: inputs (B, ...) to a list of k predictions (B, ...).

    Their tensors are stacked, and the pass is vectorised over the stack by `torch.func.vmap`; it holds copies, so what
    is done to the networks later does not show. What PyTorch cannot vectorise is done one after the other, and
    `fallback` then says why; it is None as long as the pass is one. Raises `ValueError` for no predictor
    and for several architectures.
    """

    def __init__(self, predictors: Sequence[TorchPredictor]) -> None:
        if not predictors:
            raise ValueError("Expected at least one predictor, got none.")
        groups = group_by_architecture(predictors)
        if len(groups) > 1:
            raise ValueError(
                f"Expected predictors of one architecture, got {len(groups)}: members {groups}; "
                "run each of these groups by itself."
            )
        self.predictors = tuple(predictors)
        self.fallback: str | None = None
        modules = [predictor.module for predictor in predictors]
        try:
            parameters, buffers = stack_module_state(modules)
            self._skeleton = copy.deepcopy(modules[0]).to("meta")
        except _UNSUPPORTED as error:
            self.fallback = _first_line(error)
            return
        # Layers that ask in which order memory lies cannot do so of a stack, unless it lies in the plain one.
        self._parameters = {name: tensor.detach().contiguous() for name, tensor in parameters.items()}
        self._buffers = {name: tensor.contiguous() for name, tensor in buffers.items()}

    def __call__(self, inputs: Array) -> list[Array]:
        """The predictions of each, in order; those of a loop within `AGREEMENT`."""
        if self.fallback is not None:
            return self.one_by_one(inputs)
        try:
            return self._at_once(inputs)
        except _UNSUPPORTED as error:
            predictions = self.one_by_one(inputs)  # raises where the inputs are to blame
            self.fallback = _first_line(error)
            return predictions

    def one_by_one(self, inputs: Array) -> list[Array]:
        """The same as a loop over the predictors."""
        return [predictor(inputs) for predictor in self.predictors]

    @torch.no_grad()
    def _at_once(self, inputs: Array) -> list[Array]:
        tensor = as_tensor(self.predictors[0].module, inputs)

        def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
            predicted: Tensor = functional_call(self._skeleton, (parameters, buffers), (tensor,))
            return predicted

        with warnings.catch_warnings():
            # A layer without a vectorised form is looped over inside; that is for the stopwatch to judge.
            warnings.filterwarnings("ignore", message="There is a performance drop")
            predicted: Tensor = vmap(one)(self._parameters, self._buffers)  # (k, B, ...)
        return list(as_array(predicted))


def group_by_architecture(predictors: Sequence[Predictor]) -> list[list[int]]:
    """The positions of predictors whose networks differ in nothing but the values of their tensors.

    Names, shapes, types and devices of all tensors, types of layers and every setting count, down to the share that
    dropout drops. A predictor without a network is a group of its own. Groups come in the order of their first members.
    """
    groups: dict[Hashable, list[int]] = {}
    for position, predictor in enumerate(predictors):
        key = architecture(predictor.module) if isinstance(predictor, TorchPredictor) else position
        groups.setdefault(key, []).append(position)
    return list(groups.values())


@dataclass(frozen=True)
class Timing:
    """What was measured of members of one architecture: the median of a few passes, in milliseconds.

    `together_ms` is None, and `fallback` says why, where the pass cannot be one or is not that of the loop.
    """

    members: tuple[int, ...]
    loop_ms: float
    together_ms: float | None = None
    fallback: str | None = None

    @property
    def together(self) -> bool:
        """Whether one pass is the quicker way."""
        return self.together_ms is not None and self.together_ms < self.loop_ms


@dataclass(frozen=True, eq=False)
class Fastest:
    """Inputs (B, ...) to a list of the predictions of all members, each group the way that was quicker."""

    predictors: tuple[Predictor, ...]
    timings: tuple[Timing, ...]
    passes: tuple[tuple[tuple[int, ...], Together], ...]  # with the positions of their members

    def __call__(self, inputs: Array) -> list[Array]:
        found: dict[int, Array] = {}
        for members, together in self.passes:
            found.update(zip(members, together(inputs), strict=True))
        return [found[k] if k in found else predictor(inputs) for k, predictor in enumerate(self.predictors)]


def fastest(
    predictors: Sequence[Predictor],
    inputs: Array,
    repeats: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> Fastest:
    """Time members of one architecture as one pass and as a loop, on these inputs (B, ...), and keep the quicker way.

    The answer holds for batches of about this size on this machine: on CPUs one pass tends to win with single
    examples and to lose with many. After a warm-up, the two take turns `repeats` times. Members that share
    their architecture with no other are not timed. Raises whatever a member raises for the inputs.
    """
    if repeats < 1:
        raise ValueError(f"Expected repeats >= 1, got {repeats}.")
    timings, passes = [], []
    for group in group_by_architecture(predictors):
        alike = [each for each in (predictors[member] for member in group) if isinstance(each, TorchPredictor)]
        if len(alike) < 2:
            continue
        together = Together(alike)
        timing = _timed(together, tuple(group), inputs, repeats, clock)
        timings.append(timing)
        if timing.together:
            passes.append((timing.members, together))
    return Fastest(tuple(predictors), tuple(timings), tuple(passes))


def _timed(
    together: Together, members: tuple[int, ...], inputs: Array, repeats: int, clock: Callable[[], float]
) -> Timing:
    looped, fused = together.one_by_one(inputs), together(inputs)
    fallback = together.fallback or _disagreement(looped, fused)
    loop_seconds, together_seconds = [], []
    for _ in range(repeats):
        loop_seconds.append(_seconds(together.one_by_one, inputs, clock))
        if fallback is None:
            together_seconds.append(_seconds(together, inputs, clock))
    together_ms = 1000 * median(together_seconds) if together_seconds else None
    return Timing(members, 1000 * median(loop_seconds), together_ms, fallback)


def _seconds(way: Callable[[Array], list[Array]], inputs: Array, clock: Callable[[], float]) -> float:
    start = clock()
    way(inputs)
    return clock() - start


def _disagreement(looped: Sequence[Array], fused: Sequence[Array]) -> str | None:
    for expected, found in zip(looped, fused, strict=True):
        if expected.shape != found.shape:
            return f"predicts {found.shape} in one pass, {expected.shape} alone"
        apart = float(np.abs(expected - found).max(initial=0.0))
        if not apart <= AGREEMENT * max(1.0, float(np.abs(expected).max(initial=0.0))):
            return f"one pass is {apart:.1e} from the loop"
    return None


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
