"""Is a training put together rightly? Looked at in a minute, before hours are spent on it.

Checks of the data, of the networks at their start, and of learning itself: a training that cannot learn one batch by
heart will learn nothing (Karpathy, A Recipe for Training Neural Networks, 2019). What it fails for a learning rate that
is wrong by powers of ten is told apart from what no learning rate mends.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch

from colorizer.config import TrainingConfig, build_discriminator, build_generator
from colorizer.dataset import Drawings
from colorizer.generator import predict
from colorizer.objective import Objective
from colorizer.sampling import Sampler, to_unit
from colorizer.settings.data import UNCHANGED
from colorizer.showing import Batch, Showing
from colorizer.training import Diverged, Trainer

# What one batch learned by heart leaves of the error of the mean picture, and the steps that this may take.
_LEARNED, _STEPS, _LOOKS = 0.2, 300, 6
# Learning rates are tried at these shares where the given ones fail.
_OTHER_RATES = (1e-1, 1e1, 1e-2, 1e2, 1e-3, 1e3)
_CHANCE = {"vanilla": math.log(2)}


@dataclass(frozen=True)
class Check:
    """What one check came to.

    Attributes:
        name: what was looked at.
        passed: whether it is as it should be.
        said: what was found, with the numbers.
    """

    name: str
    passed: bool
    said: str


def checks(config: TrainingConfig, train: Drawings, told: Callable[[str], None] = lambda name: None) -> Iterator[Check]:
    """Look at a training, one check after another; quick ones first.

    Args:
        config: its hyperparameters.
        train: the drawings that it learns from.
        told: is given the name of each check before it is made.
    """
    for name, check in _CHECKS.items():
        told(name)
        passed, said = check(config, train)
        yield Check(name, passed, said)


def _inputs(config: TrainingConfig, train: Drawings) -> tuple[bool, str]:
    lines, colors, given = _batch(config, train)
    ranges = [f"{float(part.min()):.2f} to {float(part.max()):.2f}" for part in (lines, colors)]
    centre = float(colors.mean())
    said = f"lines {ranges[0]}, colours {ranges[1]}, their mean {centre:.2f}"
    if float(lines.std()) == 0 or float(colors.std()) == 0:
        return False, f"{said}: a batch that shows nothing. Look at the dataset's report."
    if config.hints:
        told = given[:, -1].flatten(1).any(dim=1).float().mean()
        said += f", hints in {float(told):.0%} of the drawings at the first step"
    inside = all(float(part.abs().max()) <= 1 for part in (given, colors))
    return inside, said if inside else f"{said}: expected [-1, 1]."


def _outputs(config: TrainingConfig, train: Drawings) -> tuple[bool, str]:
    _, colors, given = _batch(config, train)
    painted = predict(Trainer(config, train).generator, given)
    said = f"pictures of {tuple(painted.shape)} from {float(painted.min()):.2f} to {float(painted.max()):.2f}"
    right = painted.shape == colors.shape and float(painted.abs().max()) <= 1 and bool(painted.isfinite().all())
    return right, said if right else f"{said}: expected {tuple(colors.shape)} in [-1, 1]."


def _order(config: TrainingConfig, train: Drawings) -> tuple[bool, str]:
    marked = dataclasses.replace(train, lines=_numbered(len(train.lines)), colors=_numbered(len(train.lines), 3))
    sampler = Sampler(marked, 1, False, config.seed, config.data_fraction, config.rare_labels)
    count = len(sampler.state()["order"])
    first, second = (
        [int(part[0, 0, 0, 0]) + 256 * int(part[0, 0, 0, 1]) for part in (sampler.next()[0] for _ in range(count))]
        for _ in range(2)
    )
    if config.rare_labels:
        said = f"{len(set(first))} of {count} drawings in an epoch with replacement, rare labels more often"
        return count <= 8 or first != second, said
    if len(set(first)) < count:
        return False, f"{count - len(set(first))} of {count} drawings came twice in an epoch"
    if count > 8 and first == second:
        return False, f"two epochs of {count} drawings came in the same order"
    return True, f"each of {count} drawings once an epoch, in another order each time"


def _seeds(config: TrainingConfig, train: Drawings) -> tuple[bool, str]:
    one, other = (Trainer(config, train) for _ in range(2))
    for trainer in (one, other):
        trainer.train(2)
    equal = all(
        torch.equal(ours, theirs)
        for ours, theirs in zip(one.generator.state_dict().values(), other.generator.state_dict().values(), strict=True)
    )
    said = "two trainings from the same seed are the same after two steps"
    return equal, said if equal else f"expected that {said}, and they are not: something draws from another generator"


def _chance(config: TrainingConfig, train: Drawings) -> tuple[bool, str]:
    costs = Trainer(dataclasses.replace(config, label_smoothing=0.0), train).train(1)
    expected = _CHANCE.get(config.adversarial)
    if not config.adversarial_weight or expected is None:
        finite = all(math.isfinite(cost) for cost in costs.values())
        return finite, f"costs at the start are {'finite' if finite else 'not finite'}; they have no value at chance"
    found = costs["loss_d"] - costs.get("penalty", 0.0)
    near = 0.4 < found / expected < 2.5
    said = f"the discriminator's cost is {found:.2f} at the start, and {expected:.2f} at chance"
    return near, said if near else f"{said}: expected less than 2.5 times that. Its first weights are too large."


def _gradients(config: TrainingConfig, train: Drawings) -> tuple[bool, str]:
    """The slope of the whole cost along its gradient, against the difference that a small step there makes."""
    config = dataclasses.replace(config, dropout=0.0, precision="float32")
    device = torch.device("cpu")
    generator, discriminator = build_generator(config), build_discriminator(config)
    objective = Objective(config, train, device, nullcontext)
    lines, colors, given = _batch(config, train)
    weights = list(generator.parameters())

    def cost() -> torch.Tensor:
        painted = objective.paint(generator, given)
        return objective.of_generator(generator, discriminator, lines, colors, *painted)["loss_g"]

    now = cost()
    gradients = torch.autograd.grad(now, weights)
    slope = float(torch.stack([part.square().sum() for part in gradients]).sum().sqrt())
    step = 1e-3 * max(float(now.detach()), 1e-3) / max(slope, 1e-6)  # as small as float32 can still tell
    moved = []
    with torch.no_grad():
        for way in (step, -2 * step):
            for weight, part in zip(weights, gradients, strict=True):
                weight.add_(part, alpha=way / max(slope, 1e-6))
            moved.append(float(cost()))
    found = (moved[0] - moved[1]) / (2 * step)
    said = f"the generator's cost changes by {found:.4g} along its gradient, which says {slope:.4g}"
    right = math.isfinite(found) and abs(found - slope) < 0.05 * slope
    return right, said if right else f"{said}: expected the same within 5 %. A cost, or its backward pass, is wrong."


def _learning(config: TrainingConfig, train: Drawings) -> tuple[bool, str]:
    left = _left_over(config, train)
    said = f"{left:.0%} of the error of the mean picture is left on one batch after {_STEPS} steps"
    if left < _LEARNED:
        return True, said
    for share in _OTHER_RATES:
        other = _left_over(dataclasses.replace(config, lr_g=config.lr_g * share), train)
        if other < _LEARNED:
            return False, f"{said}, and {other:.0%} with lr_g={config.lr_g * share:.1e}: lr_g={config.lr_g:g} is wrong."
    return False, f"{said}, and no other learning rate does better: suspect the networks, the costs or the data."


def _left_over(config: TrainingConfig, train: Drawings) -> float:
    """The error on one batch that is learned by heart, over that of the batch's mean picture."""
    rows = np.linspace(0, len(train.lines) - 1, min(config.batch_size, len(train.lines))).astype(np.intp)
    few = train.chosen(rows)
    simple = {**UNCHANGED, "adversarial_weight": 0.0, "dropout": 0.0, "ema": 0.0, "data_fraction": 1.0}
    length = {"schedule": "constant", "steps_per_report": _STEPS // _LOOKS, "total_reports": _LOOKS, "warmup_steps": 0}
    l1 = config.l1_weight or float(not (config.mse_weight or config.huber_weight))
    trainer = Trainer(dataclasses.replace(config, **simple, **length, l1_weight=l1), few)  # type: ignore[arg-type]
    colors = to_unit(torch.from_numpy(few.colors), torch.device("cpu"))
    mean = float((colors - colors.mean(dim=0)).square().mean()) or 1.0
    left = math.inf
    for _ in range(_LOOKS):
        try:
            trainer.train(_STEPS // _LOOKS)
        except Diverged:
            return math.inf
        left = trainer.evaluate(few)["mse"] / mean
        if left < _LEARNED:
            break
    return left


def _batch(config: TrainingConfig, train: Drawings) -> Batch:
    return Showing(config, train, torch.device("cpu")).next(0)


def _numbered(count: int, channels: int = 1) -> np.ndarray:
    """Pictures of two pixels that say their number."""
    numbers = np.arange(count)
    pixels = np.stack((numbers % 256, numbers // 256 % 256), axis=1).astype(np.uint8)
    return np.broadcast_to(pixels[:, None, None, :], (count, channels, 1, 2)).copy()


_CHECKS: dict[str, Callable[[TrainingConfig, Drawings], tuple[bool, str]]] = {
    "inputs": _inputs,
    "outputs": _outputs,
    "order": _order,
    "seeds": _seeds,
    "chance": _chance,
    "gradients": _gradients,
    "learning": _learning,
}
