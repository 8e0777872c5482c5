"""How much a score moves with the seed, and what a re-test says."""

import json
import math

import numpy as np
import pandas as pd
import pytest
import report_run as runs
from hypothesis import given, settings
from hypothesis import strategies as st

from search.report.plots.seeds import seed_noise_figure
from search.report.sections.stages import CHARTS
from search.report.tables.seeds import MOST_CONFIGURATIONS, ahead, seed_noise
from search.report.tables.snapshot import NothingToShow, snapshot


def run_of(originals, again, *, reason="retest", mode="max", seeds=None):
    """A run whose first trials have these scores, and further ones of each configuration by number."""
    rows = [(n, n, "model", score) for n, score in enumerate(originals, 1)]
    for configuration, scores in again.items():
        rows += [(len(rows) + 1 + k, configuration, reason, score) for k, score in enumerate(scores)]
    table = pd.DataFrame(rows, columns=["number", "configuration", "reason", "score"])
    table = table.assign(status="finished", iterations=4, seconds=1.0, config=json.dumps({"lr": 0.1}))
    table["trial_id"] = [f"t{n}" for n in table["number"]]
    table["config.seed"] = range(1000, 1000 + len(table)) if seeds is None else seeds
    definition = {"metric": "m", "mode": mode, "iterations": 4, "space": {}}
    empty = pd.DataFrame({"trial_id": [], "iteration": [], "m": []})
    return runs.SyntheticRun(definition, table, empty)


def table_of(*given, **more):
    return seed_noise(snapshot(run_of(*given, **more)))


def test_finalists_stand_by_their_mean_best_first():
    table = table_of([5.0, 4.0, 3.0], {1: [1.0, 2.0, 3.0], 2: [4.0, 4.5, 5.0], 3: [3.0, 3.1, 3.2]})

    assert table["configuration"].unique().tolist() == [2, 3, 1]
    assert table.drop_duplicates("configuration")["mean"].tolist() == pytest.approx([4.5, 3.1, 2.0])


def test_where_lower_is_better_the_lowest_mean_is_first():
    table = table_of([1.0, 2.0], {1: [2.0, 2.1], 2: [1.0, 1.1]}, mode="min")

    assert table["configuration"].iloc[0] == 2
    assert table["behind"].iloc[-1] == pytest.approx(1.0)


def test_a_first_far_ahead_is_told_as_decided():
    table = table_of([9.0, 8.0], {1: [9.0, 9.1, 9.2], 2: [5.0, 5.1, 5.2]})

    assert json.loads(json.dumps(table.attrs))["decided"] is True
    assert "Trial 1 is ahead of trial 2 by 4" in table.attrs["verdict"]
    assert "better one" in table.attrs["verdict"]


def test_a_tie_is_told_as_undecided():
    table = table_of([9.0, 8.0], {1: [5.0, 7.0, 6.1], 2: [5.0, 7.0, 6.0]})

    assert table.attrs["decided"] is False
    assert "cannot be told apart" in table.attrs["verdict"]


def test_one_seed_each_decides_nothing():
    table = table_of([9.0, 8.0], {1: [5.0], 2: [4.0]})

    assert table.attrs["decided"] is None
    assert "one seed each" in table.attrs["verdict"]
    assert math.isnan(table.attrs["spread"][0])


def test_the_winners_curse_is_the_original_minus_the_mean_of_the_new():
    table = table_of([9.0, 8.0], {1: [6.0, 7.0, 8.0], 2: [7.0, 7.0, 7.0]})
    curse = table.drop_duplicates("configuration").set_index("configuration")["curse"]

    assert curse.to_dict() == pytest.approx({1: 2.0, 2: 1.0})
    assert table.attrs["curse"][0] == pytest.approx(1.5)


def test_where_lower_is_better_luck_is_a_score_that_was_too_low():
    table = table_of([1.0, 5.0], {1: [3.0, 3.0], 2: [5.0, 5.0]}, mode="min")

    assert table.set_index("configuration")["curse"].loc[1].tolist() == pytest.approx([2.0, 2.0])


def test_originals_of_another_length_are_no_measure_of_luck():
    run = run_of([9.0, 8.0], {1: [6.0, 7.0], 2: [5.0, 5.5]})
    run.trials["config.training_iteration"] = [2, 2, 4, 4, 4, 4]
    table = seed_noise(snapshot(run))

    assert table["original"].isna().all()
    assert "curse" not in CHARTS[1].drawn(snapshot(run)).caption


