"""What trials report of their own training: found by name, drawn, counted in words."""

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import report_run as runs

from search.report.markup import Sheet
from search.report.sections.diagnoses import Diagnosis, diagnoses
from search.report.sections.health import CHARTS, charts, health
from search.report.tables.health import DEAD, GAP, GRADIENTS, KINDS, course, lasts, measures, values, words
from search.report.tables.snapshot import NothingToShow, Snapshot, snapshot

synthetic_run = runs.synthetic_run


def run_with(trials: int = 30, **columns: Any) -> Any:
    """A synthetic run whose reports have more measures: each a function of (number of the trial, iteration)."""
    run = synthetic_run(trials, ensemble=False)
    number = run.measured["trial_id"].map(run.trials.set_index("trial_id")["number"])
    told = zip(number, run.measured["iteration"], strict=True)
    pairs = list(told)
    return replace(run, measured=run.measured.assign(**{k: [f(n, i) for n, i in pairs] for k, f in columns.items()}))


def snap_with(**columns: Any) -> Snapshot:
    return snapshot(run_with(**columns))


def only(found: list[Diagnosis], title: str) -> Diagnosis:
    [one] = [diagnosis for diagnosis in found if title in diagnosis.title]
    return one


def test_a_run_that_reports_nothing_of_itself_has_no_such_section() -> None:
    snap = snapshot(synthetic_run(10, ensemble=False))
    assert charts(snap) == []
    assert diagnoses(snap) == []
    assert health(snap, Sheet()) == ""
    for chart in CHARTS:
        with pytest.raises(NothingToShow, match="No trial reported"):
            chart.table(snap)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("gradient_g", "gradients"),
        ("grad_norm", "gradients"),
        ("diag/encoder.grad_norm", "gradients"),
        ("update_ratio_d", "updates"),
        ("dead_relus", "dead"),
        ("generalization_gap", "gap"),
        ("d_real_acc", "balance"),
    ],
)
def test_measures_are_found_by_name(name: str, kind: str) -> None:
    snap = snap_with(**{name: lambda n, i: 0.5})
    assert [k.name for k in KINDS if measures(snap, k)] == [kind]
    assert [chart.name for chart in charts(snap)] == [f"health_{kind}"]


def test_a_gap_is_positive_where_validation_is_worse_whichever_way_is_better() -> None:
    snap = snap_with(
        train_psnr=lambda n, i: 20.0, val_psnr=lambda n, i: 18.0, train_loss=lambda n, i: 1.0, val_loss=lambda n, i: 3.0
    )
    assert len(measures(snap, GAP)) == 2
    for measure in measures(snap, GAP):
        assert (values(snap, GAP, measure) == 2).all()


def test_the_band_is_of_trials_that_finished_and_the_best_and_the_failed_have_lines() -> None:
    snap = snap_with(gradient_g=lambda n, i: float(n))
    table = course(snap, GRADIENTS)
    finished = snap.trials.loc[snap.trials["status"] == "finished", "number"]
    typical = table[(table["line"] == "typical") & (table["iteration"] == 1)].iloc[0]
    assert typical["value"] == finished.median()
    assert typical["low"] == pytest.approx(finished.quantile(0.05))
    assert table.loc[table["line"] == "best", "number"].unique().tolist() == [snap.trials.at[snap.best, "number"]]
    failed = snap.trials.loc[snap.trials["status"] == "failed", "number"]
    assert set(table.loc[table["line"] == "failed", "number"]) == set(failed)


def test_exploded_and_vanished_gradients_are_counted_and_linked() -> None:
    def gradient(n: int, i: int) -> float:
        return {4: 1e6, 5: float("inf"), 6: 1e-9}.get(n, 1.0) if i > 1 else 1.0

    snap = snap_with(gradient_g=gradient)
    found = diagnoses(snap)
    assert only(found, "Gradients exploded in 2 trials").trials == (4, 5)
    assert only(found, "Gradients vanished in 1 trial").trials == (6,)
    html = health(snap, Sheet())
    assert 'href="#trial-4"' in html
    assert html.startswith('<section id="health">')


def test_a_network_that_is_not_trained_at_all_has_not_lost_its_gradients() -> None:
    assert diagnoses(snap_with(gradient_d=lambda n, i: 0.0 if n == 3 else 1.0)) == []


def test_a_trial_that_failed_with_a_gradient_that_was_no_number_exploded() -> None:
    run = run_with(gradient_g=lambda n, i: 1.0)
    number = int(run.trials.loc[(run.trials["status"] == "failed") & (run.trials["iterations"] > 1), "number"].iloc[0])
    trial = run.trials.set_index("number").at[number, "trial_id"]
    last = run.measured.index[run.measured["trial_id"] == trial][-1]
    run.measured.loc[last, "gradient_g"] = float("nan")
    assert only(diagnoses(snapshot(run)), "exploded").trials == (number,)


def test_a_measure_that_is_reported_now_and_then_counts_by_its_last_value() -> None:
    snap = snap_with(gradient_g=lambda n, i: float(n) if i % 2 else None)
    ends = lasts(snap, GRADIENTS, "gradient_g")
    kept = ends[ends["status"] != "failed"]
    assert (kept["value"] == kept["number"]).all()
    assert not diagnoses(snap_with(gradient_g=lambda n, i: 1.0 if i % 2 else None))


