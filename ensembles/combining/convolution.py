"""A small convolutional network as second-level model: the plain mean of the members, and what it learns to add to it.

PyTorch is imported where it is needed and not before.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from ensembles.combining.combiner import Array, Combiner, Predicted, State
from ensembles.combining.gram import Floats, blend_error, check_predictions
from ensembles.combining.method import Method, Observed
from ensembles.combining.stacking import as_output, even_weights
from ensembles.combining.weights import uniform
from ensembles.predictor import Output

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]

_HELD_OUT = 1 / 6  # of the groups
_DECAY = 1e-2
_KEPT = 0.95  # of the running average, each step
_RISE = 0.2  # of the training, while the learning rate rises
_AT_ONCE = 2**22  # hidden values held while predicting: 16 MiB, whatever the size of a batch
_LEARNT = ("hidden.weight", "hidden.bias", "around.weight", "around.bias", "last.weight", "last.bias")


@dataclass(frozen=True, eq=False)
class Convolved(Combiner):
    """The mean of the members plus a small network's correction, in the range of the predictions' kind.

    Features of a pixel, normalised: the mean (C), how far all members but the first are from it (C each), and
    the inputs (I) where they are pictures of the same size. A 1x1 convolution to h hidden channels, a 3x3 one of
    each of them that is added to it, and a 1x1 one from features and hidden channels to the correction (C).

    Attributes:
        numbers: float32. "shift" and "scale" of the features (F,), "step" (C,), the unit of the correction, and the
            weights and biases "hidden" (h, F, 1, 1), "around" (h, 1, 3, 3) and "last" (C, F + h, 1, 1).
        input_channels: I, 0 where inputs are not used.
        output: what the predictions are.
    """

    numbers: Mapping[str, Array]
    input_channels: int
    output: Output
    kind: ClassVar[str] = "convolution"

    def __post_init__(self) -> None:
        numbers = {name: np.asarray(values, dtype=np.float32) for name, values in self.numbers.items()}
        channels, hidden = len(numbers["step"]), len(numbers["hidden.weight"])
        features = len(numbers["shift"])
        expected = {
            "shift": (features,),
            "scale": (features,),
            "step": (channels,),
            "hidden.weight": (hidden, features, 1, 1),
            "hidden.bias": (hidden,),
            "around.weight": (hidden, 1, 3, 3),
            "around.bias": (hidden,),
            "last.weight": (channels, features + hidden, 1, 1),
            "last.bias": (channels,),
        }
        found = {name: values.shape for name, values in numbers.items()}
        of_members = features - self.input_channels
        if found != expected or of_members < channels or of_members % channels or self.input_channels < 0:
            raise ValueError(
                f"Expected arrays of the shapes {expected}, with {self.input_channels} features of inputs and the rest "
                f"a multiple of {channels}, got {found}."
            )
        for name, values in numbers.items():
            if not np.isfinite(values).all():
                raise ValueError(f"Expected finite numbers in {name!r}, got NaN or infinity.")
        object.__setattr__(self, "numbers", numbers)

    @property
    def members(self) -> int:
        return (len(self.numbers["shift"]) - self.input_channels) // len(self.numbers["step"])

    def __call__(self, predicted: Predicted) -> Array:
        """(B, C, H, W). Raises `BadPredictions` for a member with NaN, infinity or a shape unlike the first one's."""
        import torch

        first = np.asarray(predicted.values[0])
        numbers = {name: torch.from_numpy(values) for name, values in self.numbers.items()}
        step = max(1, _AT_ONCE // max(1, len(numbers["hidden.bias"]) * math.prod(first.shape[2:])))
        result = np.empty(first.shape)
        with torch.inference_mode():
            for start in range(0, len(first), step):
                few = slice(start, start + step)
                mean, features = _features(predicted.rows(few), self.input_channels)
                result[few] = (mean + _correction(numbers, features)).numpy()
        return as_output(result, self.output).astype(first.dtype)

    def state(self) -> State:
        return {"input_channels": self.input_channels, "output": self.output}, dict(self.numbers)

    @classmethod
    def restore(cls, settings: Mapping[str, Any], arrays: Mapping[str, Array]) -> Convolved:
        return cls(arrays, int(settings["input_channels"]), settings["output"])


@dataclass(frozen=True)
class Convolution(Method):
    """Trains a `Convolved` by AdamW (Loshchilov & Hutter, ICLR 2019) on streamed predictions.

    It starts as the plain mean. After each epoch the running average of its weights (Polyak & Juditsky, SIAM J.
    Control Optim. 30, 1992) is scored by the gain metric on groups held out of the training; the best epoch is kept,
    the start among them, and training ends when `patience` epochs in a row were no better. The same examples,
    settings and number of threads give the same bits on a CPU.

    Attributes:
        hidden: channels between.
        epochs, patience: how long to train.
        batch: examples of a step.
        learning_rate: the highest; it rises over the first fifth of the epochs and falls to zero.
        even: as of `Ridge`.
        seed: of the first weights, the order of examples, and the groups held out.
    """

    hidden: int = 32
    epochs: int = 12
    patience: int = 4
    batch: int = 8
    learning_rate: float = 1e-2
    even: bool | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("hidden", "epochs", "patience", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"Expected {name} >= 1, got {getattr(self, name)}.")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"Expected 0 < learning_rate, got {self.learning_rate}.")

    def unsuited(self, seen: Observed) -> str | None:
        if seen.measures.output not in ("colours", "dense"):
            return f"it looks at neighbouring pixels, and these members predict {seen.measures.output}"
        if len(np.unique(seen.groups)) < 4:  # a fold less leaves three: two to learn from, one to stop by
            return "it holds out groups of examples to stop in time, and there are fewer than four"
        return None

    def fit(self, seen: Observed) -> Convolved:
        """Raises `ValueError` for fewer than two groups or targets that are not finite."""
        held = _held_out(seen.groups, self.seed)
        training, judged = seen.only(~held), seen.only(held)
        rule = _start(training, self.hidden, self.seed)
        return _Training(self, training, rule).best(judged)


