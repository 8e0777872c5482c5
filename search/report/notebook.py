"""The figures of a report for notebooks, by name, from a run or from several: what `search.report.figures` gives."""

import difflib
import os
from collections.abc import Callable, Sequence

import plotly.graph_objects as go

from search.report.catalogue import COMPARED, FIXED, charts
from search.report.chart import Chart
from search.report.sections.compare import Compared
from search.report.tables.compare import comparison
from search.report.tables.snapshot import RunReader, snapshot
from search.results import Results

Run = RunReader | str | os.PathLike[str]


def function(name: str) -> Callable[..., go.Figure]:
    """The function that draws the figure of that name.

    Raises:
        AttributeError: there is none; names one that is spelled nearly so.
    """
    of_run = {chart.name: chart for chart in FIXED}
    of_runs = {chart.name: chart for chart in COMPARED}
    if name in of_run:
        return _of_run(of_run[name])
    if name in of_runs:
        return _of_runs(of_runs[name])
    known = [*of_run, *of_runs, "figure", "names"]
    raise AttributeError(f"search.report.figures has no {name!r}. {_near(name, known)}")


def names(run: Run) -> list[str]:
    """The names of all figures of a run, those of its own parameters with them, in the order of the report."""
    return [chart.name for chart in charts(snapshot(opened(run)))]


def figure(run: Run, name: str) -> go.Figure:
    """The figure of that name, such as "slice_lr_g"; `names` lists them.

    Raises:
        ValueError: there is none; names one that is spelled nearly so.
        NothingToShow: it would say nothing; the message says why.
    """
    snap = snapshot(opened(run))
    known = {chart.name: chart for chart in charts(snap)}
    if name not in known:
        raise ValueError(f"Expected the name of a figure, got {name!r}. {_near(name, list(known))}")
    return known[name].drawn(snap).figure


def opened(run: Run) -> RunReader:
    """A run that is given by its folder or address, opened."""
    if isinstance(run, str | os.PathLike):
        return Results(run)
    return run


def _of_run(chart: Chart) -> Callable[[Run], go.Figure]:
    def draw(run: Run) -> go.Figure:
        return chart.drawn(snapshot(opened(run))).figure

    return _named(draw, chart)


def _of_runs(chart: Compared) -> Callable[[Sequence[Run]], go.Figure]:
    def draw(runs: Sequence[Run]) -> go.Figure:
        several = comparison([opened(run) for run in runs])
        return chart.of(several).drawn(several.runs[0]).figure

    return _named(draw, chart)


def _named(draw: Callable[..., go.Figure], chart: Chart | Compared) -> Callable[..., go.Figure]:
    draw.__name__ = draw.__qualname__ = chart.name
    draw.__module__ = "search.report.figures"
    draw.__doc__ = f"{chart.title}."
    return draw


def _near(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(near)}?" if near else f"There are {', '.join(known)}."
