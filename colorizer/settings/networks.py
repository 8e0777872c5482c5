"""What both networks are made of."""

from dataclasses import dataclass

from colorizer.discriminator import PatchNorm
from colorizer.layers import Activation, Initialization, Norm, Upsampling, check_initialization
from colorizer.narrowing import check_widths
from colorizer.settings.rules import at_least_one, shares

# What a checkpoint's tensors depend on: to go on from one, these have to be the same.
ARCHITECTURE = (
    "channels",
    "levels",
    "widths",
    "norm",
    "activation",
    "upsample",
    "attention",
    "passes",
    "confidence",
    "discriminator_channels",
    "discriminator_layers",
    "discriminator_norm",
    "discriminator_spectral",
)


@dataclass(frozen=True)
class NetworkSettings:
    """The networks.

    Attributes:
        channels, levels, norm, activation, dropout, upsample: of the generator, see `UNet`.
        widths: filters of each of the generator's layers, down and up again, with commas between, each at most what
            `channels` gives; "" is as many. What `pruning.prune` leaves of a generator.
        attention: let all places of the generator's deepest level look at each other.
        passes: how often the generator paints, each time from what it painted before; 1 or more.
        confidence: tell beside the colours how far off each pixel is expected to be, by which an ensemble can weigh.
        initialization: how the weights of both networks are drawn, see `layers.initialize`.
        discriminator_channels, discriminator_layers, discriminator_norm: see `PatchDiscriminator`.
        discriminator_spectral: divide the discriminator's weights by their largest singular value.
    """

    channels: int = 16
    levels: int = 4
    widths: str = ""
    norm: Norm = "batch"
    activation: Activation = "relu"
    dropout: float = 0.0
    upsample: Upsampling = "transposed"
    attention: bool = False
    passes: int = 1
    confidence: bool = False
    initialization: Initialization = "he"
    discriminator_channels: int = 16
    discriminator_layers: int = 2
    discriminator_norm: PatchNorm = "group"
    discriminator_spectral: bool = False

    def check_networks(self) -> None:
        """Raise ValueError for a value that no network could be made of."""
        shares(["dropout"], self)
        at_least_one(["channels", "levels", "passes", "discriminator_channels", "discriminator_layers"], self)
        check_initialization(self.initialization)
        if self.widths:
            check_widths(self.widths, self.levels, self.norm, self.activation)
