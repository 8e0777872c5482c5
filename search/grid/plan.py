"""What a jittered grid will cost, said before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search.errors import SearchError
from search.grid.groups import size, windows
from search.grid.stage import Group, Refine


@dataclass(frozen=True)
class PlannedRound:
    """A stage of a grid.

    Attributes:
        name: of the stage.
        trials: the cells it begins with. A refinement has fewer where the points it is laid around lie close together
            or at a limit, or where fewer than asked for have a score.
        edges: how many more there can be if its best lies at an edge again and again.
        budget: the length of a trial, in lengths of a coarse one.
    """

    name: str
    trials: int
    edges: int
    budget: float


@dataclass(frozen=True)
class GridPlan:
    """The stages of a grid, and what they cost. Repeats of the best, which fill idle slots, are not counted.

    Attributes:
        rounds: the stages.
        trial_seconds: of a trial of the coarse grid.
        gpus_per_trial: what a trial occupies.
    """

    rounds: tuple[PlannedRound, ...]
    trial_seconds: float | None = None
    gpus_per_trial: float = 1.0

    def __post_init__(self) -> None:
        if self.trial_seconds is not None and not self.trial_seconds > 0:
            raise SearchError(
                f"Expected trial_seconds above 0, got {self.trial_seconds}. Measure one trial of the coarse grid."
            )
        if not self.gpus_per_trial >= 0:
            raise SearchError(f"Expected gpus_per_trial from 0, got {self.gpus_per_trial}. Half a GPU is 0.5.")

    @property
    def trials(self) -> tuple[int, int]:
        """Without any edge re-test, and with every one there can be."""
        least = sum(stage.trials for stage in self.rounds)
        return least, least + sum(stage.edges for stage in self.rounds)

    @property
    def gpu_hours(self) -> tuple[float, float] | None:
        """Likewise, in hours of a GPU; None where the time of a trial is not known."""
        if self.trial_seconds is None:
            return None
        hours = self.trial_seconds * self.gpus_per_trial / 3600
        least = sum(stage.trials * stage.budget for stage in self.rounds)
        return hours * least, hours * (least + sum(stage.edges * stage.budget for stage in self.rounds))

    def __str__(self) -> str:
        lines = [
            f"{stage.name}: {stage.trials} trials of {stage.budget:g}x the length, up to {stage.edges} more at edges"
            for stage in self.rounds
        ]
        least, most = self.trials
        total = f"in all: {least} to {most} trials"
        if (hours := self.gpu_hours) is not None:
            total += f", {hours[0]:.3g} to {hours[1]:.3g} GPU-hours"
        return "\n".join([*lines, total])


def planned(groups: Sequence[Group], factor: float, refine: Sequence[Refine]) -> tuple[PlannedRound, ...]:
    """The stages of a grid over groups of crossed axes."""
    starts = [size(axis.start for axis in group) for group in groups]
    beyond = [size(axis.widest for axis in group) - start for group, start in zip(groups, starts, strict=True)]
    stages = [PlannedRound("coarse", max(starts), sum(beyond), 1.0)]
    cells = [windows(group, factor, refine) for group in groups]
    for number, finer in enumerate(refine):
        around = [sizes[number] for sizes in cells]
        begun = finer.around * max(window for window, _ in around)
        edges = finer.around * sum(wide - window for window, wide in around)
        stages.append(PlannedRound(f"refine {number + 1}", begun, edges, finer.budget))
    return tuple(stages)
