"""Maps of the score over two parameters."""

import numpy as np
import pytest
import report_run as runs

from search.report.markup import Sheet
from search.report.plots.contour import contour_figure
from search.report.sections.parameters import contour_card, contours
from search.report.tables.contour import CELLS, DOTS, contour, contour_pairs
from search.report.tables.parameters import Parameter
from search.report.tables.snapshot import NothingToShow, Snapshot

LR, DROP = Parameter("lr", "log", 1e-5, 1e-1), Parameter("drop", "linear", 0.0, 0.5)
NORM = Parameter("norm", "choice", choices=(["a", 1], {"b": 2}, None))
DATA = Parameter("data", "choice", choices=tuple(f"set {i}" for i in range(60)))


def _snap(n=200, parameters=(LR, DROP, NORM), maximize=True, **columns):
    """The optimum is at lr 0.001 (in the middle), drop 0.1 (a fifth of the way), and the second norm."""
    random = np.random.default_rng(0)
    x, y, z = random.random(n), random.random(n), random.integers(0, 3, n)
    score = -((x - 0.5) ** 2) - (y - 0.2) ** 2 + 0.2 * (z == 1)
    values = {
        "lr": 1e-5 * 1e4**x,
        "drop": y / 2,
        "norm": [NORM.choices[i] for i in z],
        "data": [DATA.choices[i] for i in random.integers(0, 60, n)],
    }
    return runs.snapshot_of(parameters, values, score, maximize, columns)


@pytest.mark.parametrize("maximize", [True, False])
def test_the_best_cell_lies_near_the_true_optimum(maximize):
    snap = _snap(maximize=maximize)
    cells = contour(snap, LR, DROP).query("what == 'cell'").dropna(subset=["value"])
    peak = cells.iloc[int((cells["value"] * snap.goal.sign).argmax())]

    assert abs(peak["x"] - 0.5) < 0.15
    assert abs(peak["y"] - 0.2) < 0.15
    assert np.isclose(float(peak["x_label"]), 1e-5 * 1e4 ** peak["x"], rtol=0.01)


def test_cells_far_from_any_trial_stay_empty():
    snap = _snap(40, **{"config.lr": np.geomspace(1e-5, 1e-4, 40)})
    cells = contour(snap, LR, DROP).query("what == 'cell'")

    assert cells.loc[cells["x"] > 0.6, "value"].isna().all()
    assert cells.loc[cells["x"] < 0.2, "value"].notna().any()


def test_a_smooth_mean_is_never_beyond_the_scores():
    snap = _snap(60)
    value = contour(snap, LR, DROP).query("what == 'cell'")["value"]

    assert value.max() <= snap.trials["score"].max()
    assert value.min() >= snap.trials["score"].min()


def test_choices_are_rows_of_their_own():
    table = contour(_snap(), LR, NORM).query("what == 'cell'")
    level = table.groupby("y")["value"].mean()

    assert level.index.tolist() == [0.0, 0.5, 1.0]
    assert level.idxmax() == 0.5
    assert level[0.5] - level[0.0] == pytest.approx(0.2, abs=0.05)


def test_of_two_choices_each_cell_is_the_mean_of_its_trials():
    snap = _snap(400, parameters=(NORM, DATA))
    table = contour(snap, DATA, NORM)
    cell = table.query("what == 'cell'").dropna(subset=["value"]).iloc[0]
    there = snap.trials["config.data"].eq(cell["x_label"]) & (snap.trials["config.norm"].map(repr) == "['a', 1]")

    assert table.query("what == 'cell'")["x"].nunique() == CELLS
    assert cell["value"] == pytest.approx(snap.trials.loc[there, "score"].mean(), abs=0.02)


def test_trials_that_lack_a_parameter_are_no_dots():
    gaps = np.where(np.arange(200) % 2, np.nan, 0.2)
    table = contour(_snap(**{"config.drop": gaps}), LR, DROP)

    assert table.attrs["trials"] == 100
    assert table.loc[table["what"] == "trial", "number"].mod(2).eq(1).all()


def test_too_few_trials_with_both_parameters_are_a_reason():
    gaps = np.where(np.arange(200) > 2, np.nan, 0.2)
    with pytest.raises(NothingToShow, match="Only 3 finished trials have both lr and drop"):
        contour(_snap(**{"config.drop": gaps}), LR, DROP)


def test_the_figure_does_not_grow_with_the_trials():
    sizes = {}
    for n in (100, 400, 5000):
        snap = _snap(n)
        table = contour(snap, LR, DROP)
        assert (table["what"] == "trial").sum() == min(n, DOTS)
        sizes[n] = len(contour_figure(table, LR, DROP, snap.goal).to_json())

    assert sizes[5000] < 1.05 * sizes[400] < 150_000


def test_the_star_is_the_best_trial_and_dots_open_their_trials():
    snap = _snap()
    figure = contour_figure(contour(snap, LR, NORM), LR, NORM, snap.goal)
    cells, dots, star = figure.data

    assert star.customdata == (snap.trials.at[snap.best, "number"],)
    assert set(dots.customdata) == set(snap.trials["number"])
    assert cells.reversescale is False
    assert len(cells.y) == 3
    assert "lr = " in cells.hovertext[0][0]


def test_dots_of_one_choice_do_not_hide_each_other():
    snap = _snap()
    dots = contour_figure(contour(snap, LR, NORM), LR, NORM, snap.goal).data[1]

    assert len(set(dots.y)) > 100
    assert max(abs(y - round(2 * y) / 2) for y in dots.y) < 0.2


def test_names_and_choices_stay_text():
    evil = "<script>alert(1)</script>"
    norm = Parameter(evil, "choice", choices=(evil, "b"))
    snap = _snap(parameters=(LR,))
    trials = snap.trials.assign(**{f"config.{evil}": [evil, "b"] * 100})
    snap = Snapshot({}, snap.goal, (LR, norm), trials, snap.measurements, snap.best)

    assert "<script>" not in contour_figure(contour(snap, LR, norm), LR, norm, snap.goal).to_json()
    assert "alert(1)" in contour_card(snap, Sheet())
    assert "<script>alert" not in contour_card(snap, Sheet())


def test_each_pair_of_the_most_important_is_a_chart_of_its_own():
    snap = _snap(parameters=(LR, DROP, NORM, DATA))
    charts = contours(snap)

    assert len(charts) == 3
    assert len({chart.name for chart in charts}) == 3
    assert all(chart.drawn(snap).description.startswith("Map of acc over") for chart in charts)
    assert {p.name for pair in contour_pairs(snap) for p in pair} == {"lr", "drop", "norm"}


@pytest.mark.parametrize(
    ("snap", "reason"),
    [
        (_snap(parameters=(LR,)), "only lr does"),
        (_snap(parameters=()), "no parameter varies"),
        (_snap(score=1.0), "equal"),
        (_snap(2), "three trials"),
        (_snap(score=np.nan), "three trials"),
    ],
)
def test_where_there_is_no_map_the_reason_is_told(snap, reason):
    assert contours(snap) == []
    assert reason in contour_card(snap, Sheet())
