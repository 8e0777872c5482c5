"""Is a training put together rightly? Looked at in a minute, before hours are spent on it.

Checks of the data, of the networks at their start, and of learning itself: a training that cannot learn one batch by
heart will learn nothing (Karpathy, A Recipe for Training Neural Networks, 2019). What it fails for a learning rate that
is wrong by powers of ten is told apart from what no learning rate mends.
"""

import dataclasses
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from colorizer.config import TrainingConfig
from colorizer.dataset import Drawings
from colorizer.generator import predict
from colorizer.gradients import slopes_of
from colorizer.losses import discriminator_cost
from colorizer.sampling import Sampler, to_unit
from colorizer.settings.data import UNCHANGED
from colorizer.showing import Batch, Showing
from colorizer.training import Diverged, Trainer

_CPU = torch.device("cpu")
# The root mean square of fresh verdicts is 0 to 2, by any initialisation. All wrong by 2 is what they may cost at most:
# squares grow faster than the other costs. True and generated drawings differ so much at first that verdicts may also
# be right by luck, which has been seen down to 0.36 of the cost at chance.
_VERDICT, _LUCK = 2.0, 0.2
# What one batch learned by heart leaves of the error of the mean picture, and the steps that this may take.
_LEARNED, _STEPS, _LOOKS = 0.25, 300, 6
# Learning rates are tried at these shares where the given ones fail.
_OTHER_RATES = (1e-1, 1e1, 1e-2, 1e2, 1e-3, 1e3)
_PLACES = np.array([1, 1 << 8, 1 << 16])  # of the bytes of a number


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
    """Look at a training on the CPU, one check after another; quick ones first.

    One of precision="float16", which CPUs are no good at, is looked at in float32.

    Args:
        config: its hyperparameters.
        train: the drawings that it learns from.
        told: is given the name of each check before it is made.
    """
    if config.precision == "float16":
        config = dataclasses.replace(config, precision="float32")
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
    sampler = Sampler(marked, config.batch_size, False, config.seed, config.data_fraction, config.rare_labels)
    count = len(sampler.state()["order"])
    batches = [sampler.next()[0][:, 0, 0].numpy() for _ in range(math.ceil(2 * count / config.batch_size))]  # (B, 3)
    numbers = np.concatenate(batches)[: 2 * count] @ _PLACES
    first, second = numbers[:count].tolist(), numbers[count:].tolist()
    if config.rare_labels:
        said = f"{len(set(first))} of {count} drawings in an epoch with replacement, rare labels more often"
        return count <= 8 or first != second, said
    if len(set(first)) < count:
        return False, f"{count - len(set(first))} of {count} drawings came twice in an epoch"
    if count > 8 and first == second:
        return False, f"two epochs of {count} drawings came in the same order"
    return True, f"each of {count} drawings once an epoch, in another order each time"


def _seeds(config: TrainingConfig, train: Drawings) -> tuple[bool, str]:
    config = dataclasses.replace(config, schedule="constant")  # another may wait for scores
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
    chance, most = (
        float(discriminator_cost(torch.tensor(-verdict), torch.tensor(verdict), config.adversarial))
        for verdict in (0.0, _VERDICT)
    )
    if not config.adversarial_weight or not chance or config.start_from:
        finite = all(math.isfinite(cost) for cost in costs.values())
        return finite, f"costs at the start are {'finite' if finite else 'not finite'}; they have no value at chance"
    found = costs["loss_d"] - costs.get("penalty", 0.0)
    said = f"the discriminator's cost is {found:.2f} at the start, and {chance:.2f} for verdicts of 0"
    if found < most:
        near = found > _LUCK * chance
        return near, said if near else f"{said}: expected more than {_LUCK:g} times that. It cannot know so much yet."
    return False, f"{said}: expected less than {most:.2f}. Its first weights are too large."


