"""What both networks of a training are to make small: the costs of its config, joined."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from colorizer.config import TrainingConfig
from colorizer.discriminator import PatchDiscriminator
from colorizer.generator import UNet
from colorizer.losses import (
    PENALIZED,
    adversarial_cost,
    decay_cost,
    discriminator_cost,
    feature_cost,
    in_space,
    likelihood_cost,
    reconstruction_cost,
    variation_cost,
)
from colorizer.penalties import around, between, r1_penalty, slope_penalty
from colorizer.rarity import Rarity
from colorizer.splitting import part_of

if TYPE_CHECKING:
    from colorizer.dataset import Drawings

Costs = dict[str, Tensor]
Painted = tuple[Tensor, Tensor | None]  # colours (B, 3, H, W), and log-variances (B, 1, H, W) where they are told

_COUNTED = 1000  # drawings that tell how rare colours are


class Objective:
    """The costs of a config. What it switches off is not computed.

    Args:
        config: the hyperparameters.
        train: the drawings that are learnt from; where rare colours are to count, some of them are read.
        device: where the networks are.
        autocast: the precision to run the networks in; costs and penalties are computed in float32.

    Attributes:
        names: of the costs of a step. Always told are loss_g and loss_d, which the networks make small, adversarial
            (unweighted) and reconstruction (weighted). Where the config has them, there follow, weighted, penalty (a
            part of loss_d), feature, likelihood, variation and decay (parts of loss_g).
    """

    def __init__(
        self,
        config: TrainingConfig,
        train: "Drawings",
        device: torch.device,
        autocast: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self._config = config
        self._autocast = autocast
        self._rarity = None
        if config.rare_weight:
            rows = part_of(train.groups, config.data_fraction)
            rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), _COUNTED)).astype(np.intp)]
            self._rarity = Rarity(train.colors[rows], config.rare_weight, device)
        self._slope_penalty = config.adversarial_weight > 0 and config.adversarial in PENALIZED
        self._r1 = config.adversarial_weight > 0 and config.r1_weight > 0
        self._decay = config.l1_decay > 0 or config.l2_decay > 0
        some = {
            "penalty": self._slope_penalty or self._r1,
            "feature": config.feature_weight,
            "likelihood": config.confidence,
            "variation": config.tv_weight,
            "decay": self._decay,
        }
        self.names = ("loss_g", "loss_d", "adversarial", "reconstruction", *(name for name, on in some.items() if on))

    def paint(self, generator: UNet, given: Tensor) -> Painted:
        """Colours (B, 3, H, W) for lines, or lines and hints, (B, 1 or 5, H, W).

        And their log-variances (B, 1, H, W) where these are told.
        """
        with self._autocast():
            if self._config.confidence:
                colors, log_variance = generator.with_log_variance(given)
                return colors.float(), log_variance
            painted: Tensor = generator(given)
        return painted.float(), None

    def of_discriminator(self, discriminator: PatchDiscriminator, lines: Tensor, colors: Tensor, fake: Tensor) -> Costs:
        """loss_d and, where there is one, its penalty.

        Args:
            discriminator: in training.
            lines: (B, 1, H, W).
            colors, fake: (B, 3, H, W), the true colours and generated ones without a gradient.
        """
        config = self._config
        # True and generated in one pass, half the calls: no norm of this network looks across examples.
        with self._autocast():
            logits = discriminator(torch.cat((lines, lines)), torch.cat((colors, fake))).float()
        real_logits, fake_logits = logits.chunk(2)
        loss = discriminator_cost(real_logits, fake_logits, config.adversarial, config.label_smoothing)
        penalties = []
        if self._slope_penalty:
            points = between(colors, fake) if config.adversarial == "wgan_gp" else around(colors)
            penalties.append(config.penalty_weight * slope_penalty(discriminator, lines, points))
        if self._r1:
            penalties.append(config.r1_weight * r1_penalty(discriminator, lines, colors))
        if not penalties:
            return {"loss_d": loss}
        penalty = torch.stack(penalties).sum()
        return {"loss_d": loss + penalty, "penalty": penalty}

    def of_generator(
        self,
        generator: UNet,
        discriminator: PatchDiscriminator,
        lines: Tensor,
        colors: Tensor,
        fake: Tensor,
        log_variance: Tensor | None,
    ) -> Costs:
        """loss_g and what it is made of.

        Args:
            generator: whose weights may cost something.
            discriminator: gradients pass through it to the generator; it gets none itself.
            lines: (B, 1, H, W).
            colors: (B, 3, H, W), the true ones.
            fake, log_variance: what `paint` gave.
        """
        config = self._config
        adversarial, feature = self._recognised(discriminator, lines, colors, fake)
        reconstruction = reconstruction_cost(
            in_space(fake, config.color_space),
            in_space(colors, config.color_space),
            config.mse_weight,
            config.l1_weight,
            config.huber_weight,
            config.huber_delta,
            None if self._rarity is None else self._rarity.weights(colors),
        )
        costs = {"adversarial": adversarial, "reconstruction": reconstruction} | feature
        if log_variance is not None:
            costs["likelihood"] = config.likelihood_weight * likelihood_cost(fake, colors, log_variance)
        if config.tv_weight:
            costs["variation"] = config.tv_weight * variation_cost(fake)
        if self._decay:
            weights = (parameter for parameter in generator.parameters() if parameter.dim() > 1)  # no biases, no norms
            costs["decay"] = decay_cost(weights, config.l1_decay, config.l2_decay)
        loss = config.adversarial_weight * adversarial
        for name, cost in costs.items():
            if name != "adversarial":
                loss = loss + cost
        return {"loss_g": loss} | costs

    def _recognised(
        self, discriminator: PatchDiscriminator, lines: Tensor, colors: Tensor, fake: Tensor
    ) -> tuple[Tensor, Costs]:
        """The unweighted adversarial cost, 0 where there is no discriminator, and that of features."""
        config = self._config
        if not config.adversarial_weight:
            return fake.new_zeros(()), {}
        if not config.feature_weight:
            with self._autocast(), _frozen(discriminator):
                return adversarial_cost(discriminator(lines, fake).float(), config.adversarial), {}
        with self._autocast(), _frozen(discriminator):
            logits, features = discriminator.with_features(lines, fake)
            with torch.no_grad():
                _, true = discriminator.with_features(lines, colors)
        matched = feature_cost([each.float() for each in true], [each.float() for each in features])
        return adversarial_cost(logits.float(), config.adversarial), {"feature": config.feature_weight * matched}


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """Gradients pass through the network and are not computed for its parameters."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
