"""The tables behind a report: what they hold, from whatever a run holds. Plotly is not imported here."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import report_run as runs
from hypothesis import given
from hypothesis import strategies as st

from search.report.sections.answer import answer
from search.report.sections.verdicts import verdicts
from search.report.tables import costs as costs_tables
from search.report.tables import ensemble as ensemble_tables
from search.report.tables import progress, space, thinning
from search.report.tables.parameters import Parameter, read_parameters
from search.report.tables.snapshot import snapshot
from search.report.wording import count, duration, fixed, literal, number, python_config
from search.results import Results


@pytest.fixture(scope="module")
def run():
    return runs.synthetic_run(40)


@pytest.fixture(scope="module")
def snap(run):
    return snapshot(run)


def test_tables_are_made_without_plotly():
    code = (
        "import sys; sys.modules['plotly'] = None\n"
        "import importlib, pkgutil, search.report.tables as tables\n"
        "for module in pkgutil.iter_modules(tables.__path__):\n"
        "    importlib.import_module('search.report.tables.' + module.name)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])


def test_a_run_read_from_its_files_gives_the_same_tables(run, snap, tmp_path):
    read = snapshot(Results(runs.write_run(run, tmp_path / "run")))

    assert read.best == snap.best
    assert read.config(read.best) == snap.config(snap.best)
    pd.testing.assert_frame_equal(progress.history(read), progress.history(snap))
    pd.testing.assert_frame_equal(progress.learning_curves(read), progress.learning_curves(snap))
    pd.testing.assert_frame_equal(space.placed(read, read.varying), space.placed(snap, snap.varying))


def test_the_winner_is_the_one_that_results_names(run, snap, tmp_path):
    results = Results(runs.write_run(run, tmp_path / "run"))

    assert snap.trials.at[snap.best, "number"] == results.best.number


def test_the_best_so_far_never_gets_worse_and_ends_at_the_best(snap):
    history = progress.history(snap)

    assert (history["best_so_far"].dropna().diff().dropna() >= 0).all()
    assert history["best_so_far"].iloc[-1] == snap.trials.at[snap.best, "score"]
    assert history["is_best"].sum() == 1


def test_where_lower_is_better_the_lowest_score_wins(run):
    trials = run.trials.assign(score=-run.trials["score"])
    snap = snapshot(replace(run, trials=trials, definition={**run.definition, "mode": "min"}))

    assert snap.trials.at[snap.best, "score"] == trials["score"].min()
    assert (progress.history(snap)["best_so_far"].dropna().diff().dropna() <= 0).all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_not_a_number_never_wins(run, bad):
    trials = run.trials.copy()
    trials.loc[trials["score"].idxmax(), "score"] = bad
    snap = snapshot(replace(run, trials=trials))

    assert np.isfinite(snap.trials.at[snap.best, "score"])


def test_the_score_of_a_failed_trial_does_not_count(run):
    trials = run.trials.copy()
    trials.loc[0, ["status", "score"]] = ["failed", 99.0]
    snap = snapshot(replace(run, trials=trials))

    assert snap.trials.at[snap.best, "number"] != 1
    assert progress.history(snap)["best_so_far"].max() < 99


def test_costs_count_every_trial_and_every_iteration_once(run, snap):
    spent = costs_tables.costs(snap)
    stopped = run.trials[run.trials["status"] == "stopped"]

    assert spent.finished + spent.stopped + spent.failed == spent.trials == 40
    assert spent.iterations_saved == (12 - stopped["iterations"]).sum() > 0
    assert spent.iterations_run == run.trials["iterations"].sum()
    assert spent.trial_seconds == pytest.approx(run.trials["seconds"].sum())
    assert spent.gpu_seconds == pytest.approx(spent.trial_seconds / 2)
    assert spent.wall_seconds == 140 * 40


def test_the_time_of_a_run_in_progress_goes_to_its_last_report(run):
    definition = {**run.definition, "ended": None, "status": "running"}
    trials = run.trials.assign(ended=pd.NaT)
    spent = costs_tables.costs(snapshot(replace(run, definition=definition, trials=trials)))
    started = pd.Timestamp(run.definition["started"])

    assert spent.wall_seconds == pytest.approx((run.measured["time"].max() - started).total_seconds())


def test_learning_curves_leave_gaps_out_and_mark_the_best(run, snap):
    curves = progress.learning_curves(snap)

    assert np.isfinite(curves["value"].to_numpy(float)).all()
    assert set(curves.loc[curves["group"] == "best", "number"]) == {snap.trials.at[snap.best, "number"]}
    assert len(curves) == np.isfinite(run.measured["psnr"]).sum()


def test_many_curves_are_thinned_but_the_best_twenty_stay():
    snap = snapshot(runs.synthetic_run(200, ensemble=False))
    curves = progress.learning_curves(snap, most=50, points=6)

    assert curves.attrs["shown"] == 50 == curves["number"].nunique()
    assert set(snap.counted()["number"].head(20)) <= set(curves["number"])
    assert curves.groupby("number").size().max() <= 6


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300), st.integers(4, 40))
def test_thinning_keeps_the_ends_and_the_extremes(values, points):
    values = np.array(values)
    kept = thinning.thin(values, points)

    assert len(kept) <= max(points, 4)
    assert kept[0] == 0
    assert kept[-1] == len(values) - 1
    assert values[kept].min() == values.min()
    assert values[kept].max() == values.max()


def test_trials_lie_on_the_axes_where_their_values_are(run, snap):
    placed = space.placed(snap, snap.varying)
    row = placed.iloc[-1]
    original = run.trials[run.trials["number"] == row["number"]].iloc[0]

    assert row["is_best"]
    assert row["at.lr_g"] == pytest.approx((np.log10(original["config.lr_g"]) + 5) / 3)
    assert row["at.dropout"] == pytest.approx(original["config.dropout"] / 0.5)
    gaps = placed["number"] % 4 == 0
    assert placed.loc[gaps, "at.warmup"].isna().all()
    assert set(placed.loc[gaps, "label.warmup"]) == {"not set"}
    assert placed["at.norm"].notna().all()  # None is one of its choices, not a gap


def test_of_many_trials_the_better_ones_are_all_placed():
    snap = snapshot(runs.synthetic_run(150, ensemble=False))
    placed = space.placed(snap, [], most=40)
    best = snap.trials.dropna(subset=["score"]).nlargest(20, "score")["number"]

    assert len(placed) == 40
    assert set(best) <= set(placed["number"])


def test_a_few_hopeless_scores_do_not_flatten_the_others():
    low, high = progress.view_range([18.0, 18.5, 19.0, 19.2, 19.5, -300.0], maximize=True)

    assert 17.5 < low < 18
    assert 19.5 < high < 20
    assert progress.view_range([-300.0 * -1, 1.0, 1.2, 0.9], maximize=False)[1] < 2
    assert progress.view_range([float("nan")], maximize=True) is None
    equal = progress.view_range([3.0, 3.0], maximize=True)
    assert equal[0] < 3 < equal[1]


@pytest.mark.parametrize(
    ("spec", "cells", "expected"),
    [
        (
            {"type": "choice", "values": [[1, 2], None, True, "auto"]},
            ["[1, 2]", "true", '"auto"', None],
            [[1, 2], True, "auto", None],
        ),
        ({"type": "choice", "values": [8, 16]}, [8.0, 16.0], [8, 16]),
        ({"type": "choice", "values": [[0.5, 0.9]]}, [np.array([0.5, 0.9])], [[0.5, 0.9]]),
        ({"type": "choice", "values": [1, True]}, [True, 1], [True, 1]),
        ({"type": "randint", "low": 0, "high": 9}, [3.0, float("nan")], [3, None]),
        ({"type": "loguniform", "low": 1e-5, "high": 1e-2}, [1e-3, None], [1e-3, None]),
    ],
)  # fmt: skip
def test_values_come_back_from_parquet_as_what_they_were(spec, cells, expected):
    trials = pd.DataFrame({"config.p": pd.Series(cells, dtype=object)})
    (parameter,) = read_parameters({"p": spec}, trials)
    read = [parameter.read(cell) for cell in trials["config.p"]]

    assert [(type(value), value) for value in read] == [(type(value), value) for value in expected]


def test_parameters_that_only_the_trials_know_are_understood():
    trials = pd.DataFrame({"config.lr": [1e-4, 1e-2, None], "config.kind": ["a", None, "b"], "config.n": [1, 1, 1]})
    lr, kind, n = read_parameters({}, trials)

    assert (lr.kind, lr.low, lr.high, lr.varies) == ("log", 1e-4, 1e-2, True)
    assert (kind.kind, kind.choices) == ("choice", ("a", "b"))
    assert not n.varies


def test_a_choice_among_dicts_stays_one_parameter():
    space = {"opt": {"type": "choice", "values": [{"name": "adam"}, {"name": "sgd", "momentum": 0.9}]}}
    config = [json.dumps({"opt": value}) for value in space["opt"]["values"]]
    trials = pd.DataFrame(
        {"trial_id": ["a", "b"], "number": [1, 2], "status": "finished", "score": [1.0, 2.0], "config": config,
         "config.opt/name": ["adam", "sgd"], "config.opt/momentum": [None, 0.9]}
    )  # fmt: skip
    empty = pd.DataFrame({"trial_id": [], "iteration": []})
    snap = snapshot(runs.SyntheticRun({"metric": "m", "mode": "max", "space": space}, trials, empty))

    assert [p.name for p in snap.parameters] == ["opt"]
    assert snap.config(1) == {"opt": {"name": "sgd", "momentum": 0.9}}


@given(st.floats(1e-6, 1.0), st.floats(1.5, 1e6), st.floats(0, 1))
def test_positions_and_ticks_stay_on_the_axis(low, factor, at):
    for kind in ("log", "linear"):
        parameter = Parameter("p", kind, low, low * factor)
        value = low + at * (low * factor - low)
        assert -1e-9 <= parameter.position(value) <= 1 + 1e-9
        assert all(-1e-9 <= place <= 1 + 1e-9 for place, _ in parameter.ticks())


def test_the_gain_told_is_that_of_the_ensemble_in_use(run):
    gain = ensemble_tables.shipped_gain(ensemble_tables.gains(snapshot(run)))

    assert (gain.method, gain.metric, gain.value, gain.members) == ("greedy", "psnr", 1.12, 6)


def test_where_no_blend_ships_no_blend_is_praised_however_good_it_looks_on_test(run):
    single = replace(run, scores=run.scores.assign(ships=run.scores["method"] == "best_single"))
    gain = ensemble_tables.shipped_gain(ensemble_tables.gains(snapshot(single)))

    assert gain.is_single
    assert "No blend was better on validation" in answer(snapshot(single), "huetune ensemble runs/x")


def test_the_seed_that_every_trial_is_given_is_no_parameter_of_the_search(run):
    seeded = replace(run, trials=run.trials.assign(**{"config.seed": range(len(run.trials))}))

    assert "seed" not in [parameter.name for parameter in snapshot(seeded).varying]
    assert "seed" in snapshot(seeded).config(snapshot(seeded).best)


def test_correlations_are_symmetric_and_named_by_trial(run, snap):
    square = ensemble_tables.correlation(snap)

    assert square.shape == (6, 6)
    np.testing.assert_allclose(square, square.T)
    np.testing.assert_allclose(np.diag(square), 1)
    assert square.index[0] == f"Trial {snap.trials.at[snap.best, 'number']}"


def test_pictures_come_with_the_worst_last(run):
    examples = ensemble_tables.examples(snapshot(run))

    assert [example.worst for example in examples] == [False] * 6 + [True] * 2
    assert set(examples[0].images) == {"line", "best_single", "ensemble", "truth"}
    assert set(examples[0].scores) == {"best_single", "ensemble"}


def _titles(run):
    return " | ".join(verdict.title for verdict in verdicts(snapshot(run)))


def test_a_winner_at_the_edge_of_a_range_is_warned_of(run, snap):
    trials = run.trials.copy()
    trials.loc[snap.best, "config.lr_g"] = 1e-2

    assert "lr_g ended at the edge" in _titles(replace(run, trials=trials))
    assert "lr_g ended at the edge" not in _titles(run)


def test_a_winner_that_still_improved_is_warned_of(run, snap):
    trial = run.trials.at[snap.best, "trial_id"]
    flat = run.measured.copy()
    rising = flat["trial_id"] == trial
    flat.loc[rising, "psnr"] = np.minimum(flat.loc[rising, "iteration"], 4) + 15.0

    assert "still improving" in _titles(run)
    assert "still improving" not in _titles(replace(run, measured=flat))


def test_a_winner_hardly_ahead_is_warned_of(run, snap):
    trials = run.trials.copy()
    second = trials["score"].nlargest(2).index[1]
    trials.loc[second, "score"] = trials.at[snap.best, "score"] - 1e-4

    assert "hardly ahead" in _titles(replace(run, trials=trials))
    assert "shared" in _titles(replace(run, trials=run.trials.assign(score=1.0, status="finished")))
    trials.loc[snap.best, "score"] += 3
    assert "hardly ahead" not in _titles(replace(run, trials=trials))


def test_failures_are_counted_by_reason(snap):
    (failed,) = [v for v in verdicts(snap) if "failed" in v.title]

    assert failed.title == "5 trials failed"
    assert "3 × RuntimeError: out of GPU memory" in failed.text
    assert len(failed.trials) == 5


def test_numbers_have_sensible_digits():
    told = [number(v) for v in (19.41873, 0.0000321, 12345678.0, 0.25, -1.5, 3, float("inf"), None, 0.0)]

    assert told == ["19.42", "3.21e-5", "12,345,678", "0.2500", "−1.500", "3", "–", "–", "0.000"]
    assert [duration(s) for s in (0.5, 42, 131, 3000, 7380, 7200, 180000)] == [
        "0.5 s", "42 s", "2 min 11 s", "50 min", "2 h 3 min", "2 h", "2 d 2 h"
    ]  # fmt: skip
    assert [count(n, "trial") for n in (0, 1, 1200)] == ["0 trials", "1 trial", "1,200 trials"]
    assert fixed(-0.0001, 2) == "0.00"


@given(st.floats(allow_nan=False))
def test_any_number_has_a_text(value):
    assert number(value)
    assert fixed(value, 2)


@given(
    st.dictionaries(
        st.text(min_size=1).map(lambda name: name.replace("/", "_")),
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.lists(st.integers()),
    )
)
def test_a_configuration_as_python_is_the_configuration(config):
    scope = {}
    exec(python_config(config), scope)
    assert scope["config"] == config


def test_joined_names_become_nested_dicts_again():
    text = python_config({"adam/betas": [0.5, 0.9], "adam/eps": 1e-8, "lr": 0.1})
    scope = {}
    exec(text, scope)

    assert scope["config"] == {"adam": {"betas": [0.5, 0.9], "eps": 1e-8}, "lr": 0.1}
    assert literal(float("nan")) == 'float("nan")'


def test_where_finalists_were_trained_again_the_best_mean_wins_and_not_the_luckiest_trial():
    run = runs.synthetic_run(trials=12, ensemble=False)
    trials = run.table().assign(reason="model", configuration=lambda t: t["number"])
    better = 1 if run.definition["mode"] == "max" else -1
    scores = [("a", 1.0), ("a", 1.2), ("b", 3.0), ("b", -9.0)]
    for row, (name, score) in zip(trials.index[-4:], scores, strict=True):
        first = 1 if name == "a" else 2
        trials.loc[row, ["status", "reason", "configuration", "score"]] = ["finished", "retest", first, better * score]
    snap = snapshot(replace(run, trials=trials))
    assert snap.winner is not None
    assert snap.winner.configuration == 1
    assert snap.winner.scores == (better * 1.0, better * 1.2)
    assert snap.trial(snap.best)["score"] == better * 1.2


def test_the_time_of_a_run_is_that_of_its_sessions_and_not_of_the_nights_between():
    run = runs.synthetic_run(trials=3, ensemble=False)
    sessions = [
        {"started": "2026-01-01T10:00:00+00:00", "ended": "2026-01-01T10:01:00+00:00"},
        {"started": "2026-01-02T10:00:00+00:00", "ended": "2026-01-02T10:00:30+00:00"},
    ]
    snap = snapshot(replace(run, definition={**run.definition, "sessions": sessions}))
    assert costs_tables.costs(snap).wall_seconds == 90
