"""How far trials came, and whether one of those that were stopped would have won."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import report_run as runs
from hypothesis import given, settings
from hypothesis import strategies as st

from search.report.plots.stopping import MOST_ROWS, rung_survival_figure, stopping_regret_figure
from search.report.sections.stopping import CHARTS
from search.report.tables.regret import stopping_regret
from search.report.tables.snapshot import NothingToShow, snapshot
from search.report.tables.stopping import MOST_RUNGS, rung_survival

SPACE = {"lr": {"type": "loguniform", "low": 1e-5, "high": 1e-2}}


def run_of(curves, stopped=(), *, length=4, score="last", mode="max", **columns):
    """A run of curves by number; those stopped are the shorter ones unless they are named."""
    trials, measured = [], []
    for number, curve in enumerate(curves, 1):
        signed = np.array(curve) * (1 if mode == "max" else -1)
        counted = curve[-1] if score == "last" else curve[int(signed.argmax())]
        status = "stopped" if number in stopped or len(curve) < length else "finished"
        trials.append({"trial_id": f"t{number}", "number": number, "status": status, "score": counted,
                       "iterations": len(curve), "configuration": number, "reason": "model", "seconds": 1.0,
                       "config": "{}", "config.lr": 1e-3})  # fmt: skip
        measured += [{"trial_id": f"t{number}", "iteration": i, "m": v} for i, v in enumerate(curve, 1)]
    table = pd.DataFrame(trials).assign(**columns)
    definition = {"metric": "m", "mode": mode, "score": score, "iterations": length, "space": SPACE}
    return runs.SyntheticRun(definition, table, pd.DataFrame(measured, columns=["trial_id", "iteration", "m"]))


def perfect(trials=60, seed=0, mode="max"):
    """The value at the first report says exactly where a trial ends; the lower half is stopped there."""
    sign = 1 if mode == "max" else -1
    early = np.random.default_rng(seed).normal(size=trials)
    curves = [[v * sign] if v < np.median(early) else [(v + k) * sign for k in range(4)] for v in early]
    return run_of(curves, mode=mode)


def useless(trials=60, seed=0):
    """The value at the first report says nothing; half the trials are stopped there by it."""
    random = np.random.default_rng(seed)
    early, final = random.normal(size=(2, trials))
    middle = np.median(early)
    return run_of([[v] if v < middle else [v, v, f, f] for v, f in zip(early, final, strict=True)])


def test_every_trial_that_came_to_a_rung_went_on_was_stopped_or_ended():
    table = rung_survival(snapshot(runs.synthetic_run(120, ensemble=False)))

    assert (table["came"] == table["stopped"] + table["went_on"] + table["ended"]).all()
    assert table["rung"].tolist() == ["3", "6"]
    assert table["came"].iloc[1] == table["went_on"].iloc[0]
    assert table.attrs["full"] <= table["went_on"].iloc[-1]


def test_survival_counts_by_hand():
    table = rung_survival(snapshot(run_of([[1.0]] * 3 + [[1.0, 2.0]] * 2 + [[1.0, 2.0, 3.0, 4.0]] * 5)))

    assert table[["rung", "came", "stopped", "went_on"]].to_numpy().tolist() == [["1", 10, 3, 7], ["2", 7, 2, 5]]
    assert table["share"].tolist() == pytest.approx([0.3, 2 / 7])
    assert table.attrs["full"] == 5


def test_trials_that_were_never_to_be_stopped_are_left_out_of_survival():
    run = run_of([[1.0]] * 2 + [[1.0, 2.0, 3.0, 4.0]] * 4, reason=["model"] * 4 + ["retest"] * 2)

    assert rung_survival(snapshot(run))["came"].tolist() == [4]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=80))
def test_many_rungs_are_merged_and_no_stopped_trial_is_lost(iterations):
    run = run_of([[1.0] * n for n in iterations], length=100)
    table = rung_survival(snapshot(run))

    assert len(table) <= MOST_RUNGS
    assert table["stopped"].sum() == len(iterations)
    assert (table["first"] <= table["last"]).all()
    assert (table["first"].iloc[1:].to_numpy() > table["last"].iloc[:-1].to_numpy()).all()


def test_the_order_at_a_rung_is_compared_with_that_in_the_end():
    agreement = rung_survival(snapshot(perfect()))["agreement"].iloc[0]
    chance = rung_survival(snapshot(useless(200))).iloc[0]

    assert agreement == pytest.approx(1)
    assert chance["agreement_low"] < 0 < chance["agreement_high"]


@pytest.mark.parametrize("mode", ["max", "min"])
def test_stopping_by_a_perfect_early_metric_costs_nothing(mode):
    table = stopping_regret(snapshot(perfect(mode=mode)))

    assert table.attrs["any"][2] < 0.05
    assert table.attrs["regret"][0] == pytest.approx(0, abs=1e-9)


def test_stopping_at_random_costs_much():
    table = stopping_regret(snapshot(useless()))

    assert table.attrs["winners"][0] > 0.5
    assert table.attrs["any"][0] > 0.4
    assert table.attrs["regret"][0] > 0.05


def test_the_estimate_of_a_random_stop_is_that_of_fresh_draws():
    # 30 stopped of 60 that are all alike: the best of the stopped wins every second time.
    chances = [stopping_regret(snapshot(useless(seed=s)), draws=2).attrs["any"][0] for s in range(12)]

    assert 0.3 < np.mean(chances) < 0.75


def test_a_trial_stopped_far_below_adds_nothing():
    random = np.random.default_rng(1)
    curves = [[v, v, v, v + e] for v, e in random.normal(size=(20, 2))]
    alone = stopping_regret(snapshot(run_of([*curves, [curves[0][0]]])))
    both = stopping_regret(snapshot(run_of([*curves, [curves[0][0]], [-1000.0]])))

    assert both["chance"].iloc[-1] == 0
    assert both["number"].iloc[-1] == 22
    assert both.attrs["winners"][0] == alone.attrs["winners"][0]


def test_the_spread_of_good_and_poor_trials_that_grows_with_time_is_carried_on():
    # Final is twice the value at the rung: to add what survivors gained would make winners of the stopped.
    early = np.linspace(0, 10, 60)
    table = stopping_regret(snapshot(run_of([[v] if v < 5 else [v, v, v, 2 * v] for v in early])))
    expected = table.set_index("number")["expected"]

    assert expected[1] < 3
    assert table.attrs["any"][0] < 0.05


def test_where_the_best_report_counts_no_trial_ends_below_what_it_had():
    random = np.random.default_rng(2)
    curves = [np.maximum.accumulate(random.normal(size=4)).tolist() for _ in range(30)]
    curves = [curve if n % 2 else curve[:1] for n, curve in enumerate(curves)]
    table = stopping_regret(snapshot(run_of(curves, score="best")))

    assert (table["low"] >= table["value"]).all()
    assert (table["expected"] >= table["value"]).all()


def test_the_bootstrap_is_seeded_and_its_interval_holds_the_estimate():
    snap = snapshot(useless())
    one, same, other = (stopping_regret(snap, seed=seed) for seed in (3, 3, 4))

    assert one.attrs == same.attrs
    assert one.attrs["winners"][1:] != other.attrs["winners"][1:]
    assert one.attrs["winners"][0] == other.attrs["winners"][0]
    assert one.attrs["winners"][1] <= one.attrs["winners"][0] <= one.attrs["winners"][2]


def test_a_stopped_winner_is_no_rival_of_itself():
    table = stopping_regret(snapshot(run_of([*[[1.0, 1.0, 1.0, 2.0 + k / 9] for k in range(8)], [9.0], [0.5]])))

    assert table["number"].tolist() == [10]
    assert table.attrs["winner_stopped"]


def test_only_trials_of_one_length_are_compared():
    # The short ones end at 2, the long ones at 100: nobody stopped on the short track would have come to that.
    lengths = [2] * 20 + [4] * 10
    curves = [[float(n % 7)] if n < 6 else [float(n % 7), 2.0] for n in range(20)]
    curves += [[50.0, 60.0, 70.0, 100.0 + n] for n in range(10)]
    run = run_of(curves, stopped=range(1, 7), **{"config.training_iteration": lengths})
    run = replace(run, trials=run.trials.assign(status=["stopped"] * 6 + ["finished"] * 24))
    table = stopping_regret(snapshot(run))

    assert table.attrs["any"][0] == 0
    assert (table["expected"] < 10).all()
    assert rung_survival(snapshot(run)).attrs["lengths"] == [2, 4]


def test_nothing_is_estimated_without_stopped_trials_or_without_full_ones():
    with pytest.raises(NothingToShow, match="No trial was stopped early"):
        rung_survival(snapshot(run_of([[1.0] * 4] * 6)))
    with pytest.raises(NothingToShow, match="No trial was stopped early"):
        stopping_regret(snapshot(run_of([[1.0] * 4] * 6)))
    with pytest.raises(NothingToShow, match="5 are needed, and there are 4 trials"):
        stopping_regret(snapshot(run_of([[1.0, 2.0, 3.0, k + 4.0] for k in range(4)] + [[1.0]])))


def test_the_totals_can_be_exported_with_their_table():
    snap = snapshot(useless())

    for table in (rung_survival(snap), stopping_regret(snap)):
        assert json.loads(json.dumps(table.attrs)).keys() == table.attrs.keys()


def test_bad_input_is_no_crash():
    run = useless()
    none = replace(run, measured=run.measured.iloc[:0])
    odd = replace(run, measured=run.measured.assign(m=np.inf))
    for bad in (none, odd):
        assert len(rung_survival(snapshot(bad))) == 1
        with pytest.raises(NothingToShow):
            stopping_regret(snapshot(bad))
    with pytest.raises(NothingToShow):
        stopping_regret(snapshot(replace(run, trials=run.trials.iloc[:0])))


def test_the_survival_figure_has_a_bar_a_rung_and_one_for_the_end():
    table = rung_survival(snapshot(runs.synthetic_run(120, ensemble=False)))
    figure = rung_survival_figure(table)
    bars = {trace.name: trace for trace in figure.data}

    assert list(bars["stopped here"].y) == table["stopped"].tolist()
    assert list(figure.layout.xaxis.ticktext) == ["3", "6", "the end"]
    assert list(bars["ran in full"].y) == [table.attrs["full"]]


def test_the_regret_figure_draws_the_nearest_and_opens_their_trials():
    snap = snapshot(useless())
    table = stopping_regret(snap)
    figure = stopping_regret_figure(table, snap.goal)
    ended = next(trace for trace in figure.data if trace.name == "where it might have ended")

    assert list(ended.customdata) == table["number"].head(MOST_ROWS).tolist()[::-1]
    assert len(figure.layout.shapes) == MOST_ROWS


def test_the_captions_tell_what_was_found():
    snap = snapshot(useless())
    survival, regret = (chart.drawn(snap) for chart in CHARTS)

    assert "30 of 60 trials were stopped early" in survival.caption
    assert "at least one of 30 stopped trials would have beaten the winner" in regret.caption
    assert "Estimated, with 95 % intervals, from 30 trials" in regret.caption
