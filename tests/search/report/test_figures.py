"""Figures from small tables: no run is needed, nothing is left out, and users' text stays text."""

import ast
import inspect
import json

import numpy as np
import pandas as pd
import pytest

from search.report.plots import ensemble as ensemble_figures
from search.report.plots import marks, progress, space
from search.report.plots.theme import DARK, DARK_OF, LIGHT
from search.report.tables.parameters import Parameter
from search.report.tables.snapshot import Goal

GOAL = Goal("psnr", maximize=True)
EVIL = "<script>alert(1)</script><a href='javascript:alert(2)'>%{x}</a>"


@pytest.fixture
def history():
    return pd.DataFrame(
        {
            "number": [1, 2, 3, 4, 5],
            "status": ["finished", "stopped", "failed", "finished", "running"],
            "score": [17.0, 15.0, np.nan, 19.0, 18.0],
            "best_so_far": [17.0, 17.0, 17.0, 19.0, 19.0],
            "is_best": [False, False, False, True, False],
            "error": [None, None, EVIL, None, None],
        }
    )


@pytest.fixture
def placed():
    return pd.DataFrame(
        {
            "number": [3, 1, 2],
            "status": ["stopped", "finished", "finished"],
            "score": [15.0, 17.0, 19.0],
            "is_best": [False, False, True],
            "at.lr": [0.1, 0.9, 0.5],
            "label.lr": ["1e-5", "0.01", "0.001"],
            "at.norm": [0.0, np.nan, 1.0],
            "label.norm": ["batch", "not set", EVIL],
        }
    )


PARAMETERS = [Parameter("lr", "log", 1e-5, 1e-2), Parameter("norm", "choice", choices=("batch", EVIL))]


def _traces(figure):
    return {trace.name: trace for trace in figure.data}


def _strings(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, str):
        yield value


def test_figures_know_no_results():
    for module in (marks, progress, space, ensemble_figures):
        imported = {
            name.name
            for node in ast.walk(ast.parse(inspect.getsource(module)))
            if isinstance(node, ast.ImportFrom) and node.module.startswith("search.report.tables")
            for name in node.names
        }
        assert imported <= {"Goal", "Parameter", "view_range"}


def test_the_history_shows_every_trial_once_by_status(history):
    traces = _traces(progress.history_figure(history, GOAL))

    assert list(traces["finished"].x) == [1, 4]
    assert list(traces["stopped early"].x) == [2]
    assert list(traces["still running"].x) == [5]
    assert list(traces["failed"].x) == [3]
    assert list(traces["best trial"].x) == [4]
    assert list(traces["best so far"].x) == [1, 4, 5]
    assert list(traces["best so far"].y) == [17, 19, 19]
    assert traces["finished"].hovertext[0] == "Trial 1, finished<br>PSNR 17.00\N{NO-BREAK SPACE}dB"


def test_statuses_are_told_apart_without_colour(history):
    traces = _traces(progress.history_figure(history, GOAL))
    symbols = [
        traces[name].marker.symbol for name in ("finished", "stopped early", "still running", "failed", "best trial")
    ]

    assert len(set(symbols)) == 5


def test_curves_are_separated_and_the_best_is_drawn_last():
    table = pd.DataFrame(
        {
            "number": [1, 1, 2, 2, 3],
            "group": ["finished", "finished", "best", "best", "finished"],
            "iteration": [1, 2, 1, 2, 1],
            "value": [15.0, 16.0, 16.0, 18.0, 14.0],
        }
    )
    figure = progress.learning_curves_figure(table, GOAL)

    assert figure.data[-1].name == "best trial"
    assert list(_traces(figure)["finished"].y) == [15, 16, None, 14]
    assert list(_traces(figure)["finished"].customdata) == [1, 1, None, 3]
    assert "<b>Trial 2</b>" in [note.text for note in figure.layout.annotations]


