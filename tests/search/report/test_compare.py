"""Several runs on one page: what may be compared, what is drawn as one, and what is said to differ."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import report_run as runs

from search.errors import RunError
from search.report.page import comparison_html, write_comparison
from search.report.plots.compare import best_figure, distributions_figure, look, spent_figure
from search.report.plots.theme import DARK_OF
from search.report.tables.compare import best_by_cost, best_by_trials, comparison, distributions, spent
from search.report.tables.side_by_side import choices, outcomes, winners
from search.report.tables.snapshot import Goal, NothingToShow

GOAL = Goal("psnr", maximize=True)


def run(seed=0, ran=20, name="spring", **definition):
    made = runs.synthetic_run(ran, iterations=6, seed=seed, ensemble=False)
    return replace(made, definition={**made.definition, "name": name, "trials": 20, **definition})


def scored(scores, seconds=3600.0, name="spring", **definition):
    """A run with these scores and nothing else; NaN is a trial that failed."""
    made = run(ran=len(scores), name=name, **definition)
    failed = np.isnan(scores)
    status = np.where(failed, "failed", "finished")
    return replace(made, trials=made.trials.assign(score=scores, status=status, seconds=seconds))


def test_runs_of_other_metrics_or_directions_are_refused_by_name():
    with pytest.raises(RunError, match=r"psnr \(higher is better\) in 'a' and mse \(lower is better\) in 'b'"):
        comparison([run(name="a"), run(name="b", metric="mse", mode="min")])
    with pytest.raises(RunError, match="lower is better"):
        comparison([run(name="a"), run(name="b", mode="min")])


def test_runs_of_one_name_are_told_apart():
    several = comparison([run(), run(method="Random()"), run(name="spring (2)", trials=8)])

    assert several.labels == ("spring", "spring (2)", "spring (2) (2)")
    assert len(set(several.group_labels)) == len(several.group_labels)


def test_runs_that_differ_in_their_seed_alone_are_a_group():
    several = comparison(
        [
            run(0, name="wide-0", arguments=["--seed", "0", "--data", "x"]),
            run(1, name="other", arguments=["--data", "y"]),
            run(2, name="wide-1", arguments=["--data", "x", "--seed=1"]),
        ]
    )

    assert several.groups == (0, 1, 0)
    assert several.group_labels == ("wide, 2 runs", "other")


@pytest.mark.parametrize(
    "change",
    [{"method": "Random()"}, {"iterations": 7}, {"trials": 21}, {"space": {}}, {"scheduler": None}, {"file": "b.py"}],
)
def test_runs_of_other_definitions_are_none(change):
    assert comparison([run(), run(**change)]).groups == (0, 1)


def test_the_best_so_far_steps_where_it_changes_and_ends_where_its_run_does():
    table = best_by_trials(comparison([scored([1.0, np.nan, 3.0, 2.0, 2.5]), scored([2.0, 2.0], iterations=9)]))
    first = table[table["series"] == "spring"]

    assert first["at"].tolist() == [1, 3, 5]
    assert first["best"].tolist() == [1, 3, 3]
    assert table.attrs["shared"] == 2
    assert table.attrs["best_at_shared"] == {"spring": 1.0, "spring (2)": 2.0}


def test_a_lower_score_is_better_where_less_is_wanted():
    table = best_by_trials(comparison([scored([3.0, 4.0, 1.0], mode="min")]))

    assert table["best"].tolist() == [3, 1]


def test_a_band_spans_the_runs_of_a_group_as_far_as_all_of_them_went():
    group = [scored([1.0, 5.0]), scored([2.0, 2.0, 9.0]), scored([4.0, 4.0, 4.0])]
    table = best_by_trials(comparison(group))
    band = table[table["kind"] == "band"]

    assert band["at"].tolist() == [1, 2]
    assert band["low"].tolist() == [1, 2]
    assert band["best"].tolist() == [2, 4]
    assert band["high"].tolist() == [4, 5]


def test_what_it_took_adds_up_trials_in_the_order_they_ended():
    made = scored([1.0, 2.0, 3.0], seconds=[3600.0, 7200.0, 3600.0])
    ended = pd.Timestamp("2026-03-05", tz="UTC") + pd.to_timedelta([3, 1, 2], unit="h")
    table = best_by_cost(comparison([replace(made, trials=made.trials.assign(ended=ended))]))

    assert table.attrs["unit"] == "GPU-hours"  # half a GPU each
    assert table["at"].tolist() == [1.0, 1.5, 2.0]
    assert table["best"].tolist() == [2.0, 3.0, 3.0]


def test_hours_of_trials_are_compared_where_a_run_had_no_gpu():
    bare = scored([1.0, 2.0])
    bare = replace(bare, trials=bare.trials.assign(**{"resources.gpu": 0.0}))
    several = comparison([scored([1.0, 2.0]), bare])

    assert best_by_cost(several).attrs["unit"] == "hours of trials"
    assert spent(several)["amount"].tolist() == [2.0, 2.0]


def test_a_distribution_is_the_share_that_came_as_far():
    table = distributions(comparison([scored([3.0, 1.0, np.nan, 2.0, 4.0]), scored([1.0])]))

    assert table["score"].tolist() == [4, 3, 2, 1]
    assert table["share"].tolist() == [0.25, 0.5, 0.75, 1]
    assert table.attrs["median"] == {"spring": 2.5}


def test_runs_without_scores_have_nothing_to_show():
    empty = scored([np.nan, np.nan])
    several = comparison([empty, empty])
    for table in (best_by_trials, best_by_cost, distributions, winners):
        with pytest.raises(NothingToShow, match=r"\.$"):
            table(several)
    assert "No run has a score yet." in comparison_html([empty, empty])


def test_the_winner_of_each_run_stands_beside_the_others_with_what_differs_first():
    several = comparison([run(0), run(1)])
    table = winners(several)

    assert table["differs"].tolist() == sorted(table["differs"], reverse=True)
    equal = table[~table["differs"].astype(bool)].set_index("parameter")
    assert equal.loc["data"].tolist() == [False, "drawings-48", "drawings-48"]
    first = several.runs[0]
    rate = table.set_index("parameter").loc["lr_g", "run.spring"]
    assert float(rate) == pytest.approx(first.config(first.best)["lr_g"], rel=0.01)


def test_choices_of_the_definitions_that_differ_come_first():
    space = {**runs.SPACE, "lr_g": {"type": "loguniform", "low": 1e-6, "high": 0.1}}
    table = choices(comparison([run(seed=0), run(seed=1, method="Random()", scheduler=None, space=space)]))
    differing = table[table["differs"].astype(bool)].set_index("choice")

    assert list(differing.index) == ["Method", "Scheduler", "Seed", "Range of lr_g"]
    assert differing.loc["Range of lr_g"].tolist()[1:] == ["1e-5 to 0.01, logarithmic", "1e-6 to 0.1, logarithmic"]
    assert differing.loc["Scheduler"].tolist()[2] is None


def test_outcomes_are_ranked_and_a_run_without_a_winner_is_last():
    table = outcomes(comparison([scored([np.nan], name="a"), scored([1.0], name="b"), scored([2.0], name="c")]))

    assert table["run"].tolist() == ["c", "b", "a"]
    assert table["trial"].tolist()[:2] == [1, 1]


def test_lines_of_neighbouring_groups_differ_in_colour_and_in_dash():
    looks = [look(group) for group in range(12)]

    assert len(set(looks)) == 12
    for at in range(9):
        colours, dashes = zip(*looks[at : at + 4], strict=True)
        assert len(set(colours)) == len(set(dashes)) == 4


def _best(kinds):
    rows = [("a", 0, "run", 1, 1.0, 1.0, 1.0), ("a", 0, "run", 3, 2.0, 2.0, 2.0), ("b", 0, "run", 1, 3.0, 3.0, 3.0)]
    rows += [("both", 0, "band", 1, 2.0, 1.0, 3.0), ("both", 0, "band", 3, 2.5, 2.0, 3.0)]
    table = pd.DataFrame(rows, columns=["series", "group", "kind", "at", "best", "low", "high"])
    table = table[table["kind"].isin(kinds)]
    table.attrs = {"unit": "trials"}
    return table


def test_a_group_is_listed_once_and_its_band_closes_around_it():
    figure = best_figure(_best(["run", "band"]), GOAL)
    band = next(trace for trace in figure.data if trace.fill == "toself")

    assert [trace.name for trace in figure.data if trace.showlegend] == ["both"]
    assert list(band.x) == [1, 3, 3, 3, 3, 1]
    assert list(band.y) == [3, 3, 3, 2, 1, 1]
    assert band.fillcolor in DARK_OF


def test_runs_of_no_group_are_listed_each():
    assert [trace.name for trace in best_figure(_best(["run"]), GOAL).data if trace.showlegend] == ["a", "b"]


def test_figures_keep_users_text_as_text_and_know_only_colours_of_the_theme():
    evil = "<script>alert(1)</script>"
    several = comparison([run(0, name=evil), run(1, name=evil), run(2, name=evil, method="Random()")])
    made = [
        best_figure(best_by_trials(several), GOAL),
        distributions_figure(distributions(several), GOAL),
        spent_figure(spent(several)),
    ]
    for figure in made:
        text = figure.to_json()
        assert "<script" not in text
        for trace in json.loads(text)["data"]:
            colour = trace.get("line", {}).get("color") or trace["marker"]["color"]
            assert colour in DARK_OF


def test_every_minute_of_a_run_is_in_its_bar():
    several = comparison([run(0), run(1, name="b", method="Random()")])
    figure = spent_figure(spent(several))
    assert figure.layout.xaxis.title.text == "GPU-minutes"
    minutes = sum(sum(trace.x) for trace in figure.data)

    seconds = sum(one.trials["seconds"].sum() for one in several.runs)
    assert minutes == pytest.approx(seconds / 2 / 60)  # half a GPU each
    assert list(figure.layout.yaxis.ticktext) == ["spring", "b"]


def test_the_page_has_a_line_a_run_and_every_section(tmp_path):
    pair = [run(0, name="a"), run(1, name="<b>bold</b>", method="Random()", status="running")]
    text = write_comparison(pair, tmp_path / "c.html", price=2.5).read_text(encoding="utf-8")

    assert [path.name for path in tmp_path.iterdir()] == ["c.html"]
    for anchor in ("answer", "progress", "cost", "parameters", "runs"):
        assert f'<section id="{anchor}">' in text
    for name in ("compare-best", "compare-best-by-cost", "compare-scores", "compare-cost"):
        assert f'id="{name}-plot"' in text
    assert text.count('<svg class="key"') == 2
    assert "<b>bold</b>" not in text
    assert "&lt;b&gt;bold&lt;/b&gt; is still running." in text
    first = comparison(pair).runs[0]
    dollars = 2.5 * (first.trials["seconds"] * 0.5).sum() / 3600
    assert f"${dollars:,.2f}" in text


def test_ten_thousand_trials_make_small_figures():
    random = np.random.default_rng(0)
    several = comparison([scored(list(random.normal(size=40)))])
    large = several.runs[0].trials.sample(10_000, replace=True, random_state=0, ignore_index=True)
    large = large.assign(number=range(10_000), score=np.sort(random.normal(size=10_000)))
    several = replace(several, runs=(replace(several.runs[0], trials=large),))

    assert len(best_figure(best_by_trials(several), GOAL).to_json()) < 150_000
    assert len(distributions_figure(distributions(several), GOAL).to_json()) < 150_000
