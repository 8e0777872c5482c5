"""The hyperparameters of a training as one frozen value with flat names, and the networks it describes."""

import dataclasses
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

import numpy as np
import torch

from colorizer.discriminator import PatchDiscriminator
from colorizer.generator import UNet
from colorizer.narrowing import narrow_to
from colorizer.settings.costs import CostSettings
from colorizer.settings.data import DataSettings
from colorizer.settings.networks import NetworkSettings
from colorizer.settings.optimization import OptimizationSettings
from colorizer.settings.rules import check_type, expect, not_negative


@dataclass(frozen=True)
class TrainingConfig(DataSettings, NetworkSettings, CostSettings, OptimizationSettings):
    """What a training is, but for its data. On a CPU, equal configs and drawings give equal bits.

    The fields are those of its four parts, by flat names; each part documents its own.

    Attributes:
        seed: of weights, data order, what is done to drawings, and dropout; 0 <= seed < 2**32.
    """

    seed: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check_type(field.name, _TYPES[field.name], getattr(self, field.name))
        self.check_data()
        self.check_networks()
        self.check_costs()
        self.check_optimization()
        not_negative(["seed"], self)
        expect(self.seed < 2**32, "seed < 2**32", "seed", self)
        expect(2**self.levels <= 2 * self.size, "2**levels <= 2 * size", "levels", self)
        patches = "2**discriminator_layers <= size / 2"
        expect(2**self.discriminator_layers <= self.size / 2, patches, "discriminator_layers", self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainingConfig":
        """The config with these values, the rest at their defaults.

        Raises:
            ValueError: an unknown name, or a value out of its range.
        """
        for name in values:
            if name not in _TYPES:
                near = difflib.get_close_matches(str(name), _TYPES, n=1, cutoff=0.0)[0]
                raise ValueError(f"Expected the name of a hyperparameter, got {name!r}. Did you mean {near!r}?")
        # Samplers like to hand out NumPy's numbers, which JSON would not take.
        plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}
        return cls(**plain)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON can hold, and `from_dict` turns back."""
        return dataclasses.asdict(self)


_TYPES: dict[str, Any] = get_type_hints(TrainingConfig)


def build_generator(config: TrainingConfig, rng: torch.Generator | None = None) -> UNet:
    """The generator of `config`, with fresh weights from `rng`, else from the config's seed."""
    generator = UNet(
        channels=config.channels,
        levels=config.levels,
        norm=config.norm,
        activation=config.activation,
        dropout=config.dropout,
        upsample=config.upsample,
        attention=config.attention,
        initialization=config.initialization,
        passes=config.passes,
        confidence=config.confidence,
        hints=config.hints,
        rng=rng or torch.Generator().manual_seed(config.seed),
    )
    if config.widths:
        narrow_to(generator, config.widths)
    return generator


def build_discriminator(config: TrainingConfig, rng: torch.Generator | None = None) -> PatchDiscriminator:
    """The discriminator of `config`, with fresh weights from `rng`, else from the config's seed."""
    return PatchDiscriminator(
        channels=config.discriminator_channels,
        layers=config.discriminator_layers,
        norm=config.discriminator_norm,
        spectral=config.discriminator_spectral,
        initialization=config.initialization,
        rng=rng or torch.Generator().manual_seed(config.seed),
    )
