"""JitteredGrid: a jittered log grid that looks beyond its edges and grows finer around its best points."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from search.errors import SearchError
from search.grid.groups import POINTS, cut
from search.grid.order import Cells
from search.grid.plan import GridPlan, planned
from search.grid.stage import Centre, GridStage, Group, Refine
from search.method import FINISHED, SearchMethod
from search.params import Params, flatten
from search.space import Axis, Number, Space
from search.suggestion import Suggestion, Told

__all__ = ["GridPlan", "JitteredGrid", "Refine"]

# While the last trials of a round run, so many of the best are tried again, each with so many seeds in all.
_REPEATED, _SEEDS = 4, 3


class JitteredGrid(SearchMethod):
    """A grid that steps by a factor on log axes, each point moved within its cell, coarse first and then finer.

    The cells are visited in the order of a Sobol sequence, so that a search cut short has seen the whole space. When a
    stage is complete and its best lies at an edge, the cells beyond that edge are tried, corners included, until the
    best lies inside or the axis reaches its limit. Free slots at the end of a stage re-test its best with new seeds.

    Jitter keeps apart what a plain grid projects onto few values (Bergstra and Bengio, JMLR 2012); one point in each
    cell is stratified sampling (McKay et al., Technometrics 1979).

    Every trial carries its stage ("coarse", "refine 1"), its cell ("lr_g 3, lr_d -1": counted from 0 at the low end of
    the starting range) and the reason ("coarse", "edge lr_g+", "refine 1", "repeat").

    Choices go by value and are never shifted. Whole numbers and steps stay inside their cell; a linear axis that has
    fewer than two of them to a cell goes by value.

    Args:
        factor: the step of log axes.
        points: the cells of a linear axis; or of each by name, 3 where it is silent.
        jitter: the share of its cell that a point may move in, 0 for none and 1 for the whole cell.
        crossed: groups of axes, each crossed within itself, such as [("lr_g", "lr_d")]; an axis that no group names is
            a group of its own. Every trial takes the next cell of each group. By default all axes are one group.
        limits: how far an axis may be widened, by name: {"lr_g": (1e-7, 1)}. By default log axes of real numbers may
            grow by two cells at either end, and all others not at all.
        refine: finer grids, each around the best of the stage before. Their trials are longer: `iterations` times the
            budget is what they find as `config["training_iteration"]`.
        others: as for `SearchMethod`.

    Raises:
        SearchError: a setting that cannot be; those that need the space are named when it is known.
    """

    ends = True

    def __init__(
        self,
        *,
        factor: float = 10.0,
        points: int | Mapping[str, int] = POINTS,
        jitter: float = 0.5,
        crossed: Sequence[Sequence[str]] | None = None,
        limits: Mapping[str, Any] | None = None,
        refine: Sequence[Refine] = (),
        **others: Any,
    ) -> None:
        super().__init__(**others)
        if not 1 < factor < math.inf:
            raise SearchError(f"Expected a factor above 1, got factor={factor}. 10 steps by decades.")
        if not 0 <= jitter <= 1:
            raise SearchError(f"Expected jitter from 0 to 1, got jitter={jitter}. It is a share of a cell.")
        self.factor = factor
        self.points = flatten(points) if isinstance(points, Mapping) else points
        self.jitter = jitter
        self.crossed = None if crossed is None else [_names(group) for group in crossed]
        self.limits = {name: _pair(name, limit) for name, limit in flatten(limits or {}).items()}
        self.refine = tuple(refine)
        _check_points(self.points)
        _check_crossed(self.crossed or [])
        _check_refine(factor, self.refine)
        self._groups: tuple[Group, ...] = ()
        self._stages: dict[str, GridStage] = {}
        self._stage: GridStage | None = None
        self._seeds: dict[str, int] = {}

    def __repr__(self) -> str:
        given = [f"factor={self.factor:g}", f"jitter={self.jitter:g}"]
        more = {"points": self.points, "crossed": self.crossed, "limits": self.limits}
        given += [f"{name}={value}" for name, value in more.items() if value not in (POINTS, None, {})]
        if self.refine:
            given.append(f"refine=[{', '.join(map(str, self.refine))}]")
        return f"JitteredGrid({', '.join(given)})"

    def plan(
        self, space: Mapping[str, Any] | Space, trial_seconds: float | None = None, gpus_per_trial: float = 1.0
    ) -> GridPlan:
        """How many trials a search of a space takes, before anything runs, and how many GPU-hours.

        Args:
            space: Ray Tune domains, or a `Space`.
            trial_seconds: how long a trial of the coarse grid takes, measured; None leaves out the hours.
            gpus_per_trial: what a trial occupies.

        Raises:
            SearchError: the space does not suit the grid.
        """
        groups = self._cut(space if isinstance(space, Space) else Space.from_domains(space))
        return GridPlan(planned(groups, self.factor, self.refine), trial_seconds, gpus_per_trial)

    def whole_space(self, space: Space) -> Space:
        """The space with every axis up to its hard limits."""
        cells = {axis.axis.name: axis for group in self._cut(space) for axis in group}
        return Space(tuple(cells[axis.name].widened for axis in space.axes), space.constants)

    def on_space(self) -> None:
        """Lay the coarse grid."""
        self._groups, self._seeds = self._cut(self.space), {}
        self._stage = GridStage.coarse(self._groups, self._rng(1, 0, 0))
        self._stages = {self._stage.name: self._stage}

    def propose(self, number: int) -> Suggestion | str | None:
        """The next cell of the round; a repeat while its last cells run; None where nothing is worth repeating."""
        stage = self._stage
        if stage is None:
            return FINISHED
        if stage.handed == len(stage.queue):
            return self._repeat(stage)
        cells, reason = stage.queue[stage.handed]
        rng = self._rng(2, stage.level, stage.rounds, stage.handed)
        values: Params = {}
        titles: list[str] = []
        for group, cell, scales in zip(stage.groups, cells, stage.scales, strict=True):
            for axis, index, scale in zip(group, cell, scales, strict=True):
                values[axis.axis.name] = axis.point(index, scale, self.jitter * (rng.random() - 0.5))
                titles.append(axis.title(index))
        return Suggestion(
            values,
            # A stepped log axis keeps what it is given within its range; a widened one means what it says.
            {axis.name: values[axis.name] for axis in self.space.axes if _is_clipped(axis, values[axis.name])},
            stage=stage.name,
            cell=", ".join(titles),
            reason=reason,
            iterations=stage.iterations,
            notes={"cells": [list(cell) for cell in cells]},
        )

    def on_suggestion(self, trial: Told) -> None:
        """Note a cell or a repeat that was handed out."""
        self._seeds[trial.configuration] = self._seeds.get(trial.configuration, 0) + 1
        if trial.suggestion.replica_of is None:
            stage = self._stage_of(trial)
            stage.handed += 1
            stage.running.add(trial.trial_id)

    def on_end(self, trial: Told) -> None:
        """Note how a trial ended; the last of a round decides what comes next."""
        stage = self._stage_of(trial)
        stage.running.discard(trial.trial_id)
        if trial.value is not None:
            stage.ranking.add(trial, self.loss(trial.value))
        if stage is self._stage and stage.complete:
            self._stage = self._next(stage)

    def _next(self, stage: GridStage) -> GridStage | None:
        """The stage to go on with: this one while it has edges to look beyond, then a finer one; None at the end."""
        best = stage.ranking.best(1)
        if not best:
            return None
        if stage.widen(self._centre(best[0]).cells, self._rng(1, stage.level, stage.rounds)):
            return stage
        if stage.level == len(self.refine):
            return None
        refine = self.refine[stage.level]
        centres = [self._centre(name) for name in stage.ranking.best(refine.around)]
        iterations = None if self.iterations is None else max(1, round(self.iterations * refine.budget))
        finer = stage.finer(refine, self.factor, centres, iterations, self._rng(1, stage.level + 1, 0))
        self._stages[finer.name] = finer
        return finer

    def _repeat(self, stage: GridStage) -> Suggestion | None:
        for name in stage.ranking.complete(_REPEATED):
            if self._seeds[name] < _SEEDS:
                first = self.told[name].suggestion
                return replace(first, reason="repeat", replica_of=name, whole=True)
        return None

    def _stage_of(self, trial: Told) -> GridStage:
        return self._stages[str(trial.suggestion.stage)]

    def _centre(self, name: str) -> Centre:
        suggestion = self.told[name].suggestion
        cells: Cells = tuple(tuple(cell) for cell in suggestion.notes["cells"])
        return Centre(cells, suggestion.values)

    def _cut(self, space: Space) -> tuple[Group, ...]:
        return cut(
            space,
            factor=self.factor,
            points=self.points,
            crossed=self.crossed,
            limits=self.limits,
            refine=self.refine,
        )

    def _rng(self, *path: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, *path])


def _is_clipped(axis: Axis, value: Any) -> bool:
    return isinstance(axis, Number) and axis.value(value) != value


def _names(group: Any) -> list[str]:
    if isinstance(group, str) or not all(isinstance(name, str) for name in group):
        raise SearchError(
            f'Expected crossed to list groups of names, got {group!r}. One group is crossed=[("lr_g", "lr_d")].'
        )
    return list(group)


def _pair(name: str, limit: Any) -> tuple[float, float]:
    try:
        low, high = limit
        if math.isfinite(low) and math.isfinite(high) and low < high:
            return low, high
    except (TypeError, ValueError):
        pass
    raise SearchError(
        f"Expected limits of {name!r} to be two numbers, the smaller one first, got {limit!r}."
        f' Write limits={{"{name}": (1e-7, 1)}}.'
    )


def _check_points(points: Any) -> None:
    named = {"points": points} if not isinstance(points, Mapping) else points
    for name, count in named.items():
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise SearchError(
                f"Expected points to be whole numbers from 1, got {name}={count!r}. 3 cuts a linear axis into 3 cells."
            )


def _check_crossed(crossed: Sequence[Sequence[str]]) -> None:
    names = [name for group in crossed for name in group]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise SearchError(
            f"Expected an axis in one crossed group, got {twice[0]!r} twice. Join its groups, or name it in one."
        )
    if not all(crossed):
        raise SearchError("Expected at least one axis in every crossed group, got an empty group. Leave it out.")


def _check_refine(factor: float, refine: Sequence[Any]) -> None:
    for finer in refine:
        if not isinstance(finer, Refine):
            raise SearchError(f"Expected refine to list Refine values, got {finer!r}. Write refine=[Refine(factor=3)].")
        if finer.factor >= factor:
            raise SearchError(
                f"Expected a Refine factor below that of the grid it refines, {factor:g}, got factor={finer.factor:g}."
                " Each refinement steps more finely than the one before."
            )
        factor = finer.factor
