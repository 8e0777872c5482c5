"""How the networks are trained, and for how long."""

import math
from dataclasses import dataclass
from typing import Literal

from colorizer.settings.rules import above_zero, at_least_one, expect, not_negative, shares

Descent = Literal["adam", "sgd", "rmsprop", "adadelta", "adam_sgd"]
Schedule = Literal["constant", "linear", "cosine", "exponential", "plateau"]
Precision = Literal["float32", "bfloat16", "float16", "auto"]


@dataclass(frozen=True)
class OptimizationSettings:
    """The optimisation.

    Attributes:
        optimizer: of both networks, see `optimizers.Optimizer`.
        lr_g, lr_d: learning rates of generator and discriminator, above 0. The defaults are for Adam; the others
            want rates of their own, "adadelta" some near 1.
        beta1: of "adam" and "adam_sgd", the decay of the mean of gradients, in [0, 1).
        momentum: of "sgd", in [0, 1).
        handover: of "adam_sgd", the share of the steps that Adam takes before gradient descent goes on, in (0, 1).
        weight_decay: decoupled (Loshchilov and Hutter 2019), on weights but not on biases and norms; 0 or more.
        clip_value: gradients are cut to [-clip_value, clip_value], each number by itself; 0 leaves them.
        clip_norm: then those of each network are scaled down together to this Euclidean norm if they are longer
            (Pascanu et al. 2013); 0 leaves them.
        accumulation: batches whose mean gradient makes a step, 1 or more: for batches that memory has no room for.
            The norm "batch" sees each of them alone.
        ema: decay per step of the running average of the generator's weights that predicts, in [0, 1); 0
            keeps none.
        schedule: how both learning rates fall over the whole training: to zero in "linear" and "cosine" (Loshchilov
            and Hutter 2017), by the factor `decay_factor` every `decay_steps` steps in "exponential", and in
            "plateau" at each plateau of the validation PSNR, see `schedules.Plateau`.
        decay_factor: of "exponential", in (0, 1).
        decay_steps: of "exponential", 1 or more; the fall between is smooth.
        plateau_factor: of "plateau", what the learning rates are divided by, in [2, 10].
        plateau_patience: of "plateau", reports without a better score that make one, 1 or more.
        warmup_steps: over which the learning rates rise from near zero, evenly (Goyal et al. 2017); 0 or more. The
            schedule runs on meanwhile.
        floor: the share of the learning rates below which no schedule falls, in [0, 1).
        steps_per_report, total_reports: the length of the training, their product, and how often it is looked
            at.
        precision: "bfloat16" and, on GPUs alone, "float16" compute convolutions in it; weights and costs stay
            float32. For "float16" costs are scaled so that small gradients survive (Micikevicius et al. 2018). "auto"
            is "bfloat16" on devices made for it and "float32" elsewhere.
        start_from: folder of the checkpoint whose weights are the beginning, where they fit; "" begins afresh. See
            `transfer.take_over`.
        frozen: parts of the generator that stay as they are, as prefixes of parameter names with commas between:
            "down.0,down.1" are its first two levels. See `transfer.freeze`.
        lr_old_factor: learning rate of what the generator took from `start_from`, as a share of lr_g, in (0, 1]
            (Yosinski et al. 2014 and Howard and Ruder 2018 on why to be careful with it).
    """

    optimizer: Descent = "adam"
    lr_g: float = 4e-3
    lr_d: float = 2e-4
    beta1: float = 0.5
    momentum: float = 0.9
    handover: float = 0.5
    weight_decay: float = 0.0
    clip_value: float = 0.0
    clip_norm: float = 0.0
    accumulation: int = 1
    ema: float = 0.0
    schedule: Schedule = "cosine"
    decay_factor: float = 0.5
    decay_steps: int = 250
    plateau_factor: float = 3.0
    plateau_patience: int = 2
    warmup_steps: int = 0
    floor: float = 0.0
    steps_per_report: int = 100
    total_reports: int = 10
    precision: Precision = "float32"
    start_from: str = ""
    frozen: str = ""
    lr_old_factor: float = 1.0

    def check_optimization(self) -> None:
        """Raise ValueError for a value that nothing can be trained with."""
        above_zero(["lr_g", "lr_d"], self)
        shares(["beta1", "momentum", "ema", "floor"], self)
        not_negative(["weight_decay", "clip_value", "clip_norm", "warmup_steps"], self)
        at_least_one(["accumulation", "decay_steps", "plateau_patience", "steps_per_report", "total_reports"], self)
        for name in ("handover", "decay_factor"):
            expect(0 < getattr(self, name) < 1, f"0 < {name} < 1", name, self)
        expect(2 <= self.plateau_factor <= 10, "2 <= plateau_factor <= 10", "plateau_factor", self)
        expect(0 < self.lr_old_factor <= 1, "0 < lr_old_factor <= 1", "lr_old_factor", self)

    @property
    def total_steps(self) -> int:
        """Steps of the whole training."""
        return self.steps_per_report * self.total_reports

    @property
    def handover_step(self) -> int:
        """How many steps Adam takes where gradient descent follows it: the first at least."""
        return max(1, round(self.handover * self.total_steps))

    def rate(self, step: int, plateaus: int = 0) -> float:
        """The share of the learning rates in force at `step`, counted from 0; after the end, the last.

        Args:
            plateaus: that the scores have come to so far; "plateau" goes by these.
        """
        step = min(step, self.total_steps - 1)
        rate = max(self.floor, self._fallen(step, plateaus))
        return rate * (step + 1) / self.warmup_steps if step + 1 < self.warmup_steps else rate

    def _fallen(self, step: int, plateaus: int) -> float:
        left = 1 - step / self.total_steps
        if self.schedule == "linear":
            return left
        if self.schedule == "cosine":
            return (1 - math.cos(math.pi * left)) / 2
        if self.schedule == "exponential":
            return self.decay_factor ** (step / self.decay_steps)
        if self.schedule == "plateau":
            return self.plateau_factor**-plateaus
        return 1.0
