"""Networks of PyTorch from outside: what they are made of, and arrays in and out of them. Knows no ensemble."""

from __future__ import annotations

import dataclasses
import enum
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.dropout import _DropoutNd

from ensembles.predictor import Array

Architecture = tuple[tuple[str, str], ...]  # the path of a layer or tensor, and what it is

_MODULE_OWN = frozenset(nn.Module().__dict__)  # what every module has: tensors, children, hooks, whether it trains
_PLAIN = (bool, int, float, complex, str, bytes, type(None), enum.Enum, torch.dtype, torch.device, slice)


def as_tensor(module: nn.Module, inputs: Array) -> Tensor:
    """Inputs (B, ...) where the network's weights lie; floating point in their type, anything else as it is."""
    tensor = torch.tensor(np.ascontiguousarray(inputs))
    for own in itertools.chain(module.parameters(), module.buffers()):
        if own.is_floating_point():
            return tensor.to(own.device, own.dtype if tensor.is_floating_point() else None)
    return tensor


def as_array(predictions: Tensor) -> Array:
    """A tensor (B, ...) as an array; types that numpy lacks, and half precision, as float32."""
    values = predictions.detach()
    if values.dtype in (torch.float16, torch.bfloat16):
        values = values.float()
    return values.cpu().numpy()


@torch.no_grad()
def run(module: nn.Module, inputs: Array) -> Array:
    """Inputs (B, ...) through a network to predictions (B, ...), in the mode that it is in."""
    return as_array(module(as_tensor(module, inputs)))


def signature(tensor: Tensor) -> str:
    """Type and shape, such as "float32 (3, 1, 5, 7)"."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def architecture(module: nn.Module) -> Architecture:
    """Equal for two networks that compute the same function of their inputs, parameters and buffers.

    Layers with their types and all their settings, tensors with shape, type and device. What cannot be compared by its
    value (a function, a tensor that is no buffer, an object of an unknown class, a layer with hooks) equals itself
    alone, so that networks are rather held for different.
    """
    tensors = itertools.chain(module.named_parameters(), module.named_buffers())
    layers = [(path, _layer(layer, exact=True)) for path, layer in module.named_modules(remove_duplicate=False)]
    return (*layers, *((path, f"{signature(tensor)} {tensor.device}") for path, tensor in tensors))


def layers_in_use(module: nn.Module) -> Architecture:
    """The layers that act when predicting, with their settings: dropout and the momentum of statistics are left out.

    Settings of an unknown class count by that class alone. Tensors are not listed.
    """
    return tuple(
        (path, _layer(layer, exact=False))
        for path, layer in module.named_modules(remove_duplicate=False)
        if not isinstance(layer, _DropoutNd)
    )


def _layer(layer: nn.Module, *, exact: bool) -> str:
    settings = {name: value for name, value in vars(layer).items() if name not in _MODULE_OWN}
    if not exact and isinstance(layer, _NormBase):
        settings.pop("momentum", None)
    text = ", ".join(f"{name}={_described(value, exact)}" for name, value in sorted(settings.items()))
    if not exact:
        return f"{type(layer).__name__}({text})"
    hooked = id(layer) if layer._forward_hooks or layer._forward_pre_hooks else None
    return f"{_described(type(layer), exact)}({text}) training={layer.training} hooked={hooked}"


def _described(value: Any, exact: bool) -> str:
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, Mapping):
        inside = (f"{_described(key, exact)}: {_described(item, exact)}" for key, item in value.items())
        return f"{type(value).__name__}({', '.join(inside)})"
    if isinstance(value, list | tuple):
        return f"{type(value).__name__}({', '.join(_described(item, exact) for item in value)})"
    if isinstance(value, set | frozenset):
        return f"{type(value).__name__}({', '.join(sorted(_described(item, exact) for item in value))})"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        inside = (f"{f.name}={_described(getattr(value, f.name), exact)}" for f in dataclasses.fields(value))
        return f"{type(value).__name__}({', '.join(inside)})"
    name = getattr(value, "__qualname__", None) or type(value).__name__
    return f"{name}#{id(value)}" if exact else str(name)
