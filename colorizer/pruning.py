"""Generators made smaller after training: filters with the least weights are cut out, and the rest trained again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from colorizer import checkpoint
from colorizer.config import TrainingConfig
from colorizer.generator import UNet
from colorizer.layers import Attention
from colorizer.narrowing import check_widths, filter_layers, filter_norms, narrow, widths_of
from colorizer.training import Trainer

if TYPE_CHECKING:
    from colorizer.dataset import Drawings


@dataclass(frozen=True)
class Round:
    """A generator that was pruned and trained again.

    Attributes:
        folder: its checkpoint, to predict with or to prune further.
        parameters: how many weights it has.
        scores: on the validation drawings, see `Trainer.evaluate`.
    """

    folder: Path
    parameters: int
    scores: Mapping[str, float]


def strongest(generator: UNet, share: float) -> list[Tensor]:
    """The positions of the filters that stay, for each layer of `filter_layers`, where `share` of all go.

    Filters go by the sum of their absolute weights (Li et al. 2017), divided by the mean of their layer, so that layers
    with many or small weights do not lose all of theirs. Each layer keeps its strongest filter, and with attention the
    deepest layer all of its own.

    Args:
        share: of the filters of all layers, in (0, 1).
    """
    if not 0 < share < 1:
        raise ValueError(f"Expected 0 < share < 1, got share={share!r}.")
    norms = [filter_norms(layer).double() for layer in filter_layers(generator)]
    strengths = [norm / norm.mean().clamp_min(torch.finfo(norm.dtype).tiny) for norm in norms]
    for strength in strengths:
        strength[strength.argmax()] = torch.inf
    if isinstance(generator.deepest, Attention):
        strengths[len(generator.down) - 1][:] = torch.inf
    together = torch.cat(strengths)
    count = min(round(share * len(together)), int(together.isfinite().sum()))
    stays = torch.ones_like(together, dtype=torch.bool)
    stays[together.argsort(stable=True)[:count]] = False
    return [part.nonzero().flatten() for part in torch.split(stays, [len(norm) for norm in norms])]


def prune(folder: str | Path, target: str | Path, share: float) -> TrainingConfig:
    """Cut a share of the filters out of a checkpoint's generator, and write the smaller one as a checkpoint.

    That predicts what the whole generator would with those filters set to zero, and is what a training can
    `start_from`: the discriminator, where there is one, comes along.

    Args:
        share: see `strongest`.

    Returns:
        The config of the smaller generator, with its `widths`.

    Raises:
        CheckpointError: it cannot be read.
        ValueError: the share is none, or the filters of such a generator cannot be missed one by one.
    """
    generator, description = checkpoint.load_generator(folder)
    before = widths_of(generator)
    config = description.config
    check_widths(before, config.levels, config.norm, config.activation)
    narrow(generator, strongest(generator, share))
    config = replace(config, widths=widths_of(generator))
    tensors: dict[str, Mapping[str, Tensor]] = {checkpoint.GENERATOR: generator.state_dict()}
    if checkpoint.DISCRIMINATOR in description.files:
        tensors[checkpoint.DISCRIMINATOR] = checkpoint.read_tensors(folder, checkpoint.DISCRIMINATOR)
    notes = {**description.notes, "pruned": {"from": str(folder), "share": share, "before": before}}
    # What was scored was the whole generator.
    checkpoint.write(target, replace(description, config=config, metrics={}, notes=notes), tensors)
    return config


def prune_and_retrain(
    folder: str | Path,
    target: str | Path,
    train: "Drawings",
    validation: "Drawings",
    *,
    share: float,
    rounds: int,
    settings: Mapping[str, Any] | None = None,
    device: str | torch.device = "cpu",
) -> Iterator[Round]:
    """Prune, train again, and repeat, as in Li et al. (2017); one round each time the next is asked for.

    Args:
        folder: the checkpoint to begin with.
        target: where checkpoints go: round-1, round-2, ... with round-1-pruned, ... as they were before training.
        train, validation: drawings of the config's size.
        share: of the filters that each round cuts out, see `strongest`.
        rounds: how often, 1 or more.
        settings: fields of `TrainingConfig` by which a round is trained, such as `total_reports`; all others are those
            of the checkpoint.

    Raises:
        CheckpointError: it cannot be read.
        ValueError: see `prune`; or settings that cannot be trained with.
        Diverged: a loss was not finite.
    """
    if rounds < 1:
        raise ValueError(f"Expected rounds >= 1, got rounds={rounds}.")
    for number in range(1, rounds + 1):
        pruned, folder_of_round = (Path(target) / f"round-{number}{name}" for name in ("-pruned", ""))
        config = prune(folder, pruned, share)
        values = {**config.to_dict(), **(settings or {}), "start_from": str(pruned), "widths": config.widths}
        trainer = Trainer(TrainingConfig.from_dict(values), train, device, checkpoint.read(pruned).data)
        scores: dict[str, float] = {}
        for _ in range(trainer.config.total_reports):
            trainer.train(trainer.config.steps_per_report)
            scores = trainer.evaluate(validation)
            trainer.hear(scores)
        trainer.save(folder_of_round, scores)
        parameters = sum(weight.numel() for weight in trainer.shown.parameters())
        yield Round(folder_of_round, parameters, scores)
        folder = folder_of_round
