"""A generator with fewer filters in its layers: the others are cut out, and with them what follows reads of them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from colorizer.generator import UNet
from colorizer.layers import Activation, Attention, Norm

Convolution = nn.Conv2d | nn.ConvTranspose2d

_MIXING = ("group", "layer")  # norms


def filter_layers(generator: UNet) -> list[Convolution]:
    """The convolutions whose filters can be cut out: those of the way down, then of the way up, as they are passed."""
    return [_convolution(block) for block in (*generator.down, *generator.up)]


def filter_norms(layer: Convolution) -> Tensor:
    """(filters,), the sum of the absolute weights of each filter of a convolution."""
    return layer.weight.detach().abs().sum(dim=(1 - _filters_at(layer), 2, 3))


def widths_of(generator: UNet) -> str:
    """Filters of each layer as `TrainingConfig.widths` has them."""
    return ",".join(str(len(filter_norms(layer))) for layer in filter_layers(generator))


def check_widths(widths: str, levels: int, norm: Norm, activation: Activation) -> None:
    """Raise ValueError where layers cannot be of these widths."""
    parts = widths.split(",")
    if len(parts) != 2 * levels or not all(part.isascii() and part.isdigit() and int(part) for part in parts):
        raise ValueError(
            f"Expected widths as 2 * levels = {2 * levels} whole numbers of 1 or more with commas between, those of "
            f"the way down and then of the way up, got widths={widths!r}."
        )
    if norm in _MIXING:
        raise ValueError(
            f"Expected norm='batch', 'instance' or 'none' with widths, got norm={norm!r}, which mixes the filters of a "
            "layer: without some of them the others are not what they were."
        )
    if activation == "maxout":
        raise ValueError("Expected an activation other than 'maxout' with widths: it joins filters two by two.")


def narrow_to(generator: UNet, widths: str) -> None:
    """Keep the first filters of each layer, as many as `widths` says.

    Raises:
        ValueError: a layer has fewer.
    """
    kept = []
    for width, layer in zip(map(int, widths.split(",")), filter_layers(generator), strict=True):
        filters = len(filter_norms(layer))
        if width > filters:
            raise ValueError(f"Expected widths of {filters} or less where channels gives as many, got {width}.")
        kept.append(torch.arange(width))
    narrow(generator, kept)


def narrow(generator: UNet, kept: Sequence[Tensor]) -> None:
    """Cut out, in place, all filters but those kept: their positions, for each layer of `filter_layers`.

    What remains computes what the whole generator would with the other filters, their biases and norms set to zero.

    Raises:
        ValueError: a filter of the deepest layer is to be cut out, and attention adds to all of them.
    """
    levels = len(generator.down)
    down, up = kept[:levels], kept[levels:]
    widths = [len(filter_norms(layer)) for layer in filter_layers(generator)]
    if isinstance(generator.deepest, Attention) and len(down[-1]) < widths[levels - 1]:
        raise ValueError(
            f"Expected the deepest layer whole with attention, which adds to all of its {widths[levels - 1]} filters, "
            f"got {len(down[-1])} of them."
        )
    for level, block in enumerate(generator.down):
        _cut(block, down[level - 1] if level else None, down[level])
    for step, block in enumerate(generator.up):
        below = down[-1]
        if step:  # it reads the step before, and beside it what its own level saw on the way down
            across = levels - 1 - step
            below = torch.cat((up[step - 1], widths[levels + step - 1] + down[across]))
        _cut(block, below, up[step])
    for last in (generator.head, *([generator.doubt] if generator.confidence else [])):
        _cut_layer(last, up[-1], None)


def _cut(block: nn.Module, inputs: Tensor | None, filters: Tensor) -> None:
    for layer in block.children():
        if isinstance(layer, Convolution):
            _cut_layer(layer, inputs, filters)
        else:
            _cut_beside(layer, filters)


def _cut_layer(layer: Convolution, inputs: Tensor | None, filters: Tensor | None) -> None:
    """A convolution; None keeps all."""
    at = _filters_at(layer)
    weight: Tensor = layer.weight.detach()
    if filters is not None:
        weight = weight.index_select(at, filters)
        layer.out_channels = len(filters)
    if inputs is not None:
        weight = weight.index_select(1 - at, inputs)
        layer.in_channels = len(inputs)
    layer.weight = nn.Parameter(weight)
    if filters is not None and layer.bias is not None:
        layer.bias = nn.Parameter(layer.bias.detach()[filters])


def _cut_beside(layer: nn.Module, filters: Tensor) -> None:
    """What follows a convolution and has numbers for each of its filters: a norm, or parametric slopes."""
    for name, parameter in list(layer.named_parameters(recurse=False)):
        setattr(layer, name, nn.Parameter(parameter.detach()[filters]))
    for name, buffer in list(layer.named_buffers(recurse=False)):
        if buffer.dim():
            setattr(layer, name, buffer[filters])
    if isinstance(layer, nn.BatchNorm2d | nn.InstanceNorm2d):
        layer.num_features = len(filters)
    elif isinstance(layer, nn.PReLU):
        layer.num_parameters = len(filters)


def _convolution(block: nn.Module) -> Convolution:
    return next(layer for layer in block.children() if isinstance(layer, Convolution))


def _filters_at(layer: Convolution) -> int:
    """Where the weights of a convolution have its filters; the other of the first two is where they have its inputs."""
    return 1 if isinstance(layer, nn.ConvTranspose2d) else 0
