"""How soon other methods are as good as random search is in the end: the colours of real drawings, on one machine.

    python benchmarks/time_to_best.py COLOR_DIR LINE_DIR [--seeds 1 2 3] [--quick] [--json FILE]

Random search trains 32 configurations to their full length; its best validation PSNR is the mark. The seconds in which
a method first reports that much are counted from the start of its run, and so are random search's own: it has its mark
when its best trial reports it, which may be early by luck. `sooner` is the geometric mean over seeds of random search's
seconds over the method's; `sooner_than_whole` sets the method against the whole of random search, which is what one
waits for who cannot know that the best has come. The other runs end at the mark, of which no method knows. With asha(),
random search tries the same configurations as without; the other methods share nothing with it. All parameters have
wide ranges, as for a model that nobody has tuned before.
"""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import ray
from harness import drawings_arguments, finish
from ray import tune

from colorizer.prepare import prepare
from colorizer.trial import ColorizerTrial
from search import Bayesian, JitteredGrid, Random, Refine, Results, Retest, Search, Stage, Stages, asha

REPORTS, TRIALS = 9, 32


def grid() -> dict[str, Any]:
    rates = JitteredGrid(factor=10, crossed=[("lr_g", "lr_d"), ("l1_weight", "mse_weight")], refine=[Refine(3, 2, 1.0)])
    return {
        "method": Stages([Stage("grid", method=rates), Retest(top=2, seeds=2)]),
        "scheduler": asha(REPORTS),
    }


METHODS: dict[str, Callable[[], dict[str, Any]]] = {
    "Random": lambda: {"method": Random()},
    "Random + asha": lambda: {"method": Random(), "scheduler": asha(REPORTS)},
    "Bayesian + asha": lambda: {"method": Bayesian(), "scheduler": asha(REPORTS)},
    "JitteredGrid + Retest": grid,
}


class Reached(tune.Stopper):
    """Ends a run once any trial has reported so much."""

    def __init__(self, mark: float) -> None:
        self.mark, self.reached = mark, False

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        self.reached = self.reached or result["psnr"] >= self.mark
        return False

    def stop_all(self) -> bool:
        return self.reached


def search(method: str, data: str, seed: int, trials: int, steps: int, mark: float) -> Search:
    return Search(
        trainable=ColorizerTrial,
        space={
            "lr_g": tune.loguniform(1e-6, 1e-1),
            "lr_d": tune.loguniform(1e-6, 1e-1),
            "l1_weight": tune.loguniform(1e-2, 1e2),
            "mse_weight": tune.loguniform(1e-2, 1e2),
            "schedule": "constant",
            "data": data,
            "size": 48,
            "batch_size": 8,
            "steps_per_report": steps,
            "total_reports": REPORTS,
        },
        metric="psnr",
        mode="max",
        # Random search has its configurations, the grid its plan, and a model goes on.
        trials={"JitteredGrid + Retest": None, "Bayesian + asha": 4 * trials}.get(method, trials),
        stop=None if math.isnan(mark) else Reached(mark),
        iterations=REPORTS,
        resources={"cpu": 1},
        keep_checkpoints=1,
        # A model begins with random trials: those of random search itself would share its luck.
        seed=seed if method.startswith("Random") else 1000 + seed,
        **METHODS[method](),
    )


def seconds_to(results: Results, mark: float) -> tuple[float, float]:
    """When a report first reached the mark, and when the last came; seconds from the start of the first trial."""
    reports = results.measurements()
    began = results.table()["started"].min()
    reached = reports.loc[reports["psnr"] >= mark, "time"]
    when = (reached.min() - began).total_seconds() if len(reached) else math.inf
    return when, (pd.to_datetime(reports["time"]).max() - began).total_seconds()


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Geometric means over seeds; a method that never reached the mark once has a mean of zero."""
    found: dict[str, Any] = {"seeds": len({row["seed"] for row in rows})}
    for name in ("sooner", "sooner_than_whole"):
        for method in METHODS:
            factors = np.array([row[name] for row in rows if row["method"] == method])
            found[f"{name}: {method}"] = float(np.exp(np.log(factors).mean())) if factors.all() else 0.0
    return found


def main() -> None:
    options = drawings_arguments(__doc__, seeds=[1, 2, 3])
    trials, steps = (6, 5) if options.quick else (TRIALS, 50)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        dataset = prepare(options.colors, Path(scratch) / "dataset", options.lines).folder
        for seed in options.seeds:
            mark = whole = own = math.nan
            for method in METHODS:
                results = search(method, str(dataset), seed, trials, steps, mark).run(f"{method} {seed}", scratch)
                if method == "Random":
                    mark = results.best.score
                seconds, end = seconds_to(results, mark)
                if method == "Random":
                    own, whole = seconds, end
                rows.append(
                    {
                        "seed": seed,
                        "method": method,
                        "mark_psnr": mark,
                        "best_psnr": results.best.score,
                        "trials": len(results.table()),
                        "seconds_to_mark": seconds,
                        "seconds_in_all": end,
                        "sooner": own / seconds,
                        "sooner_than_whole": whole / seconds,
                    }
                )
                print({name: round(v, 2) if isinstance(v, float) else v for name, v in rows[-1].items()}, flush=True)
            # After each seed: what is done is worth keeping.
            finish(options, rows, summary(rows))


if __name__ == "__main__":
    main()
