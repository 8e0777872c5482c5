"""A schedule that goes by scores. Those that go by steps alone are `OptimizationSettings.rate`."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor


class Plateau:
    """Counts how often the scores have stopped to rise: "the learning rate is divided when the error plateaus".

    As in He et al. (2016). Each `patience` reports in a row without a better score than ever make a plateau.

    Attributes:
        count: plateaus so far.
        heard: reports so far.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._best = -math.inf
        self._waited = 0
        self.count = 0
        self.heard = 0

    def hear(self, score: float) -> None:
        """A report with this score, the more the better. One that is not a number is no better."""
        self.heard += 1
        self._waited += 1
        if score > self._best:
            self._best, self._waited = score, 0
        elif self._waited == self._patience:
            self.count, self._waited = self.count + 1, 0

    def state(self) -> dict[str, Tensor]:
        """All of it as tensors."""
        counts = torch.tensor([self._waited, self.count, self.heard])
        return {"best": torch.tensor(self._best, dtype=torch.float64), "counts": counts}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from a `state`."""
        self._best = state["best"].item()
        self._waited, self.count, self.heard = state["counts"].tolist()
