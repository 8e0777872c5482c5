"""Where trials were stopped early: how many came to each rung, were stopped there, and went on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from search.report.tables.snapshot import NothingToShow, Snapshot
from search.report.wording import DASH

MOST_RUNGS = 12
# Fewer full-length trials say too little about how a trial goes on.
LEAST_PAIRS = 5
# Trials that no scheduler may stop: their scores are to be averaged.
_WHOLE = ("retest", "repeat", "best so far")


@dataclass(frozen=True)
class Curves:
    """What trials would have counted with, had they ended at some iteration; larger is better."""

    keys: np.ndarray
    values: np.ndarray
    span: int

    @classmethod
    def of(cls, snap: Snapshot) -> "Curves":
        """From the measurements of a run. The score rule of the run says whether the best or the last report counts."""
        metric = snap.goal.metric
        empty = pd.DataFrame({"trial_id": [], "iteration": [], metric: []})
        measured = snap.measurements if metric in snap.measurements else empty
        row = pd.Index(snap.trials["trial_id"]).get_indexer(measured["trial_id"])
        iteration = pd.to_numeric(measured["iteration"], errors="coerce").to_numpy(float)
        value = measured[metric].to_numpy(float) * snap.goal.sign
        known = (row >= 0) & np.isfinite(value) & np.isfinite(iteration)
        table = pd.DataFrame({"row": row[known], "iteration": iteration[known].astype(int), "value": value[known]})
        # A trial that went on from a checkpoint repeats iterations: the later report is the one that counts.
        table = table.drop_duplicates(["row", "iteration"], keep="last").sort_values(["row", "iteration"])
        if snap.definition.get("score") != "last":
            table["value"] = table.groupby("row")["value"].cummax()
        span = int(table["iteration"].max()) + 1 if len(table) else 1
        return cls((table["row"] * span + table["iteration"]).to_numpy(), table["value"].to_numpy(), span)

    def at(self, rows: np.ndarray, iterations: np.ndarray | int) -> np.ndarray:
        """The values of trials, by row, up to an iteration; NaN where there is no report by then."""
        wanted = rows * self.span + np.minimum(iterations, self.span - 1)
        found = np.searchsorted(self.keys, wanted, side="right") - 1
        if not len(self.keys):
            return np.full(len(rows), np.nan)
        own = (found >= 0) & (self.keys[found] // self.span == rows)
        return np.where(own, self.values[found], np.nan)


def rung_survival(snap: Snapshot) -> pd.DataFrame:
    """A row a rung, an iteration at which trials were stopped: rung (its text), first, last, came, stopped, ended,
    went_on, share, agreement, agreement_low, agreement_high, pairs.

    Trials that no scheduler may stop, such as re-tests, are left out. `ended` failed, ran out or are still under way
    there. Many rungs are merged to at most twelve. `agreement` is Kendall's rank correlation (Kendall, Biometrika 1938)
    between the value at the rung and the score in the end among the `pairs` of full length, with a 95 % interval by
    Fisher's transformation (Fieller, Hartley and Pearson, Biometrika 1957); NaN below five. `attrs["trials"]` began,
    `attrs["full"]` finished, `attrs["lengths"]` are the lengths of trials. Raises `NothingToShow`.
    """
    trials = at_risk(snap)
    stopped = stopped_rows(trials)
    lasts = rungs(stopped)
    lengths = full_lengths(snap)
    reached = trials["iterations"].to_numpy()
    curves, rows, first = Curves.of(snap), [], 1
    for last in lasts:
        here = (reached >= first) & (reached <= last)
        cut = trials[here & (trials["status"] == "stopped").to_numpy()]
        came, ended = int((reached >= first).sum()), int(here.sum()) - len(cut)
        begin = int(cut["iterations"].min())
        rows.append(
            {
                "rung": f"{last:,}" if begin == last else f"{begin:,}{DASH}{last:,}",
                "first": begin,
                "last": int(last),
                "came": came,
                "stopped": len(cut),
                "ended": ended,
                "went_on": came - len(cut) - ended,
                "share": len(cut) / came,
                **_agreement(snap, curves, lengths, cut),
            }
        )
        first = int(last) + 1
    table = pd.DataFrame(rows)
    finished = trials["status"] == "finished"
    known = sorted({int(n) for n in lengths[trials.index[finished | (trials["status"] == "stopped")]] if n > 0})
    table.attrs = {"trials": len(trials), "full": int(finished.sum()), "lengths": known}
    return table


def at_risk(snap: Snapshot) -> pd.DataFrame:
    """Trials that reported, without those that were to run their full length whatever they reported."""
    trials = snap.trials
    spared = trials["reason"].isin(_WHOLE) & (trials["status"] != "stopped")
    return trials[~spared & (trials["iterations"] > 0)]


def stopped_rows(trials: pd.DataFrame) -> pd.DataFrame:
    """Those that were stopped. Raises `NothingToShow` where there is none."""
    stopped = trials[trials["status"] == "stopped"]
    if not len(stopped):
        raise NothingToShow("No trial was stopped early, so there is no rung to look at and nothing to regret.")
    return stopped


def rungs(stopped: pd.DataFrame) -> np.ndarray:
    """The last iteration of each rung; beyond twelve, neighbours are merged so that each stopped about equally many."""
    iterations = stopped["iterations"].to_numpy(int)
    single = np.unique(iterations)
    if len(single) <= MOST_RUNGS:
        return single
    shares = np.linspace(0, 1, MOST_RUNGS + 1)[1:]
    return np.unique(np.quantile(iterations, shares, method="higher")).astype(int)


def full_lengths(snap: Snapshot) -> np.ndarray:
    """How many reports each trial was to make, by row; 0 where nothing says so."""
    own = snap.trials.get("config.training_iteration")
    told = snap.definition.get("iterations")
    default = told if isinstance(told, int) else 0
    if own is None:
        return np.full(len(snap.trials), default)
    return pd.to_numeric(own, errors="coerce").fillna(default).to_numpy(int)


def full_rows(snap: Snapshot, length: int) -> np.ndarray:
    """Rows of the trials of a length that ran it whole and have a score."""
    trials = snap.trials
    whole = (trials["status"] == "finished") & trials["score"].notna() & (full_lengths(snap) == length)
    return np.flatnonzero(whole.to_numpy())


def _agreement(snap: Snapshot, curves: Curves, lengths: np.ndarray, cut: pd.DataFrame) -> dict[str, Any]:
    # Only trials of one length can be ranked; here those as long as most that were stopped.
    length = int(pd.Series(lengths[cut.index.to_numpy()]).mode().iloc[0])
    rows = full_rows(snap, length)
    early = curves.at(rows, int(cut["iterations"].median()))
    final = snap.trials["score"].to_numpy(float)[rows] * snap.goal.sign
    known = np.isfinite(early)
    pairs, tau = int(known.sum()), np.nan
    if pairs >= LEAST_PAIRS and min(np.ptp(early[known]), np.ptp(final[known])) > 0:
        tau = float(kendalltau(early[known], final[known]).statistic)
    low = high = np.nan
    if np.isfinite(tau):
        middle, reach = np.arctanh(np.clip(tau, -0.999, 0.999)), 1.96 * np.sqrt(0.437 / max(1, pairs - 4))
        low, high = float(np.tanh(middle - reach)), float(np.tanh(middle + reach))
    return {"agreement": tau, "agreement_low": low, "agreement_high": high, "pairs": pairs}
