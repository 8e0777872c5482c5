"""What is wrong with trainings, as far as they report of themselves: counted, in words, linked to the trials."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from search.report.tables.health import BALANCE, DEAD, GAP, GRADIENTS, UPDATES, lasts, measures, trained, values, words
from search.report.tables.snapshot import Snapshot
from search.report.wording import capital, count

MOST_WORDS = 8
FAR = 100.0  # times the run's median: an exploded gradient, a lost balance
NOTHING = 1e-3  # of the run's median: a vanished gradient
HALF = 0.5  # of the units dead
SHARE = 0.25  # of the training's own value, by which validation may be worse
STEPS = (1e-6, 0.1)  # of the weights' size, between which a step is sane; Karpathy (CS231n notes, 2015) aims at 1e-3
SURE = 0.95  # accuracies of a discriminator that is never fooled
_FINE = {"", "ok", "okay", "fine", "good", "healthy", "none", "null", "nan", "no problem", "true", "false"}


@dataclass(frozen=True)
class Diagnosis:
    """A fault of some trials, by their own reports. `trials` are their numbers, all of them."""

    title: str
    text: str
    trials: tuple[int, ...]


def diagnoses(snap: Snapshot) -> list[Diagnosis]:
    """The faults that trials report, those of the most trials first.

    "The run's median" is that of the last reports of the trials that finished (of all where none did).
    """
    found = [*_gradients(snap), *_updates(snap), *_dead(snap), *_gaps(snap), *_balance(snap), *_words(snap)]
    return sorted(found, key=lambda one: -len(one.trials))


def _gradients(snap: Snapshot) -> list[Diagnosis]:
    large, small = {}, {}
    for measure in measures(snap, GRADIENTS):
        ends = lasts(snap, GRADIENTS, measure)
        middle = _middle(ends)
        large[measure] = ends[~np.isfinite(ends["value"]) | (ends["value"].abs() > FAR * middle)]
        # A network that is not trained at all has no gradients from the start.
        small[measure] = ends[ends["ever"] & (ends["value"].abs() < NOTHING * middle)]
    usual = "what is usual in this run"
    return [
        *_of(
            large,
            "Gradients exploded in {}",
            f"was more than {FAR:g} times {usual}, or not finite. Lower the learning rate, or clip them.",
        ),
        *_of(
            small,
            "Gradients vanished in {}",
            f"was below a thousandth of {usual}. Such a network hardly learns any more.",
        ),
    ]


def _updates(snap: Snapshot) -> list[Diagnosis]:
    large, small = {}, {}
    for measure in measures(snap, UPDATES):
        ends = lasts(snap, UPDATES, measure)
        large[measure] = ends[~np.isfinite(ends["value"]) | (ends["value"] > STEPS[1])]
        small[measure] = ends[ends["ever"] & (ends["value"] < STEPS[0])]
    too_large = f"was above {STEPS[1]:g}: each step changed the weights by more than a tenth of them."
    return [
        *_of(large, "Steps were far too large in {}", too_large),
        *_of(small, "Steps were next to nothing in {}", "was below a millionth: the weights hardly moved."),
    ]


def _dead(snap: Snapshot) -> list[Diagnosis]:
    many = {}
    for measure in measures(snap, DEAD):
        told = values(snap, DEAD, measure)
        highest = float(told[np.isfinite(told)].max())
        if highest > 100:
            continue  # a count of units: of how many, nobody says
        ends = lasts(snap, DEAD, measure)
        many[measure] = ends[ends["value"] > HALF * (100 if highest > 1 else 1)]
    return _of(many, "Most units were dead in {}", "was above 50 %: more than half of the units never acted.")


def _gaps(snap: Snapshot) -> list[Diagnosis]:
    pairs, gaps = {}, {}
    for measure in measures(snap, GAP):
        ends = lasts(snap, GAP, measure)
        own = trained(snap, measure)
        if own is not None:
            pairs[measure] = ends[ends["value"] > SHARE * ends["number"].map(own[1]).abs()]
        elif len(ends) >= 8:
            # Tukey (Exploratory Data Analysis, 1977) calls it far out.
            low, high = np.quantile(ends["value"][np.isfinite(ends["value"])], [0.25, 0.75])
            gaps[measure] = ends[ends["value"] > high + 3 * (high - low)]
    title, advice = "{} trained better than they validate", "They may have learned the training data by heart."
    return [
        *_of(pairs, title, f"was more than a quarter of the training's own, for the worse. {advice}"),
        *_of(gaps, title, f"was far out of what is usual in this run. {advice}"),
    ]


def _balance(snap: Snapshot) -> list[Diagnosis]:
    large, small = {}, {}
    named = measures(snap, BALANCE)
    for measure in (name for name in named if "acc" not in name.lower()):
        ends = lasts(snap, BALANCE, measure)
        middle = _middle(ends)
        large[measure] = ends[~np.isfinite(ends["value"]) | (ends["value"].abs() > FAR * middle)]
        if "d" in measure.lower().split("_"):
            small[measure] = ends[ends["ever"] & (ends["value"].abs() < middle / FAR)]
    won = "was below a hundredth of what is usual in this run: it had nothing left to teach the generator."
    found = [
        *_of(large, "Losses ran away in {}", f"was more than {FAR:g} times what is usual in this run, or not finite."),
        *_of(small, "The discriminator won in {}", won),
    ]
    real, fake = (
        [name for name in named if side in name.lower() and "acc" in name.lower()] for side in ("real", "fake")
    )
    for one, other in zip(real, fake, strict=False):
        both = lasts(snap, BALANCE, one).merge(lasts(snap, BALANCE, other), on="number", suffixes=("", "_fake"))
        sure = {f"{one} and {other}": both[(both["value"] > SURE) & (both["value_fake"] > SURE)]}
        found += _of(sure, "The discriminator was never fooled in {}", "were above 95 %: it has nothing left to teach.")
    return found


def _words(snap: Snapshot) -> list[Diagnosis]:
    # What follows a colon are the numbers of one trial: with them no two trials would have the same fault.
    said: dict[str, dict[str, list[int]]] = {}
    for verdict, trials in words(snap).items():
        if verdict.lower().rstrip(".!") not in _FINE:
            fault, _, numbers = verdict.partition(": ")
            said.setdefault(fault, {})[numbers] = trials
    found = [_fault(fault, by_numbers) for fault, by_numbers in said.items()]
    return sorted(found, key=lambda one: -len(one.trials))[:MOST_WORDS]


def _fault(fault: str, by_numbers: dict[str, list[int]]) -> Diagnosis:
    trials = sorted({trial for some in by_numbers.values() for trial in some})
    usual = next(filter(None, by_numbers), "")
    text = "By their own last report" + (f", such as {_short(usual)}." if usual else ".")
    return Diagnosis(f"{capital(_short(fault))}: {count(len(trials), 'trial')}", text, tuple(trials))


def _middle(ends: pd.DataFrame) -> float:
    finite = ends[np.isfinite(ends["value"]) & ends["ever"]]
    finished = finite[finite["status"] == "finished"]
    chosen = (finished if len(finished) else finite)["value"].abs()
    return float(chosen.median()) if len(chosen) else float("nan")


def _of(flagged: dict[str, pd.DataFrame], title: str, text: str) -> list[Diagnosis]:
    """One diagnosis for all measures by which trials have it; none where no trial has."""
    named = [measure for measure, rows in flagged.items() if len(rows)]
    if not named:
        return []
    trials = sorted({int(number) for measure in named for number in flagged[measure]["number"]})
    more = f" or one of {len(named) - 2} others" if len(named) > 3 else ""
    last = f"The last {' or '.join(named if not more else named[:2])}{more}"
    return [Diagnosis(title.format(count(len(trials), "trial")), f"{last} {text}", tuple(trials))]


def _short(text: str, longest: int = 120) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