def test_parallel_coordinates_have_a_line_a_trial_and_the_best_on_top(placed):
    figure = space.parallel_figure(placed, PARAMETERS, GOAL)
    numbers = [number for trace in figure.data for number in trace.customdata if number is not None]

    assert sorted(numbers) == [1] * 3 + [2] * 3 + [3] * 3
    assert set(figure.data[-1].customdata) == {2}
    assert figure.data[-1].line.color == LIGHT.best
    first = next(trace for trace in figure.data if 1 in trace.customdata)
    assert first.y[1] == space.GAP_AT  # a gap has a place of its own under the axis


@pytest.mark.parametrize("maximize", [True, False])
def test_a_better_score_has_a_stronger_colour(placed, maximize):
    table = placed.assign(is_best=False)
    figure = space.parallel_figure(table, PARAMETERS, Goal("m", maximize))
    step = {trace.customdata[0]: LIGHT.scale.index(trace.line.color) for trace in figure.data}

    assert (step[2] > step[1] > step[3]) is maximize


def test_slices_leave_out_trials_without_the_parameter(placed):
    figure = space.slice_figure(placed, PARAMETERS[1], GOAL)

    assert sorted(number for trace in figure.data for number in trace.customdata) == [2, 3]


def test_the_gains_show_value_and_interval_of_each_method():
    table = pd.DataFrame(
        {"method": ["best_single", "uniform", EVIL], "ships": [False, False, True], "gain": [0.0, 0.9, 1.1],
         "gain_low": [0.0, 0.8, 1.0], "gain_high": [0.0, 1.0, 1.2]}
    )  # fmt: skip
    figure = ensemble_figures.gains_figure(table, "dB", "PSNR")

    assert [list(trace.x) for trace in figure.data] == [[1.0, 1.2], [0.8, 1.0], [1.1, 0.9]]
    assert figure.layout.xaxis.range[0] < 0


def test_the_heat_map_leaves_its_diagonal_out():
    square = pd.DataFrame([[1.0, 0.7], [0.7, 1.0]], index=["Trial 1", "Trial 2"], columns=["Trial 1", "Trial 2"])
    figure = ensemble_figures.correlation_figure(square)

    assert [list(row) for row in figure.data[0].z] == [[None, 0.7], [0.7, None]]
    assert list(figure.data[1].text) == ["0.70", "0.70"]


def test_text_from_users_stays_text(history, placed):
    goal = Goal(EVIL, maximize=True)
    made = [
        progress.history_figure(history, goal),
        space.parallel_figure(placed, [PARAMETERS[0], Parameter("norm", "choice", choices=(EVIL, "b"))], goal),
        space.slice_figure(placed, PARAMETERS[1], goal),
    ]
    for figure in made:
        for text in _strings(json.loads(figure.to_json())):
            assert "<script" not in text
            assert "<a " not in text
            assert "%{x}" not in text or "customdata" in text


def test_every_light_colour_has_one_dark_one(history, placed):
    assert len(set(DARK_OF)) == len(DARK_OF) == len(LIGHT.scale) + 10
    assert set(DARK_OF.values()) == {*DARK.scale, *(v for v in vars(DARK).values() if isinstance(v, str))}
    for figure in (progress.history_figure(history, GOAL), space.parallel_figure(placed, PARAMETERS, GOAL)):
        colors = {text for text in _strings(json.loads(figure.to_json())) if text.startswith("#")}
        assert colors <= set(DARK_OF)


def _luminance(color):
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_text_and_marks_stand_out_from_the_page(palette):
    def contrast(a, b):
        light, dark = sorted((_luminance(a), _luminance(b)), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    for text in (palette.ink, palette.muted):
        assert contrast(text, palette.surface) >= 4.5
    for mark in (palette.finished, palette.failed, palette.running, palette.best):
        assert contrast(mark, palette.surface) >= 3
    steps = [contrast(color, palette.surface) for color in palette.scale]
    assert steps == sorted(steps)
