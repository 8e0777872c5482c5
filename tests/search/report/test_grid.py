"""The cells of a jittered grid and the history of its edges, from grids that were played to their end."""

import contextlib
import json
from dataclasses import replace

import grid_play as play
import numpy as np
import pandas as pd
import pytest
import report_run as runs
from ray import tune

from search.jittered_grid import Refine
from search.params import flatten
from search.report.plots.grid import MOST_DOTS, grid_cells_figure, grid_edges_figure
from search.report.sections.grid import CHARTS, grids
from search.report.tables.grid import grid_cells, grid_edges, pairs
from search.report.tables.snapshot import NothingToShow, snapshot
from search.space import Space


def run_of(space, loss, **given):
    """The run that a grid over a cheap function would have left."""
    method = play.ready(space, **given)
    play.play(method, loss)
    told = list(method.told.values())
    number = {trial.trial_id: n for n, trial in enumerate(told, 1)}
    rows = []
    for trial in told:
        config, suggested = method.config(trial.trial_id), trial.suggestion
        rows.append(
            {
                "trial_id": trial.trial_id,
                "number": number[trial.trial_id],
                "configuration": number[trial.configuration],
                "status": "finished" if trial.value is not None else "failed",
                "score": trial.value,
                "stage": suggested.stage,
                "cell": suggested.cell,
                "reason": suggested.reason,
                "iterations": 4,
                "config": json.dumps(config),
                **{f"config.{name}": value for name, value in flatten(config).items()},
            }
        )
    space = method.whole_space(Space.from_domains(space)).describe()
    definition = {"metric": "loss", "mode": "min", "iterations": 4, "method": repr(method), "space": space}
    empty = pd.DataFrame({"trial_id": [], "iteration": [], "loss": []})
    return runs.SyntheticRun(definition, pd.DataFrame(rows), empty)


@pytest.fixture(scope="module")
def beyond():
    """A grid whose best lies beyond the high end of g, refined once."""
    return snapshot(run_of(play.RATES, play.bowl(g=-0.5, d=-3.4), refine=[Refine(factor=3, around=2, budget=2.0)]))


def cells_of(snap, index=0):
    return grid_cells(snap, *pairs(snap)[index])


def test_every_trial_lies_in_the_cell_it_is_drawn_in(beyond):
    table = cells_of(beyond)

    for side in "xy":
        assert (table[f"{side}_low"] - 1e-9 <= table[side]).all()
        assert (table[side] <= table[f"{side}_high"] + 1e-9).all()
    assert len(table) == len(beyond.trials)


def test_cells_of_decades_end_at_decades(beyond):
    _, x, _ = pairs(beyond)[0]
    coarse = cells_of(beyond).query("level == 'coarse'")
    ends = np.log10(x.low * (x.high / x.low) ** coarse["x_low"].to_numpy())

    np.testing.assert_allclose(ends, np.round(ends), atol=1e-6)


def test_refined_cells_are_finer_and_lie_within_coarse_ones(beyond):
    table = cells_of(beyond)
    width = (table["x_high"] - table["x_low"]).groupby(table["level"]).mean()

    assert width["refine 1"] == pytest.approx(width["coarse"] / 2)
    assert set(table["level"]) == {"coarse", "refine 1"}


@pytest.mark.parametrize("limits", [{"g": (1e-6, 0.3), "d": (1e-9, 0.5)}, {}])
def test_grids_with_limits_of_their_own_are_read_back_too(limits):
    snap = snapshot(run_of(play.RATES, play.bowl(g=-0.5, d=-3.4), limits=limits))
    table = cells_of(snap)
    inside = (table["x_low"] - 0.01 <= table["x"]) & (table["x"] <= table["x_high"] + 0.01)

    assert inside.mean() > 0.9


