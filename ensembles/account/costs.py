"""What a predictor costs: its size, the time of a prediction and the memory of one."""

from __future__ import annotations

import ctypes
import re
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ensembles.predictor import Array

if TYPE_CHECKING:
    import torch
    from torch import nn

_MIB = 2**20
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5): sets the high-water mark of the resident memory to what is resident now


@runtime_checkable
class Modular(Protocol):
    """A model that shows its network; `TorchPredictor` is one."""

    @property
    def module(self) -> nn.Module: ...


@runtime_checkable
class Numbered(Protocol):
    """A model without a network of PyTorch that knows how many numbers it has learnt."""

    @property
    def parameters(self) -> int: ...


@dataclass(frozen=True)
class Cost:
    """What one prediction costs, and holding what makes it.

    Attributes:
        parameters: numbers learnt, of all the models involved; None where one of them does not tell.
        milliseconds: for one example by itself, the median of several calls.
        memory_mib: MiB of all the weights and buffers, and of what one call for one example needs beside them at its
            peak, in the memory where the weights lie; None where it cannot be told. See `measure`.
    """

    parameters: int | None
    milliseconds: float
    memory_mib: float | None


def measure(predict: Callable[[Array], Any], models: Sequence[object], example: Array, *, seconds: float = 0.3) -> Cost:
    """The cost of `predict` for a batch of one example (1, ...), on this machine as it is now.

    The first call warms up and counts for nothing. Calls are then timed for `seconds`, at least one; their median is
    what a busy machine disturbs least, yet two measurements differ by some per cent.

    The memory of a call is how far the peak exceeds what was held before it: with weights on a GPU that of PyTorch's
    allocator there, else that of the whole process (resident memory as Linux counts it, freed memory having been
    handed back first, where the C library is glibc). Other threads that allocate meanwhile count too. It cannot be
    told on other systems, nor where a model shows no `module`; libraries and PyTorch itself are never part of it.

    Args:
        predict: a predictor, or a rule over several.
        models: the predictors that it runs. One with a `module` is asked for its weights, one with a whole number as
            `parameters` for that; a model or a network that is named twice is held once, and so counted once.
        example: (1, ...).
        seconds: how long to measure, beyond the first call.

    Raises:
        ValueError: there are more or fewer examples than one, or `seconds` is negative.
        Whatever `predict` raises.
    """
    if len(example) != 1:
        raise ValueError(f"Expected a batch of one example, got {len(example)}: the costs are those of one.")
    if not seconds >= 0:
        raise ValueError(f"Expected seconds >= 0, got {seconds}.")
    predict(example)
    memory = _memory(lambda: predict(example), models)
    return Cost(parameters_of(models), 1000 * _median_seconds(lambda: predict(example), seconds), memory)


def parameters_of(models: Sequence[object]) -> int | None:
    """How many numbers the models have learnt together, what they share counted once; None where one does not tell."""
    numbers = 0
    weights: dict[int, torch.Tensor] = {}
    for model in {id(model): model for model in models}.values():
        if (network := _network(model)) is not None:
            weights |= {id(weight): weight for weight in network.parameters()}
        elif isinstance(model, Numbered) and isinstance(model.parameters, Integral):
            numbers += int(model.parameters)
        else:
            return None
    return numbers + sum(weight.numel() for weight in weights.values())


def _network(model: object) -> nn.Module | None:
    if not isinstance(model, Modular):
        return None
    from torch import nn

    return model.module if isinstance(model.module, nn.Module) else None


def _median_seconds(call: Callable[[], Any], seconds: float) -> float:
    taken: list[float] = []
    while not taken or sum(taken) < seconds:
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def _memory(call: Callable[[], Any], models: Sequence[object]) -> float | None:
    held: dict[int, torch.Tensor] = {}
    for model in models:
        network = _network(model)
        if network is None:
            return None
        held |= {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    on_gpu = {tensor.device for tensor in held.values() if tensor.is_cuda}
    weights = sum(tensor.numel() * tensor.element_size() for tensor in held.values()) / _MIB
    extra = sum(_peak_on_gpu(call, device) for device in on_gpu) if on_gpu else _peak_resident(call)
    return None if extra is None else weights + extra


def _peak_on_gpu(call: Callable[[], Any], device: torch.device) -> float:
    import torch

    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    call()
    return (torch.cuda.max_memory_allocated(device) - before) / _MIB


def _peak_resident(call: Callable[[], Any]) -> float | None:
    """How far one call raises the resident memory of the process at its peak, in MiB; None where nobody knows."""
    _hand_back_freed_memory()
    try:
        _CLEAR.write_text(_RESET_PEAK)
    except OSError:  # another system, or a container that does not allow it
        return None
    before = _resident("VmRSS")
    call()
    peak = _resident("VmHWM")
    return None if before is None or peak is None else max(0.0, peak - before)


def _resident(name: str) -> float | None:
    """A line of /proc/self/status that is given in kB, in MiB; None where it is missing."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", _STATUS.read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else None


def _hand_back_freed_memory() -> None:
    """Else what earlier calls have freed serves the next one, whose resident memory then does not grow at all."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):  # not glibc
        return
