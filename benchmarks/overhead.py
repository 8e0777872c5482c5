"""What a trial costs beside its own work: a huetune run against plain Ray Tune with its defaults, in one process.

The trials do nothing but report ten times. Ours are a thousand, with the recorder, Bayesian search and early stopping;
what the sampler alone takes for the same trials is measured beside it and taken off. Plain Ray Tune starts an actor for
each trial and takes long, so it is given fewer. Figures are per trial, the time between the first and the last ending
of trials, so that neither side pays for the start of the cluster. A suggestion of a grid is timed late and early.
"""

from __future__ import annotations

import itertools
import logging
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import ray
from harness import arguments, finish, interval
from ray import tune
from rich.console import Console

from search import Bayesian, JitteredGrid, Results, Search, asha
from search.runner import run

REPORTS = 10


class Idle(tune.Trainable):
    """Reports ten times and learns nothing; can take the next trial in the same actor."""

    def setup(self, config: dict[str, Any]) -> None:
        self.x = config["x"]

    def step(self) -> dict[str, Any]:
        return {"loss": self.x + 1 / (self.iteration + 1), "done": self.iteration + 1 >= REPORTS}

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


def ours(trials: int, folder: Path) -> tuple[list[float], Results]:
    search = Search(
        trainable=Idle,
        space={"x": tune.uniform(0, 1), "y": tune.loguniform(1e-4, 1)},
        metric="loss",
        mode="min",
        trials=trials,
        iterations=REPORTS,
        method=Bayesian(),
        scheduler=asha(REPORTS),
    )
    results = run(search, name="ours", storage=str(folder), console=Console(quiet=True))
    ended = results.table()["ended"].sort_values()
    return between([t.timestamp() for t in ended]), results


def sampler_alone(results: Results) -> list[float]:
    """Milliseconds a trial of a sampler that is asked and told again what it was asked and told in a run."""
    method = Bayesian()
    space = {"x": tune.uniform(0, 1), "y": tune.loguniform(1e-4, 1)}
    method.iterations = REPORTS
    method.set_search_properties("loss", "min", space)
    reports = dict(list(results.measurements().groupby("trial_id")))
    times = []
    for trial_id in results.table()["trial_id"]:
        began = time.perf_counter()
        method.suggest(trial_id)
        losses = reports[trial_id]["loss"].tolist()
        for iteration, loss in enumerate(losses[:-1], start=1):
            method.on_trial_result(trial_id, {"loss": loss, "training_iteration": iteration})
        method.on_trial_complete(trial_id, {"loss": losses[-1], "training_iteration": len(losses)})
        times.append(1000 * (time.perf_counter() - began))
    return times


def grid_suggestions() -> tuple[float, float]:
    """Milliseconds of a grid's suggestions about the tenth and about the thousandth, medians of 15."""
    grid = JitteredGrid(factor=1.5, points=12)
    space = {"a": tune.loguniform(1e-4, 1), "b": tune.loguniform(1e-4, 1), "c": tune.uniform(0, 1)}
    grid.set_search_properties("loss", "min", space)
    times = []
    for number in range(1010):
        began = time.perf_counter()
        config = grid.suggest(str(number))
        times.append(1000 * (time.perf_counter() - began))
        assert isinstance(config, dict)
        grid.on_trial_complete(str(number), {"loss": config["c"], "training_iteration": 1})
    return float(np.median(times[3:18])), float(np.median(times[993:1008]))


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
        many, few = (100, 8) if options.quick else (1000, 20)
        mine, results = ours(many, Path(folder))
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        measured = {
            "huetune": mine,
            "its sampler alone": sampler_alone(results),
            "plain Ray Tune": plain(few, Path(folder)),
        }
    # Means, not medians: a trial in hundred that waits for a write is a cost too. Intervals over trials.
    rows = []
    for side, gaps in measured.items():
        low, high = interval(gaps)
        rows.append({"side": side, "trials": len(gaps), "ms_per_trial": float(np.mean(gaps)), "low": low, "high": high})
    alone = measured["its sampler alone"]
    all_of_ours, sampler, theirs = (row["ms_per_trial"] for row in rows)
    tenth, thousandth = grid_suggestions()
    summary = {
        "ms_per_trial": all_of_ours,
        "sampler_ms_per_trial": sampler,
        "ms_above_sampler": all_of_ours - sampler,
        "ray_default_ms_per_trial": theirs,
        "ratio_to_ray_default": (all_of_ours - sampler) / theirs,
        "sampler_ms_at_a_tenth": float(np.median(alone[many // 10 - 10 : many // 10 + 10])),
        "sampler_ms_at_the_end": float(np.median(alone[-20:])),
        "driver_peak_mib": peak_mib,
        "grid_tenth_ms": tenth,
        "grid_thousandth_ms": thousandth,
    }
    finish(options, rows, summary)


if __name__ == "__main__":
    main()
