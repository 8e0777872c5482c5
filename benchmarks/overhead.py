"""What a trial costs beside its own work: a huetune run against plain Ray Tune with its defaults, in one process.

The trials do nothing but report ten times. Plain Ray Tune starts an actor for each and takes long, so it is given
fewer; figures are per trial, the time between the first and the last ending of trials, so that neither side pays for
the start of the cluster.
"""

from __future__ import annotations

import itertools
import logging
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import ray
from harness import arguments, finish, interval
from ray import tune
from rich.console import Console

from search import Random, Search
from search.runner import run

REPORTS = 10


class Idle(tune.Trainable):
    """Reports ten times and learns nothing; can take the next trial in the same actor."""

    def setup(self, config: dict[str, Any]) -> None:
        self.x = config["x"]

    def step(self) -> dict[str, Any]:
        return {"loss": self.x, "done": self.iteration + 1 >= REPORTS}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True


class Ends(tune.Callback):
    """When each trial ended."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_trial_complete(self, **_: Any) -> None:
        self.times.append(time.perf_counter())


def between(times: list[float]) -> list[float]:
    """Milliseconds between one ending and the next, in order of time."""
    return [1000 * (b - a) for a, b in itertools.pairwise(times)]


def ours(trials: int, folder: Path) -> list[float]:
    search = Search(
        trainable=Idle,
        space={"x": tune.uniform(0, 1)},
        metric="loss",
        mode="min",
        trials=trials,
        iterations=REPORTS,
        method=Random(),
    )
    results = run(search, name="ours", storage=str(folder), console=Console(quiet=True))
    ended = results.table()["ended"].sort_values()
    return between([t.timestamp() for t in ended])


def plain(trials: int, folder: Path) -> list[float]:
    ends = Ends()
    tuner = tune.Tuner(
        Idle,
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(metric="loss", mode="min", num_samples=trials),
        run_config=tune.RunConfig(
            name="plain",
            storage_path=str(folder),
            callbacks=[ends],
            verbose=0,
            # Ray would save the trial at its end, and ours has nothing to save.
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    tuner.fit()
    return between(ends.times)


def main() -> None:
    options = arguments(__doc__)
    ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        many, few = (60, 8) if options.quick else (300, 20)
        measured = {"huetune": ours(many, Path(folder)), "plain Ray Tune": plain(few, Path(folder))}
    # Means, not medians: a trial in hundred that waits for a write is a cost too. Intervals over trials.
    rows = []
    for side, gaps in measured.items():
        low, high = interval(gaps)
        rows.append(
            {"side": side, "trials": len(gaps) + 1, "ms_per_trial": float(np.mean(gaps)), "low": low, "high": high}
        )
    mine, theirs = (row["ms_per_trial"] for row in rows)
    summary = {"ms_per_trial": mine, "ray_default_ms_per_trial": theirs, "ratio_to_ray_default": mine / theirs}
    finish(options, rows, summary)


if __name__ == "__main__":
    main()