def test_equal_seeds_are_compared_pair_by_pair():
    # Seeds move both alike: the first is ahead by 0.1 on every one of them.
    scores = {1: [1.1, 5.1, 9.11], 2: [1.0, 5.0, 9.0]}
    paired = table_of([1.0, 1.0], scores, seeds=[0, 0, 7, 8, 9, 7, 8, 9])
    unpaired = table_of([1.0, 1.0], scores)

    assert paired.attrs["decided"] is True
    assert unpaired.attrs["decided"] is False


def test_pairs_are_made_by_seed_and_not_by_order():
    one = pd.DataFrame({"seed": [1, 2, 3], "score": [1.0, 5.0, 9.0]})
    other = pd.DataFrame({"seed": [3, 1, 2], "score": [8.9, 0.9, 4.8]})
    gap, low, high = ahead(one, other, 1)

    assert gap == pytest.approx(0.4 / 3)
    assert low > -0.05
    assert high < 0.4


@settings(max_examples=60)
@given(
    st.lists(st.floats(-100, 100), min_size=2, max_size=9),
    st.lists(st.floats(-100, 100), min_size=2, max_size=9),
)
def test_the_interval_of_a_gap_is_that_of_welch_and_turns_with_its_sign(a, b):
    from scipy.stats import ttest_ind

    one = pd.DataFrame({"seed": range(len(a)), "score": a})
    other = pd.DataFrame({"seed": range(50, 50 + len(b)), "score": b})
    gap, low, high = ahead(one, other, 1)

    assert low <= gap <= high
    assert (-high, -low) == pytest.approx(ahead(one, other, -1)[1:], abs=1e-9)
    if np.std(a) > 1e-3 and np.std(b) > 1e-3:
        told = ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
        assert (low, high) == pytest.approx((told.low, told.high), abs=1e-6, rel=1e-6)


def test_the_noise_of_seeds_is_pooled_over_configurations():
    table = table_of([0.0, 0.0], {1: [1.0, 3.0], 2: [10.0, 12.0]})
    spread, low, high = table.attrs["spread"]

    assert spread == pytest.approx(math.sqrt(2))
    assert low < spread < high


def test_without_a_retest_repeated_configurations_tell_of_seeds():
    table = table_of([9.0, 8.0, 7.0], {1: [6.0, 7.0]}, reason="repeat")

    assert not table.attrs["retest"]
    assert sorted(table["score"]) == [6.0, 7.0, 9.0]
    assert table["curse"].iloc[0] == pytest.approx(9.0 - 6.5)
    assert table.attrs["decided"] is None
    assert "no Retest" in CHARTS[1].drawn(snapshot(run_of([9.0, 8.0], {1: [6.0]}, reason="repeat"))).caption


def test_failed_and_unscored_trials_count_for_no_seed():
    run = run_of([9.0, 8.0], {1: [6.0, 7.0, 99.0], 2: [5.0, np.nan, 5.5]})
    run.trials.loc[4, "status"] = "failed"
    table = seed_noise(snapshot(run))

    assert sorted(table["score"]) == [5.0, 5.5, 6.0, 7.0]


def test_without_repeats_the_reader_is_told_how_to_get_some():
    with pytest.raises(NothingToShow, match=r"trained once.*add Retest\(\)"):
        table_of([9.0, 8.0], {})


def test_many_repeated_configurations_are_cut_and_said_to_be():
    table = table_of([float(n) for n in range(30)], {n: [1.0 * n, 1.1 * n] for n in range(1, 31)}, reason="repeat")

    assert table["configuration"].nunique() == MOST_CONFIGURATIONS
    assert table.attrs["left_out"] == 30 - MOST_CONFIGURATIONS


def test_the_figure_draws_every_seed_mean_and_original_and_opens_trials():
    snap = snapshot(run_of([9.0, 8.0], {1: [6.0, 7.0, 8.0], 2: [5.0, 5.5, 5.2]}))
    table = seed_noise(snap)
    traces = {trace.name: trace for trace in seed_noise_figure(table, snap.goal).data}

    assert list(traces["a seed"].customdata) == table["number"].tolist()
    assert list(traces["what it was chosen by"].x) == [9.0, 8.0]
    assert list(traces["mean and 95 % interval"].x) == pytest.approx([7.0, 15.7 / 3])


def test_the_verdict_stands_first_in_the_caption():
    drawn = CHARTS[1].drawn(snapshot(run_of([9.0, 8.0], {1: [9.0, 9.1, 9.2], 2: [5.0, 5.1, 5.2]})))

    assert drawn.caption.startswith("<strong>Trial 1 is ahead of trial 2")
