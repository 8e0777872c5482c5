"""The discriminator: does each patch of a picture look like a true colouring of its lines?"""

from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from colorizer.layers import (
    Initialization,
    SpectralConv2d,
    initialize,
    make_activation,
    norm_layers,
    untouched_rng,
)

PatchNorm = Literal["instance", "group", "none"]


class PatchDiscriminator(nn.Module):
    """A conditional PatchGAN (Isola et al. 2017).

    No example influences another's verdict, so that true and generated drawings can go through in one pass.
    This is why batch normalisation, which mixes them, is not on offer.

    Args:
        channels: channels of the first layer; they double with every further one, up to 8 times.
        layers: strided layers. A verdict sees 18 pixels of the drawing with 2 of them, 38 with 3.
        norm: normalisation of every layer but the first and the last.
        rng: where the initial weights come from; the global generator is left untouched.
        spectral: divide the weights of each layer by their largest singular value (Miyato et al. 2018), which bounds
            how steep verdicts can be; see `SpectralConv2d`.
        initialization: how weights are drawn, see `initialize`.
    """

    def __init__(
        self,
        channels: int,
        layers: int,
        norm: PatchNorm,
        rng: torch.Generator,
        spectral: bool = False,
        initialization: Initialization = "he",
    ) -> None:
        super().__init__()
        widths = [channels * min(2**layer, 8) for layer in range(layers)]
        convolution: type[nn.Conv2d] = SpectralConv2d if spectral else nn.Conv2d
        with untouched_rng():
            body: list[nn.Module] = [
                convolution(4, channels, 4, stride=2, padding=1),
                make_activation("leaky", channels),
            ]
            for before, after in pairwise(widths):
                body.append(convolution(before, after, 4, stride=2, padding=1, bias=norm == "none"))
                body += [*norm_layers(norm, after), make_activation("leaky", after)]
            self.body = nn.Sequential(*body, convolution(widths[-1], 1, 3, padding=1))
        initialize(self, "leaky", rng, initialization)
        for layer in self.body:
            if isinstance(layer, SpectralConv2d):
                layer.begin(rng)

    def forward(self, lines: Tensor, colors: Tensor) -> Tensor:
        """Logits (B, 1, h, w), one a patch, above 0 for true; of lines (B, 1, H, W) and colors (B, 3, H, W).

        h and w are H and W halved `layers` times, rounded down; H and W are 2**layers or more.
        """
        logits: Tensor = self.body(torch.cat((lines, colors), dim=1))
        return logits

    def with_features(self, lines: Tensor, colors: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The logits, and what each nonlinearity made on the way there, (B, C, h, w) each, the first one first."""
        x, features = torch.cat((lines, colors), dim=1), []
        for layer in self.body:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                features.append(x)
        return x, features
