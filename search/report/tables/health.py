"""What trials report of their own training, found by the names of their measures: no workload is known here.

Names count in lower case, with `_` for `.`, `/`, `-` and spaces:

    gradients   gradient_*, grad_norm*, *_grad_norm, *_gradient_norm
    updates     update_ratio*, *_update_ratio: the size of a step over the size of the weights
    dead        dead_*, *_dead: the share of units that never act, 0 to 1 or in per cent
    gap         gap, *_gap (such as generalization_gap), and every pair train_X, val_X
    balance     loss_g with loss_d (or g_loss, d_loss), and *real_acc*, *fake_acc*: a discriminator's accuracies
    verdicts    verdict, verdicts: words; several are split by ";" or are a JSON list
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from search.report.tables.snapshot import Goal, NothingToShow, Snapshot
from search.report.tables.thinning import evenly

LAYERS = "layers/"  # begins the names of what is reported of single layers: see `tables.layers`
MOST_MEASURES = 6
MOST_TRIALS = 12
_POINTS = 60
# What is better when larger, by a word of its name; everything else is a loss.
_LARGER_IS_BETTER = {"acc", "accuracy", "psnr", "snr", "ssim", "auc", "f1", "iou", "dice", "map", "precision", "recall"}


@dataclass(frozen=True)
class Kind:
    """A kind of measure by which a training is judged. `log`: its axis is logarithmic."""

    name: str
    title: str
    pattern: str
    log: bool = False


GRADIENTS = Kind("gradients", "Gradient norms", r"gradient_.+|grad_norm.*|.+_grad(ient)?_norm", log=True)
UPDATES = Kind("updates", "Size of steps over size of weights", r"update_ratio.*|.+_update_ratio", log=True)
DEAD = Kind("dead", "Units that never act", r"dead_.+|.+_dead")
GAP = Kind("gap", "How much worse trials validate than they train", r"(.+_)?gap")
BALANCE = Kind(
    "balance", "Generator against discriminator", r"loss_[gd]|[gd]_loss|(.+_)?(real|fake)_acc(uracy)?", log=True
)
KINDS = (GRADIENTS, UPDATES, DEAD, GAP, BALANCE)


def measures(snap: Snapshot, kind: Kind) -> list[str]:
    """The measures of a kind that a run holds numbers of, in the order of the reports; of a pair, `val_X - train_X`."""
    if kind is GAP:
        named = [f"{own} \N{MINUS SIGN} {other}" for own, other in _pairs(snap)]
        return [*named, *_named(snap, kind)]
    found = _named(snap, kind)
    if kind is BALANCE:
        losses = [name for name in found if "acc" not in _plain(name)]
        # One network's loss alone says nothing of a balance.
        found = [name for name in found if name not in losses or len(losses) > 1]
    return found


def values(snap: Snapshot, kind: Kind, measure: str) -> pd.Series:
    """A measure as numbers, a value a report; what is not a number is NaN, infinities stay. A gap is positive where
    validation is worse than training."""
    if kind is GAP:
        for own, other in _pairs(snap):
            if measure == f"{own} \N{MINUS SIGN} {other}":
                sign = -1 if _larger_is_better(own, snap.goal) else 1
                return sign * (as_numbers(snap, own) - as_numbers(snap, other))
    return as_numbers(snap, measure)


def course(snap: Snapshot, kind: Kind) -> pd.DataFrame:
    """measure, line, number, iteration, value, low, high: how a kind of measure went over the iterations.

    `line` is "typical" (value is the median of the trials that finished, or of all where none did; low and high hold
    the middle 90 %), "best" (the best trial) or "failed" (one that failed). Of longer runs `_POINTS` stretches of
    iterations are told of. `attrs`: measures, those told of; left_out, how many more there are; failed, how many
    trials failed; trials, how many are behind the median; finished, whether these are those that finished.

    Raises `NothingToShow` where no trial reports a measure of the kind.
    """
    named = measures(snap, kind)
    if not named:
        raise NothingToShow(f"No trial reported anything of this kind: {kind.title.lower()}.")
    trials = snap.trials.set_index("trial_id")
    status = snap.measurements["trial_id"].map(trials["status"])
    finished = bool((status == "finished").any())
    behind = status == "finished" if finished else status.notna()
    best = snap.trials.at[snap.best, "trial_id"] if snap.best is not None else None
    failed = snap.trials.loc[snap.trials["status"] == "failed", "trial_id"]
    shown = failed.iloc[evenly(len(failed), MOST_TRIALS)]
    width = max(1, int(np.ceil(float(snap.measurements["iteration"].max()) / _POINTS)))
    step = ((snap.measurements["iteration"] - 1) // width + 1) * width if width > 1 else snap.measurements["iteration"]
    numbers = snap.measurements["trial_id"].map(trials["number"])
    parts = []
    for measure in named[:MOST_MEASURES]:
        told = values(snap, kind, measure)
        frame = pd.DataFrame({"number": numbers, "iteration": step, "value": told.where(np.isfinite(told))})
        parts.append(_typical(frame[behind], measure))
        for line, chosen in (("best", snap.measurements["trial_id"] == best), ("failed", _in(snap, shown))):
            rows = frame[chosen].dropna().groupby(["number", "iteration"], as_index=False)["value"].last()
            parts.append(rows.assign(measure=measure, line=line))
    table = pd.concat([part for part in parts if len(part)], ignore_index=True)
    table.attrs = {
        "measures": named[:MOST_MEASURES],
        "left_out": max(0, len(named) - MOST_MEASURES),
        "failed": len(failed),
        "trials": int(snap.measurements.loc[behind, "trial_id"].nunique()),
        "finished": finished,
    }
    return table[["measure", "line", "number", "iteration", "value", "low", "high"]]


def lasts(snap: Snapshot, kind: Kind, measure: str) -> pd.DataFrame:
    """number, status, value, ever: a row a trial that reported the measure. `value` is its last, which may be
    infinite, or NaN where a trial that failed ended with none; `ever` is whether it was ever other than zero."""
    told = pd.DataFrame({"trial_id": snap.measurements["trial_id"], "value": values(snap, kind, measure)})
    by_trial = told.groupby("trial_id", sort=False)["value"]
    ends = told.drop_duplicates("trial_id", keep="last").set_index("trial_id").rename(columns={"value": "last"})
    ends["any"] = by_trial.last()
    ends["ever"] = told["value"].ne(0).where(told["value"].notna(), False).groupby(told["trial_id"]).any()
    trials = snap.trials.set_index("trial_id")[["number", "status"]]
    ends = trials.join(ends, how="inner").dropna(subset=["any"])
    # Some measures are reported now and then; where one never is missing else, a failure makes its gap say something.
    healthy = told["trial_id"].map(trials["status"]) != "failed"
    regular = not told.loc[healthy, "value"].isna().any()
    ends["value"] = ends["last"].where((ends["status"] == "failed") & regular, ends["any"])
    return ends[["number", "status", "value", "ever"]].sort_values("number").reset_index(drop=True)


def words(snap: Snapshot) -> dict[str, list[int]]:
    """What trials said of themselves in their last report, and the numbers of those that said it, most said first."""
    found: dict[str, list[int]] = {}
    numbers = snap.trials.set_index("trial_id")["number"]
    for column in (name for name in map(str, snap.measurements.columns) if _plain(name) in ("verdict", "verdicts")):
        said = snap.measurements[["trial_id", column]].dropna()
        said = said[[isinstance(text, str) for text in said[column]]]
        last = said.groupby("trial_id")[column].last()
        for text, trials in last.groupby(last):
            for verdict in _split(str(text)):
                found.setdefault(verdict, []).extend(int(numbers[t]) for t in trials.index if t in numbers.index)
    sorted_by_many = sorted(found.items(), key=lambda one: (-len(one[1]), one[0]))
    return {verdict: sorted(set(trials)) for verdict, trials in sorted_by_many if trials}


def trained(snap: Snapshot, gap: str) -> tuple[str, pd.Series] | None:
    """The training's own measure behind a gap of a pair, and its last value by the number of the trial; None for a gap
    that was reported as one."""
    other = next((other for own, other in _pairs(snap) if gap == f"{own} \N{MINUS SIGN} {other}"), None)
    if other is None:
        return None
    number = snap.measurements["trial_id"].map(snap.trials.set_index("trial_id")["number"])
    return other, as_numbers(snap, other).groupby(number).last()


def _typical(frame: pd.DataFrame, measure: str) -> pd.DataFrame:
    drawn = frame.dropna().groupby("iteration")["value"].quantile(np.array([0.05, 0.5, 0.95])).unstack()
    if not len(drawn):
        return pd.DataFrame()
    named = drawn.rename(columns={0.05: "low", 0.5: "value", 0.95: "high"}).reset_index()
    return named.assign(measure=measure, line="typical", number=np.nan)


def _in(snap: Snapshot, trials: pd.Series) -> pd.Series:
    return snap.measurements["trial_id"].isin(trials)


def _named(snap: Snapshot, kind: Kind) -> list[str]:
    pattern = re.compile(kind.pattern)
    # What is reported of a layer has a figure of its own, whatever the layer is called.
    named = [str(name) for name in snap.measurements.columns if not str(name).startswith(LAYERS)]
    names = [name for name in named if pattern.fullmatch(_plain(name))]
    return [name for name in names if as_numbers(snap, name).notna().any()]


def _pairs(snap: Snapshot) -> list[tuple[str, str]]:
    """(val_X, train_X) for every X of which there are both."""
    by_plain = {_plain(str(name)): str(name) for name in snap.measurements.columns}
    pairs = [(by_plain.get(f"val_{plain[6:]}"), name) for plain, name in by_plain.items() if plain.startswith("train_")]
    numeric = [(own, other) for own, other in pairs if own is not None]
    return [pair for pair in numeric if all(as_numbers(snap, name).notna().any() for name in pair)]


def as_numbers(snap: Snapshot, name: str) -> pd.Series:
    """A measure as floats; what is no number, such as a truth value or a text, is NaN."""
    column = snap.measurements[name]
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        # Truth values and words are no measure, though some words can be read as numbers.
        column = pd.Series([None if isinstance(value, bool) else value for value in column], column.index, dtype=object)
    return pd.to_numeric(column, errors="coerce").astype(float)


def _larger_is_better(measure: str, goal: Goal) -> bool:
    bare = re.sub(r"^(val|train)_", "", _plain(measure))
    if bare == re.sub(r"^(val|train)_", "", _plain(goal.metric)):
        return goal.maximize
    return bool(_LARGER_IS_BETTER.intersection(bare.split("_")))


def _plain(name: str) -> str:
    return re.sub(r"[./\-\s]+", "_", name).lower()


def _split(text: str) -> Iterable[str]:
    listed = re.findall(r'"([^"]+)"', text) if text.startswith("[") else text.split(";")
    return (verdict.strip() for verdict in listed if verdict.strip())
