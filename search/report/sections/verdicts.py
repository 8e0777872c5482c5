"""Warnings that matter: what a reader should know before trusting the winner. Sentences, no figures."""

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pandas as pd

from search.report.tables.failures import reason
from search.report.tables.parameters import Parameter
from search.report.tables.seeds import seed_noise
from search.report.tables.snapshot import Snapshot
from search.report.wording import count, method_name, number, plain, with_unit


@dataclass(frozen=True)
class Verdict:
    """A warning: what is so, and what to do about it. `trials` are the numbers it speaks of."""

    title: str
    text: str
    trials: tuple[int, ...] = ()


def verdicts(snap: Snapshot) -> list[Verdict]:
    """The warnings of a run, the weightiest first; empty where there is nothing to warn of."""
    close = _close_second(snap) if snap.winner is None else _close_finalists(snap)
    found = [_unbeaten(snap), close, _edges(snap), _still_improving(snap), _failures(snap), _left_behind(snap)]
    return [verdict for verdict in found if verdict is not None]


def _unbeaten(snap: Snapshot) -> Verdict | None:
    """Whether training has brought nothing."""
    names = snap.unbeaten()
    if not names:
        return None
    told = ", ".join(f"{method_name(name)} {with_unit(number(score), snap.goal.unit)}" for name, score in names.items())
    text = f"The winner reaches {with_unit(number(snap.reached), snap.goal.unit)}, and without any training: {told}."
    return Verdict("No trial is better than a baseline", f"{text} Look for a mistake before searching on.")