@pytest.mark.parametrize("whole", [1, 100])
def test_dead_units_count_from_half_on_in_shares_and_in_per_cent(whole: float) -> None:
    snap = snap_with(dead_units=lambda n, i: whole * (0.7 if n in (2, 8) else 0.1))
    assert only(diagnoses(snap), "Most units were dead in 2 trials").trials == (2, 8)


def test_a_count_of_dead_units_is_drawn_and_not_judged() -> None:
    snap = snap_with(dead_units=lambda n, i: 100 * n)
    assert diagnoses(snap) == []
    assert measures(snap, DEAD) == ["dead_units"]


def test_what_trains_better_than_it_validates_by_a_quarter_is_counted() -> None:
    snap = snap_with(train_loss=lambda n, i: 1.0, val_loss=lambda n, i: 1.5 if n == 9 else 1.1)
    assert only(diagnoses(snap), "1 trial trained better").trials == (9,)


def test_a_discriminator_that_won_is_told_by_its_loss_or_by_its_accuracies() -> None:
    losses = snap_with(loss_g=lambda n, i: 1.0, loss_d=lambda n, i: 1e-5 if n == 2 and i > 1 else 0.6)
    assert only(diagnoses(losses), "The discriminator won").trials == (2,)
    sure = snap_with(d_real_acc=lambda n, i: 0.99, d_fake_acc=lambda n, i: 0.99 if n == 3 else 0.6)
    assert only(diagnoses(sure), "never fooled").trials == (3,)


def test_one_network_s_loss_alone_is_no_balance() -> None:
    assert charts(snap_with(loss_g=lambda n, i: 1.0)) == []


def test_verdicts_in_words_are_counted_by_the_last_report_of_each_trial() -> None:
    def verdict(n: int, i: int) -> str | None:
        if i == 1:
            return "just begun"
        return {2: "mode collapse; too slow", 3: json.dumps(["mode collapse"]), 4: None}.get(n, "healthy")

    snap = snap_with(verdict=verdict)
    assert words(snap)["mode collapse"] == [2, 3]
    found = diagnoses(snap)
    assert only(found, "Mode collapse: 2 trials").trials == (2, 3)
    assert not [one for one in found if "healthy" in one.title]
    assert "Mode collapse" in health(snap, Sheet())


def test_verdicts_that_differ_in_their_numbers_alone_are_one_diagnosis() -> None:
    snap = snap_with(verdict=lambda n, i: f"overfits: validation {n}.0 x train" if n < 12 else "too slow")
    found = [one for one in diagnoses(snap) if "Overfits" in one.title]
    assert [one.title for one in found] == [f"Overfits: {len(found[0].trials)} trials"]
    assert len(found[0].trials) > 8
    assert re.search(r"last report, such as validation \d+.0 x train\.$", found[0].text)
    assert only(diagnoses(snap), "Too slow")


def test_words_and_truth_values_are_no_measures_and_html_in_a_name_or_verdict_is_text() -> None:
    assert charts(snap_with(gradient_ok=lambda n, i: True, dead_note=lambda n, i: "none")) == []
    hostile = {"gradient_<script>": lambda n, i: 1.0, "verdict": lambda n, i: "<script>alert(1)</script>"}
    html = health(snap_with(**hostile), Sheet())
    assert "<script>alert" not in html
    figure = charts(snap_with(**hostile))[0].drawn(snap_with(**hostile)).figure
    assert "<script>" not in figure.to_json().replace("\\u003c", "<")


def test_a_run_where_nothing_finished_or_only_rubbish_was_reported_is_drawn_all_the_same() -> None:
    run = run_with(gradient_g=lambda n, i: float("inf") if i % 2 else -1.0, gradient_d=lambda n, i: 0.0)
    for statuses in ("failed", "running"):
        trials = run.trials.assign(status=statuses)
        snap = snapshot(replace(run, trials=trials))
        assert health(snap, Sheet())
    constant = snapshot(replace(run, measured=run.measured.assign(gradient_g=np.inf)))
    assert health(constant, Sheet())


def test_many_measures_are_cut_and_said_to_be() -> None:
    snap = snap_with(**{f"grad_norm_{k}": lambda n, i: 1.0 for k in range(9)})
    table = course(snap, GRADIENTS)
    assert table["measure"].nunique() == 6
    assert "3 more measures not drawn" in CHARTS[0].drawn(snap).caption


def test_long_runs_are_told_in_stretches() -> None:
    run = run_with(4, gradient_g=lambda n, i: 1.0)
    trial = run.trials.loc[run.trials["status"] == "finished", "trial_id"].iloc[0]
    long = pd.DataFrame({"trial_id": trial, "iteration": range(1, 5001), "seconds": 1.0, "gradient_g": 1.0})
    table = course(snapshot(replace(run, measured=long)), GRADIENTS)
    assert len(table[table["line"] == "typical"]) <= 61


def test_a_fault_that_several_measures_show_is_one_diagnosis() -> None:
    layers = {f"grad_norm_{k}": lambda n, i, k=k: 1e5 if n == k + 2 and i > 1 else 1.0 for k in range(5)}
    found = only(diagnoses(snap_with(**layers)), "exploded")
    assert found.trials == (2, 3, 4, 5, 6)
    assert "grad_norm_0 or grad_norm_1 or one of 3 others" in found.text
