"""A small search that tests and benchmarks kill and resume: slow enough to be hit in the middle of anything."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from ray import tune

from search import Bayesian, JitteredGrid, Refine, Search, asha

REPORTS = 4


class Slow(tune.Trainable):
    """Counts its steps, and knows after a restore how many it had made."""

    def setup(self, config: dict[str, Any]) -> None:
        self.x, self.pause, self.steps = config["x"], config["pause"], 0

    def step(self) -> dict[str, Any]:
        time.sleep(self.pause)
        self.steps += 1
        return {"loss": (self.x - 0.3) ** 2 + 1 / self.steps, "steps": self.steps}

    def save_checkpoint(self, folder: str) -> None:
        Path(folder, "steps.json").write_text(json.dumps(self.steps))

    def load_checkpoint(self, folder: str) -> None:
        self.steps = json.loads(Path(folder, "steps.json").read_text())

    def reset_config(self, config: dict[str, Any]) -> bool:
        self.setup(config)
        return True


def search(
    trials: int = 10, pause: float = 0.1, concurrent: int = 2, stop_early: bool = True, grid: bool = False
) -> Search:
    return Search(
        trainable=Slow,
        space={"x": tune.uniform(0, 1), "kind": tune.choice(["a", "b"]), "pause": pause},
        metric="loss",
        mode="min",
        trials=trials,
        iterations=REPORTS,
        method=JitteredGrid(points=4, refine=[Refine(factor=2)]) if grid else Bayesian(startup=4),
        scheduler=asha(REPORTS, grace=1, reduction=2) if stop_early else None,
        concurrent=concurrent,
        keep_checkpoints=3,
    )