def test_integers_choices_and_linear_axes_have_cells():
    space = {"n": tune.randint(1, 4), "norm": tune.choice(["a, b", None]), "drop": tune.uniform(0.0, 0.6)}
    snap = snapshot(run_of(space, lambda config: config["drop"] + config["n"]))
    (grid, *_), *_ = pairs(snap)
    shown = [(x.name, y.name) for _, x, y in pairs(snap)]

    assert [axis.name for axis in grid.axes] == ["n", "norm", "drop"]
    assert shown == [("n", "drop"), ("n", "norm"), ("drop", "norm")]
    for index in range(3):
        table = cells_of(snap, index)
        assert len(table) == 18
        assert len(table.drop_duplicates(["x_low", "y_low"])) == (9 if index == 0 else 6)
    assert len(grids(snap)) == 2


def test_an_edge_that_was_hit_and_widened_is_listed_with_its_round(beyond):
    edges = grid_edges(beyond)
    first, second = edges[edges["level"] == "coarse"].to_dict("records")

    assert (first["axis"], first["side"], first["round"], first["widened_to"]) == ("g", "+", 1, "1")
    assert (second["axis"], second["side"], second["round"], second["widened_to"]) == ("g", "+", 2, "10")
    assert (first["trials"], second["trials"]) == (3, 3)
    assert first["moved"]
    assert not second["moved"]
    assert first["after"] == second["hit_by"] == second["after"]
    assert first["best_beyond"] < first["best_before"]


def test_edges_of_a_refinement_are_told_apart_from_those_of_the_coarse_grid(beyond):
    edges = grid_edges(beyond)

    assert set(edges["level"]) == {"coarse", "refine 1"}
    assert (edges.loc[edges["level"] == "refine 1", "round"] == 1).all()


def test_it_is_said_whether_the_best_ended_inside(beyond):
    far = grid_edges(snapshot(run_of(play.RATES, play.bowl(g=9, d=-3))))

    assert "lies inside it on every axis" in grid_edges(beyond).attrs["ends"][0]
    assert "the high end of g, as far as the grid went" in far.attrs["ends"][0]
    assert far.loc[far["axis"] == "g", "widened_to"].tolist() == ["1", "10"]


def test_the_edge_of_a_layer_that_is_shorter_than_the_grid_is_told_as_that():
    # The best moves along the layer beyond g, which was tried only beside the best: its own low end is an edge.
    edges = grid_edges(snapshot(run_of(play.RATES, play.bowl(g=9, d=-3))))
    low = edges[(edges["axis"] == "d") & (edges["side"] == "-")].iloc[0]

    assert low["widened_to"] == "1e-4"
    assert low["new_high"] == low["before_low"]
    assert (edges["new_low"] < edges["new_high"]).all()
    assert (edges["before_low"] < edges["before_high"]).all()


def test_low_edges_are_told_as_low_ones():
    edges = grid_edges(snapshot(run_of(play.RATES, play.bowl(g=-3, d=-5.5))))

    assert edges[["axis", "side"]].to_numpy().tolist()[0] == ["d", "-"]
    assert (edges["new_high"] <= edges["before_low"] + 1e-9).all()


def test_a_best_inside_from_the_start_widens_nothing():
    with pytest.raises(NothingToShow, match=r"No edge of the grid was widened.*inside it on every axis"):
        grid_edges(snapshot(run_of(play.RATES, play.bowl(g=-3, d=-3))))


def test_grids_in_stages_are_told_apart_by_their_stage():
    one = run_of(play.RATES, play.bowl(g=-0.5, d=-3.4))
    trials = pd.concat([one.trials.assign(stage="rates"), one.trials.assign(stage="again")], ignore_index=True)
    trials["number"] = range(1, len(trials) + 1)
    trials["configuration"] = trials["number"]
    snap = snapshot(replace(one, trials=trials))
    edges = grid_edges(snap)

    assert [grid.name for grid, _, _ in pairs(snap)] == ["rates", "again"]
    assert edges[["grid", "level", "round"]].to_numpy().tolist() == [
        ["rates", "coarse", 1], ["rates", "coarse", 2], ["again", "coarse", 1], ["again", "coarse", 2]
    ]  # fmt: skip