def _held_out(groups: npt.NDArray[np.int64], seed: int) -> npt.NDArray[np.bool_]:
    names, group_of = np.unique(groups, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"Expected at least two groups, to learn from one and stop by another, got {len(names)}.")
    count = min(max(1, round(_HELD_OUT * len(names))), len(names) - 1)
    return np.asarray((np.random.default_rng(seed).permutation(len(names)) < count)[group_of])


def _features(predicted: Predicted, input_channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean of the members (B, C, H, W), and the features (B, F, H, W) before they are normalised."""
    import torch

    shape = np.shape(predicted.values[0])
    values = np.stack([check_predictions(member, each, shape) for member, each in enumerate(predicted.values)], axis=1)
    of_members = torch.from_numpy(values.astype(np.float32, copy=False))  # (B, k, C, H, W)
    mean = of_members.mean(dim=1)
    apart = (of_members - mean[:, None])[:, 1:].flatten(1, 2)  # the first is what the others leave
    if not input_channels:
        return mean, torch.cat([mean, apart], dim=1)
    inputs = np.asarray(predicted.inputs, dtype=np.float32)
    expected = (shape[0], input_channels, *shape[2:])
    if inputs.shape != expected:
        raise ValueError(f"Expected inputs of shape {expected}, as those it was fitted to, got {inputs.shape}.")
    return mean, torch.cat([mean, apart, torch.from_numpy(inputs)], dim=1)


def _correction(numbers: Tensors, features: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W)."""
    import torch
    from torch.nn import functional as F

    normal = (features - _across(numbers["shift"])) / _across(numbers["scale"])
    hidden = F.relu(F.conv2d(normal, numbers["hidden.weight"], numbers["hidden.bias"]))
    padded = F.pad(hidden, (1, 1, 1, 1), mode="replicate")
    around = F.conv2d(padded, numbers["around.weight"], numbers["around.bias"], groups=hidden.shape[1])
    joined = torch.cat([normal, F.relu(hidden + around)], dim=1)
    return F.conv2d(joined, numbers["last.weight"], numbers["last.bias"]) * _across(numbers["step"])


def _across(numbers: torch.Tensor) -> torch.Tensor:
    return numbers[:, None, None]


def _start(seen: Observed, hidden: int, seed: int) -> Convolved:
    """The plain mean, with features and corrections normalised to what is seen."""
    import torch

    total = squares = error = np.zeros(1)
    pixels = input_channels = 0
    for predicted, targets in seen.stream():
        if not np.isfinite(targets).all():
            raise ValueError("Expected finite targets, got NaN or infinity; nothing can be learnt from them.")
        if not pixels:
            input_channels = _input_channels(predicted.inputs, targets)
        mean, features = _features(predicted, input_channels)
        exact = features.to(torch.float64)
        total = total + exact.sum(dim=(0, 2, 3)).numpy()
        squares = squares + exact.square().sum(dim=(0, 2, 3)).numpy()
        error = error + np.square(mean.numpy() - targets, dtype=np.float64).sum(axis=(0, 2, 3))
        pixels += len(targets) * math.prod(targets.shape[2:])
    shift = total / pixels
    spread = np.sqrt((squares / pixels - np.square(shift)).clip(min=0))
    scale = np.where(spread > 1e-6 * (1 + np.abs(shift)), spread, 1.0)  # a constant feature says nothing
    step = np.sqrt(error / pixels)
    count, channels = len(shift), len(step)
    first = np.random.default_rng(seed).normal(size=(hidden, count, 1, 1)) * math.sqrt(
        2 / count
    )  # He et al., ICCV 2015
    numbers = {
        "shift": shift,
        "scale": scale,
        "step": step,
        "hidden.weight": first,
        "hidden.bias": np.zeros(hidden),
        "around.weight": np.zeros((hidden, 1, 3, 3)),
        "around.bias": np.zeros(hidden),
        "last.weight": np.zeros((channels, count + hidden, 1, 1)),
        "last.bias": np.zeros(channels),
    }
    return Convolved(numbers, input_channels, seen.measures.output)


def _input_channels(inputs: Array, targets: Array) -> int:
    """How many channels of inputs are of use: 0 unless they are pictures of the targets' size."""
    fit = inputs.ndim == 4 and inputs.shape[2:] == targets.shape[2:] and np.issubdtype(inputs.dtype, np.floating)
    return inputs.shape[1] if fit else 0


class _Training:
    """The weights under way and their running average."""

    def __init__(self, settings: Convolution, seen: Observed, start: Convolved) -> None:
        import torch

        self._settings, self._seen, self._start = settings, seen, start
        self._numbers = {name: torch.from_numpy(values.copy()) for name, values in start.numbers.items()}
        self._learnt = {name: self._numbers[name].requires_grad_() for name in _LEARNT}
        self._average = {name: values.detach().clone() for name, values in self._learnt.items()}
        self._optimizer = torch.optim.AdamW(self._learnt.values(), lr=settings.learning_rate, weight_decay=_DECAY)
        self._order = np.random.default_rng(settings.seed)
        self._error = blend_error(seen.gram, uniform(seen.members))  # (N,)
        even = settings.even
        self._even = seen.measures.gain_metric == "psnr" if even is None else even
        self._done = 0  # examples

    def best(self, judged: Observed) -> Convolved:
        """The rule of the epoch that is best on `judged`."""
        best, best_gain, since = self._start, _mean_gain(self._start, judged), 0
        for _ in range(self._settings.epochs):
            self._epoch()
            rule = self._rule()
            gain = _mean_gain(rule, judged)
            if gain > best_gain:
                best, best_gain, since = rule, gain, 0
            else:
                since += 1
            if since == self._settings.patience:
                break
        return best

    def _epoch(self) -> None:
        import torch

        start = 0
        for predicted, targets in self._seen.stream():
            weights = self._weights(self._error[start : start + len(targets)], targets)
            start += len(targets)
            order = self._order.permutation(len(targets))
            for few in np.array_split(order, math.ceil(len(order) / self._settings.batch)):
                mean, features = _features(predicted.rows(few), self._start.input_channels)
                truth = torch.from_numpy(targets[few].astype(np.float32, copy=False))
                with torch.enable_grad():
                    error = (mean + _correction(self._numbers, features) - truth).square().mean(dim=(1, 2, 3))
                    loss = (error * torch.from_numpy(weights[few].astype(np.float32))).mean()
                    self._step(loss, len(few))

    def _weights(self, error: Floats, targets: Array) -> Floats:
        """What each example's squared error counts, (B,), about one over what it is to begin with."""
        if self._even:
            return even_weights(error, targets)
        return np.full(len(error), 1 / max(float(self._error.mean()), float(np.finfo(np.float32).tiny)))

    def _step(self, loss: torch.Tensor, examples: int) -> None:
        self._done += examples
        rate = self._settings.learning_rate * _schedule(self._done / (self._settings.epochs * len(self._error)))
        self._optimizer.param_groups[0]["lr"] = rate
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        for name, average in self._average.items():
            average.lerp_(self._learnt[name].detach(), 1 - _KEPT)

    def _rule(self) -> Convolved:
        learnt = {name: average.numpy().copy() for name, average in self._average.items()}
        start = self._start
        return Convolved({**start.numbers, **learnt}, start.input_channels, start.output)


def _schedule(progress: float) -> float:
    """From zero to one in the first fifth, then by a cosine to zero (Smith & Topin, Super-Convergence, 2018)."""
    if progress < _RISE:
        return progress / _RISE
    return (1 + math.cos(math.pi * min(1.0, (progress - _RISE) / (1 - _RISE)))) / 2


def _mean_gain(rule: Combiner, judged: Observed) -> float:
    measures = judged.measures
    gains = [measures.scores(rule(predicted), targets)[measures.gain_metric] for predicted, targets in judged.stream()]
    return float(np.concatenate(gains).mean())