def _gradients(config: TrainingConfig, train: Drawings) -> tuple[bool, str]:
    compared = slopes_of(config, train)
    for network, slopes in compared.items():
        wrong = [name for name, slope in slopes.items() if not slope.right]
        if wrong:
            slope = slopes[wrong[0]]
            return False, (
                f"the {network}'s cost changes by {slope.found:.4g} along a random direction of {wrong[0]}, whose"
                f" gradient says {slope.said:.4g}. So for {len(wrong)} of {len(slopes)} tensors, the last {wrong[-1]}:"
                " a cost, or its backward pass, is wrong, or a part is cut off from it."
            )
    counts = " and ".join(f"{len(slopes)} of the {network}" for network, slopes in compared.items())
    return True, f"costs change as gradients say, for each tensor that learns: {counts}"


def _learning(config: TrainingConfig, train: Drawings) -> tuple[bool, str]:
    few, trivial, error = _few(config, train)
    left = _left_over(config, few, error)
    said = f"{left:.0%} of the error of {trivial} is left on one batch of {len(few)} within {_STEPS} steps"
    if left < _LEARNED:
        return True, said
    for share in _OTHER_RATES:
        other = _left_over(dataclasses.replace(config, lr_g=config.lr_g * share), few, error)
        if other < _LEARNED:
            said += f", and {other:.0%} with lr_g={config.lr_g * share:.1e}: lr_g={config.lr_g:g} is "
            # Weights that have learned before may be meant to learn slowly.
            return (True, f"{said}careful.") if config.start_from and share > 1 else (False, f"{said}wrong.")
    return False, f"{said}, and no other learning rate does better: suspect the networks, the costs or the data."


def _few(config: TrainingConfig, train: Drawings) -> tuple[Drawings, str, float]:
    """A batch to learn by heart; a trivial prediction of it, and the error of that.

    4 drawings at least: of fewer, the mean picture is near to each.
    """
    size = min(max(4, config.batch_size), len(train.lines))
    few = train.chosen(np.linspace(0, len(train.lines) - 1, size).astype(np.intp))
    colors = to_unit(torch.from_numpy(few.colors), _CPU)
    error = float((colors - colors.mean(dim=0)).square().mean())
    if error > 1e-6:
        return few, "the mean picture", error
    # A single drawing, or one that comes again and again, is its own mean picture.
    error = float((colors - colors.mean(dim=(0, 2, 3), keepdim=True)).square().mean())
    return few, "the mean colour", error or 1.0


def _left_over(config: TrainingConfig, few: Drawings, error: float) -> float:
    """What is left of that error on a few drawings that are learned by heart, as a share."""
    simple = {**UNCHANGED, "batch_size": len(few), "accumulation": 1, "dropout": 0.0, "ema": 0.0, "data_fraction": 1.0}
    alone = {"adversarial_weight": 0.0, "feature_weight": 0.0}
    # What is kept as it was on purpose may leave too little to learn by heart.
    free = {"frozen": "", "lr_old_factor": 1.0}
    length = {"schedule": "constant", "steps_per_report": _STEPS // _LOOKS, "total_reports": _LOOKS, "warmup_steps": 0}
    l1 = config.l1_weight or float(not (config.mse_weight or config.huber_weight))
    changes: dict[str, Any] = {**simple, **alone, **free, **length, "l1_weight": l1}
    trainer = Trainer(dataclasses.replace(config, **changes), few)
    left = math.inf
    for _ in range(_LOOKS):
        try:
            trainer.train(_STEPS // _LOOKS)
        except Diverged:
            return math.inf
        left = trainer.evaluate(few)["mse"] / error
        if left < _LEARNED:
            break
    return left


def _batch(config: TrainingConfig, train: Drawings) -> Batch:
    return Showing(config, train, _CPU).next(0)


def _numbered(count: int, channels: int = 1) -> np.ndarray:
    """Pictures of three pixels that say their number, up to 24 bits."""
    pixels = (np.arange(count)[:, None] // _PLACES % 256).astype(np.uint8)
    return np.broadcast_to(pixels[:, None, None, :], (count, channels, 1, 3)).copy()


_CHECKS: dict[str, Callable[[TrainingConfig, Drawings], tuple[bool, str]]] = {
    "inputs": _inputs,
    "outputs": _outputs,
    "order": _order,
    "seeds": _seeds,
    "chance": _chance,
    "gradients": _gradients,
    "learning": _learning,
}
