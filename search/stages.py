"""Searches in stages: each with a space, a method and a budget of its own, starting from what earlier ones found."""

from __future__ import annotations

import copy
import logging
from collections.abc import Container, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from search.errors import SearchError
from search.method import FINISHED, Event, SearchMethod, derived_seed
from search.params import Params
from search.samplers import OptunaSearcher
from search.space import Space
from search.staging.plan import Plan, check_order
from search.staging.ranges import holds
from search.staging.retest import Retest, scaled
from search.staging.stage import DATA_FRACTION, Stage
from search.suggestion import Standing, Suggestion, Told

_OWN = "stages"

_log = logging.getLogger(__name__)


@dataclass
class _Part:
    """A stage under way. All of it follows from what was told before the stage began.

    Attributes:
        stage: as the user wrote it.
        method: a copy of the stage's, with a space of its own, told of this stage's trials and no others.
        space: the axes of the stage, as wide as the method may go.
        settings: what parameters are set to, by flat name, where the stage does not vary them.
        length: reports of its trials; None for those of the search.
        origin: the configuration that the stage searches around.
        suggested: trials so far.
    """

    stage: Stage
    method: SearchMethod
    space: Space
    settings: Params
    length: int | None
    origin: Standing | None
    suggested: int = 0


class Stages(SearchMethod):
    """One search after another; later stages fix what earlier ones found, or search around it.

    A stage begins when all trials of the one before have ended. Whatever it does not vary itself is fixed at the best
    configuration so far: of the latest stage that has a trial of full length, the one with the best mean over its
    seeds, among the longest trials if they differ in length. Where every trial has failed, settings stand at what a
    stage fixed them to, at the constant of the search's space, or at the middle of their range.

    Each stage works on a copy of its method with a seed derived from the search's, so that stages share no state.

    Args:
        stages: `Stage`s, in their order; the last may be a bare `Retest`.
        others: as for `SearchMethod`.

    Raises:
        SearchError: stages that cannot follow one another. What depends on the search's space is found when that is
            known: a parameter that a stage neither varies nor has a value for.
    """

    def __init__(self, stages: Sequence[Stage | Retest], **others: Any) -> None:
        super().__init__(**others)
        self.stages: tuple[Stage, ...] = tuple(
            Stage("retest", method=s) if isinstance(s, Retest) else s for s in stages
        )
        check_order(self.stages)
        for stage in self.stages:
            # It has a space for each of its stages, and none that could be given to it.
            if isinstance(stage.method, Stages):
                raise SearchError(
                    f"Expected one list of stages, got Stages as the method of {stage.name!r}. Write all into one list."
                )
        self.ends = self.stages[-1].ends
        self._shares = any(stage.data_fraction is not None for stage in self.stages)
        self._parts: dict[int, _Part] = {}
        self._at = 0

    def on_space(self) -> None:
        """Check every stage, and its method too, before the first trial."""
        self._parts, self._at = {}, 0
        self._plan = Plan(self.stages, self.space)
        for index in range(len(self.stages)):
            self._started(index, Space(self._plan.axes(index), ()))

    def whole_space(self, space: Space) -> Space:
        """All axes of all stages, each as wide as any stage may go.

        Raises:
            SearchError: a stage neither varies a parameter nor has a value for it.
        """
        return Plan(self.stages, space).whole()

    def propose(self, number: int) -> Suggestion | str | None:
        """What the stage under way proposes, or the first suggestion of the next."""
        for index in range(self._at, len(self.stages)):
            proposed = self._next(index, self._part(index))
            if isinstance(proposed, Suggestion) or proposed is None:
                return proposed
            # What the next stage begins with depends on the last trial of this one.
            if index < len(self.stages) - 1 and self.running:
                return None
        return FINISHED

    def on_suggestion(self, trial: Told) -> None:
        """Tell the stage's method, in its own terms."""
        own = _own(trial)
        self._at = own["part"]
        part = self._part(self._at)
        part.suggested += 1
        if own["inner"] is not None:
            notes = {name: value for name, value in trial.suggestion.notes.items() if name != _OWN}
            inner = replace(trial.suggestion, **own["inner"], notes=notes)
            part.method.play({"event": "suggest", "trial": trial.trial_id, "suggestion": asdict(inner)})

    def settings(self, trial: Told) -> Params:
        """A trial's configuration by flat name, but for its seed and its length."""
        suggestion, own = trial.suggestion, _own(trial)
        part, original = self._parts[own["part"]], own["copy"]
        if original is not None:
            settings = self.settings(self.told[original]) | part.stage.settings
        else:
            settings = part.settings | part.space.flat_config(suggestion.values) | suggestion.constants
        return settings | self._share(part.stage)

    def winner(self) -> Standing | None:
        """The winner of the `Retest` at the end; None without one, or before its first trial is done."""
        part = self._parts.get(len(self.stages) - 1)
        return part.method.winner() if part is not None and isinstance(part.method, Retest) else None

    def __repr__(self) -> str:
        return f"Stages({', '.join(f'{stage.name}: {stage.method!r}' for stage in self.stages)})"

    def play(self, event: Event) -> None:
        """Take up one event, and pass it on to the stage it belongs to."""
        told = self.told.get(event["trial"])
        if told is not None:
            self._parts[_own(told)["part"]].method.play(event)
        super().play(event)

    def _next(self, index: int, part: _Part) -> Suggestion | str | None:
        stage = part.stage
        if stage.trials is not None and part.suggested >= stage.trials:
            return FINISHED
        if part.origin is not None and part.suggested == 0:
            return self._again(index, part, part.origin)
        inner = part.method.propose(len(part.method.told))
        if not isinstance(inner, Suggestion):
            return inner
        changed = {"stage": inner.stage, "iterations": inner.iterations}
        return replace(
            inner,
            stage=stage.name,
            iterations=inner.iterations or part.length,
            notes=inner.notes | {_OWN: {"part": index, "copy": inner.replica_of, "inner": changed}},
        )

    def _again(self, index: int, part: _Part, origin: Standing) -> Suggestion:
        """The best configuration so far under the conditions of this stage, so that it cannot end worse than it began.

        It is a replica of the earlier trials if the conditions have not changed.
        """
        before = self.told[origin.configuration]
        settings = self.settings(before)
        now = settings | part.stage.settings | self._share(part.stage)
        same = now == settings and (part.length or self.iterations or 0) == self._fidelity(before)[1]
        labels = part.space.labels({a.name: now[a.name] for a in part.space.axes if holds(a, now[a.name])})
        # A model learns from it as from any other; a grid has no cell for it.
        learns = isinstance(part.method, OptunaSearcher) and len(labels) == len(part.space.axes)
        inner: Params = {"stage": None, "iterations": None, "replica_of": None}
        return Suggestion(
            labels,
            stage=part.stage.name,
            reason="best so far",
            replica_of=origin.configuration if same else None,
            iterations=part.length,
            whole=True,
            notes={_OWN: {"part": index, "copy": origin.configuration, "inner": inner if learns else None}},
        )

    def _part(self, index: int) -> _Part:
        """The stage of this number; it begins when it is first asked for."""
        if index not in self._parts:
            self._parts[index] = self._begin(index)
        return self._parts[index]

    def _begin(self, index: int) -> _Part:
        stage = self.stages[index]
        best = next((ranking[0] for i in reversed(range(index)) if (ranking := self._ranking([i]))), None)
        if best is None and index > 0:
            _log.warning("No trial before the stage %r has a score; it begins from nothing.", stage.name)
        known = self._plan.given(index)
        if best is not None:
            known |= self.settings(self.told[best.configuration])
        axes = self._plan.axes(index) if best is None else self._plan.axes_near(index, known)
        space = Space(axes, ())
        return _Part(
            stage,
            self._started(index, space),
            stage.method.whole_space(space),
            known | stage.settings,
            scaled(self.iterations, stage.budget, f"the stage {stage.name!r}"),
            best if stage.around is not None else None,
        )

    def _started(self, index: int, space: Space) -> SearchMethod:
        stage = self.stages[index]
        method = copy.deepcopy(stage.method)
        method.score = self.score
        method.iterations = scaled(self.iterations, stage.budget, f"the stage {stage.name!r}") or self.iterations
        method.seed = derived_seed(self.seed, index, 2)
        if isinstance(method, Retest):
            method.finalists = tuple(self._ranking(range(index))[: method.top])
        method.begin(self._metric, self._mode, space)
        return method

    def _share(self, stage: Stage) -> Params:
        """The share of the data, as soon as any stage speaks of it: a trial without it would have to be guessed at."""
        return {DATA_FRACTION: stage.data_fraction or 1.0} if self._shares else {}

    def _fidelity(self, told: Told) -> tuple[float, int]:
        """The share of the data that a trial was trained on, and its length."""
        stage = self.stages[_own(told)["part"]]
        return stage.data_fraction or 1.0, told.suggestion.iterations or self.iterations or 0

    def _ranking(self, parts: Container[int]) -> list[Standing]:
        """Configurations with a full trial in one of the stages, each at its finest fidelity; finest first.

        Scores of a trial on part of the data, or of a shorter one, say little beside those of a whole one.
        """
        levels = {self._fidelity(told) for told in self.told.values() if _counts(told, parts)}
        ranking: list[Standing] = []
        seen: list[Params] = []
        for level in sorted(levels, reverse=True):
            for standing in self._standings_at(level, parts):
                settings = self.settings(self.told[standing.configuration])
                settings.pop(DATA_FRACTION, None)
                if settings not in seen:
                    seen.append(settings)
                    ranking.append(standing)
        return ranking

    def _standings_at(self, level: tuple[float, int], parts: Container[int]) -> list[Standing]:
        return self.standings(lambda told: _counts(told, parts) and self._fidelity(told) == level)


def _own(told: Told) -> Params:
    """What `Stages` notes of a trial, beside the notes of the stage's method.

    part: the number of the stage. copy: the trial whose settings it repeats. inner: what the method's own suggestion
    had in place of ours; None for a trial that the method does not know of.
    """
    noted: Params = told.suggestion.notes[_OWN]
    return noted


def _counts(told: Told, parts: Container[int]) -> bool:
    return told.state == "COMPLETE" and _own(told)["part"] in parts
