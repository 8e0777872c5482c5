"""How much a score moves with the seed, and whether the first configuration is ahead of the others beyond that."""

import math
from collections.abc import Hashable
from typing import Any

import pandas as pd
from scipy.stats import chi2
from scipy.stats import t as student

from search.finalists import finalists
from search.report.tables.snapshot import NothingToShow, Snapshot
from search.report.tables.stopping import full_lengths
from search.report.wording import count, number, with_unit

MOST_CONFIGURATIONS = 12


def seed_noise(snap: Snapshot) -> pd.DataFrame:
    """A row a seed, the configuration with the best mean first: configuration (the number of its first trial), number,
    seed, score, mean, low, high (95 % by Student's t), original, curse, behind, behind_low, behind_high.

    After a `Retest` these are its trials, and `original` is the mean of the trials of equal length that had made the
    configuration a finalist. Without one they are all trials of configurations that were repeated, and `original` is
    the first of them. `curse` is by how much the original was better than the mean of the others: how much of it was
    luck. `behind` is how far the first is ahead, with a 95 % interval; see `ahead`.

    `attrs["retest"]`; `attrs["verdict"]` (a sentence), `attrs["decided"]` (None where it cannot be told);
    `attrs["spread"]`, the standard deviation over seeds, taken to be the same for all, and `attrs["curse"]`, the mean
    of that column, each with its 95 % interval; `attrs["left_out"]` configurations. Raises `NothingToShow`.
    """
    rows, retest = _repeats(snap)
    if not len(rows):
        raise NothingToShow(
            "Each configuration was trained once, so how much a score moves with the seed is not known; add Retest() as"
            " the last of Stages([...])."
        )
    sign = snap.goal.sign
    means = (rows.groupby("configuration")["score"].mean() * -sign).sort_values(kind="stable")
    order = [finalist.configuration for finalist in finalists(snap.trials, snap.goal.maximize)] if retest else []
    order = order or means.index.tolist()
    kept = order[:MOST_CONFIGURATIONS]
    groups = {name: rows[rows["configuration"] == name] for name in kept}
    parts = [_told(snap, groups[name], groups[order[0]], retest) for name in kept]
    table = pd.concat(parts, ignore_index=True)
    firsts = table.drop_duplicates("configuration")
    table.attrs = {
        "retest": retest,
        "spread": _pooled(rows),
        "curse": _mean_and_interval(firsts["curse"].dropna()),
        "left_out": len(order) - len(kept),
    } | _verdict(firsts, snap)
    return table


def ahead(first: pd.DataFrame, other: pd.DataFrame, sign: int) -> tuple[float, float, float]:
    """By how much the mean of the first is better, and its 95 % interval; NaN where there are too few seeds.

    Seed by seed where both had the same seeds (Student, Biometrika 1908), else for unequal variances (Welch,
    Biometrika 1947). That the two were picked as the best of several makes the difference no larger: the gap between
    the two best of many is smaller than between any two.

    Args:
        first: seed and score.
        other: likewise.
    """
    a, b = (part["score"].to_numpy(float) * sign for part in (first, other))
    gap = float(a.mean() - b.mean())
    if _same_seeds(first, other):
        one, two = (part.set_index("seed")["score"] * sign for part in (first, other))
        differences = (one - two.reindex(one.index)).to_numpy(float)
        error, freedom = differences.std(ddof=1) / math.sqrt(len(a)), len(a) - 1.0
    elif min(len(a), len(b)) < 2:
        return gap, math.nan, math.nan
    else:
        u, v = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
        error, total = math.sqrt(u + v), u**2 / (len(a) - 1) + v**2 / (len(b) - 1)
        freedom = (u + v) ** 2 / total if total > 0 else len(a) + len(b) - 2.0
    reach = float(student.ppf(0.975, freedom)) * error
    return gap, gap - reach, gap + reach


def _same_seeds(first: pd.DataFrame, other: pd.DataFrame) -> bool:
    one, two = first["seed"], other["seed"]
    whole = one.notna().all() and two.notna().all() and one.is_unique and two.is_unique
    return bool(len(one) > 1 and whole and set(one) == set(two))


