"""Figures of a report in a notebook: by name, from a run or its folder, and known to editors."""

import ast
import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import plotly.graph_objects as go
import pytest
import report_run as runs

from search.report import figures
from search.report.catalogue import COMPARED, FIXED
from search.report.tables.snapshot import NothingToShow


def _load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


written = _load("figures_stub", Path(__file__).parents[3] / "docs" / "figures_stub.py")


@pytest.fixture(scope="module")
def run():
    return runs.synthetic_run(20, iterations=6)


def test_every_figure_of_the_catalogue_is_a_function(run):
    for chart in FIXED:
        draw = getattr(figures, chart.name)
        assert draw.__doc__ == f"{chart.title}."
        try:
            assert isinstance(draw(run), go.Figure)
        except NothingToShow as nothing:
            assert str(nothing).endswith(".")  # noqa: PT017 - a sentence is as good as a figure


def test_a_run_may_be_given_by_its_folder(run, tmp_path):
    folder = runs.write_run(run, tmp_path / "run")

    drawn = figures.learning_curves(folder)
    assert drawn.to_json() == figures.learning_curves(str(folder)).to_json() == figures.learning_curves(run).to_json()


def test_figures_of_several_runs_take_several(run):
    other = replace(run, definition={**run.definition, "method": "Random()"})
    for chart in COMPARED:
        assert isinstance(getattr(figures, chart.name)([run, other]), go.Figure)


def test_figures_of_parameters_go_by_name(run):
    always = {chart.name for chart in FIXED if not chart.name.startswith("health_")}
    assert always <= set(figures.names(run))
    assert "slice_lr_g" in figures.names(run)
    assert isinstance(figures.figure(run, "slice_lr_g"), go.Figure)
    with pytest.raises(ValueError, match="Did you mean slice_lr_g"):
        figures.figure(run, "slice_lr")


def test_a_name_that_is_none_is_answered_with_one_that_is_near():
    with pytest.raises(AttributeError, match="Did you mean learning_curves"):
        figures.learning_curve  # noqa: B018 - the look-up is what fails
    with pytest.raises(AttributeError, match="There are history, "):
        figures.zzzzzz  # noqa: B018


def test_a_figure_that_would_say_nothing_says_why():
    with pytest.raises(NothingToShow, match="No ensemble has been made"):
        figures.gains(runs.synthetic_run(3, ensemble=False))


def test_names_are_completed():
    assert {"learning_curves", "compare_best", "names", "figure"} <= set(dir(figures))


def test_editors_know_what_the_catalogue_holds():
    told = written.STUB.read_text(encoding="utf-8")

    assert told == written.stub(), "Run python docs/figures_stub.py: the catalogue of figures has changed."
    functions = {node.name for node in ast.parse(told).body if isinstance(node, ast.FunctionDef)}
    assert functions == {chart.name for chart in (*FIXED, *COMPARED)} | {"names", "figure"}


@pytest.mark.parametrize("first", ["from search.report.plots import marks", "import search.report.plots.space"])
def test_its_modules_are_imported_without_the_whole_catalogue(first):
    code = f"{first}; import sys; print('search.report.catalogue' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
