"""Stages side by side."""

import json
from dataclasses import replace

import numpy as np
import pytest
import report_run as runs

from search.report.plots.stages import stages_figure
from search.report.sections.stages import CHARTS
from search.report.tables.snapshot import NothingToShow, snapshot
from search.report.tables.stages import MOST_STAGES, stages


def staged(names, **columns):
    run = runs.synthetic_run(len(names), ensemble=False)
    return replace(run, trials=run.trials.assign(stage=names, **columns))


def test_stages_are_told_in_the_order_in_which_they_began():
    table = stages(snapshot(staged(["rates"] * 20 + ["joint"] * 20 + ["decay"] * 10)))

    assert [summary["stage"] for summary in table.attrs["stages"]] == ["rates", "joint", "decay"]
    assert [summary["trials"] for summary in table.attrs["stages"]] == [20, 20, 10]


def test_a_stage_is_summed_up_by_its_own_trials():
    run = staged(["a"] * 25 + ["b"] * 25)
    first, second = stages(snapshot(run)).attrs["stages"]
    here = run.trials.iloc[:25]

    assert first["stopped"] == (here["status"] == "stopped").sum()
    assert first["failed"] == (here["status"] == "failed").sum() > 0
    assert first["seconds"] == pytest.approx(here["seconds"].sum())
    assert first["best"] == here.loc[here["status"] != "failed", "score"].max()
    assert (
        second["scored"] == (run.trials.iloc[25:]["score"].notna() & (run.trials.iloc[25:]["status"] != "failed")).sum()
    )


@pytest.mark.parametrize("mode", ["max", "min"])
def test_the_best_of_each_stage_is_marked_once_and_the_winner_once(mode):
    run = staged(["a"] * 25 + ["b"] * 25)
    snap = snapshot(replace(run, definition={**run.definition, "mode": mode}))
    table = stages(snap)
    best = table[table["is_stage_best"]]

    assert best["stage"].tolist() == ["a", "b"]
    assert table["is_best"].sum() == 1
    ends = table.groupby("stage")["score"].agg("max" if mode == "max" else "min")
    assert best.set_index("stage")["score"].equals(ends)


def test_of_a_large_stage_the_best_are_all_kept():
    snap = snapshot(staged(["a"] * 300 + ["b"] * 20))
    table = stages(snap, most=60)
    first = snap.trials.iloc[:300]
    best = first[first["status"] != "failed"].nlargest(30, "score")["number"]

    assert (table["stage"] == "a").sum() == 60 == table.attrs["stages"][0]["shown"]
    assert set(best) <= set(table["number"])


def test_trials_of_other_lengths_are_told_as_unlike():
    lengths = {"config.training_iteration": [4] * 20 + [12] * 20}
    drawn = CHARTS[0].drawn(snapshot(staged(["a"] * 20 + ["b"] * 20, **lengths)))

    assert "not alike" in drawn.caption
    assert "12 iterations" in json.dumps(drawn.figure.to_plotly_json(), default=str)
    assert "not alike" not in CHARTS[0].drawn(snapshot(staged(["a"] * 20 + ["b"] * 20))).caption


def test_one_stage_or_none_shows_nothing():
    with pytest.raises(NothingToShow, match="had no stages"):
        stages(snapshot(staged([None] * 20)))
    with pytest.raises(NothingToShow, match="one stage, coarse"):
        stages(snapshot(staged(["coarse"] * 20)))
    with pytest.raises(NothingToShow, match="score yet"):
        stages(snapshot(staged(["a"] * 10 + ["b"] * 10, score=np.nan)))


def test_a_stage_without_a_score_is_no_crash():
    run = staged(["a"] * 20 + ["b"] * 3)
    run.trials.loc[20:, "score"] = np.nan
    snap = snapshot(run)

    assert stages(snap).attrs["stages"][1]["scored"] == 0
    assert CHARTS[0].drawn(snap).figure.data


def test_a_hundred_stages_are_cut_and_said_to_be():
    table = stages(snapshot(staged([f"s{n}" for n in range(100)])))

    assert len(table.attrs["stages"]) == MOST_STAGES
    assert table.attrs["left_out"] == 100 - MOST_STAGES


def test_every_trial_of_the_table_is_drawn_once_and_names_stay_text():
    snap = snapshot(staged(["<script>x</script>"] * 20 + ["b"] * 20))
    table = stages(snap)
    figure = stages_figure(table, snap.goal)
    drawn = [n for trace in figure.data if trace.customdata is not None and trace.name != "best of its stage"
             for n in trace.customdata]  # fmt: skip

    assert sorted(drawn) == sorted(table["number"])
    assert "<script>" not in figure.to_json()
    assert "<script>" not in CHARTS[0].drawn(snap).caption
