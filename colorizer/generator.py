"""The generator: a U-Net that turns line drawings into colours. Knows nothing of training or files."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Norm = Literal["batch", "instance", "group", "none"]
Activation = Literal["relu", "leaky", "elu", "silu"]
Upsampling = Literal["resize", "transposed"]

Network = TypeVar("Network", bound=nn.Module)

PAPER = 1.0  # white, what lies around a drawing
_WIDEST = 8  # channels stop doubling at this multiple of the first level's, as in pix2pix
_SLOPE = 0.2  # of leaky ReLUs below zero, as in pix2pix
_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky": lambda: nn.LeakyReLU(_SLOPE),
    "elu": nn.ELU,
    "silu": nn.SiLU,
}


class UNet(nn.Module):
    """A U-Net (Ronneberger et al. 2015) in the manner of pix2pix (Isola et al. 2017).

    Each level halves the picture by a strided convolution and doubles the channels, up to 8 times `channels`.
    The way back joins what each level saw; the last layer sees the drawing itself, so that colours follow the
    pen exactly.

    Args:
        channels: channels of the first level, 1 or more.
        levels: number of halvings, 1 or more. Sizes that are no multiple of 2**levels cost as much as the
            next one.
        norm: normalisation of every layer but the first, the deepest and the last.
        activation: the nonlinearity between layers.
        dropout: share of features dropped in the deeper half of the way back, in [0, 1).
        upsample: "transposed" is one transposed convolution; "resize" repeats pixels, then convolves.
        rng: where the initial weights come from; the global generator is left untouched.
    """

    def __init__(
        self,
        *,
        channels: int,
        levels: int,
        norm: Norm,
        activation: Activation,
        dropout: float,
        upsample: Upsampling,
        rng: torch.Generator,
    ) -> None:
        super().__init__()
        self.multiple = 2**levels
        widths = [channels * min(2**level, _WIDEST) for level in range(levels)]
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        with untouched_rng():
            for level, width in enumerate(widths):
                # The first sees raw pixels; the deepest may be one pixel small, too few for statistics.
                inner = 0 < level < levels - 1
                self.down.append(_down(widths[level - 1] if level else 1, width, norm if inner else "none", activation))
            for level in reversed(range(levels)):
                below = widths[level] if level == levels - 1 else 2 * widths[level]
                up = _up(below, widths[max(level - 1, 0)], norm, activation, upsample)
                if dropout and level >= levels / 2:
                    up.append(nn.Dropout(dropout))
                self.up.append(up)
            # Two convolutions whose sum is that of the joined channels, without the copy that joins them.
            self.head = nn.Conv2d(channels, 3, 3, padding=1)
            self.sketch = nn.Conv2d(1, 3, 3, padding=1, bias=False)
        initialize(self, activation, rng)

    def forward(self, lines: Tensor) -> Tensor:
        """Colours (B, 3, H, W) in [-1, 1] for lines (B, 1, H, W) in [-1, 1]; any H and W of 1 or more."""
        height, width = lines.shape[-2:]
        right, below = -width % self.multiple, -height % self.multiple
        if right or below:
            lines = F.pad(lines, (0, right, 0, below), value=PAPER)
        seen = []
        x = lines  # (B, 1, H', W')
        for down in self.down:
            x = down(x)
            seen.append(x)
        x = self.up[0](seen.pop())
        for up in self.up[1:]:
            x = up(torch.cat((x, seen.pop()), dim=1))
        x = torch.tanh(self.head(x) + self.sketch(lines))  # (B, 3, H', W')
        return x[..., :height, :width]


def placed(network: Network, device: str | torch.device) -> Network:
    """The network itself, moved to `device`, its weights in the order that convolutions are quickest with."""
    how: dict[str, Any] = {"device": device, "memory_format": torch.channels_last}
    return network.to(**how)


@torch.no_grad()
def predict(generator: UNet, lines: Tensor) -> Tensor:
    """Colours (B, 3, H, W) for lines (B, 1, H, W), without gradients; sets the generator to eval."""
    generator.eval()
    colors: Tensor = generator(lines.contiguous(memory_format=torch.channels_last))
    return colors.float()


def norm_layers(norm: Norm, channels: int) -> list[nn.Module]:
    """The normalisation of (B, channels, H, W) features by name: one layer, or none."""
    if norm == "batch":
        return [nn.BatchNorm2d(channels)]
    if norm == "instance":
        return [nn.InstanceNorm2d(channels, affine=True)]
    if norm == "group":
        return [nn.GroupNorm(math.gcd(channels, 8), channels)]
    return []


def make_activation(activation: Activation) -> nn.Module:
    """The nonlinearity of this name."""
    return _ACTIVATIONS[activation]()


def untouched_rng() -> AbstractContextManager[None]:
    """Inside, PyTorch's layers may draw their first weights without moving the global generator."""
    return torch.random.fork_rng(devices=[])


def initialize(network: nn.Module, activation: Activation, rng: torch.Generator) -> None:
    """Fresh weights from `rng` alone: convolutions after He et al. (2015), biases zero; norms stay."""
    gain = nn.init.calculate_gain("leaky_relu", _SLOPE) if activation == "leaky" else math.sqrt(2)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            inputs = layer.in_channels * math.prod(layer.kernel_size)
            if isinstance(layer, nn.ConvTranspose2d):  # of its taps, only every stride-th one meets an output pixel
                inputs //= math.prod(layer.stride)
            with torch.no_grad():
                layer.weight.normal_(0, gain / math.sqrt(inputs), generator=rng)
                if layer.bias is not None:
                    layer.bias.zero_()


def _down(before: int, after: int, norm: Norm, activation: Activation) -> nn.Sequential:
    falls = nn.Conv2d(before, after, 4, stride=2, padding=1, bias=norm == "none")
    return nn.Sequential(falls, *norm_layers(norm, after), make_activation(activation))


def _up(before: int, after: int, norm: Norm, activation: Activation, upsample: Upsampling) -> nn.Sequential:
    bias = norm == "none"
    if upsample == "resize":
        conv = nn.Conv2d(before, after, 3, padding=1, bias=bias)
        rise: list[nn.Module] = [nn.Upsample(scale_factor=2), conv]
    else:
        rise = [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=bias)]
    return nn.Sequential(*rise, *norm_layers(norm, after), make_activation(activation))
