"""What both networks are made of."""

from dataclasses import dataclass

from colorizer.discriminator import PatchNorm
from colorizer.generator import Activation, Norm, Upsampling
from colorizer.settings.rules import at_least_one, shares

# What a checkpoint's tensors depend on: to go on from one, these have to be the same.
ARCHITECTURE = (
    "channels",
    "levels",
    "norm",
    "activation",
    "upsample",
    "discriminator_channels",
    "discriminator_layers",
    "discriminator_norm",
)


@dataclass(frozen=True)
class NetworkSettings:
    """The networks.

    Attributes:
        channels, levels, norm, activation, dropout, upsample: of the generator, see `UNet`.
        discriminator_channels, discriminator_layers, discriminator_norm: see `PatchDiscriminator`.
    """

    channels: int = 16
    levels: int = 4
    norm: Norm = "batch"
    activation: Activation = "relu"
    dropout: float = 0.0
    upsample: Upsampling = "transposed"
    discriminator_channels: int = 16
    discriminator_layers: int = 2
    discriminator_norm: PatchNorm = "group"

    def check_networks(self) -> None:
        """Raise ValueError for a value that no network could be made of."""
        shares(["dropout"], self)
        at_least_one(["channels", "levels", "discriminator_channels", "discriminator_layers"], self)
