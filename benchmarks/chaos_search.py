"""The search that `chaos.py` disturbs: trials whose every report can be foretold, and whose every step is counted."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ray import tune

from search import Random, Search

REPORTS = 6


class Counting(tune.Trainable):
    """Reports `x` times the steps it knows of: what was lost or repeated on the way would show."""

    def setup(self, config: dict[str, Any]) -> None:
        self.x, self.steps, self.log = config["x"], config["steps"], config["log"]
        self.total = 0.0

    def step(self) -> dict[str, Any]:
        time.sleep(self.steps)
        self.total += self.x
        # One small write is not torn, whoever else writes.
        file = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, f"{self.trial_id} {self.iteration + 1}\n".encode())
        os.close(file)
        return {"loss": self.total}

    def save_checkpoint(self, folder: str) -> None:
        Path(folder, "total.json").write_text(json.dumps(self.total))

    def load_checkpoint(self, folder: str) -> None:
        self.total = json.loads(Path(folder, "total.json").read_text())

    def reset_config(self, config: dict[str, Any]) -> bool:
        self.setup(config)
        return True


def search(log: str, trials: int = 8, seconds: float = 0.5, seed: int = 0) -> Search:
    """A search of short trials.

    Args:
        log: a file that all machines see; a line for every step that was ever made.
        trials: how many.
        seconds: of a step.
        seed: of the search.
    """
    return Search(
        trainable=Counting,
        space={"x": tune.uniform(0.5, 1), "steps": seconds, "log": log},
        metric="loss",
        mode="min",
        trials=trials,
        iterations=REPORTS,
        method=Random(),
        seed=seed,
    )
