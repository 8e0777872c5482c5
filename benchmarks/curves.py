"""A seeded simulator of noisy learning curves that cross: families of problems, and workers in simulated time.

No training and no clock: a trial's report is a number drawn from its curve, and an event queue says when it comes.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from ray import tune
from ray.tune.result import TRAINING_ITERATION

Config = dict[str, Any]
FULL = 27  # reports of a full trial: rungs at 1, 3 and 9
NOISE = 0.01


@dataclass(frozen=True)
class Curve:
    """A learning curve that ends, free of noise, at `final`.

    Attributes:
        final: the true loss at the full budget.
        gap: how much higher the first report is.
        rate: large where most of the way is done early, negative where it is done late.
        seconds: of a report.
        fails: the report at which the trial diverges; None for a trial that does not.
    """

    final: float
    gap: float
    rate: float
    seconds: float
    fails: int | None = None

    def at(self, iteration: int) -> float:
        """The loss at a report, free of noise."""
        power = np.array([1, iteration, FULL], float) ** -(self.rate or 1e-9)
        return float(self.final + self.gap * (power[1] - power[2]) / (power[0] - power[2]))


@dataclass(frozen=True)
class Problem:
    """One problem of a family: a space, and a curve for each of its points; the best final value is 0."""

    family: str
    space: Config
    curve: Callable[[Config], Curve]

    def regret(self, config: Config) -> float:
        """How far the truth at the full budget is from the best."""
        return self.curve(config).final


def problem(family: str, dims: int, seed: int) -> Problem:
    """The problem of a family, a number of parameters and a seed."""
    rng = np.random.default_rng([seed, dims, *family.encode()])
    return FAMILIES[family](dims, rng)


def _space(dims: int) -> Config:
    """Log, linear and integer axes by turns."""
    kinds = [tune.loguniform(1e-5, 1e-1), tune.uniform(0, 1), tune.loguniform(1e-4, 1.0), tune.randint(0, 65)]
    return {f"x{i}": kinds[i % 4] for i in range(dims)}


def _unit(config: Config, dims: int) -> np.ndarray:
    ends = [(-5, -1), (0, 1), (-4, 0), (0, 64)]
    values = [config[f"x{i}"] for i in range(dims)]
    numbers = [math.log10(v) if i % 4 in (0, 2) else float(v) for i, v in enumerate(values)]
    return np.array([(v - ends[i % 4][0]) / (ends[i % 4][1] - ends[i % 4][0]) for i, v in enumerate(numbers)])


def _weights(dims: int, rng: np.random.Generator) -> np.ndarray:
    """A few axes that matter and others that hardly do."""
    weights = rng.permutation(0.6 ** np.arange(dims))
    return weights / weights.sum() * 4


def _bowl(dims: int, rng: np.random.Generator) -> Problem:
    """Smooth in the unit cube; a small first parameter learns slowly."""
    best, weights = rng.uniform(0.2, 0.8, dims), _weights(dims, rng)

    def curve(config: Config) -> Curve:
        u = _unit(config, dims)
        return Curve(float(weights @ (u - best) ** 2), 0.5 + 0.5 * u[-1], -0.2 + 1.4 * u[0], 0.5 + u[1])

    return Problem("bowl", _space(dims), curve)


def _ridge(dims: int, rng: np.random.Generator) -> Problem:
    """Two parameters that have to keep to one another, like the learning rates of two networks."""
    best, weights = rng.uniform(0.25, 0.75, dims), _weights(dims, rng)

    def curve(config: Config) -> Curve:
        u = _unit(config, dims)
        off = u - best
        across, along = off[0] - off[1], off[0] + off[1]
        rest = float(weights[2:] @ off[2:] ** 2)
        final = 6 * across**2 + 0.4 * along**2 + 0.5 * rest
        return Curve(final, 0.6, 0.3 + u[0], 1.0)

    return Problem("ridge", _space(dims), curve)


def _cliff(dims: int, rng: np.random.Generator) -> Problem:
    """A valley in a plateau, and beyond an edge of the first parameter trials diverge."""
    best, weights = rng.uniform(0.25, 0.7, dims), _weights(dims, rng)
    edge = min(best[0] + rng.uniform(0.1, 0.25), 0.95)

    def curve(config: Config) -> Curve:
        u = _unit(config, dims)
        final = 1 - math.exp(-float(weights @ (u - best) ** 2) / 0.6)
        fails = 1 + int(6 * rng_of(config)) if u[0] > edge else None
        return Curve(final, 0.5, 0.2 + u[0], 1.0, fails)

    return Problem("cliff", _space(dims), curve)


def _choices(dims: int, rng: np.random.Generator) -> Problem:
    """Half of the parameters are choices; the first of them moves the best place of the first number."""
    choices = max(dims // 2, 1)
    numbers = dims - choices
    space = _space(numbers) | {f"c{i}": tune.choice([f"v{j}" for j in range(3 + i % 3)]) for i in range(choices)}
    effects = [np.append(0, rng.uniform(0.1, 0.6, 2 + i % 3))[rng.permutation(3 + i % 3)] for i in range(choices)]
    best, weights, shifts = rng.uniform(0.35, 0.65, numbers), _weights(numbers, rng), rng.uniform(-0.3, 0.3, 5)

    def curve(config: Config) -> Curve:
        picks = [int(config[f"c{i}"][1:]) for i in range(choices)]
        u = _unit(config, numbers)
        place = best + np.eye(numbers)[0] * shifts[picks[0]]
        final = float(weights @ (u - place) ** 2) + sum(e[p] for e, p in zip(effects, picks, strict=True)) / choices
        return Curve(final, 0.6, 0.2 + 0.3 * picks[-1], 0.5 + 0.3 * picks[0])

    return Problem("choices", space, curve)


def _misleading(dims: int, rng: np.random.Generator) -> Problem:
    """What is good in the end starts badly: the early order of trials is half wrong."""
    best, weights = rng.uniform(0.2, 0.8, dims), _weights(dims, rng)
    along = rng.normal(size=dims)
    along /= np.abs(along).sum()

    def curve(config: Config) -> Curve:
        u = _unit(config, dims)
        final = float(weights @ (u - best) ** 2)
        late = float(along @ (u - best))
        return Curve(final, 0.6 - 0.35 * math.tanh(2 * final) + 0.5 * late, 0.5 - late, 1.0)

    return Problem("misleading", _space(dims), curve)


def rng_of(config: Config) -> float:
    """A number in [0, 1) that hangs on the configuration alone."""
    text = ",".join(f"{k}={v}" for k, v in sorted(config.items()) if k[0] in "xc")
    return float(np.random.default_rng([*text.encode()]).random())


FAMILIES: dict[str, Callable[[int, np.random.Generator], Problem]] = {
    "bowl": _bowl,
    "ridge": _ridge,
    "cliff": _cliff,
    "choices": _choices,
    "misleading": _misleading,
}


class Side(Protocol):
    """A search method and its scheduler, as the simulator drives them."""

    def start(self, trial_id: str) -> Config:
        """The configuration of a new trial."""

    def report(self, trial_id: str, result: Config) -> bool:
        """Take a report; whether the trial goes on."""

    def fail(self, trial_id: str) -> None:
        """Take a failure."""


def play(problem: Problem, side: Side, *, workers: int, trials: int, seed: int) -> float:
    """Run a search in simulated time.

    Returns:
        The regret of the trial whose last report was the lowest.
    """
    noise = np.random.default_rng([seed, 1])
    ids = (f"{n:05d}" for n in itertools.count())
    queue: list[tuple[float, int, str, Config, Curve, int]] = []
    order = itertools.count()
    last: dict[str, tuple[float, Config]] = {}

    def begin(now: float) -> None:
        trial_id = next(ids)
        config = side.start(trial_id)
        curve = problem.curve(config)
        heapq.heappush(queue, (now + curve.seconds, next(order), trial_id, config, curve, 1))

    for _ in range(min(workers, trials)):
        begin(0.0)
    begun = min(workers, trials)
    while queue:
        now, _, trial_id, config, curve, iteration = heapq.heappop(queue)
        if curve.fails == iteration:
            side.fail(trial_id)
            last.pop(trial_id, None)
            goes_on = False
        else:
            loss = curve.at(iteration) + NOISE * float(noise.normal())
            last[trial_id] = loss, config
            goes_on = side.report(trial_id, {"loss": loss, TRAINING_ITERATION: iteration, "config": config})
        if goes_on:
            heapq.heappush(queue, (now + curve.seconds, next(order), trial_id, config, curve, iteration + 1))
        elif begun < trials:
            begin(now)
            begun += 1
    return problem.regret(min(last.values(), key=lambda entry: entry[0])[1])
