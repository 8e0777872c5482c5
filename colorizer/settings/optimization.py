"""How the networks are trained, and for how long."""

import math
from dataclasses import dataclass
from typing import Literal

from colorizer.settings.rules import above_zero, at_least_one, not_negative, shares

Schedule = Literal["constant", "linear", "cosine"]
Precision = Literal["float32", "bfloat16"]


@dataclass(frozen=True)
class OptimizationSettings:
    """The optimisation.

    Attributes:
        lr_g, lr_d: learning rates of generator and discriminator (Adam), above 0.
        beta1: decay of Adam's mean of gradients, in [0, 1).
        weight_decay: decoupled (AdamW), on weights but not on biases and norms; 0 or more.
        ema: decay per step of the running average of the generator's weights that predicts, in [0, 1); 0
            keeps none.
        schedule: how both learning rates fall to zero over the whole training.
        steps_per_report, total_reports: the length of the training, their product, and how often it is looked
            at.
        precision: "bfloat16" computes convolutions in it; weights and costs stay float32.
    """

    lr_g: float = 4e-3
    lr_d: float = 2e-4
    beta1: float = 0.5
    weight_decay: float = 0.0
    ema: float = 0.0
    schedule: Schedule = "cosine"
    steps_per_report: int = 100
    total_reports: int = 10
    precision: Precision = "float32"

    def check_optimization(self) -> None:
        """Raise ValueError for a value that nothing can be trained with."""
        above_zero(["lr_g", "lr_d"], self)
        shares(["beta1", "ema"], self)
        not_negative(["weight_decay"], self)
        at_least_one(["steps_per_report", "total_reports"], self)

    @property
    def total_steps(self) -> int:
        """Steps of the whole training."""
        return self.steps_per_report * self.total_reports

    def rate(self, step: int) -> float:
        """The share of the learning rates in force at `step`, counted from 0; after the end, the last."""
        left = 1 - min(step, self.total_steps - 1) / self.total_steps
        if self.schedule == "linear":
            return left
        if self.schedule == "cosine":
            return (1 - math.cos(math.pi * left)) / 2
        return 1.0
