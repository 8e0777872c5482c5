"""What both networks are trained to make small."""

from dataclasses import dataclass

from colorizer.settings.rules import not_negative


@dataclass(frozen=True)
class CostSettings:
    """The costs.

    Attributes:
        l1_weight, mse_weight: of the reconstruction errors in the generator's cost, 0 or more.
        adversarial_weight: of the discriminator's verdict in it; 0 trains the generator alone.
    """

    l1_weight: float = 100.0
    mse_weight: float = 10.0
    adversarial_weight: float = 1.0

    def check_costs(self) -> None:
        """Raise ValueError for a value that makes no cost."""
        not_negative(["l1_weight", "mse_weight", "adversarial_weight"], self)
        if not (self.l1_weight or self.mse_weight or self.adversarial_weight):
            raise ValueError("Expected one of l1_weight, mse_weight and adversarial_weight above 0, got 0 for all.")
