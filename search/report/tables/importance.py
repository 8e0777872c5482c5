"""How much each parameter mattered, how sure that is, and what chance alone would give. No figures here."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import Study
from optuna.trial import create_trial
from scipy.stats import gamma

from search.report.tables.parameters import Parameter
from search.report.tables.snapshot import NothingToShow, Snapshot
from search.report.tables.space import alike, comparable
from search.report.wording import count

MOST_BARS = 20
LEAST_TRIALS = 10
REPEATS = 25  # shuffles, and half samples
FALSE_ALARMS = 0.05  # how often chance alone lifts any parameter at all over its line


def importance(snap: Snapshot) -> pd.DataFrame:
    """parameter, importance, low, high, chance, above: a row a parameter, the most important first.

    Importances are PED-ANOVA's (Watanabe, Bansal and Hutter, IJCAI 2023), as shares that add up to one over all
    parameters. They say which parameters tell the best trials from the others that were tried. `low` and `high` hold
    90 % of the shares in random halves of the trials (Politis and Romano, Annals of Statistics 1994), moved onto the
    estimate, since fewer trials make parameters look more alike. `chance` is what shuffled scores exceed for any of the
    parameters in 5 % of cases: the tail of a gamma distribution with the mean and variance of the shuffles (Box, Annals
    of Mathematical Statistics 1954), shared out over the parameters (Bonferroni). `above` says that the importance is
    larger than that.

    `attrs`: "trials" the number used, "alike" those that compare, "of" all trials, "top" how many count as the best
    ones, "left_out" the parameters beyond the most important twenty. Raises `NothingToShow`.
    """
    scored = _scored(snap)
    every = _importances(scored, scored.losses)
    total = float(every.sum())
    if total <= 0:
        raise NothingToShow("Too many trials share the best score to tell which parameters made it.")
    shown = every.head(MOST_BARS)
    names, random = list(shown.index), np.random.default_rng(0)
    trials = len(scored.losses)
    shuffled, halves = [], []
    for _ in range(REPEATS):
        shuffled.append(_importances(scored, random.permutation(scored.losses), names))
        half = np.full(trials, np.nan)
        kept = random.permutation(trials)[: (trials + 1) // 2]
        half[kept] = scored.losses[kept]
        halves.append(_importances(scored, half, names))
    share = shown / total
    by_luck, by_halves = pd.DataFrame(shuffled)[names], pd.DataFrame(halves)[names]
    shares = by_halves.div(by_halves.sum(axis=1), axis=0).fillna(0.0) * share.sum()
    spread = shares - shares.median()
    table = pd.DataFrame(
        {
            "parameter": names,
            "importance": share.to_numpy(),
            "low": (share + spread.quantile(0.05)).clip(0, share).to_numpy(),
            "high": (share + spread.quantile(0.95)).clip(share, 1).to_numpy(),
            "chance": _by_chance(by_luck, FALSE_ALARMS / len(every)) / total,
        }
    )
    table["above"] = table["importance"] > table["chance"]
    comparing = len(alike(snap))
    table.attrs = {
        "trials": trials,
        "alike": comparing,
        "of": len(snap.trials),
        "top": max(1, round(scored.best * trials)),
        "left_out": len(every) - len(shown),
    }
    return table


def ranked(snap: Snapshot) -> list[Parameter]:
    """The parameters in order of `importance`, found without its intervals. Raises `NothingToShow`."""
    scored = _scored(snap)
    by_name = {parameter.name: parameter for parameter in snap.varying}
    return [by_name[name] for name in _importances(scored, scored.losses).index]


@dataclass(frozen=True)
class _Scored:
    """Trials as Optuna sees them, what is wrong with each (lower is better), and the share that counts as the best."""

    study: Study
    losses: np.ndarray  # (trials,)
    best: float


def _scored(snap: Snapshot) -> _Scored:
    comparable(snap)
    varying = snap.varying
    if len(varying) < 2:
        raise NothingToShow(f"Importances compare parameters with each other; only {varying[0].name} varies.")
    trials = alike(snap)
    if len(trials) < LEAST_TRIALS:
        have = f"there {'is' if len(trials) == 1 else 'are'} {count(len(trials), 'finished one', 'finished ones')}"
        raise NothingToShow(f"Importances need {LEAST_TRIALS} trials that finished, trained equally long; {have}.")
    if trials["score"].nunique() < 2:
        raise NothingToShow("All finished trials have the same score, so no parameter made a difference.")
    # Every share is worked out fifty times over: what that takes grows with trials x parameters.
    most = min(800, max(300, 5000 // min(len(varying), MOST_BARS)))
    if len(trials) > most:
        trials = trials.iloc[np.sort(np.random.default_rng(0).permutation(len(trials))[:most])]
    losses = -snap.goal.sign * trials["score"].to_numpy(float)
    # Ten trials at the top where there are so many; a tenth of them from a hundred on, as in the paper.
    return _Scored(_study(trials, varying, losses), losses, min(0.5, max(0.1, 10 / len(trials))))


def _study(trials: pd.DataFrame, parameters: Sequence[Parameter], losses: np.ndarray) -> Study:
    axes: dict[str, BaseDistribution] = {}
    values: list[dict[str, Any]] = [{} for _ in losses]
    for parameter in parameters:
        if "config." + parameter.name not in trials:
            continue
        axes[parameter.name] = _axis(parameter)
        for row, cell in zip(values, trials["config." + parameter.name], strict=True):
            if (value := _on_axis(parameter, parameter.read(cell))) is not None:
                row[parameter.name] = value
    with _quietly():
        study = optuna.create_study(direction="minimize")
    study.add_trials(
        create_trial(value=float(loss), params=row, distributions={name: axes[name] for name in row})
        for loss, row in zip(losses, values, strict=True)
    )
    return study


def _axis(parameter: Parameter) -> BaseDistribution:
    """Choices by their index, since Optuna takes no lists; whole numbers as they are; others by their position."""
    if parameter.kind == "choice":
        return CategoricalDistribution(range(len(parameter.choices)))
    if parameter.integer:
        log = parameter.kind == "log"
        low = round(parameter.low)
        return IntDistribution(max(1, low) if log else low, round(parameter.high), log=log)
    return FloatDistribution(0.0, 1.0)


def _on_axis(parameter: Parameter, value: Any) -> float | int | None:
    at = parameter.position(value)
    if not np.isfinite(at):
        return None
    if parameter.kind == "choice":
        return round(at * (len(parameter.choices) - 1))
    return round(value) if parameter.integer else min(1.0, max(0.0, at))


def _importances(scored: _Scored, losses: np.ndarray, names: list[str] | None = None) -> pd.Series:
    """By parameter, the most important first. A trial whose loss is NaN is left out."""
    # Not above: it loads scikit-learn where that is installed, which takes a second.
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    evaluator = PedAnovaImportanceEvaluator(target_quantile=scored.best)
    with _quietly():
        found = get_param_importances(
            scored.study,
            evaluator=evaluator,
            params=names,
            target=lambda trial: float(losses[trial.number]),
            normalize=False,
        )
    return pd.Series(found, dtype=float).sort_index().sort_values(ascending=False, kind="stable")


@contextmanager
def _quietly() -> Iterator[None]:
    """Optuna announces studies in the terminal, and warns that lower targets count as better (they are), of its own
    experiments, and of what is tested here: few trials with a parameter, and scores that are mostly equal."""
    known = (
        "PedAnovaImportanceEvaluator computes|Some regimes for parameter|Target and region quantiles|Argument ``norm"
    )
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=known)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def _by_chance(shuffled: pd.DataFrame, alarms: float) -> np.ndarray:
    mean, variance = shuffled.mean().to_numpy(), shuffled.var().to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        line = gamma.ppf(1 - alarms, mean**2 / variance, scale=variance / mean)
    return np.where(variance > 0, line, mean)
