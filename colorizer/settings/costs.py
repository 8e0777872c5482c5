"""What both networks are trained to make small."""

from dataclasses import dataclass

from colorizer.losses import LABELLED, PENALIZED, Adversarial, ColorSpace
from colorizer.settings.rules import above_zero, expect, not_negative, shares

_WEIGHTS = ("l1_weight", "mse_weight", "huber_weight", "adversarial_weight")


@dataclass(frozen=True)
class CostSettings:
    """The costs.

    Attributes:
        l1_weight, mse_weight, huber_weight: of the reconstruction errors in the generator's cost, 0 or more.
        huber_delta: where the Huber error turns from quadratic to linear, above 0; colours lie in [-1, 1].
        color_space: where these errors are taken; Lab is scaled so that weights compare, see `losses.in_space`.
        rare_weight: how much more pixels of rare colours count in them, in [0, 1): 0 not at all, 0.5 as Zhang et al.
            (2016); see `Rarity`.
        likelihood_weight: of the Gaussian likelihood that log-variances are trained by, above 0; only with
            confidence=True. It moves the colours, too.
        tv_weight: of the total variation of the colours in the generator's cost, 0 or more.
        l1_decay, l2_decay: of the sum of absolute weights and of half the sum of squared weights of the generator in
            its cost, without biases and norms; 0 or more.
        adversarial_weight: of the discriminator's verdict in it; 0 trains the generator alone.
        adversarial: the costs of verdicts, see `losses.discriminator_cost`.
        penalty_weight: of the gradient penalty in the discriminator's cost; above 0 with "wgan_gp" and "dragan", and of
            no use otherwise.
        r1_weight: of the R1 penalty in it (Mescheder et al. 2018), 0 or more; not beside another penalty.
        label_smoothing: by how much labels of true drawings are below 1, in [0, 0.5); for costs with labels.
        feature_weight: of feature matching in the generator's cost (Wang et al. 2018), 0 or more; it needs a
            discriminator.
    """

    l1_weight: float = 100.0
    mse_weight: float = 10.0
    huber_weight: float = 0.0
    huber_delta: float = 0.1
    color_space: ColorSpace = "rgb"
    rare_weight: float = 0.0
    likelihood_weight: float = 1.0
    tv_weight: float = 0.0
    l1_decay: float = 0.0
    l2_decay: float = 0.0
    adversarial_weight: float = 1.0
    adversarial: Adversarial = "vanilla"
    penalty_weight: float = 10.0
    r1_weight: float = 0.0
    label_smoothing: float = 0.0
    feature_weight: float = 0.0

    def check_costs(self) -> None:
        """Raise ValueError for a value that makes no cost, or for costs that contradict each other."""
        not_negative([*_WEIGHTS, "tv_weight", "l1_decay", "l2_decay"], self)
        not_negative(["penalty_weight", "r1_weight", "feature_weight"], self)
        above_zero(["huber_delta", "likelihood_weight"], self)
        shares(["rare_weight"], self)
        expect(0 <= self.label_smoothing < 0.5, "0 <= label_smoothing < 0.5", "label_smoothing", self)
        if not any(getattr(self, name) for name in _WEIGHTS):
            raise ValueError(
                "Expected one of l1_weight, mse_weight, huber_weight and adversarial_weight above 0, got 0 for all."
            )
        self._check_verdicts()

    def _check_verdicts(self) -> None:
        kind = f"with adversarial={self.adversarial!r}"
        penalized, labelled = self.adversarial in PENALIZED, self.adversarial in LABELLED
        rule = f"penalty_weight > 0 {kind}, which is not what it is without"
        expect(self.penalty_weight > 0 or not penalized, rule, "penalty_weight", self)
        rule = f"r1_weight = 0 {kind}, whose penalty pulls slopes to 1 where R1 pulls them to 0"
        expect(not self.r1_weight or not penalized, rule, "r1_weight", self)
        rule = f"label_smoothing = 0 {kind}, which has no labels"
        expect(not self.label_smoothing or labelled, rule, "label_smoothing", self)
        rule = "feature_weight = 0 with adversarial_weight = 0, as no discriminator learns any features"
        expect(not self.feature_weight or self.adversarial_weight > 0, rule, "feature_weight", self)
