"""Which way to combine ships: validation alone decides, and only a gain beyond its interval counts."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from ensembles.account.evaluate import Gain, bootstrap_gain
from ensembles.predictor import Array


@dataclass(frozen=True)
class Choice:
    """The entry that ships, why, and what each entry gains on validation over the best single model."""

    name: str
    reason: str
    gains: Mapping[str, Gain]


def choose(
    validated: Mapping[str, Array], groups: Array, metric: str, *, single: str, allowed: Collection[str], seed: int
) -> Choice:
    """The allowed entry with the best mean, if it is surely better than the single model; else that model.

    Args:
        validated: entry -> the metric (N,) of each validation example, under rules not fitted to it; empty where that
            could not be done.
        groups: (N,).
        metric: its name; higher is better.
        single: the entry that is the best single model.
        allowed: the entries that may ship: they can be stored, and keep within the limits that were set.
        seed: of the bootstrap.

    Raises:
        ValueError: nothing is allowed.
    """
    if not allowed:
        raise ValueError("Expected at least one way to combine that keeps within the limits, got none.")
    if len(np.unique(groups)) < 2:
        nan = float("nan")
        reason = (
            "the validation split holds one group of examples, so that nothing can be checked on examples it was not"
            " fitted to; the best single model ships"
        )
        return Choice(
            single if single in allowed else min(allowed), reason, dict.fromkeys(validated, Gain(nan, nan, nan))
        )
    gains = {
        name: bootstrap_gain(validated[single], values, seed=seed, groups=groups) for name, values in validated.items()
    }
    means = {name: float(np.mean(values)) for name, values in validated.items() if name in allowed}
    best = max(means, key=lambda name: means[name])
    told = f"cross-fitted {metric} on validation: {means[best]:.6g}, best single model {validated[single].mean():.6g}"
    if single not in allowed:
        return Choice(best, f"the best {told}, among those within the limits; the best single model is not", gains)
    if best == single:
        return Choice(
            single, f"nothing has a better cross-fitted {metric} on validation than the best single model", gains
        )
    gain = gains[best]
    interval = f"[{gain.low:.4g}, {gain.high:.4g}]"
    if not gain.low > 0:
        return Choice(
            single,
            f"nothing is surely better on validation than the best single model: {best} gains {gain.mean:.4g}"
            f" {interval} in {metric}, an interval that holds zero",
            gains,
        )
    return Choice(best, f"best {told}, a gain of {gain.mean:.4g} {interval}", gains)
