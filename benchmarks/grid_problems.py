"""JitteredGrid against random search and a plain grid with equally many trials, on the 24 functions of the BBOB suite.

Every function (Hansen et al. 2009, Optimization Methods and Software 2021, through `coco-experiment`) is warped: its
box [-5, 5] becomes four decades of a log axis. The starting range of four decades lies so that the optimum is inside it
(the box itself), at its edge, or beyond its edge by 0.25 to 1.5 decades, on one axis and side drawn by the seed. A case
is a function, a number of axes and a place of the optimum; a method wins a case where its median regret over the
repeats, each another instance and another seed, is the lower one.

The grid goes first, and the others are given as many trials as it took. Random search is log-uniform in the range. The
plain grid has the largest full grid that fits into that many trials: the middles of equal cells, as of an unjittered
grid, and, told apart as `ends`, one from end to end. Neither can leave the range. The functions know no trial length:
the longer trials of a refinement count as one each, as all others.

The defaults of JitteredGrid (the jitter, the window of a refinement, the cells beyond an edge) were chosen on the
instances and seeds 1001 to 1008; what is reported has the instances 1 to 20, with `--quick` 1 to 10.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import cocoex
import numpy as np
from harness import Row, arguments, finish, interval
from ray import tune

from search.jittered_grid import JitteredGrid, Refine

DECADES, UNITS = 4.0, 10.0
PLACES = ("inside", "at", "beyond")
SETTINGS = {"refine": [Refine()]}


class Problem:
    """A BBOB function over the decimal logarithms of `axes` learning rates from 1e-4 to 1, and where its optimum is."""

    def __init__(self, function: int, axes: int, place: str, instance: int) -> None:
        rng = np.random.default_rng([function, axes, PLACES.index(place), instance])
        self._bare = cocoex.BareProblem("bbob", function, axes, instance)
        self.axes = axes
        self._low = np.full(axes, -UNITS / 2)
        self.axis, self.side = int(rng.integers(axes)), int(rng.choice([-1, 1]))
        beyond = UNITS / DECADES * rng.uniform(0.25, 1.5) if place == "beyond" else 0.0
        if place != "inside":
            edge = self._bare.best_parameter()[self.axis] - self.side * beyond
            self._low[self.axis] = edge if self.side < 0 else edge - UNITS

    def regret(self, logs: np.ndarray) -> float:
        """How far the loss at 10 ** logs is above the least."""
        return float(self._bare(self._low + (logs + DECADES) * UNITS / DECADES) - self._bare.best_value())

    def beyond(self, logs: np.ndarray) -> bool:
        """Whether a point lies beyond the range on the side of the optimum."""
        return bool(logs[self.axis] * self.side > (0 if self.side > 0 else DECADES))


def jittered(problem: Problem, seed: int, **settings: Any) -> tuple[list[float], list[bool]]:
    """The regrets of a JitteredGrid in the order of its trials, and which of its points lie beyond the range."""
    method = JitteredGrid(seed=seed, iterations=1, **settings)
    names = [f"x{i}" for i in range(problem.axes)]
    method.set_search_properties("loss", "min", {name: tune.loguniform(10**-DECADES, 1.0) for name in names})
    regrets, beyond = [], []
    while isinstance(config := method.suggest(trial := f"{len(regrets)}"), dict):
        logs = np.log10([config[name] for name in names])
        regrets.append(problem.regret(logs))
        beyond.append(problem.beyond(logs))
        method.on_trial_complete(
            trial, {"loss": regrets[-1], "training_iteration": config.get("training_iteration", 1)}
        )
    return regrets, beyond


def random(problem: Problem, trials: int, seed: int) -> float:
    """The least regret of log-uniform draws."""
    draws = np.random.default_rng([seed, 7]).uniform(-DECADES, 0, (trials, problem.axes))
    return min(map(problem.regret, draws))


def plain(problem: Problem, trials: int, ends: bool) -> float:
    """The least regret of the largest full grid of so many trials, as even between the axes as can be."""
    counts = [int(trials ** (1 / problem.axes) + 1e-9)] * problem.axes
    for axis in range(problem.axes):
        if np.prod(counts) // counts[axis] * (counts[axis] + 1) <= trials:
            counts[axis] += 1
    ticks = [np.linspace(0, 1, n) if ends and n > 1 else (np.arange(n) + 0.5) / n for n in counts]
    return min(problem.regret(-DECADES + DECADES * np.array(point)) for point in itertools.product(*ticks))


def case(function: int, axes: int, place: str, instances: Sequence[int], settings: Mapping[str, Any]) -> Row:
    """Medians over the instances."""
    runs = []
    for instance in instances:
        problem = Problem(function, axes, place, instance)
        regrets, beyond = jittered(problem, instance, **settings)
        trials = len(regrets)
        runs.append(
            (
                trials,
                min(regrets),
                random(problem, trials, instance),
                plain(problem, trials, ends=False),
                plain(problem, trials, ends=True),
                beyond[int(np.argmin(regrets))],
            )
        )
    trials, grid, chance, middles, ends, beyond = np.median(np.array(runs, float), axis=0)
    found = float(np.mean([run[-1] for run in runs]))
    names = {"function": f"f{function}", "axes": axes, "optimum": place, "trials": trials}
    return names | {"grid": grid, "random": chance, "plain": middles, "ends": ends, "beyond": found}


def rows(quick: bool, instances: Sequence[int] | None = None, settings: Mapping[str, Any] = SETTINGS) -> list[Row]:
    """A row a case."""
    instances = instances or range(1, 11 if quick else 21)
    return [case(*found, instances, settings) for found in itertools.product(range(1, 25), (2, 3), PLACES)]


def summary(rows: list[Row]) -> Row:
    """In which share of the cases the grid has the better median, and of the runs, how many ended beyond the range."""
    wins = {name: [row["grid"] < row[name] for row in rows] for name in ("random", "plain", "ends")}
    beyond = [row["beyond"] for row in rows if row["optimum"] == "beyond"]
    return {
        **share("grid_beats_random", wins["random"]),
        **share("grid_beats_plain_grid", wins["plain"]),
        **share("grid_beats_end_to_end_grid", wins["ends"]),
        **share("finds_beyond", beyond),
        "cases": len(rows),
    }


def share(name: str, values: Sequence[float]) -> Row:
    """The mean over cases, with its bootstrap interval."""
    low, high = interval(values)
    return {name: float(np.mean(values)), f"{name}_low": low, f"{name}_high": high}


def main() -> None:
    """Run on the command line."""
    options = arguments(__doc__)
    found = rows(options.quick)
    finish(options, found, summary(found))


if __name__ == "__main__":
    main()
