"""What a search is going to do, in a few lines, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator

from search.definition import Search
from search.jittered_grid import JitteredGrid
from search.method import SearchMethod
from search.space import Space
from search.stages import Stages
from search.staging.plan import Plan
from search.staging.retest import Retest


def outlook(search: Search) -> str:
    """Trials, their length, and the parts of the method, a line each."""
    asked = "as many trials as the method has" if search.asked is None else f"{search.asked} trials at most"
    length = "" if search.iterations is None else f" of {search.iterations} reports"
    early = "" if search.scheduler is None else f", stopped early by {type(search.scheduler).__name__}"
    lines = [f"{search.metric}, {search.mode}: {asked}{length}{early}", f"method: {search.method!r}"]
    if isinstance(search.method, SearchMethod):
        lines += _parts(search.method, Space.from_domains(search.domains))
    return "\n".join(lines)


def _parts(method: SearchMethod, space: Space) -> Iterator[str]:
    if isinstance(method, JitteredGrid):
        yield from str(method.plan(space)).splitlines()
    elif isinstance(method, Stages):
        plan = Plan(method.stages, space)
        for index, stage in enumerate(method.stages):
            if isinstance(stage.method, Retest):
                yield f"{stage.name}: {stage.method.top * stage.method.seeds} trials"
                continue
            capped = f", {stage.trials} trials at most" if stage.trials is not None else ""
            varied = plan.axes(index)
            yield f"{stage.name}: {', '.join(axis.name for axis in varied)}{capped}"
            yield from (f"  {line}" for line in _parts(stage.method, Space(varied, ())))
