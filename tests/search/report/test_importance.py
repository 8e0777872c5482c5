"""Which parameters mattered: told with its uncertainty, and told from chance."""

import logging

import numpy as np
import pandas as pd
import pytest
import report_run as runs

from search.report.plots.importance import importance_figure
from search.report.sections.parameters import CHARTS
from search.report.tables.importance import MOST_BARS, importance, ranked
from search.report.tables.parameters import Parameter
from search.report.tables.snapshot import Goal, NothingToShow

LR, IDLE = Parameter("lr", "log", 1e-5, 1e-1), Parameter("idle", "linear")
NORM = Parameter("norm", "choice", choices=(["a", 1], {"b": 2}, None))
STEPS = Parameter("steps", "linear", 1, 6, integer=True)
WIDTH = Parameter("width", "log", 8, 64, integer=True)
ALL = (IDLE, LR, NORM, STEPS, WIDTH)


def _snap(n=150, parameters=ALL, maximize=True, seed=0, **columns):
    """A search where only lr decides."""
    random = np.random.default_rng(seed)
    at = random.random(n)
    values = {
        "lr": 1e-5 * 1e4**at,
        "idle": random.random(n),
        "norm": [NORM.choices[i] for i in random.integers(0, 3, n)],
        "steps": random.integers(1, 7, n),
        "width": random.integers(8, 65, n),
    }
    score = -((at - 0.6) ** 2) + random.normal(0, 0.02, n)
    known = {p.name: values.get(p.name, random.random(n)) for p in parameters}
    return runs.snapshot_of(parameters, known, score, maximize, columns)


@pytest.mark.parametrize("maximize", [True, False])
def test_what_decides_the_score_is_first_and_the_rest_is_within_chance(maximize):
    table = importance(_snap(maximize=maximize))

    assert table["parameter"].iloc[0] == "lr"
    assert table["above"].tolist() == [True, False, False, False, False]
    assert table["importance"].sum() == pytest.approx(1)
    assert (table["low"] <= table["importance"]).all()
    assert (table["importance"] <= table["high"]).all()
    assert [p.name for p in ranked(_snap(maximize=maximize))] == table["parameter"].tolist()


@pytest.mark.parametrize("maximize", [True, False])
def test_what_matters_is_what_makes_the_best_not_the_worst(maximize):
    random = np.random.default_rng(0)
    idle, at = random.random(150), random.random(150)
    score = np.where(idle < 0.3, -5.0 + idle, 0.0) + 0.5 * (at > 0.9) + random.normal(0, 0.02, 150)
    columns = {"config.idle": idle, "config.lr": 1e-5 * 1e4**at, "score": score if maximize else -score}

    assert importance(_snap(maximize=maximize, **columns))["parameter"].iloc[0] == "lr"


def test_where_nothing_matters_chance_seldom_lifts_any_parameter():
    alarms = 0
    for seed in range(6):
        noise = np.random.default_rng(seed).normal(size=40)
        alarms += importance(_snap(40, seed=seed, score=noise))["above"].any()

    assert alarms <= 1


def test_a_run_gives_the_same_importances_each_time():
    pd.testing.assert_frame_equal(importance(_snap(30)), importance(_snap(30)))


def test_only_finished_trials_of_one_length_count():
    status = ["finished"] * 100 + ["stopped"] * 30 + ["failed"] * 20
    stage = ["coarse"] * 70 + ["fine"] * 80
    table = importance(_snap(status=status, stage=stage, iterations=[10] * 70 + [40] * 80))

    assert table.attrs["trials"] == 70
    assert table.attrs["of"] == 150


def test_finalists_trained_again_are_not_counted_twice():
    assert importance(_snap(reason=["retest"] * 50 + [None] * 100)).attrs["trials"] == 100


def test_a_parameter_that_only_some_trials_have_is_measured_among_them():
    some = np.where(np.arange(150) % 3 == 0, np.random.default_rng(1).random(150), np.nan)
    one = np.where(np.arange(150) == 7, 0.5, np.nan)
    never = Parameter("never", "linear")
    lonely = Parameter("lonely", "linear")
    snap = _snap(
        parameters=(*ALL, lonely, never), **{"config.idle": some, "config.lonely": one, "config.never": np.nan}
    )
    table = importance(snap)

    assert table["parameter"].iloc[0] == "lr"
    assert "idle" in table["parameter"].tolist()
    assert "never" not in table["parameter"].tolist()


@pytest.mark.parametrize(
    ("snap", "reason"),
    [
        (_snap(3), "need 10 trials"),
        (_snap(1), "three trials"),
        (_snap(20, parameters=(LR,)), "only lr varies"),
        (_snap(20, parameters=()), "no parameter varies"),
        (_snap(20, score=1.0), "equal"),
        (_snap(20, score=np.nan), "three trials"),
        (_snap(20, status="running"), "there are 0 finished ones"),
        (_snap(20, score=[1.0] * 10 + [2.0] * 10, status=["finished"] * 10 + ["stopped"] * 10), "same score"),
        (_snap(100, score=[2.0] + [1.0] * 99), "share the best score"),
    ],
)
def test_where_importances_would_be_noise_the_reason_is_told(snap, reason):
    with pytest.raises(NothingToShow, match=reason):
        importance(snap)


def test_many_trials_and_parameters_stay_small_and_silent():
    many = tuple(Parameter(f"p{i}", "linear") for i in range(40))
    said = []
    handler = logging.Handler()
    handler.emit = said.append
    logging.getLogger("optuna").addHandler(handler)
    try:
        table = importance(_snap(400, parameters=(LR, *many)))
    finally:
        logging.getLogger("optuna").removeHandler(handler)

    assert len(table) == MOST_BARS
    assert table.attrs["left_out"] == 41 - MOST_BARS
    assert table.attrs["trials"] < 400 == table.attrs["alike"]
    assert table["parameter"].iloc[0] == "lr"
    assert said == []


def test_bars_that_are_within_chance_are_hollow_and_names_stay_text():
    evil = "<b>%{x}</b>"
    table = pd.DataFrame(
        {
            "parameter": ["lr", evil],
            "importance": [0.8, 0.2],
            "low": [0.6, 0.1],
            "high": [0.9, 0.3],
            "chance": [0.3, 0.3],
            "above": [True, False],
        }
    )
    figure = importance_figure(table, Goal("acc", True))
    traces = {trace.name: trace for trace in figure.data}

    assert traces["above chance"].x == (0.8,)
    assert traces["within chance"].marker.color != traces["above chance"].marker.color
    assert traces["chance ends here"].x == (0.3, 0.3)
    assert "<b>" not in figure.to_json()
    assert "80 %" in traces["above chance"].hovertext[0]


def test_the_caption_names_what_matters_and_what_may_be_chance():
    drawn = CHARTS[0].drawn(_snap())

    assert "lr matters most; " in drawn.caption
    assert "cannot be told from chance" in drawn.caption
    assert "all trials" in drawn.caption
