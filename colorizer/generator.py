"""The generator: a U-Net that turns line drawings into colours. Knows nothing of training or files."""

from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from colorizer.hints import CHANNELS, no_hints
from colorizer.layers import (
    Activation,
    Attention,
    Initialization,
    Norm,
    Silent,
    Upsampling,
    falling,
    initialize,
    rising,
    untouched_rng,
)

Network = TypeVar("Network", bound=nn.Module)

PAPER = 1.0  # white, what lies around a drawing
_WIDEST = 8  # channels stop doubling at this multiple of the first level's, as in pix2pix
# Natural logarithms of squared errors on [-1, 1]: from two steps of 8 bits to more than from black to white.
_LEAST_LOG_VARIANCE, _MOST_LOG_VARIANCE = -8.0, 2.0


class UNet(nn.Module):
    """A U-Net (Ronneberger et al. 2015) in the manner of pix2pix (Isola et al. 2017).

    Each level halves the picture by a strided convolution and doubles the channels, up to 8 times `channels`.
    The way back joins what each level saw; the last layer sees the drawing itself, so that colours follow the
    pen exactly.

    Args:
        channels: channels of the first level, 1 or more.
        levels: number of halvings, 1 or more. Sizes that are no multiple of 2**levels cost as much as the
            next one.
        norm: normalisation of every layer but the first, the deepest and the last; see `norm_layers`.
        activation: the nonlinearity between layers. "prelu" learns the slope below zero of each channel (He et al.
            2015); "maxout" takes the larger of two features, which doubles the weights.
        dropout: share of features dropped in the deeper half of the way back, in [0, 1).
        upsample: "transposed" is one transposed convolution; "resize" repeats pixels, then convolves.
        rng: where the initial weights come from; the global generator is left untouched.
        attention: let all places of the deepest level look at each other, see `Attention`.
        initialization: how weights are drawn, see `initialize`.
        passes: how often the network paints, 1 or more, with the same weights. From 2 on it sees, beside the lines,
            the colours of the pass before; the first sees white paper.
        confidence: tell a log-variance beside the colours, see `with_log_variance`.
        hints: see, beside the lines, colours at some points, see `hints.dotted`. Lines alone will do: then nobody has
            told any.

    Attributes:
        confidence: whether it tells log-variances.
        hints: whether it sees hints.
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
        attention: bool = False,
        initialization: Initialization = "he",
        passes: int = 1,
        confidence: bool = False,
        hints: bool = False,
    ) -> None:
        super().__init__()
        self.multiple = 2**levels
        self.passes = passes
        self.confidence = confidence
        self.hints = hints
        inputs = 1 + CHANNELS * hints + (0 if passes == 1 else 3)  # lines, hints, the last picture
        widths = [channels * min(2**level, _WIDEST) for level in range(levels)]
        self.down = nn.ModuleList()
        self.up = nn.ModuleList()
        with untouched_rng():
            for level, width in enumerate(widths):
                # The first sees raw pixels; the deepest may be one pixel small, too few for statistics.
                inner = 0 < level < levels - 1
                before = widths[level - 1] if level else inputs
                self.down.append(falling(before, width, norm if inner else "none", activation))
            for level in reversed(range(levels)):
                below = widths[level] if level == levels - 1 else 2 * widths[level]
                up = rising(below, widths[max(level - 1, 0)], norm, activation, upsample)
                if dropout and level >= levels / 2:
                    up.append(nn.Dropout(dropout))
                self.up.append(up)
            # Two convolutions whose sum is that of the joined channels, without the copy that joins them.
            self.head = nn.Conv2d(channels, 3, 3, padding=1)
            self.sketch = nn.Conv2d(inputs, 3, 3, padding=1, bias=False)
            self.deepest = Attention(widths[-1]) if attention else nn.Identity()
            if confidence:  # silent: equally unsure of all, until errors are seen
                self.doubt = Silent(channels, 1, 3, padding=1)
        initialize(self, activation, rng, initialization)

    def forward(self, lines: Tensor) -> Tensor:
        """Colours (B, 3, H, W) in [-1, 1] for lines (B, 1, H, W) in [-1, 1]; any H and W of 1 or more.

        A generator that sees hints takes them behind the lines, (B, 5, H, W).
        """
        return self._painted(lines)[0]

    def with_log_variance(self, lines: Tensor) -> tuple[Tensor, Tensor]:
        """The colours and the logarithm (B, 1, H, W) of the squared error expected of each pixel's values.

        After Nix and Weigend (1994) and Kendall and Gal (2017). It begins at 0 and lies in (-8, 2): bent, not cut, and
        so slowly that whatever comes near an end finds back.

        Raises:
            ValueError: the network was made with confidence=False.
        """
        if not self.confidence:
            raise ValueError("Expected a generator of confidence=True to tell log-variances, got one of False.")
        colors, features = self._painted(lines)
        told = self.doubt(features).float()[..., : lines.shape[2], : lines.shape[3]]  # (B, 1, H, W)
        end = torch.where(told < 0, _LEAST_LOG_VARIANCE, _MOST_LOG_VARIANCE)
        return colors, told / (1 + told / end)

    def _painted(self, given: Tensor) -> tuple[Tensor, Tensor]:
        """Colours (B, 3, H, W), and the features (B, C, H', W') they were made of."""
        height, width = given.shape[-2:]
        given = self._padded(given)
        if self.passes == 1:
            colors, features = self._pass(given)
        else:
            colors = torch.full_like(given[:, :1], PAPER).expand(-1, 3, -1, -1)
            for _ in range(self.passes):
                colors, features = self._pass(torch.cat((given, colors), dim=1))
        return colors[..., :height, :width], features

    def _padded(self, given: Tensor) -> Tensor:
        """Lines, and hints where they are seen, (B, 1 or 5, H', W'): around a drawing is paper, and nothing is told."""
        if self.hints and given.shape[1] == 1:
            given = torch.cat((given, no_hints(given)), dim=1)
        around = (0, -given.shape[-1] % self.multiple, 0, -given.shape[-2] % self.multiple)
        if not any(around):
            return given
        if not self.hints:
            return F.pad(given, around, value=PAPER)
        return torch.cat((F.pad(given[:, :1], around, value=PAPER), F.pad(given[:, 1:], around)), dim=1)

    def _pass(self, given: Tensor) -> tuple[Tensor, Tensor]:
        seen = []
        x = given  # (B, 1 to 8, H', W')
        for down in self.down:
            x = down(x)
            seen.append(x)
        x = self.up[0](self.deepest(seen.pop()))
        for up in self.up[1:]:
            x = up(torch.cat((x, seen.pop()), dim=1))
        return torch.tanh(self.head(x) + self.sketch(given)), x  # (B, 3, H', W'), (B, C, H', W')


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


@torch.no_grad()
def predict_with_log_variance(generator: UNet, lines: Tensor) -> tuple[Tensor, Tensor]:
    """The colours of `predict` and the log-variances (B, 1, H, W) beside them, see `UNet.with_log_variance`."""
    generator.eval()
    colors, log_variance = generator.with_log_variance(lines.contiguous(memory_format=torch.channels_last))
    return colors.float(), log_variance