def _repeats(snap: Snapshot) -> tuple[pd.DataFrame, bool]:
    """The trials that tell of seeds, and whether they are those of a re-test."""
    trials = snap.trials.assign(length=full_lengths(snap))
    trials["seed"] = trials.get("config.seed")
    done = trials[(trials["status"] == "finished") & trials["score"].notna() & trials["configuration"].notna()]
    done = done.assign(configuration=pd.to_numeric(done["configuration"], errors="coerce")).dropna(
        subset=["configuration"]
    )
    done["configuration"] = done["configuration"].astype(int)
    again = done[done["reason"] == "retest"]
    if len(again):
        return again, True
    # Scores of unequal lengths differ by more than their seeds.
    longest = done.groupby("configuration")["length"].transform("max")
    done = done[done["length"] == longest]
    return done[done.groupby("configuration")["score"].transform("size") > 1], False


def _told(snap: Snapshot, rows: pd.DataFrame, first: pd.DataFrame, retest: bool) -> pd.DataFrame:
    sign = snap.goal.sign
    mean, low, high = _mean_and_interval(rows["score"])
    original, others = _original(snap, rows, retest)
    behind = ahead(first, rows, sign) if rows is not first else (0.0, math.nan, math.nan)
    return rows[["configuration", "number", "seed", "score"]].assign(
        mean=mean,
        low=low,
        high=high,
        original=original,
        curse=(original - others) * sign,
        behind=behind[0],
        behind_low=behind[1],
        behind_high=behind[2],
    )


def _original(snap: Snapshot, rows: pd.DataFrame, retest: bool) -> tuple[float, float]:
    """What a configuration was chosen by, and the mean of the trials that had no part in that."""
    if not retest:
        by_number = rows.sort_values("number")["score"].to_numpy(float)
        return float(by_number[0]), float(by_number[1:].mean())
    trials = snap.trials
    known = pd.to_numeric(trials["configuration"], errors="coerce") == rows["configuration"].iloc[0]
    length = full_lengths(snap) == rows["length"].iloc[0]
    before = trials[known & length & (trials["reason"] != "retest") & (trials["status"] == "finished")]
    return float(before["score"].mean()), float(rows["score"].mean())


def _mean_and_interval(values: pd.Series) -> tuple[float, float, float]:
    """The mean and its 95 % interval by Student's t; NaN for the ends of one value, and for no value."""
    mean, n = float(values.mean()), len(values)
    reach = float(student.ppf(0.975, n - 1)) * float(values.std(ddof=1)) / math.sqrt(n) if n > 1 else math.nan
    return mean, mean - reach, mean + reach


def _pooled(rows: pd.DataFrame) -> tuple[float, float, float]:
    """The standard deviation over seeds, taken to be the same for all, and its 95 % interval by chi-squared."""
    means = rows.groupby("configuration")["score"].transform("mean")
    squares = float(((rows["score"] - means) ** 2).sum())
    freedom = len(rows) - rows["configuration"].nunique()
    if not freedom:
        return math.nan, math.nan, math.nan
    low, high = (math.sqrt(squares / float(chi2.ppf(q, freedom))) for q in (0.975, 0.025))
    return math.sqrt(squares / freedom), low, high


def _verdict(firsts: pd.DataFrame, snap: Snapshot) -> dict[Hashable, Any]:
    """The sentence on the first configuration against the others, and whether it is ahead of the second."""
    unit = snap.goal.unit
    leader = int(firsts["configuration"].iloc[0])
    if len(firsts) == 1:
        return {
            "decided": None,
            "verdict": f"Only trial {leader} was trained again, so it has no rival to be told from.",
        }
    second = firsts.iloc[1]
    gap, low, high = second["behind"], second["behind_low"], second["behind_high"]
    about = f"Trial {leader} is ahead of trial {int(second['configuration'])} by {with_unit(number(gap, 3), unit)}"
    if math.isnan(low):
        return {"decided": None, "verdict": f"{about}; with one seed each, that may be luck. Give Retest more seeds."}
    between = f"95 % interval {number(low, 3)} to {number(high, 3)}"
    decided = bool(low > 0)
    rivals = firsts.iloc[1:]
    alike = int((~(rivals["behind_low"] > 0)).sum())
    if not decided:
        told = f"{about} ({between}), which is within what the seed alone does: the two cannot be told apart."
        others = f" The same goes for {count(alike - 1, 'other')}." if alike > 1 else ""
        return {"decided": False, "verdict": told + others}
    told = f"{about} ({between}), more than the seed alone does: it is the better one."
    others = f" {count(alike, 'other')} with fewer or noisier seeds cannot be told from it." if alike else ""
    return {"decided": True, "verdict": told + others}
