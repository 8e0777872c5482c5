"""A jittered grid played to its end without Ray: what its tests share."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from ray import tune

from search.jittered_grid import JitteredGrid
from search.method import FINISHED
from search.params import flatten
from search.suggestion import Suggestion

Loss = Callable[[dict[str, Any]], float]
RATES = {"g": tune.loguniform(1e-5, 1e-1), "d": tune.loguniform(1e-5, 1e-1)}
MIXED = {
    "lr": tune.loguniform(1e-4, 1e-1),
    "net": {"norm": tune.choice(["batch", None]), "width": tune.randint(4, 65)},
    "drop": tune.uniform(0.0, 0.6),
}


def ready(space: dict[str, Any], mode: str = "min", **given: Any) -> JitteredGrid:
    method = JitteredGrid(**{"iterations": 4, **given})
    assert method.set_search_properties("loss", mode, space)
    return method


def bowl(**centre: float) -> Loss:
    """The squared distance in decades from a point."""
    return lambda config: sum((math.log10(config[name]) - at) ** 2 for name, at in centre.items())


def end(method: JitteredGrid, trial: str, value: float | None, iteration: int | None = None) -> None:
    length = iteration or method.told[trial].suggestion.iterations or method.iterations
    method.on_trial_complete(trial, {"loss": value, "training_iteration": length}, error=value is None)


def play(method: JitteredGrid, loss: Loss) -> list[Suggestion]:
    """All trials, one after another."""
    while isinstance(config := method.suggest(trial := f"t{len(method.told)}"), dict):
        end(method, trial, loss(config))
    assert config == FINISHED
    return [told.suggestion for told in method.told.values()]


def numbers(axis: str, suggestions: list[Suggestion]) -> list[int]:
    """The numbers of the cells that were visited on an axis."""
    cells = [dict(part.split() for part in str(s.cell).split(", ")) for s in suggestions]
    return [int(cell[axis]) for cell in cells]


def suggested(method: JitteredGrid) -> str:
    """The id of the next trial."""
    trial = f"t{len(method.told)}"
    assert isinstance(method.suggest(trial), dict)
    return trial


def race(method: JitteredGrid, seed: int, workers: int = 3) -> Iterator[dict[str, Any] | None]:
    """Trials of several workers that end, fail and are stopped in an order of their own; what was suggested."""
    rng, running = np.random.default_rng(seed), {t.trial_id for t in method.told.values() if t.state == "RUNNING"}
    while True:
        config = method.suggest(trial := f"t{len(method.told)}") if len(running) < workers else None
        if isinstance(config, dict):
            running.add(trial)
        elif not running:
            assert config == FINISHED
            return
        else:
            ending = sorted(running)[rng.integers(len(running))]
            running.remove(ending)
            loss = bowl(lr=-0.4, drop=-0.5)({name: flatten(method.config(ending))[name] for name in ("lr", "drop")})
            fate = rng.random()
            end(method, ending, None if fate < 0.15 else loss, iteration=1 if fate > 0.9 else None)
        yield config if isinstance(config, dict) else None
