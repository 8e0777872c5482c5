"""What blending brings: by members, by cost, in colour; and a table of scores that stays readable."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import report_run as runs
from hypothesis import given, settings
from hypothesis import strategies as st

from search.report.markup import Sheet
from search.report.plots import labels
from search.report.plots.blends import colour_figure, cost_figure, size_figure
from search.report.plots.theme import LIGHT
from search.report.sections.ensemble import ensemble
from search.report.sections.ensemble_scores import score_card
from search.report.tables.blends import colour_strength, gain_by_cost, gain_by_size, kind_of, telling
from search.report.tables.ensemble import baselines, gains
from search.report.tables.snapshot import NothingToShow, snapshot
from search.results import Results

EVIL = "<b>%{x}</b>"
MANY = [
    *("best_single", "mean", "median", "simplex", "simplex_log", "greedy", "votes", "majority"),
    *("ridge", "convolution", "vivid", "mean_flips", "vivid_flips"),
]
RUN = runs.synthetic_run(8)


@pytest.fixture(scope="module")
def run():
    return runs.synthetic_run(24)


@pytest.fixture(scope="module")
def snap(run):
    return snapshot(run)


def with_scores(run, **columns):
    return snapshot(replace(run, scores=run.scores.assign(**columns)))


def many(ships="mean"):
    """A table of `gains` of thirteen methods: each better on validation than the one before, and worse on test."""
    count = np.arange(len(MANY), dtype=float)
    table = pd.DataFrame({"method": MANY, "members": 4, "ships": [name == ships for name in MANY], "gain": -count})
    table = table.assign(gain_low=-count - 0.1, gain_high=0.1 - count, psnr=20 - count, val_psnr=20 + count)
    table.attrs["metric"] = "psnr"
    return table


def names_in(html):
    return [name.strip() for name in re.findall(r'<th scope="row">([^<]+)<', html)]


def with_baselines(run):
    """The run with two trivial predictors beside the methods of its ensemble, one better than all of them."""
    first = run.scores.iloc[0]
    rows = [
        {"method": f"baseline: {name}", "members": 0, "psnr": psnr, "ships": False, "gain_psnr": psnr - first["psnr"]}
        for name, psnr in (("line_copied", 16.8), ("mean_image", 99.0))
    ]
    return replace(run, scores=pd.concat([run.scores, pd.DataFrame(rows)], ignore_index=True))


def test_baselines_stand_below_the_scores_and_are_no_way_to_blend(run, snap):
    beside = snapshot(with_baselines(run))
    pd.testing.assert_frame_equal(gains(beside), gains(snap), check_dtype=False)
    assert colour_strength(beside)["method"].tolist() == colour_strength(snap)["method"].tolist()
    html = score_card(gains(beside), baselines(beside))
    assert names_in(html) == [*names_in(score_card(gains(snap))), "Line copied", "Mean image"]
    assert '<span class="kind">baseline</span>' in html
    assert "16.8" in html
    assert "The baselines are" in html
    assert "The baselines are" not in score_card(gains(snap), baselines(snap))
    assert "Mean image" in ensemble(beside, Sheet(), "")


def test_each_number_of_members_tells_what_the_last_of_them_added(snap):
    table = gain_by_size(snap)
    mean = table[table["method"] == "mean"]

    assert mean["members"].tolist() == [1, 2, 3, 4, 6]
    assert np.isnan(mean["added"].iloc[0])
    np.testing.assert_allclose(mean["added"].iloc[1:], mean["gain"].diff().iloc[1:])
    ships = table[table["ships"]]
    assert ships[["method", "members", "gain"]].values.tolist() == [["greedy", 6, 1.12]]


def test_an_ensemble_without_its_gain_by_size_says_how_to_have_it(run):
    with pytest.raises(NothingToShow, match="Make it again"):
        gain_by_size(snapshot(replace(run, sizes=None)))
    with pytest.raises(NothingToShow, match="here there is one"):
        gain_by_size(snapshot(replace(run, sizes=run.sizes[run.sizes["members"] == 1])))


def test_gains_by_size_are_drawn_with_whiskers_and_said_to_be_on_test(snap):
    figure = size_figure(gain_by_size(snap))
    mean = figure.data[0]

    assert mean.name == "mean"
    np.testing.assert_allclose(mean.error_y.array[1:], 0.1)
    assert figure.data[-1].marker.color == LIGHT.best
    assert "test split" in figure.layout.yaxis.title.text
    assert "+0.18 dB over the number before".replace(" dB", "\u00a0dB") in mean.hovertext[2]


def test_sixty_members_stand_a_ratio_apart(snap):
    table = gain_by_size(snap)
    table.loc[table["members"] == 6, "members"] = 64
    figure = size_figure(table)

    assert figure.layout.xaxis.type == "log"
    assert list(figure.layout.xaxis.tickvals) == [1, 2, 3, 4, 64]


def test_on_the_frontier_nothing_has_more_gain_for_less(snap):
    table = gain_by_cost(snap)

    assert table.attrs["cost"] == "ms_per_example"
    assert table.loc[table["frontier"], "method"].tolist() == ["best_single", "best_of_two", "simplex", "greedy"]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(-5, 5)), min_size=2, max_size=30))
def test_a_method_is_on_the_frontier_unless_another_beats_it(pairs):
    base = RUN.scores.iloc[[0] * len(pairs)].reset_index(drop=True)
    scores = base.assign(ms_per_example=[float(c) for c, _ in pairs], gain_psnr=[float(g) for _, g in pairs])
    table = gain_by_cost(snapshot(replace(RUN, scores=scores)))
    on = set(zip(table.loc[table["frontier"], "cost"], table.loc[table["frontier"], "gain"], strict=True))

    expected = {
        (c, g) for c, g in pairs if not any(d <= c and h >= g and (d, h) != (c, g) for d, h in pairs)
    }  # fmt: skip
    assert on == expected


def test_without_milliseconds_the_cost_is_the_number_of_parameters(run):
    table = gain_by_cost(with_scores(run, ms_per_example=np.nan))

    assert table.attrs["cost"] == "parameters"
    assert cost_figure(table).layout.xaxis.title.text == "parameters"
    with pytest.raises(NothingToShow, match="was not measured"):
        gain_by_cost(with_scores(run, ms_per_example=np.nan, parameters=np.nan))


def test_what_ships_and_the_best_single_model_are_told_apart_by_shape(snap):
    for figure in (cost_figure(gain_by_cost(snap)), colour_figure(colour_strength(snap))):
        symbols = {trace.name: trace.marker.symbol for trace in figure.data if trace.mode == "markers"}
        assert symbols["in use"] == "diamond"
        assert symbols["best single model"] == "square"
    assert cost_figure(gain_by_cost(snap)).layout.xaxis.type == "log"


def test_where_colour_is_not_measured_there_is_no_word_of_it(run):
    colourless = snapshot(replace(run, scores=run.scores.drop(columns="colourfulness")))
    with pytest.raises(NothingToShow, match="was not measured"):
        colour_strength(colourless)

    assert "olour" not in ensemble(colourless, Sheet(), "")
    assert 'id="colour-strength"' in ensemble(snapshot(run), Sheet(), "")


def test_colour_is_drawn_against_the_gain_where_the_metric_itself_was_not_kept(run):
    table = colour_strength(snapshot(replace(run, scores=run.scores.drop(columns="psnr"))))

    assert table.attrs["is_gain"]
    assert table["value"].tolist() == run.scores["gain_psnr"].tolist()
    assert "gain in PSNR" in colour_figure(table).layout.xaxis.title.text


def test_the_truth_is_always_in_view(run):
    figure = colour_figure(colour_strength(with_scores(run, colourfulness=[0.2, 0.21, 0.22, 0.23, 0.24])))

    assert figure.layout.yaxis.range[1] > 1


def test_names_of_methods_stay_text(run):
    snap = with_scores(run, method=["best_single", EVIL, "a", "b", "c"])
    for figure in (cost_figure(gain_by_cost(snap)), colour_figure(colour_strength(snap))):
        assert "<b>" not in figure.to_json().replace("\\u003c", "<")


POINTS = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=25)


@given(POINTS, st.sampled_from([(270, 300), (640, 300)]))
def test_no_name_lies_on_another_or_on_a_dot_or_outside(points, size):
    names = [f"method {index}" for index in range(len(points))]
    sides = labels._sides(points, names, range(len(points)), size, {})
    centres = [(x * size[0], (1 - y) * size[1]) for x, y in points]
    boxes = {index: labels._box(centres[index], names[index], side) for index, side in sides.items()}

    for index, (left, top, right, bottom) in boxes.items():
        assert min(left, top) >= 0
        assert right <= size[0]
        assert bottom <= size[1]
        for other, box in boxes.items():
            assert other == index or not labels._meet((left, top, right, bottom), box)
        for other, (x, y) in enumerate(centres):
            assert other == index or not (left < x < right and top < y < bottom)


def test_a_name_that_only_a_wide_page_has_room_for_is_marked():
    figure = cost_figure(gain_by_cost(snapshot(RUN)))
    before = len(figure.data)
    close = [(0.5, 0.5), (0.62, 0.5), (0.74, 0.5), (0.86, 0.5)] * 2
    labels.add_names(figure, close, close, ["a long name of a method"] * 8, range(8))

    fonts = [trace.textfont.family for trace in figure.data[before:]]
    assert [font == labels.WIDE_ONLY for font in fonts] == [False, True]


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("simplex_log_flips", "weighted mean"),
        ("best_single_swa", "one model"),
        ("stacked_simplex_log", "second level"),
        ("vivid_flips", "stronger colours"),
        ("medoid_region", "vote"),
        ("best_of_two", "other"),
        (None, "other"),
    ],
)
def test_methods_have_a_kind(method, kind):
    assert kind_of(method) == kind


def test_validation_picks_the_methods_that_stand_for_their_kind():
    table = many()
    shown = table.loc[telling(table), "method"].tolist()

    # The last of each kind is the best on validation, and the worst of it on test.
    assert shown == ["best_single", "mean", "majority", "convolution", "mean_flips", "vivid_flips"]


def test_where_validation_is_unknown_test_picks_none():
    table = many()
    kept = table.loc[telling(table.assign(val_psnr=np.nan)), "method"].tolist()
    flipped = table.assign(val_psnr=np.nan, gain=table["gain"].to_numpy()[::-1], psnr=table["psnr"].to_numpy()[::-1])

    assert kept == table.loc[telling(flipped), "method"].tolist() == ["best_single", "mean", "votes", "ridge", "vivid"]


def test_a_long_table_is_folded_and_loses_no_method():
    html = score_card(many())
    short, whole = html.split("<details>")

    assert names_in(short) == ["Best single", "Mean", "Majority", "Convolution", "Mean flips", "Vivid flips"]
    assert len(names_in(whole)) == len(MANY)
    assert "All 13 methods" in whole
    assert short.count("in use</span>") == 1


def test_a_short_table_is_not_folded(snap):
    html = score_card(gains(snap))

    assert "<details>" not in html
    assert len(names_in(html)) == 5
    assert "Validation chose what is in use" in html
    assert "PSNR on validation" in html


def test_members_of_one_trial_are_told_apart_and_many_are_folded(run):
    trial = run.blend["members"][0]
    members = [{**trial, "iteration": iteration} for iteration in range(1, 16)]
    rule = {"kind": "weights", "settings": {"weights": [1 / 15] * 15}}
    html = ensemble(snapshot(replace(run, blend={**run.blend, "members": members, "rule": rule})), Sheet(), "")

    assert "</a> at 3</span>" in html
    assert "3 lighter ones" in html
    assert html.count('class="share"') == 15


def test_sizes_and_strips_are_read_from_the_files_of_a_run(run, tmp_path):
    results = Results(runs.write_run(run, tmp_path / "run"))

    pd.testing.assert_frame_equal(results.ensemble_sizes(), run.sizes)
    assert results.ensemble_gallery()["trial_id"].tolist() == run.gallery["trial_id"].tolist()
    assert Results(runs.write_run(runs.synthetic_run(8, ensemble=False), tmp_path / "b")).ensemble_sizes() is None
