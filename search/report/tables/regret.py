"""Would the stopped have won? An estimate from the trials that were let go on."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from search.report.tables.snapshot import NothingToShow, Snapshot
from search.report.tables.stopping import (
    LEAST_PAIRS,
    Curves,
    at_risk,
    full_lengths,
    full_rows,
    rungs,
    stopped_rows,
)
from search.report.wording import count

# More trials of full length than these are sampled, and of more stopped ones only the likeliest are drawn.
_MOST_FULL, _MOST_DRAWN = 400, 500
# Where a standard normal has its 8 eighths, each at its middle.
_EIGHTHS = np.array([-1.534, -0.887, -0.489, -0.157, 0.157, 0.489, 0.887, 1.534])
# The slope counts as if so many trials more had kept the distance they had at the rung.
_PRIOR = 5


@dataclass(frozen=True)
class _Cell:
    """Trials of one length that were stopped at one rung, beside those that went on; larger values are better.

    rows, values: of the stopped, where they stood.
    early, final: of the trials of full length, at that rung and in the end.
    """

    length: int
    rows: np.ndarray
    values: np.ndarray
    early: np.ndarray
    final: np.ndarray


@dataclass(frozen=True)
class _Outlook:
    """What is expected of the stopped trials of one cell: where each ends, and by how much that may be wrong."""

    ends: np.ndarray
    errors: np.ndarray  # sorted

    def chances(self, rival: float) -> np.ndarray:
        """Of each, to end above the rival."""
        return 1 - np.searchsorted(self.errors, rival - self.ends, side="right") / len(self.errors)


def stopping_regret(snap: Snapshot, seed: int = 0, draws: int = 200) -> pd.DataFrame:
    """A row a stopped trial, likeliest winner first: number, stopped_at, value, expected, low, high (the middle 90 % of
    where it might have ended), chance (to beat the winner).

    What a stopped trial would have come to is a line through the trials of its length that ran to their end, from
    their value at that rung to their score, plus one of their errors, smoothed by a normal kernel (Silverman, Density
    Estimation, 1986). The slope is drawn towards 1, where a trial gains what the others gained. `attrs["winners"]` is
    the expected number of stopped trials that would have beaten the winner, `attrs["any"]` the chance of at least one
    and `attrs["regret"]` the expected loss in the metric by stopping, each (estimate, low, high) with a 95 % interval
    by the bootstrap (Efron, Annals of Statistics 1979) over the trials of full length, of which at most 400 are taken.
    Errors of different trials are taken to be independent.

    Stopping by the value at the rung does not bias such a line (Little and Rubin, Statistical Analysis with Missing
    Data, 1987: missing at random), as long as poor starts lie on it too; none was watched to its end.

    `attrs["winner"]` is the best score that was not a re-test's: re-tests are not what trials compete with.
    `attrs["left_out"]` stopped trials are of a length that too few ran whole. Raises `NothingToShow`.
    """
    stopped = stopped_rows(at_risk(snap))
    counted = snap.counted()
    rivals = counted[counted["reason"] != "retest"]
    if not len(rivals):
        raise NothingToShow("No trial has a score yet, so there is no winner that the stopped could have beaten.")
    sign, winner = snap.goal.sign, int(rivals.index[0])
    rival = float(rivals["score"].iloc[0]) * sign
    cells = _cells(snap, stopped[stopped.index != winner])
    random = np.random.default_rng(seed)
    outlooks, *others = _replicates(cells, snap.definition.get("score") != "last", random, draws)
    table = _table(cells, outlooks, snap, rival)
    estimates = _totals(outlooks, rival, random)
    low, high = np.quantile([_totals(other, rival, random) for other in others], [0.025, 0.975], axis=0).tolist()
    names = ("winners", "any", "regret")
    table.attrs = dict(zip(names, zip(estimates, low, high, strict=True), strict=True)) | {
        "winner": rival * sign,
        "winner_stopped": winner in stopped.index,
        "left_out": len(stopped) - len(table) - int(winner in stopped.index),
        "full": sum({cell.length: len(cell.final) for cell in cells}.values()),
    }
    return table


def _cells(snap: Snapshot, stopped: pd.DataFrame) -> list[_Cell]:
    """The stopped trials that something can be said of. Raises `NothingToShow` where there is none."""
    if not len(stopped):
        raise NothingToShow("The only trial that was stopped early is the winner, so no other could have won.")
    curves, lengths, sign = Curves.of(snap), full_lengths(snap), snap.goal.sign
    scores = snap.trials["score"].to_numpy(float) * sign
    rung = np.searchsorted(rungs(stopped), stopped["iterations"].to_numpy())
    rows, reached = stopped.index.to_numpy(), stopped["iterations"].to_numpy()
    values = curves.at(rows, reached)
    cells, most = [], 0
    for length in np.unique(lengths[rows]):
        of_length = (lengths[rows] == length) & np.isfinite(values)
        here = [of_length & (rung == r) for r in np.unique(rung[of_length])]
        full = full_rows(snap, int(length))
        if len(full) > _MOST_FULL:
            full = np.sort(np.random.default_rng(0).choice(full, _MOST_FULL, replace=False))
        early = [curves.at(full, int(np.median(reached[at]))) for at in here]
        known = np.all([np.isfinite(column) for column in early], axis=0) if early else np.zeros(len(full), bool)
        most = max(most, int(known.sum()))
        if known.sum() < LEAST_PAIRS:
            continue
        final = np.maximum(scores[full][known], _floor(scores[full][known]))
        for at, column in zip(here, early, strict=True):
            floor = _floor(column[known])
            cells.append(
                _Cell(int(length), rows[at], np.maximum(values[at], floor), np.maximum(column[known], floor), final)
            )
    if not cells:
        raise NothingToShow(
            f"Whether a stopped trial would have won is estimated from trials that ran their full length: {LEAST_PAIRS}"
            f" are needed, and there {'is' if most == 1 else 'are'} {count(most, 'trial')} to compare with."
        )
    return cells


def _floor(values: np.ndarray) -> float:
    """What values far below all others are raised to: one that collapsed would bend the line."""
    quartile, top = np.quantile(values, 0.25), values.max()
    return float(quartile - 2.5 * (top - quartile))


def _replicates(cells: list[_Cell], best: bool, random: np.random.Generator, draws: int) -> Iterator[list[_Outlook]]:
    """The outlook of every cell, first from all trials of full length, then from bootstrap samples of them."""
    sizes = {cell.length: len(cell.final) for cell in cells}
    for draw in range(draws + 1):
        # One sample a length for all its rungs: they share their trials.
        sample = {n: random.integers(size, size=size) if draw else np.arange(size) for n, size in sizes.items()}
        yield [_outlook(cell, sample[cell.length], best) for cell in cells]


def _outlook(cell: _Cell, sample: np.ndarray, best: bool) -> _Outlook:
    early, final = cell.early[sample], cell.final[sample]
    centred = early - early.mean()
    width, n = float(centred @ centred), len(sample)
    slope = 1.0 if width == 0 else (n * float(centred @ final) / width + _PRIOR) / (n + _PRIOR)
    ends = final.mean() + slope * (cell.values - early.mean())
    # The line has bent towards these very trials.
    errors = (final - final.mean() - slope * centred) * np.sqrt(n / (n - 2))
    return _Outlook(np.maximum(ends, cell.values) if best else ends, _smoothed(errors))


def _smoothed(errors: np.ndarray) -> np.ndarray:
    """The errors as a distribution with tails: the largest of a few is not the largest there can be."""
    low, high = np.quantile(errors, [0.25, 0.75])
    width = 0.9 * min(float(errors.std()), float(high - low) / 1.34) * len(errors) ** -0.2
    return np.sort((errors[:, None] + width * _EIGHTHS).ravel())


def _totals(outlooks: list[_Outlook], rival: float, random: np.random.Generator) -> tuple[float, float, float]:
    """How many beat the rival, the chance that any does, and by how much the best of them does, in expectation."""
    chances = [outlook.chances(rival) for outlook in outlooks]
    every = np.concatenate(chances)
    least = np.sort(every)[-_MOST_DRAWN] if len(every) > _MOST_DRAWN else 0.0
    top = np.full(100, rival)
    for outlook, chance in zip(outlooks, chances, strict=True):
        ends = outlook.ends[(chance > 0) & (chance >= least)][:_MOST_DRAWN]
        if len(ends):
            errors = outlook.errors[random.integers(len(outlook.errors), size=(len(ends), len(top)))]
            top = np.maximum(top, (ends[:, None] + errors).max(axis=0))
    return float(every.sum()), float(1 - np.prod(1 - every)), float((top - rival).mean())


def _table(cells: list[_Cell], outlooks: list[_Outlook], snap: Snapshot, rival: float) -> pd.DataFrame:
    sign, best, parts = snap.goal.sign, snap.definition.get("score") != "last", []
    for cell, outlook in zip(cells, outlooks, strict=True):
        # A trial that counts by its best report never ends below what it has.
        least = cell.values if best else -np.inf
        low, high = (np.maximum(outlook.ends + np.quantile(outlook.errors, q), least) for q in (0.05, 0.95))
        trials = snap.trials.loc[cell.rows]
        part = {
            "number": trials["number"].to_numpy(),
            "stopped_at": trials["iterations"].to_numpy(),
            "value": cell.values * sign,
            "expected": outlook.ends * sign,
            "low": (low if sign > 0 else high) * sign,
            "high": (high if sign > 0 else low) * sign,
            "chance": outlook.chances(rival),
        }
        parts.append(pd.DataFrame(part))
    table = pd.concat(parts, ignore_index=True)
    order = pd.DataFrame({"chance": -table["chance"], "expected": -table["expected"] * sign, "number": table["number"]})
    return table.loc[order.sort_values(["chance", "expected", "number"]).index].reset_index(drop=True)
