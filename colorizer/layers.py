"""What both networks are made of: normalisations, nonlinearities, attention, and their first weights."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Literal["batch", "instance", "group", "layer", "none"]
Activation = Literal["relu", "leaky", "prelu", "elu", "silu", "maxout"]
Upsampling = Literal["resize", "transposed"]
Initialization = Literal["he", "glorot", "normal", "zero"]  # zero is known so that it can be refused with the reason

_SLOPE = 0.2  # of leaky ReLUs below zero, as in pix2pix
_FIRST_SLOPE = 0.25  # of parametric ones, as in their paper
_FIRST_ITERATIONS = 15
_NORMAL = 0.02  # standard deviation of "normal" weights, as in DCGAN and pix2pix


class Maxout(nn.Module):
    """The larger of two features (Goodfellow et al. 2013): (B, 2 * C, H, W) to (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Of features c and C + c, the larger."""
        return torch.maximum(*x.chunk(2, dim=1))


_ACTIVATIONS: dict[str, Callable[[int], nn.Module]] = {  # from the number of channels that come out
    "relu": lambda channels: nn.ReLU(),
    "leaky": lambda channels: nn.LeakyReLU(_SLOPE),
    "prelu": lambda channels: nn.PReLU(channels, _FIRST_SLOPE),
    "elu": lambda channels: nn.ELU(),
    "silu": lambda channels: nn.SiLU(),
    "maxout": lambda channels: Maxout(),
}


class Silent(nn.Conv2d):
    """A convolution that says nothing at first: `initialize` sets its weights to zero, and they learn from there."""


class SpectralConv2d(nn.Conv2d):
    """A convolution by its weights over their largest singular value (Miyato et al. 2018).

    Power iteration follows that value, a step each time the layer is used in training. `weight` is what it is in any
    convolution, so that it can be decayed, looked at and taken over as such.

    Attributes:
        direction: (out_channels,), the left singular vector as far as it is known.
    """

    direction: Tensor

    def __init__(
        self, before: int, after: int, size: int, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> None:
        super().__init__(before, after, size, stride=stride, padding=padding, bias=bias)
        self.register_buffer("direction", torch.ones(after))

    def begin(self, rng: torch.Generator) -> None:
        """Look for the singular vector of fresh weights, from a random one on."""
        self.direction.normal_(generator=rng)
        for _ in range(_FIRST_ITERATIONS):
            self._iterate()

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, H, W) to (B, after, h, w)."""
        if self.training:
            self._iterate()
        # A copy, as the buffer may move on before gradients are taken. Products and sums, as half precision is not
        # enough for this, and autocast leaves them alone.
        weight = self.weight.flatten(1)
        largest = torch.linalg.vector_norm((weight * self.direction.clone().unsqueeze(1)).sum(0))
        return self._conv_forward(x, self.weight / largest, self.bias)

    @torch.no_grad()
    def _iterate(self) -> None:
        weight = self.weight.flatten(1)  # (after, before * size**2)
        right = F.normalize((weight * self.direction.unsqueeze(1)).sum(0), dim=0)
        self.direction.copy_(F.normalize((weight * right).sum(1), dim=0))


class PictureNorm(nn.GroupNorm):
    """Layer normalisation (Ba et al. 2016) of (B, channels, H, W): over all channels and places of an example."""

    def __init__(self, channels: int) -> None:
        super().__init__(1, channels)


class Attention(nn.Module):
    """Every place looks at all others (Zhang et al., Self-Attention GANs, 2019), and adds what it sees to itself.

    It begins as the identity: what is added starts at zero, so that a network with attention starts as one without.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        width = max(1, channels // 4)
        self.looks = nn.Conv2d(channels, 3 * width, 1)  # queries, keys and values
        self.adds = Silent(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) to the same shape."""
        looked = self.looks(x).flatten(2).transpose(1, 2).unsqueeze(1)  # (B, 1, H * W, 3 * width): one head
        seen = F.scaled_dot_product_attention(*looked.chunk(3, dim=3))  # (B, 1, H * W, width)
        seen = seen.squeeze(1).transpose(1, 2)  # (B, width, H * W)
        added: Tensor = self.adds(seen.reshape(*seen.shape[:2], *x.shape[2:]))
        return x + added


def norm_layers(norm: Norm, channels: int) -> list[nn.Module]:
    """The normalisation of (B, channels, H, W) features by name: one layer, or none.

    "batch": Ioffe and Szegedy (2015). "instance": Ulyanov et al. (2016). "group": Wu and He (2018), in up to 8 groups.
    "layer": Ba et al. (2016), see `PictureNorm`.
    """
    if norm == "batch":
        return [nn.BatchNorm2d(channels)]
    if norm == "instance":
        return [nn.InstanceNorm2d(channels, affine=True)]
    if norm == "group":
        return [nn.GroupNorm(math.gcd(channels, 8), channels)]
    if norm == "layer":
        return [PictureNorm(channels)]
    return []


def make_activation(activation: Activation, channels: int) -> nn.Module:
    """The nonlinearity of this name, to (B, channels, H, W); maxout takes twice as many channels."""
    return _ACTIVATIONS[activation](channels)


def untouched_rng() -> AbstractContextManager[None]:
    """Inside, PyTorch's layers may draw their first weights without moving the global generator."""
    return torch.random.fork_rng(devices=[])


def initialize(
    network: nn.Module, activation: Activation, rng: torch.Generator, initialization: Initialization = "he"
) -> None:
    """Fresh weights of all convolutions from `rng` alone, biases zero; norms stay, and so do `Silent` layers.

    Args:
        initialization: "he" keeps the size of features from layer to layer (He et al. 2015). "glorot" is between that
            and keeping the size of gradients, and counts no nonlinearity (Glorot and Bengio 2010). "normal" has a
            standard deviation of 0.02 everywhere (Radford et al. 2016, as in pix2pix).

    Raises:
        ValueError: it is "zero".
    """
    check_initialization(initialization)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            with torch.no_grad():
                layer.weight.normal_(0, _spread(layer, activation, initialization), generator=rng)
                if layer.bias is not None:
                    layer.bias.zero_()


def check_initialization(initialization: Initialization) -> None:
    """Raise ValueError, with the reason, for weights that would all start at zero."""
    if initialization == "zero":
        raise ValueError(
            "Expected initialization='he', 'glorot' or 'normal', got 'zero': filters that begin equal get equal "
            "gradients, so that all filters of a layer would stay one. Draw them at random."
        )


def falling(before: int, after: int, norm: Norm, activation: Activation) -> nn.Sequential:
    """Half the size: (B, before, H, W) to (B, after, H / 2, W / 2), for even sizes."""
    made = _made(after, activation)
    falls = nn.Conv2d(before, made, 4, stride=2, padding=1, bias=norm == "none")
    return nn.Sequential(falls, *norm_layers(norm, made), make_activation(activation, after))


def rising(before: int, after: int, norm: Norm, activation: Activation, upsample: Upsampling) -> nn.Sequential:
    """Twice the size: (B, before, H, W) to (B, after, 2 * H, 2 * W)."""
    made, bias = _made(after, activation), norm == "none"
    if upsample == "resize":
        conv = nn.Conv2d(before, made, 3, padding=1, bias=bias)
        rise: list[nn.Module] = [nn.Upsample(scale_factor=2), conv]
    else:
        rise = [nn.ConvTranspose2d(before, made, 4, stride=2, padding=1, bias=bias)]
    return nn.Sequential(*rise, *norm_layers(norm, made), make_activation(activation, after))


def _made(channels: int, activation: Activation) -> int:
    """The features that a convolution makes for an activation of this many channels."""
    return 2 * channels if activation == "maxout" else channels


def _spread(layer: nn.Conv2d | nn.ConvTranspose2d, activation: Activation, initialization: Initialization) -> float:
    """The standard deviation of a layer's first weights."""
    if isinstance(layer, Silent):
        return 0.0
    if initialization == "normal":
        return _NORMAL
    taps, strides = math.prod(layer.kernel_size), math.prod(layer.stride)
    inputs, outputs = layer.in_channels * taps, layer.out_channels * taps
    # Of the taps, only every stride-th one meets an output pixel of a transposed convolution, an input pixel of others.
    if isinstance(layer, nn.ConvTranspose2d):
        inputs //= strides
    else:
        outputs //= strides
    if initialization == "glorot":
        return math.sqrt(2 / (inputs + outputs))
    return _gain(activation) / math.sqrt(inputs)


def _gain(activation: Activation) -> float:
    """What keeps the mean square of features where weights are scaled by it, after He et al. (2015)."""
    slopes = {"leaky": _SLOPE, "prelu": _FIRST_SLOPE}
    if activation in slopes:
        return nn.init.calculate_gain("leaky_relu", slopes[activation])
    # The larger of two independent features is as large in the mean square as each of them.
    return 1.0 if activation == "maxout" else math.sqrt(2)
