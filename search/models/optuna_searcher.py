"""A search method around Optuna samplers: points first, no duplicates of what runs, and define-by-run spaces."""

from __future__ import annotations

import copy
import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

from optuna.samplers import BaseSampler, RandomSampler

from search.errors import SearchError
from search.method import SearchMethod, derived_seed
from search.models.cube import Cube
from search.models.define_by_run import SpaceFunction, as_json, call, discover
from search.models.study import Observation, question
from search.params import Params
from search.space import Space
from search.suggestion import Suggestion

# A suggestion that is running already is asked for again: a few times in the method's own way, then at random.
_OWN_WAY, _ATTEMPTS = 2, 66


class OptunaSearcher(SearchMethod):
    """A search method that asks an Optuna sampler, a fresh one for every suggestion.

    Args:
        space: an Optuna define-by-run function in place of a dict of Ray Tune domains: it suggests parameters from an
            `optuna.Trial` and returns a dict of constants, or None. Ray Tune's `param_space` then has constants only,
            and in a plain `tune.Tuner` at least one: with an empty one Ray Tune tells no searcher the metric.
        points_to_evaluate: configurations to try first, as dicts; parameters they do not name are sampled.
        score: whether a trial counts by its "best" or its "last" report. A search sets it.
        iterations: how many reports a full trial makes. A search sets it, and so does `stop={"training_iteration": n}`
            in a plain `tune.Tuner`; where neither does, the longest trial so far is taken for a full one.
        seed: of the suggestions, and of `config["seed"]`, which every trial is given unless the space has a `seed`.

    Raises:
        SearchError: a negative seed, or a space function that fails or asks for nothing.
    """

    def __init__(
        self,
        *,
        space: SpaceFunction | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] = (),
        score: Literal["best", "last"] = "best",
        iterations: int | None = None,
        seed: int = 0,
    ) -> None:
        if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
            raise SearchError(f"Expected a seed that is a whole number from 0, got {seed!r}. Choose another.")
        super().__init__(score=score, iterations=iterations, seed=seed)
        self.space_function = space
        self.points_to_evaluate = tuple(points_to_evaluate)
        self._discovered = discover(space) if space else None
        self._cube = Cube({})
        self._points: list[Params] = []

    def over(self, space: SpaceFunction) -> Self:
        """A copy that searches what a define-by-run function asks for.

        Raises:
            SearchError: the function fails or asks for nothing.
        """
        other = copy.deepcopy(self)
        other.space_function, other._discovered = space, discover(space)
        return other

    @abstractmethod
    def sampler(self, number: int, attempt: int) -> tuple[BaseSampler, str]:
        """A fresh Optuna sampler for the suggestion of this number, and the reason to note beside what it says.

        Args:
            number: of the suggestion.
            attempt: 0, and more each time that it said what is running already.
        """

    def observations(self) -> list[Observation]:
        """What the sampler is shown; a sampler that learns says more."""
        return []

    def on_space(self) -> None:
        """Check the space and the points."""
        if self._discovered and self.space.axes:
            raise SearchError(
                f"Expected constants beside a space function, got {sorted(axis.name for axis in self.space.axes)} to be"
                " varied. Let the function suggest them."
            )
        self._cube = Cube(self.searched.distributions())
        self._points = [self.searched.labels(point) for point in self.points_to_evaluate]

    @property
    def searched(self) -> Space:
        """What is searched: the space, or what the space function asks for."""
        return self._discovered or self.space

    def whole_space(self, space: Space) -> Space:
        """Every axis that trials may vary on: those that a space function asks for, if there is one."""
        return Space(self._discovered.axes, self._discovered.constants + space.constants) if self._discovered else space

    def propose(self, number: int) -> Suggestion:
        """The point of this number, or what the sampler says, other than what is running where that can be."""
        fixed = self._points[number] if number < len(self._points) else {}
        running = {_key(told.suggestion.values) for told in self.running.values()}
        shown = self.observations()
        for attempt in range(_ATTEMPTS):
            sampler, reason = self.sampler(number, attempt) if attempt < _OWN_WAY else self._chance(number, attempt)
            suggestion = self._ask(sampler, shown, fixed, reason)
            if fixed or _key(suggestion.values) not in running:
                break
        return suggestion

    def _seed(self, number: int, attempt: int) -> int:
        return derived_seed(self.seed, number, 2, attempt) if attempt else derived_seed(self.seed, number)

    def _chance(self, number: int, attempt: int) -> tuple[BaseSampler, str]:
        return RandomSampler(seed=self._seed(number, attempt)), "random"

    def _ask(self, sampler: BaseSampler, shown: Sequence[Observation], fixed: Params, reason: str) -> Suggestion:
        reason = "point" if fixed else reason
        # Where the function asks for parameters one by one, the distributions are only known as it does.
        if self.space_function is None:
            trial = question(sampler, shown, fixed, self.space.distributions())
            return Suggestion(trial.params, reason=reason)
        trial = question(sampler, shown, fixed)
        constants = call(self.space_function, trial)
        # The function's parameters are all there is: a branch that was not taken has none.
        return Suggestion(
            trial.params,
            constants=trial.params | constants,
            reason=reason,
            notes={"distributions": as_json(trial.distributions)},
        )


def _key(values: Params) -> str:
    return json.dumps(values, sort_keys=True)
