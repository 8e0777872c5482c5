"""The gradients of both networks' costs against finite differences, tensor by tensor."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from colorizer.config import TrainingConfig
from colorizer.dataset import Drawings
from colorizer.objective import Objective
from colorizer.showing import Showing
from colorizer.training import Trainer
from colorizer.transfer import freeze

# Gradients are checked on so many drawings, by steps that are small beside each tensor, the second where the first
# crosses a kink. Float64 tells costs to the share _ROUNDING; zeros, which lie on kinks, are moved to about _NEAR_ZERO.
_JUDGED, _SMALL, _ROUNDING, _NEAR_ZERO = 4, (1e-6, 1e-8), 1e-14, 0.02


@dataclass(frozen=True)
class Slope:
    """Of a cost along a direction: as the gradient said, and as small steps found."""

    said: float
    found: float
    right: bool


def slopes_of(config: TrainingConfig, train: Drawings) -> dict[str, dict[str, Slope]]:
    """The slopes of both networks' costs at the start of a training, by the names of networks and tensors."""
    config = dataclasses.replace(config, dropout=0.0, batch_size=min(config.batch_size, _JUDGED))
    trainer = Trainer(config, train)
    generator = trainer.generator.double()
    for layer in freeze(generator, config.frozen):
        layer.eval()
    discriminator = trainer.discriminator.double().eval()  # in training, spectral norms would move with each look
    rng = torch.Generator().manual_seed(config.seed)
    _off_zero([*generator.parameters(), *discriminator.parameters()], rng)
    objective = Objective(config, train, torch.device("cpu"), nullcontext)
    lines, colors, given = (part.double() for part in Showing(config, train, torch.device("cpu")).next(0))

    def of_generator() -> Tensor:
        painted = objective.paint(generator, given)
        return objective.of_generator(generator, discriminator, lines, colors, *painted)["loss_g"]

    def of_discriminator() -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)  # the points of gradient penalties are random
            return objective.of_discriminator(discriminator, lines, colors, fake)["loss_d"]

    with _in_float64():
        compared = {"generator": _slopes(generator, of_generator, rng)}
        if config.adversarial_weight:
            fake = objective.paint(generator, given)[0].detach()
            compared["discriminator"] = _slopes(discriminator, of_discriminator, rng)
    return compared


def _slopes(network: nn.Module, cost: Callable[[], Tensor], rng: torch.Generator) -> dict[str, Slope]:
    """Those of a cost along a random direction of each tensor that learns; a random one sees all its numbers."""
    learned = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
    now = cost()
    gradients = torch.autograd.grad(now, list(learned.values()), allow_unused=True, materialize_grads=True)
    slopes = {}
    for (name, weight), gradient in zip(learned.items(), gradients, strict=True):
        spread = weight.detach().square().mean().sqrt()
        direction = spread * torch.randn(weight.shape, generator=rng)
        said = (gradient * direction).sum().item()
        for step in _SMALL:
            found = _found(cost, weight, step * direction) / step
            allowed = 0.01 * max(abs(found), abs(said)) + _ROUNDING * abs(now.item()) / step
            slopes[name] = Slope(said, found, abs(found - said) <= allowed)
            if slopes[name].right:
                break
    return slopes


def _found(cost: Callable[[], Tensor], weight: Tensor, step: Tensor) -> float:
    """What a step changes, of steps to both sides; the weight is left as it was."""
    start = weight.detach().clone()
    ends = []
    for there in (start + step, start - step):
        weight.data.copy_(there)
        ends.append(cost().item())
    weight.data.copy_(start)
    return (ends[0] - ends[1]) / 2


@torch.no_grad()
def _off_zero(weights: Iterable[Tensor], rng: torch.Generator) -> None:
    """Biases of zero put activations on their kink, and silent layers hide what is behind them."""
    for weight in weights:
        if not weight.any():
            weight.normal_(0, _NEAR_ZERO, generator=rng)


class _KeepingFloat64(TorchFunctionMode):
    """Inside, `.float()` leaves float64 as it is; costs are made of `.float()`s for the sake of autocast."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.float and args[0].dtype == torch.float64:
            return args[0]
        return func(*args, **(kwargs or {}))


@contextmanager
def _in_float64() -> Iterator[None]:
    """Inside, costs of networks in float64 are computed in it from end to end."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _KeepingFloat64():
            yield
    finally:
        torch.set_default_dtype(before)
