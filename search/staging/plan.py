"""What each of several stages varies and what it takes for granted, as far as it is known before anything has run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from search.errors import SearchError
from search.params import Params
from search.space import Axis, Space
from search.staging.ranges import middle, near, stretched, widest
from search.staging.retest import Retest
from search.staging.stage import Stage


@dataclass(frozen=True)
class Plan:
    """Stages over the space of a search. Stages are numbered from 0.

    Raises:
        SearchError: a stage varies nothing, or neither varies a parameter nor has a value for it.
    """

    stages: tuple[Stage, ...]
    space: Space

    def __post_init__(self) -> None:
        names = dict.fromkeys(axis.name for axis in self.space.axes)
        for stage in self.stages:
            names |= dict.fromkeys([*(axis.name for axis in stage.axes), *stage.settings])
        known = {name for name, _ in self.space.constants}
        for index, stage in enumerate(self.stages):
            if isinstance(stage.method, Retest):
                continue
            varied = {axis.name for axis in self.axes(index)}
            if not varied:
                raise SearchError(
                    f"Expected the stage {stage.name!r} to vary at least one parameter, got none."
                    " Give it a space, or put a Ray Tune domain into the space of the search."
                )
            known |= varied | set(stage.settings)
            for name in names:
                if name not in known:
                    raise SearchError(
                        f"Expected every stage to have a value for every parameter, got none for {name!r} in the stage"
                        f" {stage.name!r}. Add it to space or fixed of the stage, or to the space of the search."
                    )

    def axes(self, index: int) -> tuple[Axis, ...]:
        """What a stage varies: axes of its own, or all those before it; a later range stands in for an earlier one."""
        stage = self.stages[index]
        if stage.axes or isinstance(stage.method, Retest):
            return stage.axes
        known = {axis.name: axis for axis in self.space.axes}
        for earlier in self.stages[:index]:
            known |= {axis.name: axis for axis in earlier.axes}
        return tuple(axis for name, axis in known.items() if name not in stage.settings)

    def axes_near(self, index: int, best: Params) -> tuple[Axis, ...]:
        """The same, now that it is known which configuration is the best so far."""
        return tuple(self._placed(index, axis, best.get(axis.name)) for axis in self.axes(index))

    def reach(self, index: int) -> dict[str, Axis]:
        """The axes of a stage by name, as wide as its method may go."""
        wide = self.stages[index].method.whole_space(Space(self.axes(index), ()))
        return {axis.name: axis for axis in wide.axes}

    def whole(self) -> Space:
        """All axes of all stages, each as wide as any stage may go."""
        found: dict[str, list[Axis]] = {axis.name: [axis] for axis in self.space.axes}
        for index in range(len(self.stages)):
            for axis in self.reach(index).values():
                found.setdefault(axis.name, []).append(axis)
        constants = tuple((name, value) for name, value in self.space.constants if name not in found)
        return Space(tuple(widest(same) for same in found.values()), constants)

    def given(self, index: int) -> Params:
        """What parameters of the stages before this one are set to where no trial says anything."""
        given: Params = {}
        for earlier in range(index):
            given |= {axis.name: middle(axis) for axis in self.axes(earlier)}
        given |= dict(self.space.constants)
        for stage in self.stages[:index]:
            given |= stage.settings
        return given

    def _placed(self, index: int, axis: Axis, best: Any) -> Axis:
        stage = self.stages[index]
        if not stage.axes:
            # A grid may have gone beyond the range that it was given, and found its best there.
            axis = stretched(axis, best)
            if stage.around is not None:
                for earlier in range(index):
                    axis = self.reach(earlier).get(axis.name, axis)
        return axis if stage.around is None else near(axis, best, stage.around)


def check_order(stages: tuple[Stage, ...]) -> None:
    """Refuse stages that cannot follow one another, whatever the space.

    Raises:
        SearchError: which, and why.
    """
    if not stages:
        raise SearchError('Expected at least one stage, got none. Write Stages([Stage("joint"), Retest()]).')
    for stage in stages:
        if not isinstance(stage, Stage):
            raise SearchError(f"Expected every stage to be a Stage or a Retest, got {stage!r}. Wrap it in Stage(...).")
    names = [stage.name for stage in stages]
    for name in names:
        if names.count(name) > 1:
            raise SearchError(f"Expected stages of different names, got {name!r} twice. Rename one of them.")
    for stage in stages[:-1]:
        if isinstance(stage.method, Retest):
            raise SearchError(f"Expected Retest as the last stage, got it before {names[-1]!r}. Move it to the end.")
        if not stage.ends:
            raise SearchError(
                f"Expected every stage but the last to come to an end, got no end for {stage.name!r}:"
                f" {stage.method!r} goes on for ever. Give it Stage(trials=...)."
            )
    if isinstance(stages[0].method, Retest):
        raise SearchError("Expected a stage before Retest, got none. Put the search that finds the finalists first.")
    if stages[0].around is not None:
        raise SearchError(
            f"Expected around= only after another stage, got it in the first, {names[0]!r}."
            " There is nothing yet to search around."
        )
