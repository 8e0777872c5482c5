"""Ways to combine in a contest: fitted to the validation split, judged on what they were not fitted to.

The test split is read when everything has been decided.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ensembles.account.choice import Choice, choose
from ensembles.account.costs import Cost, measure
from ensembles.account.passes import Entry, TestScores, score, validate
from ensembles.combining.combiner import Combiner, Positions, Subset, Weighted
from ensembles.combining.gram import BadPredictions, Floats
from ensembles.combining.method import Method, fold_of
from ensembles.combining.stored import describe
from ensembles.combining.weighting import Limited
from ensembles.ensemble import Ensemble
from ensembles.members.averages import SWA, add_averages
from ensembles.members.crew import FLIPS, Crew, counted
from ensembles.members.observation import Observation
from ensembles.predictor import Array
from ensembles.recipes import BEST_SINGLE, Recipe

_MEASURED = 0.1  # seconds of calls by which an entry's cost is told


@dataclass(frozen=True)
class Limits:
    """What may ship: at most so many members, at most so many milliseconds for an example. None: no limit."""

    max_members: int | None = None
    max_ms: float | None = None

    def __post_init__(self) -> None:
        if self.max_members is not None and self.max_members < 1:
            raise ValueError(f"Expected max_members >= 1, got {self.max_members}.")
        if self.max_ms is not None and not self.max_ms > 0:
            raise ValueError(f"Expected max_ms > 0, got {self.max_ms}.")

    @property
    def none(self) -> bool:
        return self.max_members is None and self.max_ms is None

    def hold(self, members: int, milliseconds: float) -> bool:
        few = self.max_members is None or members <= self.max_members
        return few and (self.max_ms is None or milliseconds <= self.max_ms)


class Contest:
    """The entries, what they predict for validation, and which of them wins.

    Args:
        crew: with all who take part seated. Seats that join later come behind them.
        limits: of what may ship.
        seed: of folds and intervals.
        scratch: a folder for checkpoints that are made on the way.
        say: is told what is being done.

    Attributes:
        entries: the best single model first.
        unsuited: entries that could not be made, with the reason.
        unstorable: entries that cannot ship because they cannot be stored, with the reason.
        split: what is being read, for whoever reports a failure.
    """

    def __init__(self, crew: Crew, limits: Limits, seed: int, scratch: Path, say: Callable[[str], None]) -> None:
        self.crew, self.limits, self.seed, self.scratch, self.say = crew, limits, seed, scratch, say
        self.entries: list[Entry] = []
        self.unsuited: dict[str, str] = {}
        self.unstorable: dict[str, str] = {}
        self.split = "val"
        self._costs: dict[str, Cost] = {}
        _, batch = next(counted(crew.judge, "val"))
        self._example = np.asarray(batch.inputs)[:1]
        self._validated: dict[str, Array] = {}
        self._reasons: dict[str, str] = {}
        crew.only_base()

    def seat(self, families: Collection[str]) -> None:
        """Seat what was asked for beside the checkpoints, and read the validation split."""
        if FLIPS in families and (reason := self.crew.add_flips()):
            self._reasons[FLIPS] = reason
        if SWA in families and (reason := add_averages(self.crew, self.scratch)):
            self._reasons[SWA] = reason
        self.look()

    def look(self) -> None:
        """Read the validation split; to be called again when seats have joined."""
        self.seen = Observation.of_split(self.crew, "val", self.say)
        self.fold = fold_of(self.seen.groups, seed=self.seed)

    @property
    def folds(self) -> int:
        """How many folds the validation split is cut into; 1 where it holds a single group."""
        return int(self.fold.max()) + 1

    @property
    def gram(self) -> Floats:
        """(K, K), of all seats: the mean over validation."""
        return self.seen.whole_gram.mean(axis=0)

    def enter(self, recipe: Recipe) -> None:
        """Fit a recipe to its family and its folds, or note why it does not apply."""
        name, method = recipe.name, recipe.method
        positions = self.crew.positions(recipe.family)
        view = self.seen.of(positions)
        if reason := self._reasons.get(recipe.family) or method.unsuited(view):
            self.unsuited[name] = reason
            return
        self.say(f"fitting {name}")
        if name != BEST_SINGLE:  # what all others are compared with, whether or not it may ship
            method = self._limited(method, positions)
        try:
            rule, by_fold = method.fit_and_cross_fit(view, self.fold) if self.folds > 1 else (method.fit(view), [])
        except BadPredictions:
            raise
        except ValueError as error:
            self.unsuited[name] = str(error)
            return
        self.enter_rules(name, rule, by_fold, positions)

    def enter_rules(self, name: str, rule: Combiner, by_fold: Sequence[Combiner], positions: Positions) -> None:
        """Take in a rule over the seats at `positions`, with those that were fitted without each fold."""
        seats = len(self.crew.seats)
        self.entries.append(
            Entry(name, Subset(rule, positions, seats), [Subset(each, positions, seats) for each in by_fold])
        )

    def enter_seat(self, name: str, position: int, validated: Array | None = None) -> None:
        """Take in a single predictor; `validated` (N,) are honest scores of it where it was itself chosen."""
        alone, seats = Weighted(np.ones(1)), len(self.crew.seats)
        rule = Subset(alone, np.array([position]), seats)
        self.entries.append(Entry(name, rule, [rule] * self.folds))
        if validated is not None:
            self._validated[name] = validated

    def judge(self, ship: str | None = None) -> Choice:
        """Score every entry on validation examples it was not fitted to, and choose; `ship` names a choice made before.

        Raises:
            ValueError: nothing may ship within the limits, or what is to ship is no entry or cannot be stored.
        """
        if len(self.seen.positions) != len(self.crew.seats):
            self.look()
        metric = self.crew.judge.gain_metric
        new = [entry for entry in self.entries if entry.name not in self._validated]
        if self.fold.max():
            scores = validate(self.crew, new, self.fold, self.say)
            self._validated |= {name: found[metric] for name, found in scores.items()}
        else:
            self._validated |= {entry.name: np.empty(0) for entry in new}
        allowed = {e.name for e in self.entries if self._storable(e)}
        within = {e.name for e in self.entries if self.limits.hold(len(e.rule.used), self.cost(e).milliseconds)}
        if not allowed & within:
            quickest = min((self.cost(e).milliseconds, e.name) for e in self.entries)
            raise ValueError(
                f"Expected a way to combine within max_members={self.limits.max_members} and"
                f" max_ms={self.limits.max_ms}; the quickest, {quickest[1]}, takes {quickest[0]:.3g} ms. Raise max_ms."
            )
        choice = choose(
            self._validated, self.seen.groups, metric, single=BEST_SINGLE, allowed=allowed & within, seed=self.seed
        )
        return choice if ship is None else self._asked_for(ship, choice, allowed & within)

    def worth(self, entry: Entry) -> float:
        """The mean gain metric on validation, NaN where that is unknown."""
        values = self._validated[entry.name]
        return float(values.mean()) if len(values) else float("nan")

    def entry(self, name: str) -> Entry:
        return next(entry for entry in self.entries if entry.name == name)

    @property
    def validated(self) -> dict[str, Array]:
        """Entry -> the gain metric (N,) of each validation example; empty where it holds a single group."""
        return self._validated

    def read_test(self, entries: Sequence[Entry]) -> TestScores:
        """The scores of entries on the test split, which nothing is chosen by."""
        self.split = "test"
        return score(self.crew, entries, self.say)

    def cost(self, entry: Entry) -> Cost:
        """What one prediction of an entry costs, measured once."""
        if entry.name not in self._costs:
            self._costs[entry.name] = self._measured(self.ensemble(entry), entry.rule.used)
        return self._costs[entry.name]

    def ensemble(self, entry: Entry, notes: Mapping[str, Any] | None = None) -> Ensemble:
        """The entry as a predictor."""
        members = [self.crew.seats[position].member() for position in entry.rule.used]
        return Ensemble(members, entry.rule.narrowed(), entry.name, notes)

    def _asked_for(self, name: str, choice: Choice, allowed: Collection[str]) -> Choice:
        if name not in allowed:
            entered = any(entry.name == name for entry in self.entries)
            why = self.unsuited.get(name) or self.unstorable.get(name) or ("it exceeds the limits" if entered else None)
            raise ValueError(
                f"Expected to ship one of {', '.join(sorted(allowed))}, got {name!r}"
                + (f": {why}." if why else ", which is not among the methods. Add it to them.")
            )
        return replace(choice, name=name, reason=f"asked for; validation would have chosen {choice.name}")

    def _limited(self, method: Method, positions: Positions) -> Method:
        if self.limits.none:
            return method
        alone = [self._measured(self.crew.seats[p].member().predictor, [p]).milliseconds for p in positions]
        costs = None if self.limits.max_ms is None else alone
        return Limited(method, self.limits.max_members or len(positions), costs, self.limits.max_ms)

    def _measured(self, predict: Callable[[Array], Array], positions: Sequence[int] | Positions) -> Cost:
        models = [self.crew.seats[position].predictor for position in positions]
        return measure(predict, models, self._example, seconds=_MEASURED)

    def _storable(self, entry: Entry) -> bool:
        try:
            describe(entry.rule)
        except ValueError as error:
            self.unstorable[entry.name] = str(error)
            return False
        return True
