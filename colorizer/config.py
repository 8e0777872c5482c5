"""The hyperparameters of a training as one frozen value with flat names, and the networks it describes."""

import dataclasses
import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_type_hints

import numpy as np
import torch

from colorizer.discriminator import PatchDiscriminator, PatchNorm
from colorizer.generator import Activation, Norm, UNet, Upsampling

Schedule = Literal["constant", "linear", "cosine"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class TrainingConfig:
    """What a training is, but for its data. On a CPU, equal configs and drawings give equal bits.

    Attributes:
        lr_g, lr_d: learning rates of generator and discriminator (Adam), above 0.
        beta1: decay of Adam's mean of gradients, in [0, 1).
        weight_decay: decoupled (AdamW), on weights but not on biases and norms; 0 or more.
        l1_weight, mse_weight: of the reconstruction errors in the generator's cost, 0 or more.
        adversarial_weight: of the discriminator's verdict in it; 0 trains the generator alone.
        channels, levels, norm, activation, dropout, upsample: of the generator, see `UNet`.
        discriminator_channels, discriminator_layers, discriminator_norm: see `PatchDiscriminator`.
        batch_size: drawings a step.
        size: height and width of the training drawings in pixels.
        flip: mirror half of the drawings, drawn anew each time.
        ema: decay per step of the running average of the generator's weights that predicts, in [0, 1); 0
            keeps none.
        schedule: how both learning rates fall to zero over the whole training.
        steps_per_report, total_reports: the length of the training, their product, and how often it is looked
            at.
        data_fraction: share of the training drawings that is learnt from, in (0, 1]: the same drawings for every
            trial, and a smaller share is part of a larger one.
        precision: "bfloat16" computes convolutions in it; weights and costs stay float32.
        seed: of weights, data order and dropout; 0 <= seed < 2**32.
    """

    lr_g: float = 4e-3
    lr_d: float = 2e-4
    beta1: float = 0.5
    weight_decay: float = 0.0
    l1_weight: float = 100.0
    mse_weight: float = 10.0
    adversarial_weight: float = 1.0
    channels: int = 16
    levels: int = 4
    norm: Norm = "batch"
    activation: Activation = "relu"
    dropout: float = 0.0
    upsample: Upsampling = "transposed"
    discriminator_channels: int = 16
    discriminator_layers: int = 2
    discriminator_norm: PatchNorm = "group"
    batch_size: int = 8
    size: int = 48
    flip: bool = True
    ema: float = 0.0
    schedule: Schedule = "cosine"
    steps_per_report: int = 100
    total_reports: int = 10
    data_fraction: float = 1.0
    precision: Precision = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _check_type(field.name, _TYPES[field.name], getattr(self, field.name))
        for name in ("lr_g", "lr_d"):
            _expect(getattr(self, name) > 0, f"{name} > 0", name, self)
        for name in ("beta1", "dropout", "ema"):
            _expect(0 <= getattr(self, name) < 1, f"0 <= {name} < 1", name, self)
        for name in ("weight_decay", "l1_weight", "mse_weight", "adversarial_weight", "seed"):
            _expect(getattr(self, name) >= 0, f"{name} >= 0", name, self)
        _expect(0 < self.data_fraction <= 1, "0 < data_fraction <= 1", "data_fraction", self)
        _expect(self.seed < 2**32, "seed < 2**32", "seed", self)
        for name in _COUNTS:
            _expect(getattr(self, name) >= 1, f"{name} >= 1", name, self)
        _expect(2**self.levels <= 2 * self.size, "2**levels <= 2 * size", "levels", self)
        patches = "2**discriminator_layers <= size / 2"
        _expect(2**self.discriminator_layers <= self.size / 2, patches, "discriminator_layers", self)
        if not (self.l1_weight or self.mse_weight or self.adversarial_weight):
            raise ValueError("Expected one of l1_weight, mse_weight and adversarial_weight above 0, got 0 for all.")

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

    @property
    def total_steps(self) -> int:
        return self.steps_per_report * self.total_reports

    def rate(self, step: int) -> float:
        """The share of the learning rates in force at `step`, counted from 0; after the end, the last."""
        left = 1 - min(step, self.total_steps - 1) / self.total_steps
        if self.schedule == "linear":
            return left
        if self.schedule == "cosine":
            return (1 - math.cos(math.pi * left)) / 2
        return 1.0


def build_generator(config: TrainingConfig, rng: torch.Generator | None = None) -> UNet:
    """The generator of `config`, with fresh weights from `rng`, else from the config's seed."""
    return UNet(
        channels=config.channels,
        levels=config.levels,
        norm=config.norm,
        activation=config.activation,
        dropout=config.dropout,
        upsample=config.upsample,
        rng=rng or torch.Generator().manual_seed(config.seed),
    )


def build_discriminator(config: TrainingConfig, rng: torch.Generator | None = None) -> PatchDiscriminator:
    """The discriminator of `config`, with fresh weights from `rng`, else from the config's seed."""
    return PatchDiscriminator(
        channels=config.discriminator_channels,
        layers=config.discriminator_layers,
        norm=config.discriminator_norm,
        rng=rng or torch.Generator().manual_seed(config.seed),
    )


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
_TYPES: dict[str, Any] = get_type_hints(TrainingConfig)
_COUNTS = (
    "channels",
    "levels",
    "discriminator_channels",
    "discriminator_layers",
    "batch_size",
    "size",
    "steps_per_report",
    "total_reports",
)


def _check_type(name: str, kind: Any, value: object) -> None:
    choices = get_args(kind)
    if choices:
        if value not in choices:
            raise ValueError(f"Expected {name} to be one of {', '.join(map(repr, choices))}, got {value!r}.")
    elif kind is float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"Expected {name} to be a finite number, got {value!r}.")
    elif isinstance(value, bool) is not (kind is bool) or not isinstance(value, kind):
        raise ValueError(
            f"Expected {name} to be {'True or False' if kind is bool else 'a whole number'}, got {value!r}."
        )


def _expect(holds: bool, rule: str, name: str, config: TrainingConfig) -> None:
    if not holds:
        raise ValueError(f"Expected {rule}, got {name}={getattr(config, name)!r}.")
