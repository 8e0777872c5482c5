"""A weighted mean of PyTorch networks as one ONNX file, which is checked against PyTorch before it appears.

Other rules (votes, medians, fitted estimators) are programs in numpy, not networks; they are refused by name.
"""

from __future__ import annotations

import contextlib
import copy
import importlib
import io
import itertools
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ensembles.capabilities import TorchPredictor
from ensembles.combining.combiner import Combiner, Weighted
from ensembles.combining.gram import Floats, blend, check_weights
from ensembles.members.flips import Axes, Flipped, check_axes, mean_of_views
from ensembles.members.networks import as_tensor, run
from ensembles.predictor import Array, Predictor

TOLERANCE = 1e-4  # of a prediction, in units of one or, if larger, of the largest
_LIMIT = 2**31  # bytes in a file of Protocol Buffers, which ONNX is


class ExportError(ValueError):
    """What cannot be an ONNX file, or a file that does not predict what PyTorch does. No file is left then."""


@dataclass(frozen=True)
class Exported:
    """An ONNX file that was checked.

    Its input is named "inputs" and its output "predictions". `dynamic_axes` are those of the inputs that may have any
    size, the batch axis 0 among them. `max_difference` is the largest from PyTorch that was found.
    """

    path: Path
    dynamic_axes: tuple[int, ...]
    max_difference: float


class Views(nn.Module):
    """A network asked about its inputs and all their flips, like `Flipped`: (B, ...) to (B, ...)."""

    def __init__(self, module: nn.Module, axes: Axes) -> None:
        super().__init__()
        self.module = module
        self.axes = check_axes(axes)

    def forward(self, inputs: Tensor) -> Tensor:
        total: Tensor = self.module(inputs)
        for size in range(1, len(self.axes) + 1):
            for view in itertools.combinations(self.axes, size):
                total = total + torch.flip(self.module(torch.flip(inputs, view)), view)
        return total / 2 ** len(self.axes)


class _Mean(nn.Module):
    def __init__(self, modules: Sequence[nn.Module], weights: Floats) -> None:
        super().__init__()
        self.members = nn.ModuleList(modules)
        self.weights = weights.tolist()

    def forward(self, inputs: Tensor) -> Tensor:
        parts = [weight * member(inputs) for member, weight in zip(self.members, self.weights, strict=True)]
        total: Tensor = sum(parts[1:], start=parts[0])
        return total


def networks_of(predictors: Sequence[Predictor], combiner: Combiner) -> tuple[list[nn.Module], Floats]:
    """The networks and weights to export where members are combined by this rule; unused members are left out.

    A member that is `Flipped` becomes its network with all its views.

    Raises:
        ExportError: the rule is no weighted mean, or a member has no network of PyTorch.
    """
    rule = combiner.narrowed()
    if not isinstance(rule, Weighted):
        raise ExportError(
            f"Expected a weighted mean to export, got the rule {rule.kind!r}, which is no network of PyTorch; "
            "export the best weighted mean instead, or keep the ensemble in its folder."
        )
    return [_network(predictors[member], int(member)) for member in combiner.used], rule.weights


def to_onnx(
    modules: Sequence[nn.Module],
    weights: npt.NDArray[Any] | Sequence[float],
    path: Path,
    example_inputs: Array,
    *,
    flip_axes: Axes = (),
) -> Exported:
    """Write the weighted mean of k networks to `path` as one file, in place of what stood there.

    `weights` (k,) sum to one. `example_inputs` (B, ...), with B >= 1, give type and shape. With `flip_axes` it is the
    mean over these flips as well. The batch may then have any size, and so may all axes from the third on (height
    and width) where the networks allow it and the file proves right on several sizes; otherwise these are fixed.
    The file is run by onnxruntime on the examples and on other numbers of them, and compared with the networks.

    Raises:
        ExportError: PyTorch cannot export the networks, or the file predicts something else than they do by more than
            1e-4 (of the largest prediction, if that is above one).
        ValueError: weights do not fit; there are no examples; a package of `huetune[onnx]` is missing.
    """
    onnx, runtime = _packages()
    shares = check_weights(weights, len(modules))
    if not shares.any() or not len(example_inputs):
        raise ValueError(f"Expected at least one network and one example, got {len(modules)}, {len(example_inputs)}.")
    used = [copy.deepcopy(modules[k]).cpu().eval() for k in np.flatnonzero(shares).tolist()]
    shares = shares[shares != 0]
    _check_size(used)
    axes = check_axes(flip_axes) if flip_axes else ()
    network = _Mean(used, shares)
    whole: nn.Module = Views(network, axes) if axes else network

    def expected(inputs: Array) -> Array:  # as an ensemble computes it: each network by itself, summed in float64
        members = (partial(run, module) for module in used)
        return blend((mean_of_views(each, axes, each(inputs), inputs) for each in members), shares)

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    problems = []
    for attempt in _attempts(np.asarray(example_inputs)):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-", suffix=".onnx")
        os.close(handle)
        try:
            with _quiet():
                _write(whole, as_tensor(whole, attempt.traced), attempt.dynamic_axes, name)
                onnx.checker.check_model(name)
                difference = _check(runtime, name, [(as_tensor(whole, x), expected(x)) for x in attempt.checked])
            os.chmod(name, 0o644)  # mkstemp's files are for the owner's eyes alone
            os.replace(name, path)
            return Exported(path, attempt.dynamic_axes, difference)
        except (RuntimeError, ValueError, TypeError) as error:
            problems.append(error)
        finally:
            Path(name).unlink(missing_ok=True)
    last = problems[-1]
    if isinstance(last, ExportError):
        raise last
    reason = str(last).strip().partition("\n")[0]
    raise ExportError(f"PyTorch cannot export these networks: {type(last).__name__}: {reason}") from last