def test_a_run_that_is_no_grid_shows_nothing():
    snap = snapshot(runs.synthetic_run(20, ensemble=False))

    for chart in CHARTS:
        with pytest.raises(NothingToShow, match="no grid"):
            chart.drawn(snap)
    assert grids(snap) == []


def test_one_axis_has_no_map_of_cells_and_says_why():
    snap = snapshot(run_of({"g": tune.loguniform(1e-5, 1e-1)}, play.bowl(g=-0.5)))

    with pytest.raises(NothingToShow, match="only g has more than one cell"):
        pairs(snap)
    assert len(grid_edges(snap)) == 2


def test_a_grid_under_way_or_without_scores_is_no_crash(beyond):
    run = run_of(play.RATES, play.bowl(g=-0.5, d=-3.4))
    for trials in (run.trials.head(3), run.trials.head(18), run.trials.assign(score=np.nan), run.trials.head(0)):
        snap = snapshot(replace(run, trials=trials))
        for chart in [*CHARTS, *grids(snap)]:
            with contextlib.suppress(NothingToShow):
                chart.drawn(snap)


def test_the_colour_of_a_cell_is_its_best_by_rank(beyond):
    _, x, y = pairs(beyond)[0]
    figure = grid_cells_figure(cells_of(beyond), x, y, beyond.goal)
    coarse, fine = (trace for trace in figure.data if trace.type == "heatmap")
    ranks = [rank for row in [*coarse.z, *fine.z] for rank in row if rank is not None]

    assert (min(ranks), max(ranks)) == (0, 1)
    assert len(ranks) == len(cells_of(beyond).drop_duplicates(["level", "x_low", "y_low"]))
    assert any("refine 1" in (note.text or "") for note in figure.layout.annotations)


def test_dots_open_their_trials_and_the_best_is_a_star(beyond):
    _, x, y = pairs(beyond)[0]
    figure = grid_cells_figure(cells_of(beyond), x, y, beyond.goal)
    traces = {trace.name: trace for trace in figure.data if trace.type == "scatter"}
    drawn = [number for trace in traces.values() for number in trace.customdata]

    assert sorted(drawn) == sorted(beyond.trials["number"])
    assert list(traces["best trial"].customdata) == [beyond.trials.at[beyond.best, "number"]]
    assert list(traces) == ["coarse", "beyond an edge", "refined", "best trial"]


def test_of_many_trials_the_better_dots_stay():
    space = {name: tune.loguniform(1e-5, 1e-1) for name in "abcde"}
    snap = snapshot(run_of(space, lambda config: abs(np.log10(config["a"]) + 3) + config["b"]))
    grid, x, y = pairs(snap)[0]
    figure = grid_cells_figure(grid_cells(snap, grid, x, y), x, y, snap.goal)
    drawn = [n for trace in figure.data if trace.type == "scatter" for n in trace.customdata]

    assert len(snap.trials) > MOST_DOTS >= len(drawn) - 1
    assert set(snap.trials.nsmallest(100, "score")["number"]) <= set(drawn)
    assert len(figure.to_json()) < 150_000


def test_the_figure_of_edges_has_a_row_an_edge(beyond):
    edges = grid_edges(beyond)
    figure = grid_edges_figure(edges, beyond.goal)

    assert list(figure.data[0].y) == list(range(len(edges)))[::-1]
    assert list(next(t for t in figure.data if t.name == "best before").customdata) == edges["hit_by"].tolist()


def test_the_captions_tell_the_story(beyond):
    cells, edges = (chart.drawn(beyond) for chart in CHARTS)

    assert cells.caption.startswith("<strong>d against g.</strong>")
    assert "lay at the high end of g; widened to 1, the best moved there" in edges.caption