def report_noise(snap: Snapshot) -> float:
    """How much the winner's metric wobbles from one report to the next in its last half, NaN below four reports.

    The median absolute second difference, over sqrt(6): a steady trend does not count as wobble.
    """
    if snap.best is None:
        return float("nan")
    values = snap.curve(snap.best)["value"].to_numpy(float)
    tail = values[min(len(values) // 2, max(len(values) - 4, 0)) :]
    return float(np.median(np.abs(np.diff(tail, n=2))) / np.sqrt(6)) if len(tail) >= 4 else float("nan")


def _close_second(snap: Snapshot) -> Verdict | None:
    ranked = snap.counted()
    if len(ranked) < 3:
        return None
    first, second = ranked.iloc[0], ranked.iloc[1]
    gap = abs(float(first["score"] - second["score"]))
    spread = float(np.subtract(*np.quantile(ranked["score"], [0.75, 0.25])))
    noise = report_noise(snap)
    if not gap <= max(0.02 * spread, noise if np.isfinite(noise) else 0.0):
        return None
    if gap == 0:
        tied = ranked[ranked["score"] == first["score"]]["number"]
        text = f"{count(len(tied), 'trial')} share the best score; the first of them is shown as the winner."
        return Verdict("The best score is shared", text, tuple(int(n) for n in tied[:8]))
    behind = with_unit(number(gap, 2), snap.goal.unit)
    text = (
        f"Trial {int(second['number'])} is {behind} behind, less than the winner's own score moves between "
        "two reports or than trials differ by chance. Train both again with other seeds before preferring one."
    )
    return Verdict("The winner is hardly ahead of the second", text, (int(second["number"]),))


def _close_finalists(snap: Snapshot) -> Verdict | None:
    """Whether the second of the finalists may be the better one: a winner over seeds is a matter of its mean."""
    rows = seed_noise(snap)
    ranked = rows.drop_duplicates("configuration")
    if len(ranked) < 2:
        return None
    numbers = tuple(int(n) for n in ranked["configuration"].iloc[:2])
    unit, second = snap.goal.unit, ranked.iloc[1]
    seeds = int(rows["configuration"].value_counts()[list(numbers)].min())
    gap, low, high = (float(second[name]) for name in ("behind", "behind_low", "behind_high"))
    if seeds < 2:
        text = f"Its mean is {with_unit(number(gap, 2), unit)} ahead, but each was trained once more: nobody knows what"
        text += " chance makes of it."
        return Verdict("The winner was not told from the second by seeds", text, numbers)
    if not low <= 0 <= high or low == high:  # without any spread nothing is known of chance
        return None
    text = (
        f"Over {seeds} fresh seeds its mean is {with_unit(number(gap, 2), unit)} ahead, with a 95 % interval of the"
        f" difference from {number(low, 2, sign=True)} to {with_unit(number(high, 2, sign=True), unit)}. Either may be"
        " the better one: take the cheaper, or train both with more seeds."
    )
    return Verdict("The winner is within noise of the second", text, numbers)


def _edges(snap: Snapshot) -> Verdict | None:
    if snap.best is None or len(snap.counted()) < 4:
        return None
    config = snap.config(snap.best)
    found = {
        parameter.name: _at_an_end(parameter, float(config[parameter.name]))
        for parameter in snap.varying
        if parameter.name in config and parameter.kind != "choice"
    }
    told = {name: sentence for name, sentence in found.items() if sentence}
    if not told:
        return None
    more = "Better values may lie beyond: widen the range and search on."
    if len(told) == 1:
        name, sentence = next(iter(told.items()))
        return Verdict(f"{name} ended at the edge of its range", f"The winner has {sentence}. {more}")
    listed = "; ".join(told.values())
    return Verdict(f"{len(told)} parameters ended at the edge of their ranges", f"The winner has {listed}. {more}")


def _at_an_end(parameter: Parameter, value: float) -> str:
    """The value and its range where it lies at an end that can be moved, else "": below zero there is often nothing."""
    at = parameter.position(value)
    if not (at <= 0.02 and parameter.low != 0) and not at >= 0.98:
        return ""
    low, high = plain(parameter.low, 3), plain(parameter.high, 3)
    return f"{parameter.name} = {plain(value)}, the {'lower' if at <= 0.02 else 'upper'} end of {low} to {high}"


def _still_improving(snap: Snapshot) -> Verdict | None:
    if snap.best is None:
        return None
    curve = snap.curve(snap.best)
    values = curve["value"].to_numpy(float) * snap.goal.sign
    if len(values) < 4:
        return None
    tail = max(2, len(values) // 4)
    gained = values[-tail:].max() - values[:-tail].max()
    whole = values.max() - values[0]
    at_the_end = values.argmax() >= len(values) - max(1, tail // 2)
    if not (at_the_end and whole > 0 and gained > 0.03 * whole):
        return None
    name, amount = snap.goal.name, with_unit(number(gained, 2), snap.goal.unit)
    text = (
        f"{name} got better by {amount} over the last {tail} of its {len(values)} reports. "
        "More iterations would probably improve it further."
    )
    return Verdict("The best trial was still improving when it ended", text)


def _failures(snap: Snapshot) -> Verdict | None:
    failed = snap.trials[snap.trials["status"] == "failed"]
    if not len(failed):
        return None
    texts: dict[str, str] = {}
    reasons: Counter[str] = Counter()
    for error in failed["error"]:
        kind = re.sub(r"\d+", "#", reason(error))  # the same failure at another size or iteration is the same failure
        texts.setdefault(kind, reason(error))
        reasons[kind] += 1
    listed = "; ".join(
        f"{n:,} × {texts[kind]}" if len(reasons) > 1 else texts[kind] for kind, n in reasons.most_common(3)
    )
    more = f"; and {count(len(reasons) - 3, 'other reason')}" if len(reasons) > 3 else ""
    numbers = tuple(int(n) for n in failed["number"][:8])
    return Verdict(_lost(failed, len(snap.trials), reasons), f"{listed}{more}.", numbers)


def _lost(failed: pd.DataFrame, of: int, reasons: Counter[str]) -> str:
    """How many trials failed, in a title that says so where memory or a single reason took most of them."""
    title = f"{count(len(failed), 'trial')} failed"
    if len(failed) >= 10:
        title += f", {100 * len(failed) / of:.2g} % of all"
    most, memory = reasons.most_common(1)[0][1], int(failed["out_of_memory"].sum())
    if most >= 5 and most >= 0.6 * len(failed):
        title += ", all for one reason" if most == len(failed) else f", {most:,} of them for one reason"
    elif memory:
        title += f", {'all' if memory == len(failed) else format(memory, ',')} of them for want of memory"
    return title


def _left_behind(snap: Snapshot) -> Verdict | None:
    """Trials that were interrupted and never went on, in a run that has ended."""
    left = snap.trials[snap.trials["status"] == "interrupted"]
    if not len(left) or snap.definition.get("status") == "running":
        return None
    text = "They count with what they had reported. `huetune resume` goes on with them, from their checkpoints."
    numbers = tuple(int(n) for n in left["number"][:8])
    were = count(len(left), "trial was", "trials were")
    return Verdict(f"{were} interrupted and never went on", text, numbers)