@dataclass(frozen=True, eq=False)
class _Attempt:
    """What may have any size, inputs (B, ...) to follow through the network, and inputs to check the file on."""

    dynamic_axes: tuple[int, ...]
    traced: Array
    checked: list[Array]


def _attempts(examples: Array) -> Iterator[_Attempt]:
    """The most general first. What depends on sizes is recorded as the traced ones have it, and nothing tells."""
    two = np.concatenate([examples, examples])[: max(2, len(examples))]  # some exporters take one for a constant
    batches = [examples, examples[:1], np.concatenate([two, examples[:1]])]
    if examples.ndim > 2 and examples.size:
        axes = examples.ndim - 2
        # A network that pads to even sizes does nothing where they are even: followed on odd ones, it shows how.
        odd = _larger(two, [1 - size % 2 for size in two.shape[2:]])
        others = [_larger(examples[:1], more) for more in ([1] * axes, [2] * axes, range(1, axes + 1), [3] * axes)]
        yield _Attempt((0, *range(2, examples.ndim)), odd, [*batches, *others])
    yield _Attempt((0,), two, batches)


def _larger(inputs: Array, more: Sequence[int]) -> Array:
    return np.pad(inputs, [(0, 0), (0, 0), *((0, extra) for extra in more)], mode="edge")


def _write(network: nn.Module, inputs: Tensor, dynamic_axes: tuple[int, ...], name: str) -> None:
    dynamic = dict.fromkeys(dynamic_axes, torch.export.Dim.DYNAMIC)
    program = torch.onnx.export(
        network,
        (inputs,),
        dynamo=True,
        dynamic_shapes=(dynamic,),
        input_names=["inputs"],
        output_names=["predictions"],
        verbose=False,
    )
    if program is None:
        raise RuntimeError("the exporter gave no program")
    program.save(name, external_data=False)


def _check(runtime: Any, name: str, cases: Sequence[tuple[Tensor, Array]]) -> float:
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # what fails is raised as well
    session = runtime.InferenceSession(name, options, providers=["CPUExecutionProvider"])
    worst = 0.0
    for inputs, expected in cases:
        try:
            (found,) = session.run(["predictions"], {"inputs": inputs.numpy()})
        except Exception as error:  # its errors have no class in common but this one
            raise ExportError(f"onnxruntime cannot run the file on inputs {tuple(inputs.shape)}: {error}") from error
        if found.shape != expected.shape:
            raise ExportError(
                f"Expected predictions of shape {expected.shape} from the ONNX file for inputs {tuple(inputs.shape)}, "
                f"got {found.shape}."
            )
        apart = float(np.abs(found.astype(np.float64) - expected).max(initial=0.0))
        if not apart <= TOLERANCE * max(1.0, float(np.abs(expected).max(initial=0.0))):
            raise ExportError(
                f"Expected the predictions of PyTorch within {TOLERANCE:g} from the ONNX file, got a difference of "
                f"{apart:.2g} for inputs {tuple(inputs.shape)}; the networks do something that ONNX does otherwise."
            )
        worst = max(worst, apart)
    return worst


def _network(predictor: Predictor, member: int) -> nn.Module:
    if isinstance(predictor, Flipped):
        return Views(_network(predictor.predictor, member), predictor.axes)
    if not isinstance(predictor, TorchPredictor):
        raise ExportError(
            f"Expected networks of PyTorch to export, got a {type(predictor).__name__} as member {member}, which shows "
            "no `module`; leave it out, or keep the ensemble in its folder."
        )
    return predictor.module


def _check_size(modules: Sequence[nn.Module]) -> None:
    size = sum(own.nbytes for module in modules for own in itertools.chain(module.parameters(), module.buffers()))
    if size >= _LIMIT:
        raise ExportError(
            f"Expected networks below {_LIMIT / 2**30:g} GiB, the most that one ONNX file holds, got "
            f"{size / 2**30:.1f} GiB; export fewer members, or one soup of them."
        )


def _packages() -> tuple[Any, Any]:
    try:
        importlib.import_module("onnxscript")  # the exporter's own
        return importlib.import_module("onnx"), importlib.import_module("onnxruntime")
    except ImportError as error:
        raise ValueError(f"Expected {error.name} to be installed for ONNX: pip install 'huetune[onnx]'") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's progress, its warnings about packages it does not need, and its reports of failures."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
