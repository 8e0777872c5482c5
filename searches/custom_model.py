"""A search over a model of one's own: a small classifier of points on two spirals, with nothing about colours in it.

    huetune run searches/custom_model.py --name spirals

Copy it, put your model and data in, and keep the last lines.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from ray import tune
from torch import nn

from search import Bayesian, Search, asha

EPOCHS = 12


def spirals(points: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (N, 2) on two noisy spirals, and which of them each is on (N,)."""
    rng = torch.Generator().manual_seed(seed)
    turn = torch.rand(points, generator=rng).sqrt() * 2 * math.pi
    which = torch.randint(2, (points,), generator=rng)
    angle = turn + math.pi * which
    xy = torch.stack((turn * angle.cos(), turn * angle.sin()), dim=1) / 10
    return xy + 0.02 * torch.randn(points, 2, generator=rng), which


class Spirals(tune.Trainable):
    """A trial: a multilayer perceptron, trained for an epoch a report."""

    def setup(self, config: dict[str, Any]) -> None:
        torch.manual_seed(config["seed"])  # every trial is given a seed of its own
        layers: list[nn.Module] = [nn.Linear(2, config["width"]), nn.Tanh()]
        for _ in range(config["depth"]):
            layers += [nn.Linear(config["width"], config["width"]), nn.Tanh()]
        self.model = nn.Sequential(*layers, nn.Linear(config["width"], 2))
        self.adam = torch.optim.AdamW(self.model.parameters(), config["lr"], weight_decay=config["weight_decay"])
        self.train_set, self.validation_set = spirals(1000, seed=0), spirals(500, seed=1)
        self.batch_size = config["batch_size"]

    def step(self) -> dict[str, float]:
        xy, which = self.train_set
        for batch in torch.randperm(len(xy)).split(self.batch_size):
            self.adam.zero_grad()
            loss = nn.functional.cross_entropy(self.model(xy[batch]), which[batch])
            loss.backward()
            self.adam.step()
        with torch.no_grad():
            xy, which = self.validation_set
            accuracy = (self.model(xy).argmax(dim=1) == which).float().mean()
        return {"accuracy": accuracy.item(), "loss": loss.item()}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        torch.save(self.model.state_dict(), Path(checkpoint_dir, "model.pt"))

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        self.model.load_state_dict(torch.load(Path(checkpoint_dir, "model.pt"), weights_only=True))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)  # the next trial takes over this process: no time is lost on a new one
        return True


def search(trials: int = 40, epochs: int = EPOCHS) -> Search:
    return Search(
        trainable=Spirals,
        space={
            "lr": tune.loguniform(1e-4, 1e-1),
            "weight_decay": tune.loguniform(1e-6, 1e-1),
            "width": tune.lograndint(4, 65),
            "depth": tune.randint(0, 4),
            "batch_size": tune.choice([16, 64, 256]),
        },
        metric="accuracy",
        mode="max",
        trials=trials,
        iterations=epochs,
        method=Bayesian(),
        scheduler=asha(epochs),
    )
